"""Which groups go to the test side, so that class proportions on both sides match the whole as nearly as possible."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import SplitError

ALGORITHM = (
    "groups with cells: the test side gets round(share x groups) of them, chosen to minimise "
    "L1(test, whole) + L1(train, whole) over class proportions + |share of cells - share| "
    "+ 0.05 x classes absent from a side although two groups have them; "
    "every choice tried up to 50,000, else best-swap descent from 32 seeded starts"
)
EXACT_UP_TO = 50_000
_STARTS = 32
_SWAPS_LOOKED_AT = 20_000
_ABSENT_COST = 0.05

Counts = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]


def split_cost(test_counts: Counts, whole: Counts, spread: npt.NDArray[np.intp], test_share: float) -> Counts:
    """Return how far candidate splits are from the ideal; lower is better.

    Parameters
    ----------
    test_counts : ndarray, (candidates, classes), float64
        Cells per class on the test side of each candidate.
    whole : ndarray, (classes,), float64
        Cells per class altogether.
    spread : ndarray, (classes,), intp
        How many groups have cells of each class; a class of one group cannot be on both sides.
    test_share : float
        The wanted share of the test side, 0 to 1.

    Returns
    -------
    ndarray, (candidates,), float64

    Notes
    -----
    Source: L1 distance of class distributions, as "the distribution of the classes for the two subsets coincides with
    the original as much as possible" (Kupas et al. 2024, Data Records); the other two terms are ours.
    """
    n_test, n_all = test_counts.sum(axis=1), whole.sum()
    train_counts, n_train = whole - test_counts, n_all - n_test
    share = whole / n_all
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(test_counts / n_test[:, None] - share).sum(axis=1)
        distance += np.abs(train_counts / n_train[:, None] - share).sum(axis=1)
    absent = (((test_counts == 0) | (train_counts == 0)) & (spread >= 2)).sum(axis=1)
    cost = distance + np.abs(n_test / n_all - test_share) + _ABSENT_COST * absent
    cost[(n_test == 0) | (n_train == 0)] = np.inf
    return np.asarray(cost, dtype=np.float64)


def choose_test_groups(
    counts: Counts, fixed_test: Chosen, fixed_train: Chosen, test_share: float, seed: int
) -> tuple[Chosen, float]:
    """Return which groups form the test side, and the cost of that split.

    Parameters
    ----------
    counts : ndarray, (groups, classes), float64
        Cells of each group, at least one in each row.
    fixed_test, fixed_train : ndarray, (groups,), bool
        Groups whose side is given.
    test_share : float
        The wanted share of groups and of cells on the test side, 0 to 1.
    seed : int
        Makes the search repeatable.

    Raises
    ------
    SplitError
        With fewer than two groups, or when the given sides leave one side without any.
    """
    groups = len(counts)
    free = np.flatnonzero(~(fixed_test | fixed_train))
    wanted = min(max(round(test_share * groups), 1), groups - 1)
    pick = int(np.clip(wanted - fixed_test.sum(), 0, len(free)))
    if not fixed_train.any():
        pick = min(pick, len(free) - 1)
    if not fixed_test.any():
        pick = max(pick, 1)
    if pick < 0 or pick > len(free) or groups < 2:
        raise SplitError(
            f"A split needs cells of at least two patients or smears, one for each side, but {groups} came; "
            "add slides of another patient, or choose to put everything on the train side."
        )
    search = _Search(counts, fixed_test, test_share)
    if pick in (0, len(free)):
        best = free[:pick]
    elif comb(len(free), pick) <= EXACT_UP_TO:
        best = search.exact(free, pick)
    else:
        best = search.descend(free, pick, np.random.default_rng(seed))
    chosen = fixed_test.copy()
    chosen[best] = True
    return chosen, float(search.cost(counts[chosen].sum(axis=0)[None])[0])


class _Search:
    """The data that every candidate is judged against."""

    def __init__(self, counts: Counts, fixed_test: Chosen, test_share: float) -> None:
        self._counts = counts
        self._base = counts[fixed_test].sum(axis=0)
        self._whole = counts.sum(axis=0)
        self._spread = (counts > 0).sum(axis=0)
        self._share = test_share
        # Groups with the same cells are one kind, and most are of few kinds: what a swap costs hangs on its kinds.
        kinds, kind_of = np.unique(counts, axis=0, return_inverse=True)
        self._kinds, self._kind_of = kinds, kind_of.reshape(-1)

    def cost(self, test_counts: Counts) -> Counts:
        return split_cost(test_counts, self._whole, self._spread, self._share)

    def exact(self, free: npt.NDArray[np.intp], pick: int) -> npt.NDArray[np.intp]:
        candidates = np.array(list(combinations(free, pick)), dtype=np.intp)
        costs = self.cost(self._base + self._counts[candidates].sum(axis=1))
        return np.asarray(candidates[int(costs.argmin())])

    def descend(self, free: npt.NDArray[np.intp], pick: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        best, best_cost = free[:pick], np.inf
        for _ in range(_STARTS):
            order = rng.permutation(free)
            found, cost = self._best_swaps(order[:pick].copy(), order[pick:].copy(), rng)
            if cost < best_cost:
                best, best_cost = np.sort(found), cost
        return best

    def _best_swaps(
        self, test: npt.NDArray[np.intp], train: npt.NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.intp], float]:
        total = self._base + self._counts[test].sum(axis=0)
        cost = float(self.cost(total[None])[0])
        while True:
            swaps = len(test) * len(train)
            looked_at = np.arange(swaps)
            if swaps > _SWAPS_LOOKED_AT:
                looked_at = rng.integers(0, swaps, _SWAPS_LOOKED_AT)
            out, into = np.divmod(looked_at, len(train))
            costs = self._swap_costs(total, test[out], train[into])
            i = int(costs.argmin())
            if not costs[i] < cost - 1e-12:
                return test, cost
            total = total - self._counts[test[out[i]]] + self._counts[train[into[i]]]
            cost = float(costs[i])
            test[out[i]], train[into[i]] = train[into[i]], test[out[i]]

    def _swap_costs(self, total: Counts, out: npt.NDArray[np.intp], into: npt.NDArray[np.intp]) -> Counts:
        """Return what splits cost in which a group of each place of ``out`` was swapped for one of ``into``."""
        if len(self._kinds) ** 2 >= len(out):
            return self.cost(total - self._counts[out] + self._counts[into])
        swapped = total - self._kinds[:, None] + self._kinds[None]
        costs = self.cost(swapped.reshape(-1, len(total))).reshape(len(self._kinds), -1)
        return np.asarray(costs[self._kind_of[out], self._kind_of[into]])
