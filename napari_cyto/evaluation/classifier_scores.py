"""All scores of a classifier on labelled cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.statistics import clustered_share
from napari_cyto.domain.statistics.bootstrap import (
    KAPPA_LIKE,
    RESAMPLING,
    SHARE_LIKE,
    Bounds,
    Resampling,
    counted_estimate,
    group_numbers,
    groups_with,
    weighted_estimate,
)
from napari_cyto.evaluation._ranking import Ranking
from napari_cyto.evaluation.calibration import calibration
from napari_cyto.evaluation.classification import Confusion, mean_known, quadratic_kappa, score_classes
from napari_cyto.evaluation.detection import ratio
from napari_cyto.evaluation.scored_cells import Labelled, ScoredCells, as_labelled, through
from napari_cyto.evaluation.scores import (
    CalibrationScores,
    ClassificationIntervals,
    ClassificationScores,
    ClassifierScores,
    ClassIntervals,
    FalseCalls,
    RecallAtSpecificity,
    Reliability,
    ReliabilityBin,
    ScreeningScores,
    TwoClassScores,
    ViewScores,
)
from napari_cyto.evaluation.screening import (
    BETHESDA,
    ScreeningClasses,
    high_grade_score,
    operating_points,
    score_screening,
)
from napari_cyto.evaluation.views import four_class_view, normal_abnormal_view

SPECIFICITY = 0.90
"""At which the recall of high-grade cells is told on page one."""

Tables = npt.NDArray[np.int64]
View = TypeVar("View", bound=ViewScores)


def classifier_scores(cells: ScoredCells, resampling: Resampling = RESAMPLING) -> ClassifierScores:
    """Return every score of a classifier on labelled cells.

    Parameters
    ----------
    cells : ScoredCells
        True classes and probabilities.
    resampling : Resampling
        How the intervals are drawn, whole patients (else smears, else images) at a time.
    """
    own = as_labelled(cells)
    four, two = four_class_view(cells.classes), normal_abnormal_view(cells.classes)
    return ClassifierScores(
        _view(
            ClassificationScores,
            own,
            resampling,
            four_class=None if four is None else _view(ViewScores, through(four, cells), resampling),
            normal_abnormal=None if two is None else _view(TwoClassScores, through(two, cells), resampling),
        ),
        screening_scores(own, resampling),
        calibration_scores(own, high_grade_of(own)),
    )


def _view(kind: type[View], cells: Labelled, resampling: Resampling, **views: ViewScores | None) -> View:
    scores = score_classes(cells.truth_ids, cells.answer_ids, cells.classes, cells.scores, cells.severities)
    tables = _group_tables(cells)
    return kind(
        n=len(cells.truth),
        n_groups=len(set(cells.groups)),
        classes=scores.classes,
        confusion=tuple(tuple(row) for row in scores.confusion.tolist()),
        accuracy=scores.accuracy,
        balanced_accuracy=scores.balanced_accuracy,
        macro_f1=scores.macro_f1,
        weighted_f1=scores.weighted_f1,
        macro_auroc=scores.macro_auroc,
        quadratic_kappa=scores.quadratic_kappa,
        kappa_left_out=scores.kappa_left_out,
        kappa_left_out_cells=scores.kappa_left_out_cells,
        per_class=scores.per_class,
        intervals=_table_intervals(cells, tables, resampling),
        per_class_intervals={c: _class_intervals(tables, i, resampling) for i, c in enumerate(cells.classes)},
        **views,
    )


def _group_tables(cells: Labelled) -> Tables:
    """Return the confusion matrix of each group, int64 (groups, k, k)."""
    k = len(cells.classes)
    group_of, n_groups = group_numbers(cells.groups, len(cells.truth))
    field = (group_of * k + cells.truth) * k + cells.answers
    return np.bincount(field, minlength=n_groups * k * k).reshape(n_groups, k, k).astype(np.int64)


def _table_intervals(cells: Labelled, tables: Tables, resampling: Resampling) -> ClassificationIntervals:
    """Return the intervals of all that follows from the confusion matrix, from one matrix a group; and of the AUROC."""
    n_groups = len(tables)
    n, rarest = len(cells.truth), _rarest(cells)
    graded = np.asarray([s is not None for s in cells.severities], dtype=bool)
    statistics: dict[str, tuple[Callable[[Confusion], float | None], int, Bounds]] = {
        "balanced_accuracy": (lambda t: mean_known(_shares(np.diag(t), t.sum(axis=1))), rarest, SHARE_LIKE),
        "macro_f1": (lambda t: mean_known(_shares(2 * np.diag(t), t.sum(axis=0) + t.sum(axis=1))), rarest, SHARE_LIKE),
        "weighted_f1": (_weighted_f1, n_groups, SHARE_LIKE),
        "quadratic_kappa": (
            lambda t: quadratic_kappa(t, cells.severities),
            groups_with(graded[cells.truth], cells.groups),
            KAPPA_LIKE,
        ),
    }
    right, every = np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2))
    intervals = {"accuracy": counted_estimate(right, every, resampling)}
    for name, (statistic, informative, bounds) in statistics.items():

        def of_draw(times: npt.NDArray[np.int64], of: Callable[[Confusion], float | None] = statistic) -> float | None:
            return of(np.tensordot(times, tables, 1))

        found = weighted_estimate(of_draw, range(n_groups), resampling, bounds, informative)
        intervals[name] = replace(found, n=n)
    rankings = [Ranking(cells.truth == c, cells.scores[:, c]) for c in range(len(cells.classes))]
    areas = weighted_estimate(
        lambda w: mean_known([r.auroc(w) for r in rankings]), cells.groups, resampling, SHARE_LIKE, rarest
    )
    return ClassificationIntervals(**intervals, macro_auroc=areas)


def _class_intervals(tables: Tables, place: int, resampling: Resampling) -> ClassIntervals:
    """Return the intervals of one class's shares, from the confusion matrix of each group, int64 (groups, k, k)."""
    right, actual, called = tables[:, place, place], tables[:, place].sum(axis=1), tables[:, :, place].sum(axis=1)
    others = tables.sum(axis=(1, 2)) - actual
    return ClassIntervals(
        sensitivity=counted_estimate(right, actual, resampling),
        specificity=counted_estimate(others - (called - right), others, resampling),
        precision=counted_estimate(right, called, resampling),
    )


def _rarest(cells: Labelled) -> int:
    """Return how many groups hold a cell of the class that the fewest groups hold, among those that have any."""
    held = [groups_with(cells.truth == place, cells.groups) for place in range(len(cells.classes))]
    return min((n for n in held if n), default=0)


def _shares(up: npt.NDArray[np.int64], down: npt.NDArray[np.int64]) -> list[float | None]:
    return [ratio(float(a), float(b)) for a, b in zip(up, down, strict=True)]


def _weighted_f1(table: Confusion) -> float | None:
    support = table.sum(axis=1)
    shares = _shares(2 * np.diag(table), table.sum(axis=0) + support)
    return ratio(sum(float(n) * (f or 0) for n, f in zip(support, shares, strict=True)), float(support.sum()))


def screening_scores(
    cells: Labelled, resampling: Resampling = RESAMPLING, classes: ScreeningClasses = BETHESDA
) -> ScreeningScores | None:
    """Return page one: what must not be missed, with intervals, and the table of operating points.

    Parameters
    ----------
    cells : Labelled
        Cells in classes of which some are high-grade; else there is no page one, and None is returned.
    resampling : Resampling
        How the intervals are drawn.
    classes : ScreeningClasses
        Which classes are high-grade, which is normal.
    """
    if classes.negative not in cells.classes or not {*classes.undercalled_from} & {*cells.classes}:
        return None
    chosen = classes.within(cells.classes)
    shares = score_screening(
        cells.truth_ids, cells.answer_ids, cells.classes, cells.groups, cells.scores, chosen, resampling
    )
    is_high = np.isin(np.asarray(cells.truth_ids, dtype=object), chosen.high_grade)
    score = high_grade_score(cells.scores, cells.classes, chosen)
    ranking = Ranking(is_high, score)
    recall = weighted_estimate(
        lambda w: ranking.recall_at_specificity(SPECIFICITY, w),
        cells.groups,
        resampling,
        SHARE_LIKE,
        groups_with(is_high, cells.groups),
    )
    points = operating_points(is_high, score)
    is_normal = np.asarray(cells.truth_ids, dtype=object) == chosen.negative
    answers = np.asarray(cells.answer_ids, dtype=object)
    return ScreeningScores(
        recall=shares.recall,
        fnr=shares.fnr,
        specificity=shares.specificity,
        npv=shares.npv,
        undercall=shares.undercall,
        auroc=shares.auroc,
        n_groups=shares.n_groups,
        recall_at_specificity=RecallAtSpecificity(
            specificity=SPECIFICITY,
            value=recall.value,
            low=recall.low,
            high=recall.high,
            n=int(is_high.sum()),
            groups=recall.groups,
        ),
        false_calls=_false_calls(cells, is_normal, np.isin(answers, chosen.high_grade)),
        operating_points=points,
        high_grade=chosen.high_grade,
        undercalled_from=chosen.undercalled_from,
        negative=chosen.negative,
        confidence=resampling.confidence,
        draws=resampling.draws,
    )


def high_grade_of(cells: Labelled, classes: ScreeningClasses = BETHESDA) -> tuple[int, ...]:
    """Return the places of the high-grade classes; () where the classes have none."""
    if classes.negative not in cells.classes:
        return ()
    return tuple(n for n, name in enumerate(cells.classes) if name in classes.high_grade)


def _false_calls(cells: Labelled, is_normal: npt.NDArray[np.bool_], called_high: npt.NDArray[np.bool_]) -> FalseCalls:
    """Return how many normal cells are called high-grade, and how many independent ones they are worth."""
    group_of, n_groups = group_numbers(cells.groups, len(is_normal))
    up, down = (np.bincount(group_of, weights=w, minlength=n_groups) for w in (is_normal & called_high, is_normal))
    found = clustered_share(up, down)
    return FalseCalls(int(up.sum()), int(down.sum()), found.groups, round(found.effective_n, 2))


def calibration_scores(cells: Labelled, high_grade: Sequence[int] = ()) -> CalibrationScores:
    """Return how true the probabilities are: of the likeliest class, of each class, and of being high-grade.

    Parameters
    ----------
    cells : Labelled
        Whatever costs a model's calls follow, here the likeliest class is looked at: costs are no probabilities.
    high_grade : sequence of int
        Places of the classes whose probabilities add up to that of being high-grade; () for none.

    Notes
    -----
    Source: Guo et al. 2017, section 2, for the likeliest class; Kull et al. 2019, Beyond Temperature Scaling,
    definition 2, for each class by itself.
    """
    scores = np.clip(cells.scores, 0, 1)
    likeliest = scores.argmax(axis=1) if len(scores) else np.empty(0, np.intp)
    each = {name: _reliability(scores[:, c], cells.truth == c) for c, name in enumerate(cells.classes)}
    known = [one.ece for one in each.values() if one.ece is not None]
    first = _reliability(scores.max(axis=1) if len(scores) else np.empty(0), cells.truth == likeliest)
    high = np.clip(scores[:, list(high_grade)].sum(axis=1), 0, 1)
    return CalibrationScores(
        ece=first.ece,
        ece_equal_mass=first.ece_equal_mass,
        brier=first.brier,
        mean_probability=first.mean_probability,
        share=first.share,
        n=first.n,
        bins=first.bins,
        mean_confidence=first.mean_probability,
        accuracy=first.share,
        class_wise_ece=float(np.mean(known)) if known else None,
        per_class=each,
        high_grade=_reliability(high, np.isin(cells.truth, high_grade)) if len(high_grade) else None,
    )


def _reliability(probability: npt.NDArray[np.float64], is_so: npt.NDArray[np.bool_]) -> Reliability:
    """Return how far a probability is from the share of cells that it holds for, in all and by bins."""
    published = calibration(probability, is_so)
    bins = zip(published.counts, published.confidence, published.accuracy, strict=True)
    return Reliability(
        ece=published.ece,
        ece_equal_mass=calibration(probability, is_so, binning="equal mass").ece,
        brier=float(np.mean((probability - is_so) ** 2)) if len(is_so) else None,
        mean_probability=float(probability.mean()) if len(probability) else None,
        share=float(is_so.mean()) if len(is_so) else None,
        n=len(is_so),
        bins=tuple(ReliabilityBin(int(n), float(c), float(a)) for n, c, a in bins),
    )
