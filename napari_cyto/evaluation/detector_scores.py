"""All scores of a detector on pictures with marked cells.

Labels of smears are incomplete as a rule: many visible cells carry none. Precision is then a lower bound, and what a
fixed number of detections finds says more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_cyto.domain.statistics.bootstrap import RESAMPLING, Estimate, Resampling, share_estimate
from napari_cyto.errors import CytoError
from napari_cyto.evaluation._boxes import BoxScores, ImageBoxes, score_boxes
from napari_cyto.evaluation._detection_intervals import detection_intervals
from napari_cyto.evaluation._found_screening import screening_with_missed
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detection import Detection, ratio, score_detections
from napari_cyto.evaluation.matching import match_points
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.evaluation.scores import (
    BoxTable,
    DetectionScores,
    DetectorScores,
    RecallAtDetections,
    RecallAtFieldBudget,
)
from napari_cyto.evaluation.views import Graded

PER_CELL = 3.0
"""Detections a marked cell at which the recall is told."""

PER_FIELD = (10, 25, 50, 100, 200)
"""Detections a picture at which the recall is told."""

ERROR_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CELL = "cell"

Fields = Sequence[DetectedField]
Naming = Callable[[DetectedField], tuple[list[str], list[str]]]


def detector_scores(
    fields: Fields,
    classes: Sequence[Graded],
    threshold: float | Sequence[float],
    radius_um: float,
    resampling: Resampling = RESAMPLING,
) -> DetectorScores:
    """Return every score of a detector.

    Parameters
    ----------
    fields : sequence of DetectedField
        Pictures with marked cells and all detections, those below the threshold too.
    classes : sequence of Graded (k,)
        The detector's classes; one or none: it only finds cells.
    threshold : float or sequence of float
        The score from which a detection counts, 0 to 1; one for each picture where several models searched them, as
        the folds of a cross-validation do. ``threshold`` is then told as the lowest, ``highest_threshold`` too.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    resampling : Resampling
        How the intervals are drawn.

    Notes
    -----
    Source: Patherea, section 5 (matching); Lin et al. 2014, Microsoft COCO (box AP).
    """
    if not (np.isfinite(radius_um) and radius_um > 0):
        raise CytoError(f"Expected a matching radius above 0 µm, got {radius_um}.")
    ids = tuple(c.id for c in classes)
    own = list(threshold) if isinstance(threshold, Sequence) else [threshold] * len(fields)
    kept = [f.from_score(t) for f, t in zip(fields, own, strict=True)]
    counted = [f.counted(radius_um) for f in fields]
    each = _each_field(kept, ids, radius_um, resampling)
    total = sum(each, Detection())
    errors = np.concatenate([np.empty(0), *(one.distances_px * f.mpp for f, one in zip(kept, each, strict=True))])
    limited = [f.counted(radius_um) for f in kept]
    is_measured = kept and all(f.regions and not f.reach_px for f in kept)
    detection = DetectionScores(
        counts=total.overall,
        per_class=total.per_class if len(ids) > 1 else {},
        macro_f1=total.macro_f1 if len(ids) > 1 else None,
        radius_um=radius_um,
        median_error_um=float(np.median(errors)) if len(errors) else None,
        errors_um=tuple(float(q) for q in np.quantile(errors, ERROR_QUANTILES)) if len(errors) else (),
        recall_interval=_recall(kept, radius_um, resampling),
        intervals=detection_intervals(kept, each, resampling, radius_um),
        fields=len(kept),
        fields_with_regions=sum(bool(f.regions) for f in kept),
        cells=_cells(kept),
        detections=sum(len(f.scores) for f in kept),
        cells_in_known_area=_cells(limited),
        detections_in_known_area=sum(len(f.scores) for f in limited),
        detections_per_cell=ratio(sum(len(f.scores) for f in limited), _cells(limited)),
        precision_is="measured" if is_measured else "a lower bound",
        threshold=min(own) if isinstance(threshold, Sequence) else threshold,
        highest_threshold=max(own) if isinstance(threshold, Sequence) else threshold,
        at_detections_per_cell=_at_budget(counted, PER_CELL, radius_um, resampling),
        at_detections_per_field=tuple(_at_field_budget(counted, n, radius_um, resampling) for n in PER_FIELD),
        boxes=_boxes(fields, ids),
    )
    found = found_cells(kept, classes, radius_um)
    if found is None:
        return DetectorScores(detection, None)
    screening = screening_with_missed(found, kept, radius_um, resampling)
    return DetectorScores(detection, replace(classifier_scores(found, resampling), screening=screening))


def _each_field(fields: Fields, ids: tuple[str, ...], radius_um: float, resampling: Resampling) -> list[Detection]:
    each: list[Detection] = []
    for f in fields:
        resampling.pulse()
        names = _answers(f, ids)
        each.append(score_detections(f.truth_yx, f.truth_classes, f.found_yx, names, radius_um / f.mpp, f.is_scored))
    return each


def _answers(f: DetectedField, ids: tuple[str, ...]) -> list[str]:
    """Return the surest class of each detection; one name for all where the detector knows at most one class."""
    if len(ids) < 2 or not f.class_scores.shape[1]:
        return [ids[0] if ids else CELL] * len(f.scores)
    return [ids[i] for i in f.class_scores.argmax(axis=1)] if len(f.scores) else []


def _cells(fields: Fields) -> int:
    return sum(len(f.truth_classes) for f in fields)


def _recall(fields: Fields, radius_um: float, resampling: Resampling) -> Estimate:
    hits, groups = [np.empty(0, dtype=bool)], []
    for f in fields:
        resampling.pulse()
        found = np.zeros(len(f.truth_yx), dtype=bool)
        found[match_points(f.truth_yx, f.found_yx, radius_um / f.mpp).truth_index] = True
        hits.append(found)
        groups += [f.group] * len(found)
    every = np.concatenate(hits)
    return share_estimate(every, np.ones(len(every), bool), groups, resampling)


def _at_budget(fields: Fields, per_cell: float, radius_um: float, resampling: Resampling) -> RecallAtDetections:
    """Return the recall of the surest detections of all pictures together, as many as the budget allows.

    ``fields`` are `DetectedField.counted`, so that detections and cells are of the same area.
    """
    scores = np.sort(np.concatenate([np.empty(0), *(f.scores for f in fields)]))[::-1]
    budget = int(per_cell * _cells(fields))
    threshold = float(scores[-1]) if len(scores) else None
    if budget < len(scores):
        # Above the first score that is too many, so that equal scores never overrun the budget.
        threshold = float(np.nextafter(scores[budget], np.inf))
    kept = [f.from_score(threshold if threshold is not None else 0.0) for f in fields]
    recall = _recall(kept, radius_um, resampling)
    detections = sum(len(f.scores) for f in kept)
    return RecallAtDetections(
        per_cell=per_cell,
        threshold=threshold,
        detections=detections,
        detections_per_cell=ratio(detections, _cells(kept)),
        recall=recall.value,
        recall_interval=recall,
    )


def _at_field_budget(fields: Fields, per_field: int, radius_um: float, resampling: Resampling) -> RecallAtFieldBudget:
    kept = [f.keeping(np.sort(np.argsort(-f.scores, kind="stable")[:per_field])) for f in fields]
    recall = _recall(kept, radius_um, resampling)
    detections = sum(len(f.scores) for f in kept)
    return RecallAtFieldBudget(
        per_field=per_field,
        detections=detections,
        detections_per_cell=ratio(detections, _cells(kept)),
        recall=recall.value,
        recall_interval=recall,
    )


def found_cells(fields: Fields, classes: Sequence[Graded], radius_um: float) -> ScoredCells | None:
    """Return the cells that were found with the classes they were given; None for a detector of less than two classes.

    Parameters
    ----------
    fields : sequence of DetectedField
        With the detections that count.
    classes : sequence of Graded (k,)
        The detector's classes.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    """
    ids = [c.id for c in classes]
    if len(ids) < 2:
        return None
    truth, scores, groups, names, centres = [], [np.empty((0, len(ids)))], [], [], [np.empty((0, 2))]
    for f in fields:
        match = match_points(f.truth_yx, f.found_yx, radius_um / f.mpp)
        of_model = [i for i, t in enumerate(match.truth_index) if f.truth_classes[t] in ids]
        truth += [ids.index(f.truth_classes[match.truth_index[i]]) for i in of_model]
        scores.append(f.class_scores[match.pred_index[of_model]])
        groups += [f.group] * len(of_model)
        names += [f.name] * len(of_model)
        centres.append(f.truth_yx[match.truth_index[of_model]])
    raw = np.concatenate(scores)
    total = raw.sum(axis=1, keepdims=True)
    shares = np.divide(raw, total, out=np.full_like(raw, 1 / len(ids)), where=total > 0)
    places = np.asarray(truth, dtype=np.intp)
    return ScoredCells(classes, places, shares, tuple(groups), tuple(names), np.concatenate(centres))


def _boxes(fields: Fields, ids: tuple[str, ...]) -> BoxTable | None:
    """Return COCO's scores on the pictures whose every cell has a box; None where there is none, or no box was found.

    Raises
    ------
    CytoError
        When pycocotools is not installed.
    """
    with_boxes = [f for f in fields if len(f.truth_yx) and np.isfinite(f.truth_boxes_yxyx).all()]
    found = [f for f in fields if np.isfinite(f.found_boxes_yxyx).all(axis=1).any()]
    if not with_boxes or not found:
        return None
    every = _score(with_boxes, (CELL,), lambda f: ([CELL] * len(f.truth_classes), [CELL] * len(f.scores)))
    if len(ids) < 2:
        return BoxTable(fields=len(with_boxes), class_agnostic=every.mean, mean=None, per_class={})
    known = tuple(dict.fromkeys((*ids, *(c for f in with_boxes for c in f.truth_classes))))
    scores = _score(with_boxes, known, lambda f: (list(f.truth_classes), _answers(f, ids)))
    return BoxTable(fields=len(with_boxes), class_agnostic=every.mean, mean=scores.mean, per_class=scores.per_class)


def _score(
    fields: Fields, classes: tuple[str, ...], named: Callable[[DetectedField], tuple[list[str], list[str]]]
) -> BoxScores:
    truth, found = [], []
    for f in fields:
        of_truth, of_found = named(f)
        inside = f.known.contains(f.truth_yx)
        has_box = np.isfinite(f.found_boxes_yxyx).all(axis=1) & f.is_scored
        truth.append(ImageBoxes(f.truth_boxes_yxyx[inside], _some(of_truth, inside)))
        found.append(ImageBoxes(f.found_boxes_yxyx[has_box], _some(of_found, has_box), f.scores[has_box]))
    return score_boxes(truth, found, classes)


def _some(names: list[str], keep: Any) -> list[str]:
    return [name for name, kept in zip(names, keep, strict=True) if kept]
