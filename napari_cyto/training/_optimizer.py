"""Optimisers and learning rates of a phase; a rate follows from the step alone, so that a resumed run has the same."""

from __future__ import annotations

import math
from typing import Any

from napari_cyto.training.config import PhaseConfig

_COSINE_FLOOR = 0.01


def make_optimiser(phase: PhaseConfig, groups: list[dict[str, Any]]) -> Any:
    """Return the optimiser of a phase over the task's groups; each keeps its full rate as ``initial_lr``."""
    import torch

    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    more = {"momentum": 0.9, "nesterov": True} if phase.optimiser == "sgd" else {}
    optimiser = kinds[phase.optimiser](groups, lr=phase.lr, **more)
    for group in optimiser.param_groups:
        group["initial_lr"] = group["lr"]
    return optimiser


def set_rates(optimiser: Any, factor: float) -> None:
    """Set each group's rate to ``factor`` of its full one."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def set_decay(optimiser: Any, decay: float) -> None:
    """Set the weight decay of each group that has one."""
    for group in optimiser.param_groups:
        if group["weight_decay"]:
            group["weight_decay"] = decay


def decay_at(phase: PhaseConfig, step: int, steps: int) -> float:
    """Return the weight decay of a step of a phase, counted as in ``rate_factor``.

    Notes
    -----
    Source: Caron et al. 2021 (DINO), section 3.2: a cosine from the first to the last value.
    """
    if phase.weight_decay_end is None:
        return phase.weight_decay
    return half_cosine(phase.weight_decay, phase.weight_decay_end, step, phase.epochs * steps)


def half_cosine(first: float, last: float, step: int, steps: int) -> float:
    """Return what goes from ``first`` in step 0 to ``last`` in step ``steps`` along half a cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))


def rate_factor(phase: PhaseConfig, step: int, steps: int) -> float:
    """Return what share of the full rate a step has; what a plateau took away is not in it.

    Parameters
    ----------
    phase : PhaseConfig
        Its schedule.
    step : int
        Counted from 0 over the phase.
    steps : int
        Steps of an epoch.

    Notes
    -----
    Source: Loshchilov and Hutter 2017, SGDR, equation 5 with one period, down to 1 %; Goyal et al. 2017, section 2.2,
    for the linear rise.
    """
    rise = phase.warmup_epochs * steps
    if step < rise:
        return (step + 1) / rise if rise >= 1 else 1.0
    if phase.schedule != "cosine":
        return 1.0
    length = max(phase.epochs * steps - rise, 1)
    wave = 0.5 * (1 + math.cos(math.pi * min((step - rise) / length, 1.0)))
    return _COSINE_FLOOR + (1 - _COSINE_FLOOR) * wave
