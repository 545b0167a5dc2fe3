"""Which groups form a set, so that it gets its share of each class as nearly as the groups allow.

Source: scikit-learn's StratifiedGroupKFold for folds, and for the start of a set of any share; best-improvement local
search from there.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

ALGORITHM = (
    "scikit-learn's StratifiedGroupKFold, seeded; a set is made of its folds, then groups are moved or swapped while "
    "that lowers mean |share of each class - share| + |share of cells - share| + 1 for each class that a set lacks "
    "although there are groups enough"
)
ALGORITHM_OF_COUNT = (
    "groups with cells: a set gets round(share x groups) of them, chosen to minimise L1(set, whole) + L1(rest, whole) "
    "over class proportions + |share of cells - share| + 0.05 x classes absent from a set although there are groups "
    "enough; every choice tried up to 50,000, else best-swap descent from 32 seeded starts"
)
EXACT_UP_TO = 50_000
_STARTS = 32
_MOST_FOLDS = 20
_SWAPS = 20_000
_ROUNDS = 500
_ABSENT_COST = 0.05

Counts = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


def folds_of(counts: Counts, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the fold of each group.

    Parameters
    ----------
    counts : ndarray, (groups, classes), float64
        Cells of each group, at least one in each row.
    folds : int
        How many; at most as many as groups.
    seed : int
        The same seed gives the same folds.
    """
    # The window imports this module, and scikit-learn would cost its start a second.
    from sklearn.model_selection import StratifiedGroupKFold

    groups, classes = np.nonzero(counts)
    times = counts[groups, classes].astype(np.intp)
    of_cell, class_of_cell = np.repeat(groups, times), np.repeat(classes, times)
    fold = np.zeros(len(counts), dtype=np.intp)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It warns of classes with fewer cells than folds; the split reports them in a sentence of its own.
        warnings.simplefilter("ignore", UserWarning)
        try:
            parts = list(splitter.split(of_cell, class_of_cell, of_cell))
        except ValueError:  # every class has fewer cells than folds: nothing to stratify
            return np.random.default_rng(seed).permutation(len(counts)) % folds
    for number, (_, inside) in enumerate(parts):
        fold[np.unique(of_cell[inside])] = number
    return fold


def choose_groups(
    counts: Counts, share: float, seed: int, needed: int, count: int | None = None
) -> tuple[Chosen, float]:
    """Return which groups form one set, and its cost.

    Parameters
    ----------
    counts : ndarray, (groups, classes), float64
        Cells of each group, at least one in each row.
    share : float
        Of the cells, for that set; 0 to 1, both excluded.
    seed : int
        The same seed gives the same set.
    needed : int
        How many sets the other groups are still to be divided into; each shall have every class.
    count : int, optional
        How many groups form the set; class proportions are what is held then. As many as it takes without.
    """
    rng = np.random.default_rng(seed)
    if len(counts) < 2:
        return np.zeros(len(counts), dtype=np.bool_), 0.0
    if count is None:
        part = _fraction(share, min(len(counts), _MOST_FOLDS))
        start = folds_of(counts, part.denominator, seed) < part.numerator
        return _Search(counts, ShareCost(counts, share, needed), rng, alone=True).improved(start)
    search = _Search(counts, ProportionCost(counts, share, needed), rng, alone=False)
    return search.best_of_all(count) if comb(len(counts), count) <= EXACT_UP_TO else search.best_of_starts(count)


def _fraction(share: float, most: int) -> Fraction:
    """Return the simplest fraction near ``share``: so many folds of so many."""
    options = [Fraction(n, d) for d in range(2, most + 1) for n in range(1, d)]
    near = [f for f in options if abs(f - share) <= 0.02]
    return min(near, key=lambda f: f.denominator) if near else min(options, key=lambda f: abs(f - share))


class SetCost(ABC):
    """How far a set is from the ideal; lower is better.

    Parameters
    ----------
    counts : ndarray, (groups, classes), float64
        Cells of each group.
    share : float
        The wanted share of the set, 0 to 1.
    needed : int
        How many sets the other groups are still to be divided into.
    """

    def __init__(self, counts: Counts, share: float, needed: int) -> None:
        self._share, self._needed = share, needed
        self._whole, self._spread = counts.sum(axis=0), (counts > 0).sum(axis=0)

    @abstractmethod
    def __call__(self, cells: Counts, groups: Counts) -> Counts:
        """Return the cost of sets with ``cells`` and ``groups`` of each class, both (candidates, classes)."""

    def _lacking(self, groups: Counts) -> npt.NDArray[np.intp]:
        """Return how many classes are missing from a set or the rest, although they have groups enough."""
        missing = (groups < 1) | (self._spread - groups < self._needed)
        return np.asarray(((self._spread > self._needed) & missing).sum(axis=1), dtype=np.intp)


class ShareCost(SetCost):
    """The share of each class, common or rare alike; for sets of as many groups as it takes."""

    def __call__(self, cells: Counts, groups: Counts) -> Counts:
        """Return the cost of sets."""
        has = self._whole > 0
        whole = self._whole[has]
        distance = np.abs(cells[:, has] / whole - self._share).mean(axis=1)
        distance += np.abs(cells.sum(axis=1) / whole.sum() - self._share)
        return np.asarray(distance + self._lacking(groups), dtype=np.float64)


class ProportionCost(SetCost):
    """The proportions of classes in the set and in the rest; for sets of a given number of groups.

    Source: L1 distance of class distributions, as "the distribution of the classes for the two subsets coincides with
    the original as much as possible" (Kupas et al. 2024, Data Records); the other two terms are ours.
    """

    def __call__(self, cells: Counts, groups: Counts) -> Counts:
        """Return the cost of sets."""
        n_set, n_all = cells.sum(axis=1), self._whole.sum()
        rest, n_rest = self._whole - cells, n_all - n_set
        share = self._whole / n_all
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.abs(cells / n_set[:, None] - share).sum(axis=1)
            distance += np.abs(rest / n_rest[:, None] - share).sum(axis=1)
        cost = distance + np.abs(n_set / n_all - self._share) + _ABSENT_COST * self._lacking(groups)
        cost[(n_set == 0) | (n_rest == 0)] = np.inf
        return np.asarray(cost, dtype=np.float64)


class _Search:
    """The data that each candidate is held against; with ``alone`` single groups may move, else two change places."""

    def __init__(self, counts: Counts, cost: SetCost, rng: np.random.Generator, alone: bool) -> None:
        self._counts, self._cost, self._rng, self._alone = counts, cost, rng, alone
        self._present = (counts > 0).astype(np.float64)

    def best_of_all(self, count: int) -> tuple[Chosen, float]:
        """Return the best of all sets of ``count`` groups."""
        candidates = np.array(list(combinations(range(len(self._counts)), count)))
        costs = self._cost(self._counts[candidates].sum(axis=1), self._present[candidates].sum(axis=1))
        best = int(costs.argmin())
        return self._chosen(candidates[best]), float(costs[best])

    def best_of_starts(self, count: int) -> tuple[Chosen, float]:
        """Return the best that swaps make of some sets of ``count`` groups."""
        found: list[tuple[Chosen, float]] = []
        for _ in range(_STARTS):
            order = self._rng.permutation(len(self._counts))
            found.append(self._improved(order[:count].copy(), order[count:].copy()))
        return min(found, key=lambda each: each[1])

    def improved(self, start: Chosen) -> tuple[Chosen, float]:
        """Return what the best moves make of a set."""
        return self._improved(np.flatnonzero(start), np.flatnonzero(~start))

    def _improved(self, inside: Places, outside: Places) -> tuple[Chosen, float]:
        counts, present, groups = self._counts, self._present, len(self._counts)
        cells_in, groups_in = counts[inside].sum(axis=0), present[inside].sum(axis=0)
        best = float(self._cost(cells_in[None], groups_in[None])[0])
        for _ in range(_ROUNDS):
            one, other = self._moves(inside, outside)
            sign = np.ones(groups)
            sign[inside] = -1.0
            # A last row of nothing stands for "no second group moves".
            sign = np.append(sign, 0.0)
            cells, held = (sign[:, None] * np.vstack([table, np.zeros(table.shape[1])]) for table in (counts, present))
            costs = self._cost(cells_in + cells[one] + cells[other], groups_in + held[one] + held[other])
            after = len(inside) + sign[one] + sign[other]
            costs[(after < 1) | (after > groups - 1)] = np.inf
            i = int(costs.argmin())
            if not costs[i] < best - 1e-12:
                break
            best = float(costs[i])
            inside, outside = self._moved(inside, outside, int(one[i]), int(other[i]))
            cells_in, groups_in = counts[inside].sum(axis=0), present[inside].sum(axis=0)
        return self._chosen(inside), best

    def _moves(self, inside: Places, outside: Places) -> tuple[Places, Places]:
        """Return the groups that each candidate moves: one alone where that is allowed, or one out and one in."""
        swaps = len(inside) * len(outside)
        looked_at = np.arange(swaps) if swaps <= _SWAPS else self._rng.integers(0, swaps, _SWAPS)
        out, into = np.divmod(looked_at, max(len(outside), 1))
        single = np.arange(len(self._counts) if self._alone else 0)
        nobody = np.full(len(single), len(self._counts))
        return np.concatenate([single, inside[out]]), np.concatenate([nobody, outside[into]])

    def _moved(self, inside: Places, outside: Places, one: int, other: int) -> tuple[Places, Places]:
        if self._alone:
            chosen = self._chosen(inside)
            for moved in {one, other} - {len(self._counts)}:
                chosen[moved] = not chosen[moved]
            return np.flatnonzero(chosen), np.flatnonzero(~chosen)
        return np.where(inside == one, other, inside), np.where(outside == other, one, outside)

    def _chosen(self, inside: Places) -> Chosen:
        chosen = np.zeros(len(self._counts), dtype=np.bool_)
        chosen[inside] = True
        return chosen
