"""The training loop: epochs of steps, each epoch judged and kept, with an answer to whatever goes wrong on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import Advanced, Event, Measured, Noted, Token
from napari_cyto.jobs.run_folder import FolderToken, RunFolder
from napari_cyto.models.finite_outputs import NotFiniteError
from napari_cyto.training import _checkpoint as checkpoints
from napari_cyto.training._checkpoint import Checkpoint
from napari_cyto.training._cpu_convolutions import quicken
from napari_cyto.training._epoch_report import measured
from napari_cyto.training._hardware import chosen_precision, is_out_of_memory, make_fabric
from napari_cyto.training._memory_needed import memory_sentence
from napari_cyto.training._optimizer import decay_at, make_optimiser, rate_factor, set_decay, set_rates
from napari_cyto.training._run_progress import Progress, after_epoch, is_over, stopped_early
from napari_cyto.training._task import Batch, Share, Task, Validation
from napari_cyto.training._weight_average import Average
from napari_cyto.training.config import PhaseConfig, TrainConfig
from napari_cyto.training.run_settings import CheckpointSettings

MOST_ROLLBACKS = 3
_REPORT_S = 0.5
_WAIT_S = 0.1

KeepBest = Callable[[Validation, dict[str, Any], int], None]


class NotFinite(Exception):
    """The loss of a step, or a weight at the end of an epoch, is NaN or infinite; says which was."""


class EvaluatedNetwork:
    """A network to be measured: called with tensors from the CPU, answers on the CPU in float32.

    Parameters
    ----------
    fabric : Fabric
        Device and precision.
    module : nn.Module
        The network, in evaluation mode.
    """

    def __init__(self, fabric: Any, module: Any) -> None:
        self.fabric, self.module = fabric, module.eval()

    def __call__(self, *inputs: Any) -> Any:
        """Return the network's answer."""
        with torch.inference_mode(), self.fabric.autocast():
            answer = self.module(*(self.fabric.to_device(i) for i in inputs))
        return _at_home(answer)


class Fitting:
    """One run's loop; ``fit`` is what is to be called.

    Parameters
    ----------
    task : Task
        What is trained, prepared.
    config : TrainConfig
        How.
    folder : RunFolder
        Where checkpoints and pictures go.
    token : FolderToken
        Hears the user.
    keep_best : callable
        Keeps the best network: takes its validation, its weights and the epoch's number, from 1.
    request : CheckpointSettings
        What the run's numbers depend on, for its checkpoints.
    """

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        folder: RunFolder,
        token: FolderToken,
        keep_best: KeepBest,
        request: CheckpointSettings,
    ) -> None:
        self.task, self.config, self.folder, self.token = task, config, folder, token
        self.keep_best, self.request = keep_best, request
        self.progress = Progress(batch=config.batch)
        self.network = task.network
        self.average = Average(task.network, config.ema) if config.ema else None
        self._phase: int | None = None

    def fit(self, start: Checkpoint | None) -> Generator[Event, None, Progress]:
        """Train from the beginning, or from a checkpoint on.

        Yields
        ------
        Event
            ``Advanced`` within epochs, ``Measured`` after each, ``Noted`` when something was decided.

        Raises
        ------
        JobCancelled
            When the user asked for it; what was best is kept.
        CytoError
            When the loss stays NaN, or memory or disk do not suffice.
        """
        yield from self._begin(start)
        while not is_over(self.progress, self.config):
            mend: Callable[[], Event] | None = None
            try:
                yield from self._epoch()
            except NotFinite as error:
                mend = partial(self._rolled_back, str(error))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                mend = self._halved
            # Outside the handler, whose traceback would keep the step's memory alive.
            if mend is not None:
                yield mend()
        return self.progress

    def _begin(self, start: Checkpoint | None) -> Generator[Event, None, None]:
        first = self.config.phases[0]
        if start is None:
            precision, why = chosen_precision(self.config, self.task, first)
            self.progress = replace(self.progress, precision=precision)
            yield Noted(why)
        else:
            self.progress = start.progress
            yield Noted(f"Going on after epoch {start.progress.epoch}.")
        self.fabric = make_fabric(self.config, self.progress.precision)
        if self.fabric.device.type == "cpu" and not is_over(self.progress, self.config):
            phases = self.config.phases[self.progress.phase :]
            sentence = memory_sentence(self.task, phases, self.progress.batch, self.progress.precision == "bf16")
            if sentence:
                yield Noted(sentence)
        if self.progress.precision == "bf16" and self.fabric.device.type == "cpu":
            # After the average has its copy: a quickened layer cannot be copied.
            quicken(self.network)
        self.share = Share(self.fabric.global_rank, self.fabric.world_size)
        if self.average is not None:
            self.average.network.to(self.fabric.device)
        self._restore(start) if start is not None else self._keep()

    def _epoch(self) -> Generator[Event, None, None]:
        before, started_s = self.progress, time.monotonic()
        phase = self._enter_phase()
        shown, loss = yield from self._trained(phase)
        trained_s = time.monotonic() - started_s
        validation = yield from self._validated()
        sentence = validation.decision.model_copy(update={"precision": self.progress.precision})
        validation = replace(validation, decision=sentence)
        self.progress = after_epoch(before, self.config, validation.score, time.monotonic() - started_s)
        yield from self._heeded()
        if self.progress.best_epoch == self.progress.epoch:
            self._keep_best(validation)
            yield self._advanced(0, 1)
        values = measured(
            self.task.score_name,
            validation,
            before,
            self.progress,
            self.config,
            loss,
            shown / trained_s,
            self.folder.path,
        )
        self.progress = replace(self.progress, history=(*before.history, values))
        self._keep()
        yield Measured(values)
        if stopped_early(before, self.progress, self.config):
            yield Noted(
                f"Stopped phase {before.phase + 1} after epoch {before.epoch + 1}: no progress in "
                f"{phase.stop_after} epochs."
            )

    def _enter_phase(self) -> PhaseConfig:
        phase = self.config.phases[self.progress.phase]
        if self._phase != self.progress.phase:
            optimiser = make_optimiser(phase, self.task.parameter_groups(phase))
            self.module, self.optimiser = self.fabric.setup(self.network, optimiser)
            self._phase = self.progress.phase
        return phase

    def _trained(self, phase: PhaseConfig) -> Generator[Event, None, tuple[int, float]]:
        """Train one epoch; return the pictures that were shown and the mean loss."""
        now = self.progress
        steps = self.task.steps(now.batch)
        torch.manual_seed(self.config.seed * 1_000_003 + now.epoch * 101 + self.share.rank)
        self.task.train_mode(phase)
        shown, losses, reported_s = 0, [], 0.0
        alone = self.share.of == 1
        with interruptible(self.network, self.token if alone else None):
            for step, batch in enumerate(self.task.batches(now.epoch, now.batch, self.share)):
                yield from self._heeded()
                of_phase = now.epoch_in_phase * steps + step
                set_rates(self.optimiser, now.rate * rate_factor(phase, of_phase, steps))
                if phase.weight_decay_end is not None:
                    set_decay(self.optimiser, decay_at(phase, of_phase, steps))
                losses.append(self._step(batch))
                shown += batch["n"] * self.share.of
                # A step late, so that a GPU is not waited for.
                if alone and step and not math.isfinite(float(losses[-2])):
                    raise NotFinite("loss was")
                if time.monotonic() - reported_s > _REPORT_S:
                    reported_s = time.monotonic()
                    yield self._advanced(step + 1, steps)
        loss = float(self.fabric.all_reduce(torch.stack(losses).mean()))
        if not math.isfinite(loss):
            raise NotFinite("loss was")
        # No loss was reckoned after the last step: what it broke would be kept, and gone back to.
        if not torch.stack([p.detach().isfinite().all() for p in self.network.parameters()]).all():
            raise NotFinite("weights were")
        return shown, loss

    def _step(self, batch: Batch) -> torch.Tensor:
        moved = self.fabric.to_device(batch)
        loss: torch.Tensor = self.task.loss(self.module, moved)
        self.fabric.backward(loss)
        if self.config.clip_norm:
            self.fabric.clip_gradients(
                self.module, self.optimiser, max_norm=self.config.clip_norm, error_if_nonfinite=False
            )
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.task.after_step(batch)
        if self.average is not None:
            self.average.update(self.network)
        return loss.detach()

    def _validated(self) -> Generator[Event, None, Validation]:
        validation: Validation | None = None
        if self.share.rank == 0:
            network = self._best_network()
            try:
                with interruptible(network, self.token if self.share.of == 1 else None):
                    validation = yield from self.task.validate(EvaluatedNetwork(self.fabric, network), self.token)
            except NotFiniteError as error:
                if self.share.of > 1:
                    raise
                raise NotFinite("outputs on the validation set were") from error
        shared: Validation = self.fabric.broadcast(validation)
        return shared

    def _best_network(self) -> Any:
        return self.network if self.average is None else self.average.network

    def _keep_best(self, validation: Validation) -> None:
        if self.share.rank == 0:
            self.keep_best(validation, self._best_network().state_dict(), self.progress.epoch)

    def _keep(self) -> None:
        if self.share.rank == 0:
            within = self.progress.epoch_in_phase > 0
            state = self.optimiser.state_dict()["state"] if within else {}
            average = self.average.state() if self.average is not None else {}
            kept = Checkpoint(self.progress, self.network.state_dict(), state, average, self.request)
            checkpoints.save(self.folder.path, kept)
        self.fabric.barrier()

    def _restore(self, kept: Checkpoint) -> None:
        self.progress, self._phase = kept.progress, None
        self.network.load_state_dict(kept.network)
        if self.average is not None:
            self.average.restore(kept.average)
        if not is_over(kept.progress, self.config):
            self._enter_phase()
            if kept.optimiser:
                own = self.optimiser.optimizer
                own.load_state_dict({"state": kept.optimiser, "param_groups": own.state_dict()["param_groups"]})

    def _last_kept(self) -> Checkpoint:
        kept = checkpoints.load(self.folder.path)
        if kept is None:
            raise CytoError(f"{self.folder.path}: the checkpoint of this run is missing, so it cannot be resumed.")
        return kept

    def _rolled_back(self, what: str) -> Noted:
        at, rate, times = self.progress.epoch, self.progress.rate * 0.5, self.progress.rollbacks + 1
        if times > MOST_ROLLBACKS:
            raise CytoError(
                f"The {what} NaN in epoch {at + 1} for the {times}th time, so the run ends; the best model so far is "
                "kept. Lower the learning rate or compute in fp32."
            )
        self._restore(self._last_kept())
        self.progress = replace(self.progress, rate=rate, rollbacks=times)
        return Noted(
            f"The {what} NaN in epoch {at + 1}: restored the state after epoch {at} and halved the learning rate."
        )

    def _halved(self) -> Noted:
        batch = self.progress.batch // 2
        if self.progress.halved or batch < 1:
            raise CytoError(
                f"There is not enough memory for a batch of {self.progress.batch} images either, so the run ends; the "
                "best model so far is kept. Choose a smaller batch, input or backbone."
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._restore(self._last_kept())
        self.progress = replace(self.progress, batch=batch, halved=True)
        return Noted(f"There was not enough memory: the batch is now {batch} images instead of {2 * batch}.")

    def _heeded(self) -> Generator[Event, None, None]:
        """Stop or wait as the user asked."""
        if self.share.of > 1:
            wish = self.fabric.broadcast("cancel" if self.token.cancelled() else "go")
            if wish == "cancel":
                raise JobCancelled("Cancelled.")
            return
        if self.token.paused():
            yield Noted(f"Paused in epoch {self.progress.epoch + 1}.")
            while self.token.paused():
                time.sleep(_WAIT_S)
                yield self._advanced(0, 1)
            if not self.token.cancelled():
                yield Noted("Resumed.")
        if self.token.cancelled():
            raise JobCancelled("Cancelled.")

    def _advanced(self, step: int, steps: int) -> Advanced:
        total = sum(p.epochs for p in self.config.phases)
        epoch = self.progress.epoch
        done = round(1000 * (epoch + step / steps))
        # After the last epoch its network is still to be kept.
        return Advanced(done, 1000 * total, f"Epoch {min(epoch + 1, total)} of at most {total}")


def _at_home(value: Any) -> Any:
    """Return tensors, in whatever they are packed, on the CPU in float32."""
    if isinstance(value, torch.Tensor):
        return value.float().cpu() if value.is_floating_point() else value.cpu()
    if isinstance(value, dict):
        return {k: _at_home(v) for k, v in value.items()}
    return type(value)(_at_home(v) for v in value) if isinstance(value, list | tuple) else value


@contextmanager
def interruptible(network: Any, token: Token | None) -> Iterator[None]:
    """Look at the token after each layer, forwards and backwards, while the block runs.

    Raises
    ------
    JobCancelled
        Out of the forward or backward pass.
    """
    if token is None:
        yield
        return

    def look(*_: Any) -> None:
        if token.cancelled():
            raise JobCancelled("Cancelled.")

    def after(_module: Any, _inputs: Any, output: Any) -> None:
        look()
        if getattr(output, "requires_grad", False):
            output.register_hook(look)

    leaves = [m for m in network.modules() if not any(True for _ in m.children())]
    hooks = [m.register_forward_hook(after) for m in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
