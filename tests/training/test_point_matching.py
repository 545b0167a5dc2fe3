"""Guards which proposal answers for which cell: the cost of the paper, and the least total of all assignments."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from napari_cyto.training._point_matching import hungarian, matching_cost


def cheapest(cost: np.ndarray, repeats: int) -> float:
    """The least total over all ways to give each repeated cell a proposal of its own."""
    rows = [r for _ in range(repeats) for r in range(len(cost))]
    proposals = range(cost.shape[1])
    return min(
        sum(cost[row, p] for row, p in zip(rows, chosen, strict=True)) for chosen in permutations(proposals, len(rows))
    )


@given(seed=st.integers(0, 10_000), cells=st.integers(1, 3), repeats=st.integers(1, 2), spare=st.integers(0, 2))
def test_the_total_is_the_least_of_all(seed: int, cells: int, repeats: int, spare: int) -> None:
    cost = np.random.default_rng(seed).normal(size=(cells, cells * repeats + spare))
    cell, proposal = hungarian(cost, repeats)
    assert len(set(proposal.tolist())) == len(proposal) == cells * repeats
    assert np.bincount(cell, minlength=cells).tolist() == [repeats] * cells
    assert cost[cell, proposal].sum() == pytest.approx(cheapest(cost, repeats))


@given(seed=st.integers(0, 10_000), cells=st.integers(1, 8), repeats=st.integers(1, 6))
def test_among_many_proposals_it_is_the_least_too(seed: int, cells: int, repeats: int) -> None:
    cost = np.random.default_rng(seed).integers(0, 9, size=(cells, 120)).astype(np.float64)
    cell, proposal = hungarian(cost, repeats)
    rows, columns = linear_sum_assignment(np.tile(cost, (repeats, 1)))
    assert len(set(proposal.tolist())) == len(proposal) == cells * repeats
    assert cost[cell, proposal].sum() == np.tile(cost, (repeats, 1))[rows, columns].sum()


def test_the_cost_weighs_distance_against_the_score_of_the_cells_own_class() -> None:
    cells, classes = np.array([[10.0, 10.0]]), np.array([1])
    points = np.array([[10.0, 14.0], [13.0, 14.0]])
    scores = np.array([[0.7, 0.1, 0.2], [0.1, 0.6, 0.3]])
    assert matching_cost(cells, classes, points, scores, 0.05) == pytest.approx(
        np.array([[0.05 * 4 - 0.1, 0.05 * 5 - 0.6]])
    )


def test_of_two_proposals_at_one_distance_the_surer_one_answers() -> None:
    cost = matching_cost(
        np.array([[5.0, 5.0]]),
        np.array([0]),
        np.array([[5.0, 6.0], [5.0, 4.0]]),
        np.array([[0.2, 0.8], [0.6, 0.4]]),
        0.05,
    )
    assert hungarian(cost)[1].tolist() == [1]


def test_fewer_proposals_than_repeated_cells_are_all_used() -> None:
    cell, proposal = hungarian(np.zeros((2, 3)), 4)
    assert sorted(proposal.tolist()) == [0, 1, 2]
    assert set(cell.tolist()) <= {0, 1}


@pytest.mark.parametrize("repeats", [1, 2, 6])
def test_no_cells_and_no_proposals_give_no_pairs(repeats: int) -> None:
    for shape in ((0, 5), (3, 0), (0, 0)):
        cell, proposal = hungarian(np.zeros(shape), repeats)
        assert len(cell) == len(proposal) == 0
