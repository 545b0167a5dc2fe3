"""Training an encoder without labels: patches cut once, seen in many views, watched for a collapse."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.patches import PatchSet, cut_patches
from napari_cyto.datasets.splits.training_split import TrainingSplit
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Event, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.backbones import normalisation_of
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.encoder import unprojected_length
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.models.manifest import Decision
from napari_cyto.training._optimizer import half_cosine
from napari_cyto.training._task import Batch, Evaluation, Groups, Network, Share, Tensor, Validation, Weights
from napari_cyto.training.config import EncoderConfig, PhaseConfig, TrainConfig
from napari_cyto.training.encoder._ibot import IBot
from napari_cyto.training.encoder._relevance import Relevance
from napari_cyto.training.encoder._scale import scaled_by_nuclei
from napari_cyto.training.encoder._spread import COLLAPSED, retrieval, spread_of
from napari_cyto.training.encoder._views import MultiCrop, block_masks
from napari_cyto.training.encoder.lightly_installed import need_lightly

WATCHED = 384
"""Patches that an epoch is watched on, at most."""
_AT_ONCE = 32
_TEACHER = "teacher.vit."


class EncoderTask:
    """iBOT on patches; see ``Task``."""

    score_name = "patches recognised"

    def __init__(self, config: TrainConfig, data: TrainingSet, split: TrainingSplit, parent: Bundle | None = None):  # noqa: ARG002  an encoder has none
        assert isinstance(config.model, EncoderConfig)
        need_lightly()
        if config.ema:
            raise CytoError("Expected no averaged weights (ema=0), since an encoder's teacher is one already.")
        self.config, self.data, self.split, self.model = config, data, split, config.model
        self.normalisation = normalisation_of(self.model.backbone, self.model.weights)
        self.network: Network = None
        self.sets: dict[str, PatchSet] = {}
        self._said: list[str] = []
        self._epoch = 0

    def prepare(self, token: Token | None) -> Iterator[Event]:
        """Build student and teacher, and cut the patches of the training side and of what is watched."""
        yield Advanced(0, 0, "Building the network")
        torch.manual_seed(self.config.seed)
        self.network = IBot(self.model)
        self._said += self.network.said
        yield from (Noted(sentence) for sentence in self.network.said)
        self._check_sizes()
        rule = self.model.patches
        known = yield from self._with_scale(token)
        rank = yield from self._ranker(known, token)
        for side in ("train", "validation", "test"):
            slides = [slide for slide in known if self.split.sets.get(slide.key) == side]
            if slides:
                self.sets[side] = yield from cut_patches(slides, rule, token, rank, self.config.seed)
        if "train" not in self.sets:
            raise CytoError("Expected images to learn from in the training set, got none.")
        how = "the most likely to hold cells first" if rank else "drawn by chance"
        self._said += self.sets["train"].counts.sentences(rule, how)
        for side, what in (("validation", "Of the images held out to watch it"), ("test", "Of those held out to test")):
            if side in self.sets:
                kept, *dropped = self.sets[side].counts.sentences(rule, how)
                self._said.append(f"{what}: {' '.join([kept, *dropped])}")
        self.crop = MultiCrop(self.config.augment, self.model.views, self.normalisation)
        self.watched = self._watched()

    def _ranker(self, slides: list[TrainingSlide], token: Token | None) -> Generator[Event, None, Relevance | None]:
        """Return what ranks the patches of whole slides, fitted on the training side; None where chance draws them."""
        if self.model.relevance == "none":
            return None
        yield Advanced(0, 0, "Learning which patches hold cells")
        rank = Relevance(self.model.patches)
        train = [slide for slide in slides if self.split.sets.get(slide.key) == "train"]
        rank.fit(train, dict(self.split.groups), self.config.seed, token)
        self._said.append(rank.sentence)
        yield Noted(rank.sentence)
        return rank

    def _with_scale(self, token: Token | None) -> Generator[Event, None, list[TrainingSlide]]:
        """Return the images whose µm per px are known or, where that was asked for, estimated; others are counted."""
        slides = list(self.split.slides.values())
        if self.model.scale_by_nuclei:
            yield Advanced(0, 0, "Estimating the scale by the size of nuclei")
            slides, said = scaled_by_nuclei(slides, token)
            self._said += said
            yield from (Noted(sentence) for sentence in said)
        known = [slide for slide in slides if slide.mpp is not None]
        if len(known) < len(slides):
            tried = "" if self.model.scale_by_nuclei else ", or have it estimated with --scale-by-nuclei"
            self._said.append(
                f"{counted(len(slides) - len(known), 'image')} left out, since the µm per px are not known; state them "
                f"after the source, as in images:DIR@0.25{tried}."
            )
            yield Noted(self._said[-1])
        return known

    def _check_sizes(self) -> None:
        """Refuse views that the network cannot cut into its patches."""
        step = int(self.network.student.vit.patch_embed.patch_size[0])
        for name in ("global_px", "local_px"):
            size = getattr(self.model.views, name)
            if size % step:
                near = max(round(size / step), 1) * step
                raise CytoError(
                    f"Expected views of a multiple of {step} px, the patch of {self.model.backbone}, got {size}; take "
                    f"--set model.views.{name}={near}."
                )
        self._grid = (self.model.views.global_px // step,) * 2

    def used(self) -> list[str]:
        """Return what is learned from and what was dropped, in sentences."""
        return self._said

    def steps(self, batch: int) -> int:
        """Return the batches in an epoch; a last one that is not full is left out, if it is not the only one."""
        return max(len(self.sets["train"]) // batch, 1)

    def batches(self, epoch: int, batch: int, share: Share) -> Iterator[Batch]:
        """Yield ``images`` (2 b, 3, g, g), ``small`` (n b, 3, l, l), ``masks`` (2 b, rows, columns) and schedules."""
        self._epoch = epoch
        train, own = self.sets["train"], self.model
        steps, epochs = self.steps(batch), sum(phase.epochs for phase in self.config.phases)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(train))
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch][share.rank :: share.of]
            # Chance belongs to the step, so that a run that goes on later draws what it would have drawn.
            chance = np.random.SeedSequence([self.config.seed, epoch, step, share.rank]).generate_state(2)
            generator = torch.Generator().manual_seed(int(chance[0]))
            large, small = self.crop.both(*self._patches(train, rows), generator)
            yield {
                "images": large,
                "small": small,
                "masks": block_masks(len(large), self._grid, own.masks, int(chance[1])),
                "heat": heat_at(own, epoch + step / steps),
                "momentum": half_cosine(own.momentum, 1.0, epoch * steps + step, epochs * steps),
                "frozen": epoch < own.frozen_prototypes,
                "n": len(rows),
            }

    def _patches(self, patches: PatchSet, rows: npt.NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return patches, and of what part of each views are cut.

        The padding of a patch at an edge is shown, as published; that of a small image, most of it, would be learned.
        """
        content = torch.from_numpy(patches.content_hw[rows]).float()
        side = self.model.patches.side_px
        padded = 1 - content.prod(1) / side**2
        content = torch.where((padded > 0.5)[:, None], content, torch.full_like(content, side))
        return torch.from_numpy(patches.patches[np.sort(rows)])[np.argsort(np.argsort(rows))], content

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        self.network.prototypes_frozen = batch["frozen"]
        views, masked = network(batch["images"], batch["small"], batch["masks"], batch["heat"])
        return views + self.model.patch_weight * masked

    def after_step(self, batch: Batch) -> None:
        """Move the teacher."""
        self.network.follow(batch["momentum"])

    def bundle_weights(self, weights: Weights) -> Weights:
        """Return the teacher's network, which is the encoder."""
        return {f"network.{n[len(_TEACHER) :]}": t for n, t in weights.items() if n.startswith(_TEACHER)}

    def parameter_groups(self, phase: PhaseConfig) -> Groups:
        """Return the student's weights, those of norms and biases without decay."""
        trained = [p for part in (self.network.student, self.network.student_head) for p in part.parameters()]
        trained = [p for p in trained if p.requires_grad]
        matrices, others = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        return [
            {"params": matrices, "lr": phase.lr, "weight_decay": phase.weight_decay},
            {"params": others, "lr": phase.lr, "weight_decay": 0.0},
        ]

    def train_mode(self, phase: PhaseConfig) -> None:  # noqa: ARG002  all of the student is trained
        """Set training mode; the teacher stays in evaluation mode."""
        self.network.train()

    def validate(self, network: Network, token: Token | None) -> Generator[Event, None, Validation]:
        """Measure how well two views of one patch find each other, and whether vectors are still apart."""
        metrics = yield from self._measured(network, self.watched, token)
        if metrics["spread"] < COLLAPSED and self._epoch >= self.model.frozen_prototypes:
            yield Noted(
                f"The vectors have collapsed: those of different patches hardly differ (spread "
                f"{metrics['spread']:.3f}; 1 where they point in all directions). Lower the learning rate or the "
                "teacher's temperature, or start from weights."
            )
        return Validation(metrics["patches recognised"], None, metrics)

    def evaluate(self, network: Network, decision: Decision, token: Token | None) -> Generator[Event, None, Evaluation]:  # noqa: ARG002
        """Measure the same on the held-out side; what vectors are good for is measured by ``evaluate encoders``."""
        side = next(s for s in ("test", "validation", "train") if s in self.sets)
        found = _some(self.sets[side], WATCHED, self.config.seed)
        metrics = yield from self._measured(network, found, token)
        return Evaluation(side, {"encoder": metrics | {"patches": len(found)}})

    def _measured(
        self, network: Network, patches: PatchSet, token: Token | None
    ) -> Generator[Event, None, dict[str, float]]:
        vectors: list[list[npt.NDArray[np.float32]]] = [[], []]
        generator = torch.Generator().manual_seed(self.config.seed)
        for start in range(0, len(patches), _AT_ONCE):
            stop_if_cancelled(token)
            rows = np.arange(start, min(start + _AT_ONCE, len(patches)))
            large, _ = self.crop.both(*self._patches(patches, rows), generator)
            answers = network(large).numpy()
            refuse_not_finite("This training", answers)
            for into, part in zip(vectors, np.split(answers, 2), strict=True):
                into.append(part)
            yield Advanced(start + len(rows), len(patches), "Watching the vectors")
        first, second = (np.concatenate(each) for each in vectors)
        spread = spread_of(np.concatenate([first, second]))
        return {
            "patches recognised": retrieval(first, second),
            "spread": spread.spread,
            "effective dimensions": spread.dimensions,
        }

    def _watched(self) -> PatchSet:
        side = next((s for s in ("validation", "train") if s in self.sets), "train")
        return _some(self.sets[side], WATCHED, self.config.seed)

    def manifest_fields(self) -> dict[str, Any]:
        """Return what ``model.json`` keeps of the encoder."""
        own = self.model
        rule = CropRule(windows=(own.window_um,), unit="um", size_px=own.views.global_px)
        length = unprojected_length(self.network.teacher.vit, own.tokens)
        return {
            "kind": "encoder",
            "architecture": "timm-encoder",
            "settings": {
                "backbone": own.backbone,
                "tokens": own.tokens,
                "windows": 1,
                "input_px": rule.size_px,
                "length": length,
            },
            "scheme": "",
            "classes": (),
            "normalisation": self.normalisation,
            "mpp": rule.mpp_of(0),
            "input_px": rule.size_px,
            "crop_rule": rule,
        }


def heat_at(config: EncoderConfig, epoch: float) -> float:
    """Return the teacher's temperature: it rises in a line over the first epochs."""
    first, last = config.teacher_heat
    return first + (last - first) * min(epoch / config.heat_epochs, 1.0) if config.heat_epochs else last


def _some(patches: PatchSet, most: int, seed: int) -> PatchSet:
    """Return at most so many of the patches, drawn by chance."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(patches))[:most])
    return replace(
        patches,
        patches=patches.patches[chosen],
        content_hw=patches.content_hw[chosen],
        slide_number=patches.slide_number[chosen],
        corners_yx=patches.corners_yx[chosen],
    )
