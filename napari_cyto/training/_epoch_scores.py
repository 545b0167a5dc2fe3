"""What an epoch of a classifier is worth: the figures of the curves, the score that picks the best, the worst cells."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.calibration import calibration
from napari_cyto.evaluation.classification import auroc, score_classes
from napari_cyto.evaluation.scored_cells import Labelled, ScoredCells, as_labelled, through
from napari_cyto.evaluation.screening import BETHESDA, high_grade_score
from napari_cyto.evaluation.views import four_class_view, normal_abnormal_view
from napari_cyto.training._task import WorstCell

ScoreName = Literal["macro-f1", "balanced-accuracy", "macro-auroc", "four-class-f1", "loss"]
WORST = 12

_METRIC = {
    "macro-f1": "macro F1",
    "balanced-accuracy": "balanced accuracy",
    "macro-auroc": "macro AUROC",
    "four-class-f1": "4-class macro F1",
}


def epoch_metrics(cells: ScoredCells) -> dict[str, float]:
    """Return the figures of one epoch by name; those that the cells give no ground for are left out."""
    own = as_labelled(cells)
    whole = score_classes(own.truth_ids, own.answer_ids, own.classes, own.scores, own.severities)
    four, two = four_class_view(cells.classes), normal_abnormal_view(cells.classes)
    sure = cells.probabilities.max(axis=1) if len(own.truth) else np.empty(0)
    likeliest = cells.probabilities.argmax(axis=1) if len(own.truth) else np.empty(0, np.intp)
    values = {
        "accuracy": whole.accuracy,
        "balanced accuracy": whole.balanced_accuracy,
        "macro F1": whole.macro_f1,
        "macro AUROC": whole.macro_auroc,
        "4-class macro F1": _macro_f1(through(four, cells)) if four is not None else None,
        "abnormal AUROC": _abnormal(through(two, cells)) if two is not None else None,
        "calibration error": calibration(sure, likeliest == own.truth).ece,
        **_high_grade(own),
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def recall_of_classes(cells: ScoredCells) -> dict[str, float | None]:
    """Return the recall of each class by id; None where no cell is of it."""
    own = as_labelled(cells)
    scores = score_classes(own.truth_ids, own.answer_ids, own.classes, severities=own.severities)
    return {name: scores.per_class[name].sensitivity for name in own.classes}


def score_of(name: ScoreName, metrics: dict[str, float], loss: float | None) -> float:
    """Return what the run maximises; NaN when the figures do not hold it."""
    if name == "loss":
        return float("nan") if loss is None else -loss
    return metrics.get(_METRIC[name], float("nan"))


def worst_cells(cells: ScoredCells, images: npt.NDArray[np.uint8]) -> tuple[WorstCell, ...]:
    """Return the wrongly called cells whose true class was held least likely, the worst first.

    Parameters
    ----------
    cells : ScoredCells
        Of the validation side.
    images : ndarray, uint8 (n, s, s, 3)
        What the model saw of each.
    """
    own = cells.probabilities[np.arange(len(cells.truth)), cells.truth]
    wrong = np.flatnonzero(cells.answers != cells.truth)
    chosen = wrong[np.argsort(own[wrong], kind="stable")[:WORST]]
    return tuple(
        WorstCell(
            np.ascontiguousarray(images[i]),
            cells.slides[i],
            (float(cells.centres_yx[i, 0]), float(cells.centres_yx[i, 1])),
            cells.ids[cells.truth[i]],
            cells.ids[cells.answers[i]],
            float(cells.probabilities[i].max()),
        )
        for i in chosen
    )


def _macro_f1(cells: Labelled) -> float | None:
    return score_classes(cells.truth_ids, cells.answer_ids, cells.classes).macro_f1


def _abnormal(cells: Labelled) -> float | None:
    return auroc(cells.truth == 1, cells.scores[:, 1])


def _high_grade(own: Labelled) -> dict[str, float | None]:
    try:
        high = BETHESDA.within(own.classes).high_grade
    except CytoError:
        return {}
    places = [own.classes.index(c) for c in high]
    actual, called = np.isin(own.truth, places), np.isin(own.answers, places)
    recall = float(called[actual].mean()) if actual.any() else None
    return {"HSIL+ recall": recall, "HSIL+ AUROC": auroc(actual, high_grade_score(own.scores, own.classes))}
