"""The curves of a report, made of what a model said of labelled cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_cyto.evaluation._ranking import Curve, Ranking, thinned
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detector_scores import PER_CELL
from napari_cyto.evaluation.matching import match_points
from napari_cyto.evaluation.report.content import Curves
from napari_cyto.evaluation.scored_cells import ScoredCells, through
from napari_cyto.evaluation.screening import BETHESDA, ScreeningClasses
from napari_cyto.evaluation.views import normal_abnormal_view

HIGH_COLOUR, ABNORMAL_COLOUR = "#d55e00", "#0072b2"
BUDGETS = 16


def class_curves(cells: ScoredCells, colours: Sequence[str]) -> tuple[Curves, ...]:
    """Return the curves of each class against the rest that has both, in the classes' colours."""
    made = [
        _curves(name, colour, Ranking(cells.truth == c, cells.probabilities[:, c]))
        for c, (name, colour) in enumerate(zip(cells.ids, colours, strict=True))
    ]
    return tuple(curve for curve in made if curve.area is not None)


def screened_curves(cells: ScoredCells, screening: ScreeningClasses = BETHESDA) -> tuple[Curves, ...]:
    """Return the curves of high-grade against the rest, and of abnormal against normal, where there are such."""
    made = []
    high = [i for i, name in enumerate(cells.ids) if name in screening.high_grade]
    if high and screening.negative in cells.ids:
        ranking = Ranking(np.isin(cells.truth, high), cells.probabilities[:, high].sum(axis=1))
        made.append(_curves("HSIL+", HIGH_COLOUR, ranking))
    view = normal_abnormal_view(cells.classes)
    if view is not None:
        seen = through(view, cells)
        made.append(_curves("abnormal", ABNORMAL_COLOUR, Ranking(seen.truth == 1, seen.scores[:, 1])))
    return tuple(curve for curve in made if curve.area is not None)


def _curves(name: str, colour: str, ranking: Ranking) -> Curves:
    prevalence = float(ranking.is_positive.mean()) if ranking.is_positive.size else 0.0
    drawn = (thinned(ranking.roc()), thinned(ranking.precision_recall()))
    return Curves(name, colour, *drawn, ranking.auroc(), prevalence)


def budget_curve(fields: Sequence[DetectedField], radius_um: float, pulse: Callable[[], None] = lambda: None) -> Curve:
    """Return the recall that the surest detections give, float64 (p, 2): detections a marked cell, recall.

    Both are counted where it is known what is a cell, see `DetectedField.counted`.

    Parameters
    ----------
    fields : sequence of DetectedField
        With all detections.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    pulse : callable
        Called between pictures; a job that is to stop raises from it.
    """
    fields = [f.counted(radius_um) for f in fields]
    cells = sum(len(f.truth_yx) for f in fields)
    scores = np.sort(np.concatenate([np.empty(0), *(f.scores for f in fields)]))[::-1]
    if not cells or not len(scores):
        return np.empty((0, 2))
    # The point that page one tells lies on the curve, too.
    budgets = [*np.geomspace(1, len(scores), BUDGETS).round(), min(len(scores), max(1, int(PER_CELL * cells)))]
    places = np.unique(np.asarray(budgets, dtype=np.intp)) - 1
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores[places])[::-1]:
        found = kept = 0
        for f in fields:
            pulse()
            chosen = f.from_score(float(threshold))
            kept += len(chosen.scores)
            found += match_points(chosen.truth_yx, chosen.found_yx, radius_um / f.mpp).tp
        points.append((kept / cells, found / cells))
    return np.asarray(points)
