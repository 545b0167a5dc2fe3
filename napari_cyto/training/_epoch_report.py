"""What a run tells of an epoch: numbers for curves and tables, and pictures of the cells that it gets most wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import Image

from napari_cyto.training._run_progress import Progress, epochs_left
from napari_cyto.training._task import Validation, WorstCell
from napari_cyto.training.config import TrainConfig

_EPOCHS_WITH_IMAGES = 2


def measured(
    score_name: str,
    validation: Validation,
    before: Progress,
    after: Progress,
    config: TrainConfig,
    loss: float,
    images_per_s: float,
    folder: Path,
) -> dict[str, Any]:
    """Return the values of one epoch, JSON-able, and write its worst cells into ``folder``.

    Parameters
    ----------
    score_name : str
        What the score is called.
    validation : Validation
        Of the epoch.
    before, after : Progress
        Around it.
    config : TrainConfig
        The recipe.
    loss : float
        Mean training loss.
    images_per_s : float
        Pictures that were trained on in a second.
    folder : Path
        The run's.
    """
    phase = config.phases[before.phase]
    return {
        "epoch": after.epoch,
        "epochs": sum(p.epochs for p in config.phases),
        "phase": before.phase + 1,
        "lr": phase.lr * before.rate,
        "train_loss": _finite(loss),
        "val_loss": _finite(validation.loss),
        "score": _finite(validation.score),
        "score_name": score_name,
        "best_epoch": after.best_epoch,
        "metrics": {name: _finite(value) for name, value in validation.metrics.items()},
        "per_class_recall": validation.per_class_recall,
        "images_per_s": round(images_per_s, 2),
        "eta_s": round(after.seconds / after.epoch * epochs_left(after, config), 1),
        "worst": _with_image(validation.worst, after.epoch, folder),
    }


def _with_image(cells: tuple[WorstCell, ...], epoch: int, folder: Path) -> list[dict[str, Any]]:
    """Write the cells' pictures and return what belongs to each; those of epochs long past go."""
    place = folder / "worst"
    place.mkdir(exist_ok=True)
    for old in place.glob("*.png"):
        if old.stem.split("-")[0].isdigit() and int(old.stem.split("-")[0]) <= epoch - _EPOCHS_WITH_IMAGES:
            old.unlink(missing_ok=True)
    parts = []
    for rank, cell in enumerate(cells):
        name = f"{epoch:04d}-{rank:02d}.png"
        Image.fromarray(cell.image).save(place / name)
        parts.append(
            {
                "picture": f"worst/{name}",
                "slide": cell.slide,
                "centre_yx": list(cell.centre_yx),
                "truth": cell.truth,
                "answer": cell.answer,
                "probability": round(cell.probability, 4),
            }
        )
    return parts


def _finite(value: float | None) -> float | None:
    """Return the value, None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None
