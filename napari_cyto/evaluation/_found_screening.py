"""What must not be missed, of a detector: a high-grade cell that was not found is as lost as one called normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_cyto.domain.statistics.bootstrap import RESAMPLING, Resampling, share_estimate
from napari_cyto.evaluation.classifier_scores import screening_scores
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.matching import match_points
from napari_cyto.evaluation.scored_cells import ScoredCells, as_labelled
from napari_cyto.evaluation.scores import ScreeningScores
from napari_cyto.evaluation.screening import BETHESDA, ScreeningClasses


def with_missed(
    found: ScoredCells, kept: Sequence[DetectedField], radius_um: float, classes: ScreeningClasses = BETHESDA
) -> tuple[ScoredCells, int]:
    """Return found cells and, after them, the high-grade cells that were missed, as if surely called negative.

    Nobody is shown a cell that was not found, which is what becomes of one that is called negative. Missed cells of
    other classes are not added: to be missed is no merit of theirs, and would make the specificity look better.

    Parameters
    ----------
    found : ScoredCells
        As `found_cells` returns them.
    kept : sequence of DetectedField
        With the detections that count.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    classes : ScreeningClasses
        Which classes are high-grade, which is negative.

    Returns
    -------
    cells : ScoredCells
        The cells.
    n_missed : int
        How many of them, the last ones, were missed.
    """
    ids = found.ids
    if classes.negative not in ids:
        return found, 0
    high = {name: ids.index(name) for name in {*classes.high_grade, *classes.undercalled_from} if name in ids}
    truth: list[int] = []
    groups: list[str] = []
    names: list[str] = []
    centres = [np.empty((0, 2))]
    for f in kept:
        seen = match_points(f.truth_yx, f.found_yx, radius_um / f.mpp).truth_index
        lost = [i for i in np.setdiff1d(np.arange(len(f.truth_yx)), seen) if f.truth_classes[i] in high]
        truth += [high[f.truth_classes[i]] for i in lost]
        groups += [f.group] * len(lost)
        names += [f.name] * len(lost)
        centres.append(f.truth_yx[lost])
    negative = np.zeros((len(truth), len(ids)))
    negative[:, ids.index(classes.negative)] = 1
    cells = replace(
        found,
        truth=np.concatenate([found.truth, np.asarray(truth, np.intp)]),
        probabilities=np.concatenate([found.probabilities, negative]),
        groups=(*found.groups, *groups),
        slides=(*found.slides, *names),
        centres_yx=np.concatenate([found.centres_yx, *centres]),
    )
    return cells, len(truth)


def screening_with_missed(
    found: ScoredCells,
    kept: Sequence[DetectedField],
    radius_um: float,
    resampling: Resampling = RESAMPLING,
    classes: ScreeningClasses = BETHESDA,
) -> ScreeningScores | None:
    """Return page one of a detector, as `screening_scores` does, over all annotated high-grade cells.

    Parameters
    ----------
    found, kept, radius_um, classes
        As in `with_missed`.
    resampling : Resampling
        How the intervals are drawn.

    Returns
    -------
    ScreeningScores or None
        With ``missed`` besides, the share of the high-grade cells that were not found; None without high-grade
        classes.
    """
    cells, n_missed = with_missed(found, kept, radius_um, classes)
    scores = screening_scores(as_labelled(cells), resampling, classes)
    if scores is None:
        return None
    high = [cells.ids.index(name) for name in classes.high_grade if name in cells.ids]
    is_high = np.isin(cells.truth, high)
    is_missed = np.arange(len(cells.truth)) >= len(cells.truth) - n_missed
    return replace(
        scores,
        missed=share_estimate(is_missed, is_high, cells.groups, resampling),
        # No score calls what was not found, whatever recall was aimed at.
        operating_points=tuple(point for point in scores.operating_points if point.threshold > 0),
    )
