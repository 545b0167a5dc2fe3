"""Promise: the groups of a set are chosen by the stated cost, and no single move or swap would lower it.

The cost is written here once more, in plain Python from the sentence that a split's record carries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from math import inf

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.datasets.splits import _optimizer
from napari_cyto.datasets.splits._optimizer import choose_groups, folds_of

Table = list[list[int]]


def lacking(table: Table, inside: set[int], needed: int) -> int:
    """Classes that a set, or the sets that the rest is divided into, would lack although they have groups enough."""
    count = 0
    for column in zip(*table, strict=True):
        groups = [i for i, n in enumerate(column) if n]
        taken = sum(i in inside for i in groups)
        count += len(groups) > needed and (taken == 0 or len(groups) - taken < needed)
    return count


def share_cost(table: Table, inside: set[int], share: float, needed: int) -> float:
    whole = sum(map(sum, table))
    columns = [column for column in zip(*table, strict=True) if sum(column)]
    off = [abs(sum(n for i, n in enumerate(column) if i in inside) / sum(column) - share) for column in columns]
    cells = sum(sum(table[i]) for i in inside) / whole
    return sum(off) / len(off) + abs(cells - share) + lacking(table, inside, needed)


def proportion_cost(table: Table, inside: set[int], share: float, needed: int) -> float:
    whole, parts = sum(map(sum, table)), ([], [])
    for i, row in enumerate(table):
        parts[i in inside].append(row)
    cost = 0.0
    for part in parts:
        cells = sum(map(sum, part))
        if not cells:
            return inf
        for column, all_of_it in zip(zip(*part, strict=True), zip(*table, strict=True), strict=True):
            cost += abs(sum(column) / cells - sum(all_of_it) / whole)
    return cost + abs(sum(map(sum, parts[1])) / whole - share) + 0.05 * lacking(table, inside, needed)


def swapped(inside: set[int], everyone: range) -> list[set[int]]:
    return [inside - {one} | {other} for one in inside for other in everyone if other not in inside]


def moved(inside: set[int], everyone: range) -> list[set[int]]:
    found = [inside ^ {one} for one in everyone] + swapped(inside, everyone)
    return [each for each in found if 0 < len(each) < len(everyone)]


def assert_no_neighbour_is_better(
    table: Table,
    found: tuple[npt.NDArray[np.bool_], float],
    neighbours: Callable[[set[int], range], list[set[int]]],
    cost_of: Callable[[set[int]], float],
) -> set[int]:
    chosen, cost = found
    inside = set(np.flatnonzero(chosen).tolist())
    assert 0 < len(inside) < len(table)
    assert cost == pytest.approx(cost_of(inside))
    assert all(cost <= cost_of(other) + 1e-9 for other in neighbours(inside, range(len(table))))
    return inside


rows = st.lists(st.integers(0, 12), min_size=3, max_size=3).filter(any)
tables = st.lists(rows, min_size=2, max_size=9)
shares = st.sampled_from([0.1, 0.15, 0.2, 0.35, 0.5])


@settings(max_examples=60)
@given(table=tables, share=shares, needed=st.integers(1, 2), seed=st.integers(0, 3))
def test_no_move_of_a_group_and_no_swap_brings_a_set_nearer_to_its_share(table, share, needed, seed) -> None:
    found = choose_groups(np.array(table, dtype=float), share, seed, needed)
    assert_no_neighbour_is_better(table, found, moved, lambda each: share_cost(table, each, share, needed))


@settings(max_examples=40)
@given(table=tables, share=shares, needed=st.integers(1, 2), seed=st.integers(0, 3), data=st.data())
def test_so_many_groups_are_the_best_of_all_or_of_all_that_swaps_reach(table, share, needed, seed, data) -> None:
    count = data.draw(st.integers(1, len(table) - 1))
    counts = np.array(table, dtype=float)
    everyone = range(len(table))

    def cost_of(inside: set[int]) -> float:
        return proportion_cost(table, inside, share, needed)

    best = min(cost_of(set(pick)) for pick in combinations(everyone, count))
    assert choose_groups(counts, share, seed, needed, count)[1] == pytest.approx(best)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_optimizer, "EXACT_UP_TO", 0)
        patch.setattr(_optimizer, "_STARTS", 3)
        found = choose_groups(counts, share, seed, needed, count)
    assert len(assert_no_neighbour_is_better(table, found, swapped, cost_of)) == count


def test_of_some_starts_the_best_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 60, (14, 4)).astype(float) ** 2
    best = choose_groups(table, 0.3, 0, 1, 4)[1]
    monkeypatch.setattr(_optimizer, "EXACT_UP_TO", 0)
    assert choose_groups(table, 0.3, 0, 1, 4)[1] == pytest.approx(best)


def test_where_the_swaps_are_too_many_some_of_them_still_lead_to_a_good_set(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(1).integers(1, 30, (40, 3)).astype(float)
    monkeypatch.setattr(_optimizer, "_SWAPS", 30)
    for count in (None, 8):
        chosen, cost = choose_groups(table, 0.2, 0, 1, count)
        inside = set(np.flatnonzero(chosen).tolist())
        cost_of = share_cost if count is None else proportion_cost
        assert cost == pytest.approx(cost_of(table.astype(int).tolist(), inside, 0.2, 1))
        assert cost < 0.1
        assert count in (None, len(inside))


@given(share=st.floats(0.01, 0.89), most=st.integers(2, 20))
def test_a_share_is_so_many_folds_of_as_few_as_come_near(share: float, most: int) -> None:
    found = _optimizer._fraction(share, most)
    every = {Fraction(n, d) for d in range(2, most + 1) for n in range(1, d)}
    assert found in every
    if near := [each for each in every if abs(each - share) <= 0.02]:
        assert abs(found - share) <= 0.02
        assert found.denominator == min(each.denominator for each in near)
    else:
        assert abs(found - share) == min(abs(each - share) for each in every)


@settings(max_examples=20)
@given(seed=st.integers(0, 100), folds=st.integers(2, 5))
def test_folds_are_of_near_equal_size_and_hold_each_class(seed: int, folds: int) -> None:
    table = np.random.default_rng(seed).integers(4, 9, (20, 2)).astype(float)
    fold = folds_of(table, folds, seed)
    assert (fold == folds_of(table, folds, seed)).all()
    for number in range(folds):
        assert table[fold == number].sum(axis=0) / table.sum(axis=0) == pytest.approx(1 / folds, abs=0.1)


@pytest.mark.filterwarnings("error")
def test_where_every_class_is_rarer_than_folds_the_groups_are_dealt_evenly_without_a_warning() -> None:
    assert sorted(folds_of(np.eye(4), 3, 0).tolist()) == [0, 0, 1, 2]
    one_rare = np.array([[9.0, 0], [9, 0], [9, 1], [9, 0]])
    assert sorted(folds_of(one_rare, 4, 0).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("table", [[], [[3, 1]]])
def test_fewer_than_two_groups_are_not_divided(table: Sequence[Sequence[int]]) -> None:
    chosen, cost = choose_groups(np.array(table, dtype=float).reshape(len(table), 2), 0.2, 0, 1)
    assert chosen.tolist() == [False] * len(table)
    assert cost == 0
