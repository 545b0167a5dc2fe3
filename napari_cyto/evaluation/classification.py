"""Classification scores: how often a cell's class is right, of each class, over all, and by the order of severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detection import ratio

Confusion = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class against all others; a score without cells to rest on is None.

    Parameters
    ----------
    support : int
        Cells whose true class it is.
    sensitivity, specificity, precision, f1 : float or None
        Shares of its cells called so, of the others not called so, of those called so that are; and equation 6 of
        Patherea.
    auroc : float or None
        Area under its ROC curve, one against the rest; None without scores too.
    """

    support: int
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    f1: float | None
    auroc: float | None = None


@dataclass(frozen=True)
class Classification:
    """The scores of a classifier on labelled cells; a score that has nothing to rest on is None.

    Parameters
    ----------
    classes : tuple of str
        Ids, in the order of severity.
    confusion : int64 array (k, k)
        Cells by true class (row) and predicted class (column).
    accuracy, balanced_accuracy : float or None
        Share of the cells that are right; mean sensitivity of the classes that have cells.
    macro_f1, weighted_f1 : float or None
        Mean F1 of the classes that occur in truth or prediction; the same weighted by their true cells.
    macro_auroc : float or None
        Mean AUROC, one against the rest, of the classes that have one.
    quadratic_kappa : float or None
        Agreement beyond chance, mistakes weighted by the square of how many grades of severity they are off; None with
        less than two classes that have a grade.
    kappa_left_out : tuple of str
        Classes without a grade: cells that truly are, or are called, one of them have no part in the kappa.
    kappa_left_out_cells : int
        How many cells these are.
    per_class : mapping of class id to ClassScores
    """

    classes: tuple[str, ...]
    confusion: Confusion
    accuracy: float | None
    balanced_accuracy: float | None
    macro_f1: float | None
    weighted_f1: float | None
    macro_auroc: float | None
    quadratic_kappa: float | None
    kappa_left_out: tuple[str, ...]
    kappa_left_out_cells: int
    per_class: Mapping[str, ClassScores]


def score_classes(
    truth: Sequence[str],
    pred: Sequence[str],
    classes: Sequence[str],
    scores: npt.ArrayLike | None = None,
    severities: Sequence[int | None] | None = None,
) -> Classification:
    """Score predicted classes.

    Parameters
    ----------
    truth, pred : sequence of str (n,)
        True and predicted class of each cell.
    classes : sequence of str (k,)
        All class ids.
    scores : float array (n, k), optional
        A score of each class for each cell, the higher the likelier; needed for AUROC.
    severities : sequence of int or None (k,), optional
        The grade of each class, None for one without; without it, ``classes`` are in the order of severity.

    Raises
    ------
    CytoError
        When a class is unknown, or the lengths differ.
    """
    table = confusion_matrix(truth, pred, classes)
    grades = tuple(range(len(classes))) if severities is None else tuple(severities)
    if len(grades) != len(classes):
        raise CytoError(f"Expected a severity grade or None for each of {len(classes)} classes, got {len(grades)}.")
    graded = np.asarray([grade is not None for grade in grades], dtype=bool)
    actual = np.eye(len(classes), dtype=bool)[class_indices(truth, classes)]
    areas: list[float | None] = [None] * len(classes)
    if scores is not None:
        checked = checked_scores(scores, len(truth), len(classes))
        areas = [auroc(actual[:, c], checked[:, c]) for c in range(len(classes))]
    per_class = {name: _of_class(table, c, areas[c]) for c, name in enumerate(classes)}
    supports = table.sum(axis=1)
    return Classification(
        tuple(classes),
        table,
        ratio(float(np.trace(table)), float(table.sum())),
        mean_known([s.sensitivity for s in per_class.values()]),
        mean_known([s.f1 for s in per_class.values()]),
        ratio(sum(s.support * (s.f1 or 0) for s in per_class.values()), float(supports.sum())),
        mean_known(areas),
        quadratic_kappa(table, grades),
        tuple(name for name, has_grade in zip(classes, graded, strict=True) if not has_grade),
        int(table.sum() - table[np.ix_(graded, graded)].sum()),
        per_class,
    )


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the place of each label among ``classes``, intp (n,).

    Raises
    ------
    CytoError
        When a label is none of them, or they are not different.
    """
    places = {name: place for place, name in enumerate(classes)}
    if len(places) != len(classes):
        raise CytoError(f"Expected each class once, got {', '.join(classes)}.")
    unknown = sorted({label for label in labels if label not in places})
    if unknown:
        raise CytoError(
            f"Expected cells of the classes {', '.join(classes)}, got {', '.join(map(repr, unknown))}; map it to "
            "one of these first."
        )
    return np.asarray([places[label] for label in labels], dtype=np.intp)


def checked_scores(scores: npt.ArrayLike, n_cells: int, n_classes: int) -> Scores:
    """Return scores as a float64 array (n, k).

    Raises
    ------
    CytoError
        When they have another shape or are not finite.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.shape != (n_cells, n_classes) or not np.isfinite(array).all():
        raise CytoError(
            f"Expected finite scores for {n_cells} cells and {n_classes} classes, got the shape {array.shape}."
        )
    return array


def confusion_matrix(truth: Sequence[str], pred: Sequence[str], classes: Sequence[str]) -> Confusion:
    """Return the number of cells by true class (row) and predicted class (column), int64 (k, k).

    Raises
    ------
    CytoError
        When a class is unknown, or the lengths differ.
    """
    if len(truth) != len(pred):
        raise CytoError(f"Expected a true and a predicted class for each cell, got {len(truth)} and {len(pred)}.")
    k = len(classes)
    cells = class_indices(truth, classes) * k + class_indices(pred, classes)
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def auroc(is_positive: npt.ArrayLike, score: npt.ArrayLike) -> float | None:
    """Return the chance that a positive scores above a negative, ties counted half; None when either is missing.

    Parameters
    ----------
    is_positive : bool array (n,)
        Which cells are what is looked for.
    score : float array (n,)
        The higher, the likelier.

    Notes
    -----
    Source: Hanley and McNeil 1982, Radiology 143(1): the area under the ROC curve is the Wilcoxon statistic.
    """
    positive = np.asarray(is_positive, dtype=bool)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    ranks = rankdata(np.asarray(score, dtype=np.float64))
    above = float(ranks[positive].sum()) - n_positive * (n_positive + 1) / 2
    return above / (n_positive * n_negative)


def quadratic_kappa(confusion: Confusion, severities: Sequence[int | None]) -> float | None:
    """Return Cohen's kappa with quadratic weights over the classes that have a grade.

    None with less than two such classes, for without an order no mistake is graver than another, and where all their
    cells are of one grade on both sides.

    Parameters
    ----------
    confusion : int64 array (k, k)
        Cells by true and predicted class.
    severities : sequence of int or None (k,)
        The grade of each class. Cells of a class without one, such as artefacts, are left out.

    Notes
    -----
    Source: Cohen 1968, Psychological Bulletin 70(4): ``1 - sum(w * observed) / sum(w * expected)``, ``w = (i - j)^2``
    with ``i`` and ``j`` the grades.
    """
    graded = [place for place, grade in enumerate(severities) if grade is not None]
    if len(graded) < 2:
        return None
    grades = np.asarray([severities[place] for place in graded], dtype=np.float64)
    table = confusion[np.ix_(graded, graded)]
    weights = (grades[:, None] - grades[None]) ** 2
    total = table.sum()
    if not total:
        return None
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    share = ratio(float((weights * table).sum()), float((weights * by_chance).sum()))
    return None if share is None else 1 - share


def mean_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are known, None when none is."""
    known = [value for value in values if value is not None]
    return ratio(sum(known), len(known))


def _of_class(table: Confusion, c: int, area: float | None) -> ClassScores:
    tp, actual, called = (float(v) for v in (table[c, c], table[c].sum(), table[:, c].sum()))
    others = float(table.sum()) - actual
    return ClassScores(
        support=int(actual),
        sensitivity=ratio(tp, actual),
        specificity=ratio(others - (called - tp), others),
        precision=ratio(tp, called),
        f1=ratio(2 * tp, actual + called),
        auroc=area,
    )
