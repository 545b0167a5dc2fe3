"""Where a run stands: what a checkpoint keeps of it besides tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from napari_cyto.training.config import PhaseConfig, TrainConfig

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Progress:
    """Where a run stands at the end of an epoch.

    Parameters
    ----------
    epoch : int
        Epochs that are behind, over all phases.
    phase, epoch_in_phase : int
        The phase that the next epoch belongs to, and that epoch's number in it, both from 0.
    batch : int
        Pictures a step.
    precision : str
        Of the network.
    best_score : float or None
        Of the network that is kept: the best so far, or the last; ``best_epoch`` when (counted from 1; 0: none yet).
    stale : int
        Epochs of this phase since its last progress, and ``plateau`` since the last progress or fall of the rate.
    phase_best : float or None
        The best of this phase.
    rate : float
        What plateaus and rollbacks left of the learning rate.
    rollbacks : int
        How often a loss that is no number was undone.
    seconds : float
        Worked so far.
    history : tuple of dict
        The measured values of each epoch.
    """

    epoch: int = 0
    phase: int = 0
    epoch_in_phase: int = 0
    batch: int = 32
    precision: Precision = "fp32"
    best_score: float | None = None
    best_epoch: int = 0
    stale: int = 0
    plateau: int = 0
    phase_best: float | None = None
    rate: float = 1.0
    rollbacks: int = 0
    halved: bool = False
    seconds: float = 0.0
    history: tuple[dict[str, Any], ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Progress:
        """Return what ``as_dict`` made."""
        return cls(**{**values, "history": tuple(values.get("history", ()))})

    def is_best(self, score: float) -> bool:
        """Whether a score is better than all before; the first one is, a NaN only then."""
        if self.best_score is None or math.isnan(self.best_score):
            return self.best_epoch == 0 or not math.isnan(score)
        return score > self.best_score


def after_epoch(before: Progress, config: TrainConfig, score: float, seconds: float) -> Progress:
    """Return where a run stands after one more epoch: best, plateaus, early stopping, the next phase.

    Parameters
    ----------
    before : Progress
        At the start of the epoch.
    config : TrainConfig
        The recipe.
    score : float
        Of the epoch.
    seconds : float
        It took.
    """
    phase = config.phases[before.phase]
    kept = config.keep == "last" or before.is_best(score)
    now = replace(
        before,
        epoch=before.epoch + 1,
        epoch_in_phase=before.epoch_in_phase + 1,
        seconds=before.seconds + seconds,
        best_score=score if kept else before.best_score,
        best_epoch=before.epoch + 1 if kept else before.best_epoch,
    )
    now = _after_score(now, phase, score)
    if now.epoch_in_phase >= phase.epochs or (phase.stop_after is not None and now.stale >= phase.stop_after):
        return replace(now, phase=now.phase + 1, epoch_in_phase=0, stale=0, plateau=0, phase_best=None, rate=1.0)
    return now


def stopped_early(before: Progress, after: Progress, config: TrainConfig) -> bool:
    """Whether early stopping, not its length, ended the phase between the two."""
    return after.phase > before.phase and before.epoch_in_phase + 1 < config.phases[before.phase].epochs


def is_over(progress: Progress, config: TrainConfig) -> bool:
    """Whether all phases are behind."""
    return progress.phase >= len(config.phases)


def epochs_left(progress: Progress, config: TrainConfig) -> int:
    """Return the epochs still to come if no phase stops early."""
    return sum(p.epochs for p in config.phases[progress.phase :]) - progress.epoch_in_phase


def _after_score(now: Progress, phase: PhaseConfig, score: float) -> Progress:
    if now.phase_best is None or score > now.phase_best:
        return replace(now, phase_best=score, stale=0, plateau=0)
    now = replace(now, stale=now.stale + 1, plateau=now.plateau + 1)
    if phase.schedule == "plateau" and now.plateau > phase.plateau_patience:
        # As torch's ReduceLROnPlateau: the rate falls in the first epoch after the patience, and waiting starts anew.
        return replace(now, plateau=0, rate=now.rate * phase.plateau_factor)
    return now
