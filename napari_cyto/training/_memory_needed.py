"""How much memory a training takes, told before its first step: most of it are outputs kept for the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psutil
import torch

from napari_cyto.inference.engine.tile_memory import free_bytes
from napari_cyto.training._task import Share, Task
from napari_cyto.training.config import PhaseConfig

FEW_IMAGES = 2
"""Of the step that is tried: what its outputs take is counted, and is in proportion to the pictures."""

GRADIENTS_AND_MOMENTS = 3
"""Copies of the weights that a step makes besides: gradients, and Adam's two moments."""

SLACK = 1.35
"""Measured beside counted: 124 cells with the recipe light took 3.0 to 3.3 GB, the batch being 32; the most is told."""

_LIBRARIES_BYTES = 800_000_000


def memory_sentence(task: Task, phases: Sequence[PhaseConfig], batch: int, is_bf16: bool = False) -> str:
    """Return how much memory steps of ``batch`` pictures take and how much is free; empty where that is not known.

    Network, statistics and chance are as before.

    Parameters
    ----------
    task : Task
        What is trained, prepared.
    phases : sequence of PhaseConfig
        Those to come: the one that takes most counts.
    batch : int
        Pictures a step.
    is_bf16 : bool
        Whether it computes in bf16.
    """
    each = [step_bytes(task, phase, batch, is_bf16) for phase in phases]
    kept = max((bytes_ for bytes_ in each if bytes_ is not None), default=None)
    if kept is None:
        return ""
    weights = sum(p.numel() * p.element_size() for p in task.network.parameters())
    more = int(SLACK * kept) + GRADIENTS_AND_MOMENTS * weights
    here, free = _resident_bytes(), free_bytes()
    words = f"Training with a batch of {batch} images takes about {(here + more) / 1e9:.1f} GB of memory in all"
    if free is None:
        return f"{words}."
    if more <= free:
        return f"{words}; {(here + free) / 1e9:.1f} GB are available."
    fits = max(int(batch * free / (more * SLACK)), 1)
    return (
        f"{words}, but only {(here + free) / 1e9:.1f} GB are available: the system may slow down or end the training. "
        f"Close other programs, or use a smaller batch, as in --set batch={fits}."
    )


def step_bytes(task: Task, phase: PhaseConfig, batch: int, is_bf16: bool = False) -> int | None:
    """Return the bytes kept for the gradient of a step of ``batch`` pictures, None where it cannot be tried."""
    network = task.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    seen: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    def as_it_is(tensor: Any) -> Any:
        return tensor

    try:
        few = next(iter(task.batches(0, min(batch, FEW_IMAGES), Share())))
        with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(note, as_it_is):
            task.parameter_groups(phase)
            task.train_mode(phase)
            with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
                task.loss(network, few)
    except (RuntimeError, ValueError, StopIteration):
        return None
    finally:
        network.load_state_dict(before)
    return sum(seen.values()) * batch // max(int(few["n"]), 1)


def _resident_bytes() -> int:
    try:
        return int(psutil.Process().memory_info().rss)
    except (OSError, psutil.Error):
        return _LIBRARIES_BYTES
