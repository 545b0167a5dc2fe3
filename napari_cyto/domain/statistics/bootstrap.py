"""Confidence intervals over whole patients: cells of one patient are not independent of each other.

Shares get an interval from the number of independent cells that they are worth; other bounded figures (AUROC, F1,
kappa) from leaving patients out in turn; what has no bounds (distances, detections a cell) from drawing patients again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.statistics import FEW_GROUPS, clustered_share, transformed_interval
from napari_cyto.errors import CytoError

DRAWS = 2000
"""Resamples; Efron and Tibshirani 1993, An Introduction to the Bootstrap, ask for 1,000 or more for intervals."""

MOST_LEFT_OUT = 200
"""Parts that are left out in turn at most; of more groups several go together."""

Bounds = tuple[float, float]
SHARE_LIKE: Bounds = (0.0, 1.0)
KAPPA_LIKE: Bounds = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval.

    Parameters
    ----------
    value : float or None
        As measured on all cells; None when there was nothing to measure it on.
    low, high : float or None
        The interval; None with fewer than two groups, or when most draws had nothing to measure.
    n : int
        Cells that the value rests on (its denominator).
    groups : int or None
        Patients, else smears, else pictures that hold such cells: the informative ones; None where nobody counted.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    groups: int | None = None

    @property
    def few_groups(self) -> bool:
        """Whether under 20 groups hold such cells."""
        return self.groups is not None and self.groups < FEW_GROUPS

    def to_json(self) -> dict[str, Any]:
        """Return value and interval as JSON-able values, and whether they rest on few groups."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return ends | {"n": self.n, "groups": self.groups, "few_groups": self.few_groups}


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are drawn: number of draws, level of confidence, seed.

    ``pulse`` is called between draws; a job that is to stop raises from it.
    """

    draws: int = DRAWS
    confidence: float = 0.95
    seed: int = 0
    pulse: Callable[[], None] = field(default=lambda: None, compare=False)

    def __post_init__(self) -> None:
        if self.draws < 1 or not 0 < self.confidence < 1:
            raise CytoError(
                f"Expected at least 1 resample and a confidence between 0 and 1, got {self.draws} and "
                f"{self.confidence}."
            )


RESAMPLING = Resampling()


def share_estimate(
    hits: npt.ArrayLike, of: npt.ArrayLike, groups: Sequence[Hashable], resampling: Resampling = RESAMPLING
) -> Estimate:
    """Estimate the share of the cells in ``of`` that are in ``hits``, whole groups taken for what is independent.

    Parameters
    ----------
    hits, of : bool array (n,)
        Cells that count above and below the line; those in ``hits`` but not in ``of`` do not count.
    groups : sequence (n,)
        The patient, else the smear, of each cell.
    resampling : Resampling
        The confidence.

    Raises
    ------
    CytoError
        When the lengths differ.

    Notes
    -----
    Source: see `napari_cyto.domain.statistics.clustered_share`.
    """
    below = np.asarray(of, dtype=bool)
    above = np.asarray(hits, dtype=bool) & below
    group_of, n_groups = group_numbers(groups, len(below))
    up, down = (np.bincount(group_of, weights=each, minlength=n_groups) for each in (above, below))
    return counted_estimate(up, down, resampling)


def counted_estimate(counts: npt.ArrayLike, sizes: npt.ArrayLike, resampling: Resampling = RESAMPLING) -> Estimate:
    """Estimate a share from how many units of each group count, and how many there are, both (groups,)."""
    up, down = np.asarray(counts, np.float64), np.asarray(sizes, np.float64)
    total = float(down.sum())
    found = clustered_share(up, down, resampling.confidence)
    value = float(up.sum()) / total if total else None
    return Estimate(value, found.low, found.high, round(total), found.groups)


def estimate(
    statistic: Callable[[npt.NDArray[np.intp]], float | None],
    groups: Sequence[Hashable],
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Estimate any statistic, groups drawn with replacement.

    Parameters
    ----------
    statistic : callable
        Takes the places of cells, intp (m,), some more than once; returns the value on these, None if it has none.
    groups : sequence (n,)
        The patient, else the smear, of each cell.
    resampling : Resampling
        Draws, confidence, seed.
    """
    n = len(groups)
    group_of, n_groups = group_numbers(groups, n)
    members = np.split(np.argsort(group_of, kind="stable"), np.cumsum(np.bincount(group_of, minlength=n_groups))[:-1])

    def of_groups(drawn: npt.NDArray[np.intp]) -> float | None:
        return statistic(np.concatenate([members[g] for g in drawn]))

    low, high = _interval(_drawn(of_groups, n_groups, resampling), resampling)
    return Estimate(statistic(np.arange(n)), low, high, n, n_groups)


def weighted_estimate(
    statistic: Callable[[npt.NDArray[np.int64]], float | None],
    groups: Sequence[Hashable],
    resampling: Resampling = RESAMPLING,
    bounds: Bounds | None = None,
    informative: int | None = None,
) -> Estimate:
    """Estimate a statistic that can count each cell any number of times.

    One with ``bounds`` is estimated by leaving groups out in turn: its interval stays within them, and is no point
    where every group agrees. One without is estimated by drawing groups with replacement. Weights instead of places let
    a statistic keep what it sorted once: a hundred times faster for ranks.

    Parameters
    ----------
    statistic : callable
        Takes how often each cell was drawn, int64 (n,); returns the value, None if it has none.
    groups : sequence (n,)
        The patient, else the smear, of each cell.
    resampling : Resampling
        Draws, confidence, seed.
    bounds : tuple of float, optional
        The least and the largest value that the statistic can have.
    informative : int, optional
        How many groups hold what the value rests on, such as positive cells; all without it.

    Notes
    -----
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 11 (jackknife), 8 and 13.
    """
    n = len(groups)
    group_of, n_groups = group_numbers(groups, n)
    value = statistic(np.ones(n, np.int64))
    rests_on = n_groups if informative is None else informative
    if bounds is not None:
        low, high = _left_out(statistic, group_of, n_groups, value, rests_on, bounds, resampling)
        return Estimate(value, low, high, n, rests_on)

    def of_groups(drawn: npt.NDArray[np.intp]) -> float | None:
        return statistic(np.bincount(drawn, minlength=n_groups)[group_of])

    low, high = _interval(_drawn(of_groups, n_groups, resampling), resampling)
    return Estimate(value, low, high, n, rests_on)


def groups_with(holds: npt.ArrayLike, groups: Sequence[Hashable]) -> int:
    """Return how many groups have a cell for which ``holds``, bool (n,), is true."""
    return len({group for group, held in zip(groups, np.asarray(holds, bool).tolist(), strict=True) if held})


def _left_out(
    statistic: Callable[[npt.NDArray[np.int64]], float | None],
    group_of: npt.NDArray[np.intp],
    n_groups: int,
    value: float | None,
    informative: int,
    bounds: Bounds,
    resampling: Resampling,
) -> tuple[float | None, float | None]:
    """Return the interval of a bounded statistic from its values without each group, or without each part of them."""
    if value is None or n_groups < 2 or informative < 2:
        return None, None
    parts = min(n_groups, MOST_LEFT_OUT)
    part_of = np.random.default_rng(resampling.seed).permutation(n_groups) % parts
    values = []
    for part in range(parts):
        resampling.pulse()
        without = statistic((part_of != part)[group_of].astype(np.int64))
        if without is not None:
            values.append(without)
    if 2 * len(values) < parts or len(values) < 2:
        return None, None
    error = float(np.sqrt((len(values) - 1) * np.var(values)))
    return transformed_interval(value, error, informative, bounds, resampling.confidence)


def group_numbers(groups: Sequence[Hashable], n: int) -> tuple[npt.NDArray[np.intp], int]:
    """Return the number of each cell's group, by first mention, and how many groups there are.

    Raises
    ------
    CytoError
        When there is not one group for each of the ``n`` cells.
    """
    if len(groups) != n:
        raise CytoError(f"Expected a patient or smear for each of the {n} cells, got {len(groups)}.")
    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(g, len(numbers)) for g in groups], dtype=np.intp), len(numbers)


def _drawn(
    of_groups: Callable[[npt.NDArray[np.intp]], float | None], n_groups: int, resampling: Resampling
) -> npt.NDArray[np.float64]:
    """Return a statistic on groups drawn with replacement, as often as asked; without the draws that have none."""
    rng = np.random.default_rng(resampling.seed)
    values: list[float] = []
    for _ in range(resampling.draws if n_groups > 1 else 0):
        resampling.pulse()
        value = of_groups(rng.integers(n_groups, size=n_groups))
        if value is not None:
            values.append(value)
    return np.asarray(values, dtype=np.float64)


def _interval(values: npt.NDArray[np.float64], resampling: Resampling) -> tuple[float | None, float | None]:
    """Return the percentile interval, if at least half of the draws had a value."""
    if 2 * len(values) < resampling.draws:
        return None, None
    tail = (1 - resampling.confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
