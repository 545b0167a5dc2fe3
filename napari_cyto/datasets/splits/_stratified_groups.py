"""Groups divided so that each class is spread as evenly as its groups allow.

Source: scikit-learn's StratifiedGroupKFold; a single side of any share starts from its folds and is bettered by moves.
"""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

ALGORITHM = (
    "scikit-learn's StratifiedGroupKFold, seeded; a side is made of its folds, then groups are moved or swapped while "
    "that lowers mean |share of each class - share| + |share of cells - share| + 1 for each class that a side lacks "
    "although it has groups enough"
)
_MOST_FOLDS = 20
_SWAPS = 20_000
_ROUNDS = 500

Counts = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]


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
    groups, classes = np.nonzero(counts)
    times = counts[groups, classes].astype(np.intp)
    of_cell, class_of_cell = np.repeat(groups, times), np.repeat(classes, times)
    fold = np.zeros(len(counts), dtype=np.intp)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Of classes with fewer cells than folds; who asked for the split is told in our own words.
        warnings.simplefilter("ignore", UserWarning)
        try:
            parts = list(splitter.split(of_cell, class_of_cell, of_cell))
        except ValueError:  # every class has fewer cells than folds: nothing to stratify
            return np.random.default_rng(seed).permutation(len(counts)) % folds
    for number, (_, inside) in enumerate(parts):
        fold[np.unique(of_cell[inside])] = number
    return fold


def choose_groups(counts: Counts, share: float, seed: int, needed: int) -> Chosen:
    """Return which groups form one side.

    Parameters
    ----------
    counts : ndarray, (groups, classes), float64
        Cells of each group, at least one in each row.
    share : float
        Of the cells, for that side; 0 to 1, both excluded.
    seed : int
        The same seed gives the same side.
    needed : int
        How many sides the other groups are still to be divided into; each shall have every class.
    """
    if len(counts) < 2:
        return np.zeros(len(counts), dtype=np.bool_)
    part = _fraction(share, min(len(counts), _MOST_FOLDS))
    chosen = folds_of(counts, part.denominator, seed) < part.numerator
    return _bettered(counts, chosen, _Cost(counts, share, needed), np.random.default_rng(seed))


def _fraction(share: float, most: int) -> Fraction:
    """Return the simplest fraction near ``share``: so many folds of so many."""
    options = [Fraction(n, d) for d in range(2, most + 1) for n in range(1, d)]
    near = [f for f in options if abs(f - share) <= 0.02]
    return min(near, key=lambda f: f.denominator) if near else min(options, key=lambda f: abs(f - share))


class _Cost:
    """How far a side is from the ideal; lower is better."""

    def __init__(self, counts: Counts, share: float, needed: int) -> None:
        self._whole, self._share, self._needed = counts.sum(axis=0), share, needed
        self._spread = (counts > 0).sum(axis=0)
        self._has = self._whole > 0

    def __call__(self, cells: Counts, groups: Counts) -> Counts:
        """Return the cost of sides with ``cells`` and ``groups`` of each class, both (candidates, classes)."""
        whole = self._whole[self._has]
        distance = np.abs(cells[:, self._has] / whole - self._share).mean(axis=1)
        distance += np.abs(cells.sum(axis=1) / whole.sum() - self._share)
        enough = self._spread > self._needed
        lacking = enough & ((groups < 1) | (self._spread - groups < self._needed))
        return np.asarray(distance + lacking.sum(axis=1), dtype=np.float64)


def _bettered(counts: Counts, chosen: Chosen, cost: _Cost, rng: np.random.Generator) -> Chosen:
    present = (counts > 0).astype(np.float64)
    chosen = chosen.copy()
    best = float(cost(counts[chosen].sum(axis=0)[None], present[chosen].sum(axis=0)[None])[0])
    for _ in range(_ROUNDS):
        one, other = _moves(chosen, rng)
        sign = np.where(chosen, -1.0, 1.0)[:, None]
        # A last row of nothing stands for "no second group moves".
        cells, groups = (np.vstack([sign * table, np.zeros(table.shape[1])]) for table in (counts, present))
        costs = cost(
            counts[chosen].sum(axis=0) + cells[one] + cells[other],
            present[chosen].sum(axis=0) + groups[one] + groups[other],
        )
        after = chosen.sum() + np.append(sign, 0)[one] + np.append(sign, 0)[other]
        costs[(after < 1) | (after > len(chosen) - 1)] = np.inf
        i = int(costs.argmin())
        if not costs[i] < best - 1e-12:
            break
        best = float(costs[i])
        for moved in {int(one[i]), int(other[i])} - {len(chosen)}:
            chosen[moved] = not chosen[moved]
    return chosen


def _moves(chosen: Chosen, rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the groups that each candidate moves: one alone, or one out and one in."""
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    swaps = len(inside) * len(outside)
    looked_at = np.arange(swaps) if swaps <= _SWAPS else rng.integers(0, swaps, _SWAPS)
    out, into = np.divmod(looked_at, max(len(outside), 1))
    alone = np.arange(len(chosen))
    nobody = np.full(len(alone), len(chosen))
    return np.concatenate([alone, inside[out]]), np.concatenate([nobody, outside[into]])
