"""What the head is worth: on cells drawn at random, across slides, and which examples it doubts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.statistics import clustered_share, share_interval
from napari_cyto.vectors.teaching._basis import Floats
from napari_cyto.vectors.teaching._head import fit_head
from napari_cyto.vectors.teaching.examples import Examples

Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.intp]

FOLDS = 5
FEWEST_DRAWN = 5
"""Below this many judged cells drawn at random no estimate is shown: its interval would be nearly everything."""

FEWEST_GROUPS = 3
"""Below this many slides (or patients) there are not enough to tell how the head does on another one."""

_DOUBTED_BELOW = 0.1
_SURE_FROM = 0.6


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many cells the head calls right, with what that rests on.

    Parameters
    ----------
    right, of : int
        Cells called right, and all that were looked at.
    low, high : float
        95 % confidence interval of the share, 0 to 1.
    groups : int
        Slides, or patients, that they are from.
    """

    right: int
    of: int
    low: float
    high: float
    groups: int

    @property
    def share(self) -> float:
        """The share that is called right, 0 to 1."""
        return self.right / self.of


@dataclass(frozen=True, slots=True)
class AcrossSlides:
    """How the head does on slides that it has not seen.

    Parameters
    ----------
    accuracy : Accuracy
        Over all known examples, each called by a head that has seen no cell of its group.
    recall : mapping of class to (right, of)
        The same by class.
    macro_f1 : float
        Mean over the classes of the harmonic mean of precision and recall.
    """

    accuracy: Accuracy
    recall: Mapping[str, tuple[int, int]]
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """An example that looks wrong.

    Parameters
    ----------
    cell_id : str
        Its id.
    given : str
        The class that it was given.
    likelier : str
        The class that heads say which have not seen it.
    share : float
        How probable they find that class, 0 to 1.
    """

    cell_id: str
    given: str
    likelier: str
    share: float


def out_of_fold(places: Floats, examples: Examples, fold: Rows) -> Floats:
    """Return what heads that have not seen their fold say of examples, ``(n, classes)``; NaN where there is none.

    Parameters
    ----------
    places : ndarray, float32, (n, d)
        Of the examples.
    examples : Examples
        In the same order.
    fold : ndarray, intp, (n,)
        The fold of each.
    """
    found = np.full((len(examples), len(examples.classes)), np.nan, np.float32)
    for number in np.unique(fold):
        out, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        # A class that is in this fold alone cannot be known to the others: those say nothing of it.
        present = examples.permitted[rest][examples.only(rest).is_known].any(axis=0) if len(rest) else np.zeros(0)
        columns = np.flatnonzero(present)
        if len(columns) < 2:
            continue
        usable = rest[examples.permitted[np.ix_(rest, columns)].any(axis=1)]
        part = Examples(
            tuple(examples.ids[row] for row in usable),
            tuple(examples.classes[column] for column in columns),
            examples.permitted[np.ix_(usable, columns)],
        )
        head = fit_head(places[usable], part)
        if head is not None:
            found[out] = 0.0
            found[np.ix_(out, columns)] = head.scores(places[out])
    return found


def random_folds(examples: Examples, count: int = FOLDS, seed: int = 0) -> Rows:
    """Return the fold of each example, each class spread evenly over them."""
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(examples), np.intp)
    key = examples.permitted.argmax(axis=1) + len(examples.classes) * ~examples.is_known
    start = 0
    for value in np.unique(key):
        rows = rng.permutation(np.flatnonzero(key == value))
        folds[rows] = (start + np.arange(len(rows))) % count
        start += len(rows)
    return folds


def honest_accuracy(
    places: Floats, examples: Examples, drawn: Collection[str], group_of: Mapping[str, str]
) -> Accuracy | None:
    """Return how many of the waiting cells the head calls right, from those that were drawn at random and judged.

    Each is called by a head that has learned from the other examples but not from its own fold. Cells of which only
    is known what they are not count as right when the head calls them something else.

    Parameters
    ----------
    places, examples
        Of all examples.
    drawn : collection of str
        Ids of the cells that were drawn at random.
    group_of : mapping of cell id to str
        Its slide, or patient.

    Returns
    -------
    Accuracy or None
        None with fewer than ``FEWEST_DRAWN`` such cells, or where no two classes can be distinguished.
    """
    among = set(drawn)
    rows = np.flatnonzero([cell in among for cell in examples.ids])
    if len(rows) < FEWEST_DRAWN or len(examples.classes) < 2:
        return None
    said = out_of_fold(places, examples, random_folds(examples))[rows]
    is_known = ~np.isnan(said).any(axis=1)
    if int(is_known.sum()) < FEWEST_DRAWN:
        return None
    rows, said = rows[is_known], said[is_known]
    right = examples.permitted[rows, said.argmax(axis=1)]
    return _accuracy(right, [group_of[examples.ids[row]] for row in rows])


def across_slides(places: Floats, examples: Examples, groups: Sequence[str]) -> AcrossSlides | None:
    """Return how the head does on slides that it has not seen; None where there are not enough to tell.

    Parameters
    ----------
    places, examples
        Of all examples.
    groups : sequence of str
        Of each example, what is kept together: its slide, or all slides of its patient and their twins.
    """
    names, numbers = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    if len(names) < FEWEST_GROUPS or len(examples.classes) < 2:
        return None
    fold = numbers if len(names) <= FOLDS else _balanced(numbers, FOLDS)
    said = out_of_fold(places, examples, fold)
    rows = np.flatnonzero(examples.is_known & ~np.isnan(said).any(axis=1))
    if len(rows) < FEWEST_DRAWN:
        return None
    truth, called = examples.permitted[rows].argmax(axis=1), said[rows].argmax(axis=1)
    recall = {
        name: (int((called[truth == column] == column).sum()), int((truth == column).sum()))
        for column, name in enumerate(examples.classes)
    }
    scores = [_f1(truth == column, called == column) for column in range(len(examples.classes))]
    accuracy = _accuracy(truth == called, [str(names[numbers[row]]) for row in rows])
    return AcrossSlides(accuracy, recall, float(np.mean(scores)))


def doubts(places: Floats, examples: Examples, seed: int = 0) -> tuple[Doubt, ...]:
    """Return the examples whose label heads contradict that have not seen them, the most doubtful first.

    Notes
    -----
    Source: confident learning (Northcutt et al. 2021): a label is in doubt when another class is as probable as that
    class usually is for its own examples, here with a floor that spares small sets.
    """
    if len(examples.classes) < 2 or len(examples) < 2 * FOLDS:
        return ()
    said = out_of_fold(places, examples, random_folds(examples, seed=seed))
    known = examples.is_known & ~np.isnan(said).any(axis=1)
    given = examples.permitted.argmax(axis=1)
    usual = np.array(
        [
            float(said[known & (given == column), column].mean()) if (known & (given == column)).any() else 1.0
            for column in range(len(examples.classes))
        ]
    )
    found = []
    for row in np.flatnonzero(known):
        other = int(np.where(np.arange(len(usual)) == given[row], -1.0, said[row]).argmax())
        share = float(said[row, other])
        if said[row, given[row]] < _DOUBTED_BELOW and share >= max(_SURE_FROM, usual[other]):
            found.append(Doubt(examples.ids[row], examples.classes[given[row]], examples.classes[other], share))
    return tuple(sorted(found, key=lambda doubt: -doubt.share))


def _accuracy(right: npt.NDArray[np.bool_], groups: Sequence[str]) -> Accuracy:
    names = sorted(set(groups))
    of = np.array([sum(group == name for group in groups) for name in names])
    hits = np.array([sum(bool(r) for r, group in zip(right, groups, strict=True) if group == name) for name in names])
    interval = clustered_share(hits, of)
    ends = (interval.low, interval.high)
    if interval.low is None or interval.high is None:
        ends = share_interval(int(hits.sum()), int(of.sum())) or (0.0, 1.0)
    assert ends[0] is not None
    assert ends[1] is not None
    return Accuracy(int(hits.sum()), int(of.sum()), float(ends[0]), float(ends[1]), len(names))


def _balanced(numbers: Rows, folds: int) -> Rows:
    """Return the fold of each example so that groups stay whole and folds are about as large."""
    sizes = np.bincount(numbers)
    load, fold_of = np.zeros(folds), np.zeros(len(sizes), np.intp)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of[group] = int(load.argmin())
        load[fold_of[group]] += sizes[group]
    return fold_of[numbers]


def _f1(truth: npt.NDArray[np.bool_], called: npt.NDArray[np.bool_]) -> float:
    both = int((truth & called).sum())
    total = int(truth.sum()) + int(called.sum())
    return 2 * both / total if total else 0.0
