"""Screening scores: of what must not be missed, how much is; with intervals over patients, and where to set the bar.

A cell is *called* high-grade when its predicted class is one of the high-grade classes; an operating point calls it so
when the scores of these classes sum to its threshold or more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.statistics.bootstrap import (
    RESAMPLING,
    SHARE_LIKE,
    Estimate,
    Resampling,
    groups_with,
    share_estimate,
    weighted_estimate,
)
from napari_cyto.errors import CytoError
from napari_cyto.evaluation._ranking import Ranking
from napari_cyto.evaluation.classification import Scores, checked_scores, class_indices
from napari_cyto.evaluation.detection import ratio

TARGET_RECALLS = (0.90, 0.95, 0.98, 0.99, 1.0)
TARGET_SPECIFICITIES = (0.90, 0.95)


@dataclass(frozen=True, slots=True)
class ScreeningClasses:
    """Which classes a screener must not miss.

    Parameters
    ----------
    high_grade : tuple of str
        HSIL+; ASC-H, of which HSIL cannot be excluded, is among them.
    undercalled_from : tuple of str
        Classes whose being called ``negative`` is the worst mistake.
    negative : str
        The class of the normal.
    """

    high_grade: tuple[str, ...] = ("ASC-H", "HSIL", "SCC")
    undercalled_from: tuple[str, ...] = ("HSIL", "SCC")
    negative: str = "NILM"

    def within(self, classes: Sequence[str]) -> ScreeningClasses:
        """Return these classes as far as a scheme has them: bethesda-4 has no ASC-H and no SCC.

        Raises
        ------
        CytoError
            When the scheme lacks the normal class, or all of the high-grade ones.
        """
        high = tuple(c for c in self.high_grade if c in classes)
        worst = tuple(c for c in self.undercalled_from if c in classes)
        if not high or not worst or self.negative not in classes:
            raise CytoError(
                f"Screening scores need the class {self.negative} and at least one of {', '.join(self.high_grade)}, "
                f"but the classes are {', '.join(classes)}; name the screening classes of this scheme."
            )
        return ScreeningClasses(high, worst, self.negative)


BETHESDA = ScreeningClasses()


@dataclass(frozen=True)
class Screening:
    """Page one of a report: each share with its interval over patients.

    Parameters
    ----------
    recall, fnr : Estimate
        Share of the high-grade cells that are called high-grade, and that are not.
    specificity : Estimate
        Share of the other cells that are not called high-grade.
    npv : Estimate
        Share of the cells not called high-grade that are not.
    undercall : Estimate
        Share of the cells of HSIL or worse that are called NILM.
    auroc : Estimate or None
        Of the summed high-grade scores; None without scores.
    n_groups : int
        Patients, else smears, that the intervals rest on.
    """

    recall: Estimate
    fnr: Estimate
    specificity: Estimate
    npv: Estimate
    undercall: Estimate
    auroc: Estimate | None
    n_groups: int


def score_screening(
    truth: Sequence[str],
    pred: Sequence[str],
    classes: Sequence[str],
    groups: Sequence[Hashable],
    scores: npt.ArrayLike | None = None,
    screening: ScreeningClasses = BETHESDA,
    resampling: Resampling = RESAMPLING,
) -> Screening:
    """Score what a screener must not miss.

    Parameters
    ----------
    truth, pred : sequence of str (n,)
        True and predicted class of each cell.
    classes : sequence of str (k,)
        All class ids.
    groups : sequence (n,)
        The patient, else the smear, of each cell.
    scores : float array (n, k), optional
        A score of each class for each cell.
    screening : ScreeningClasses
        Which classes are high-grade, which is normal.
    resampling : Resampling
        How the intervals are drawn.

    Raises
    ------
    CytoError
        When classes are unknown, lengths differ, or the scheme has no high-grade class.
    """
    chosen = screening.within(classes)
    if len(truth) != len(pred):
        raise CytoError(f"Expected a true and a predicted class for each cell, got {len(truth)} and {len(pred)}.")
    actual, called = class_indices(truth, classes), class_indices(pred, classes)
    high = class_indices(chosen.high_grade, classes)
    is_high, called_high = np.isin(actual, high), np.isin(called, high)
    worst = np.isin(actual, class_indices(chosen.undercalled_from, classes))
    called_negative = called == classes.index(chosen.negative)
    area = None
    if scores is not None:
        ranking = Ranking(is_high, high_grade_score(scores, classes, chosen))
        informative = min(groups_with(is_high, groups), groups_with(~is_high, groups))
        area = weighted_estimate(ranking.auroc, groups, resampling, SHARE_LIKE, informative)

    def share(hits: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> Estimate:
        return share_estimate(hits, of, groups, resampling)

    return Screening(
        recall=share(called_high, is_high),
        fnr=share(~called_high, is_high),
        specificity=share(~called_high, ~is_high),
        npv=share(~is_high, ~called_high),
        undercall=share(called_negative, worst),
        auroc=area,
        n_groups=len(set(groups)),
    )


def high_grade_score(scores: npt.ArrayLike, classes: Sequence[str], screening: ScreeningClasses = BETHESDA) -> Scores:
    """Return the summed scores of the high-grade classes, float64 (n,), from scores (n, k)."""
    array = np.asarray(scores, dtype=np.float64)
    checked = checked_scores(array, len(array), len(classes))
    summed: Scores = checked[:, class_indices(screening.within(classes).high_grade, classes)].sum(axis=1)
    return summed


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold would mean: cells that score it or more are called high-grade.

    Parameters
    ----------
    threshold : float
        The lowest score that is called.
    recall, specificity, ppv, npv : float or None
        None where there is nothing to measure it on.
    flagged : float
        Share of all cells that would be shown to a person.
    aim : str
        The target that it is the best point for, empty when the threshold was asked for.
    """

    threshold: float
    recall: float | None
    specificity: float | None
    ppv: float | None
    npv: float | None
    flagged: float
    aim: str = ""


def operating_point(is_high: npt.ArrayLike, score: npt.ArrayLike, threshold: float, aim: str = "") -> OperatingPoint:
    """Return what the threshold means on these cells.

    Parameters
    ----------
    is_high : bool array (n,)
        Which cells are high-grade.
    score : float array (n,)
        The score of each.
    threshold : float
        The lowest score that is called high-grade.
    aim : str
        Kept in the result.
    """
    positive, called = np.asarray(is_high, dtype=bool), np.asarray(score, dtype=np.float64) >= threshold
    tp, called_n, positive_n, n = (int(v.sum()) for v in (positive & called, called, positive, np.ones(len(called))))
    tn = n - called_n - (positive_n - tp)
    return OperatingPoint(
        threshold=threshold,
        recall=ratio(tp, positive_n),
        specificity=ratio(tn, n - positive_n),
        ppv=ratio(tp, called_n),
        npv=ratio(tn, n - called_n),
        flagged=ratio(called_n, n) or 0.0,
        aim=aim,
    )


def operating_points(
    is_high: npt.ArrayLike,
    score: npt.ArrayLike,
    recalls: Sequence[float] = TARGET_RECALLS,
    specificities: Sequence[float] = TARGET_SPECIFICITIES,
) -> tuple[OperatingPoint, ...]:
    """Return the operating point for each target: the most specific one that reaches a recall, and vice versa.

    Parameters
    ----------
    is_high : bool array (n,)
        Which cells are high-grade.
    score : float array (n,)
        The score of each, the higher the likelier.
    recalls, specificities : sequence of float
        Targets above 0, at most 1.

    Returns
    -------
    tuple of OperatingPoint
        Empty when there is no cell of one of the two kinds.

    Raises
    ------
    CytoError
        When a target is not above 0 and at most 1, or the lengths differ.
    """
    positive, values = np.asarray(is_high, dtype=bool), np.asarray(score, dtype=np.float64)
    if positive.shape != values.shape or not np.isfinite(values).all():
        raise CytoError(
            f"Expected one finite score for each of the {len(positive)} cells, got the shape {values.shape}."
        )
    wrong = [target for target in (*recalls, *specificities) if not 0 < target <= 1]
    if wrong:
        raise CytoError(f"Expected a target recall or specificity above 0 and at most 1, got {wrong[0]}.")
    if positive.all() or not positive.any():
        return ()
    of_high, of_others = np.sort(values[positive])[::-1], np.sort(values[~positive])
    points = []
    for target in recalls:
        # The highest threshold that still catches this share: the score of the last cell that is needed for it.
        needed = int(np.ceil(target * len(of_high) - 1e-9))
        points.append(operating_point(positive, values, float(of_high[needed - 1]), f"recall >= {target:g}"))
    for target in specificities:
        # The lowest threshold that lets this share pass: just above the score of the last cell that has to.
        spared = int(np.ceil(target * len(of_others) - 1e-9))
        threshold = float(np.nextafter(of_others[spared - 1], np.inf))
        points.append(operating_point(positive, values, threshold, f"specificity >= {target:g}"))
    return tuple(points)
