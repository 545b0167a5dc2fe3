"""What a detector is worth after an epoch: recall at a few budgets, since labels of smears are incomplete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detection import Detection, score_detections
from napari_cyto.evaluation.matching import match_points
from napari_cyto.models.manifest import Decision
from napari_cyto.slides import open_slide
from napari_cyto.training._task import Validation, WorstCell

BUDGETS = (1.0, 1.5, 2.0)
"""Detections a labelled cell at which recall is told, besides the recipe's own."""

LOST = 0.02
"""Share of the found cells that a threshold may lose where a small part of a slide only is known."""

MOST_WORST = 12
_IMAGE_UM = 40.0


def budget_threshold(fields: Sequence[DetectedField], per_cell: float) -> float:
    """Return the lowest score at which there are at most ``per_cell`` detections a labelled cell, 0 to 1.

    ``fields`` are `DetectedField.counted`, so that detections and cells are of the same area. Where equally sure
    detections are too many and none is surer, they all stay: a threshold that lets nothing pass finds nothing.
    """
    scores = np.sort(np.concatenate([np.empty(0), *(f.scores for f in fields)]))[::-1]
    budget = int(per_cell * sum(len(f.truth_classes) for f in fields))
    if budget >= len(scores):
        return 0.0
    return float(min(np.nextafter(scores[budget], 1.0), scores[0]))


def kept_threshold(fields: Sequence[DetectedField], threshold: float, radius_um: float) -> float:
    """Return the highest score that keeps nearly all cells which a threshold finds, 0 to 1.

    For slides of which a small part only is known: a budget within it does not tell how many false detections there
    are elsewhere, so that no more of them are let pass than those cells need.
    """
    sure = [np.empty(0)]
    for f in fields:
        kept = f.from_score(threshold)
        sure.append(kept.scores[match_points(f.truth_yx, kept.found_yx, radius_um / f.mpp).pred_index])
    scores = np.sort(np.concatenate(sure))
    return float(scores[int(LOST * len(scores))]) if len(scores) else threshold


def found_at(fields: Sequence[DetectedField], threshold: float, radius_um: float) -> tuple[float, float]:
    """Return recall and median distance (µm; NaN where nothing was found) of detections from a score on."""
    distances = [np.empty(0)]
    for f in fields:
        kept = f.from_score(threshold)
        distances.append(match_points(f.truth_yx, kept.found_yx, radius_um / f.mpp).distances_px * f.mpp)
    every, cells = np.concatenate(distances), sum(len(f.truth_classes) for f in fields)
    return len(every) / max(cells, 1), float(np.median(every)) if len(every) else float("nan")


def validated(
    fields: Sequence[DetectedField], classes: Sequence[str], radius_um: float, per_cell: float, merge_um: float
) -> Validation:
    """Return what a detector is worth on labelled pictures.

    Parameters
    ----------
    fields : sequence of DetectedField
        Pictures with all detections.
    classes : sequence of str
        The detector's classes.
    radius_um : float
        Furthest distance of a match, µm.
    per_cell : float
        Detections a labelled cell that the threshold allows.
    merge_um : float
        Kept in the decision.
    """
    is_partial = any(f.reach_px for f in fields)
    counted = [f.counted(radius_um) for f in fields]
    if any(len(f.truth_classes) for f in counted):
        fields = counted
    recalls = {}
    for budget in dict.fromkeys((*BUDGETS, per_cell)):
        recalls[budget], error = found_at(fields, budget_threshold(fields, budget), radius_um)
    threshold = max(budget_threshold(fields, per_cell), 0.02)
    if is_partial:
        threshold = max(threshold, kept_threshold(fields, threshold, radius_um))
    at_one = _scored(fields, classes, budget_threshold(fields, 1.0), radius_um)
    metrics = {f"recall at {budget:g} a cell": recall for budget, recall in recalls.items()}
    metrics |= {"median error, µm": error, "threshold": threshold}
    metrics |= {"F1 at 1 a cell": at_one.overall.f1 or 0.0, "macro F1 of classes": at_one.macro_f1 or 0.0}
    per_class = {name: counts.recall for name, counts in at_one.per_class.items() if name in classes}
    return Validation(
        score=float(np.mean(list(recalls.values()))),
        metrics=metrics,
        per_class_recall={name: per_class.get(name) for name in classes},
        decision=Decision(score_threshold=min(threshold, 1.0), merge_um=merge_um),
        worst=_worst(fields, threshold, radius_um),
    )


def _scored(fields: Sequence[DetectedField], classes: Sequence[str], threshold: float, radius_um: float) -> Detection:
    total = Detection()
    for f in fields:
        kept = f.from_score(threshold)
        answers = _answers(kept, classes)
        radius_px = radius_um / f.mpp
        total += score_detections(f.truth_yx, f.truth_classes, kept.found_yx, answers, radius_px, kept.is_scored)
    return total


def _answers(f: DetectedField, classes: Sequence[str]) -> list[str]:
    return [classes[i] for i in f.class_scores.argmax(axis=1)] if len(f.scores) else []


def _worst(fields: Sequence[DetectedField], threshold: float, radius_um: float) -> tuple[WorstCell, ...]:
    """Return labelled cells that were missed, at most ``MOST_WORST`` of different pictures first."""
    missed = []
    for f in fields:
        kept = f.from_score(threshold)
        found = match_points(f.truth_yx, kept.found_yx, radius_um / f.mpp).truth_index
        lost = np.setdiff1d(np.arange(len(f.truth_yx)), found)
        missed += [(rank, f, int(cell)) for rank, cell in enumerate(lost)]
    missed.sort(key=lambda row: row[0])
    return tuple(_with_image(f, cell) for _, f, cell in missed[:MOST_WORST])


def _with_image(f: DetectedField, cell: int) -> WorstCell:
    y, x = f.truth_yx[cell].tolist()
    image = _around(f.name, y, x, _IMAGE_UM / f.mpp)
    return WorstCell(image, f.name, (y, x), f.truth_classes[cell], "", 0.0)


def _around(path: str, y: float, x: float, side_px: float) -> npt.NDArray[np.uint8]:
    with open_slide(path) as slide:
        half = side_px / 2
        return slide.read_level0((y - half, x - half, y + half, x + half))


def listed_cells(fields: Sequence[DetectedField], classes: Sequence[str], radius_um: float) -> list[dict[str, Any]]:
    """Return the labelled cells as plain values, each with the class it was found as; ``""``: it was missed."""
    lines = []
    for f in fields:
        match = match_points(f.truth_yx, f.found_yx, radius_um / f.mpp)
        answers = dict(zip(match.truth_index.tolist(), match.pred_index.tolist(), strict=True))
        names = _answers(f, classes)
        for cell, truth in enumerate(f.truth_classes):
            answer = names[answers[cell]] if cell in answers else ""
            centre = f.truth_yx[cell].tolist()
            lines.append({"slide": f.name, "centre_yx": centre, "truth": truth, "answer": answer, "group": f.group})
    return lines
