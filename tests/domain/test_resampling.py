"""Guards that an interval over patients is the one that its source defines: draws, left-out groups, predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import betabinom

from napari_cyto.domain.statistics import clustered_share, transformed_interval
from napari_cyto.domain.statistics import excess as excess_module
from napari_cyto.domain.statistics.bootstrap import (
    MOST_LEFT_OUT,
    RESAMPLING,
    SHARE_LIKE,
    Estimate,
    Resampling,
    counted_estimate,
    estimate,
    group_numbers,
    groups_with,
    share_estimate,
    weighted_estimate,
)
from napari_cyto.domain.statistics.excess import Expected, FalseRate, together
from napari_cyto.errors import CytoError

GROUPS = ["a", "b", "a", "c", "b", "d"]
VALUES = np.array([1.0, 5.0, 2.0, 9.0, 4.0, 3.0])
FEW = Resampling(draws=40, confidence=0.8, seed=3)


def by_hand(draws: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Return the cells of each draw of four groups with replacement."""
    rng = np.random.default_rng(seed)
    members = [[0, 2], [1, 4], [3], [5]]
    return [np.concatenate([members[g] for g in rng.integers(4, size=4)]).astype(np.intp) for _ in range(draws)]


def test_groups_are_drawn_with_replacement_and_the_percentiles_reported() -> None:
    means = [VALUES[cells].mean() for cells in by_hand(40, 3)]
    low, high = np.quantile(means, [0.1, 0.9])
    expected = Estimate(4.0, pytest.approx(low), pytest.approx(high), 6, 4)
    assert estimate(lambda cells: float(VALUES[cells].mean()), GROUPS, FEW) == expected
    weighted = weighted_estimate(lambda counts: float(np.average(VALUES, weights=counts)), GROUPS, FEW)
    assert weighted == expected
    assert estimate(lambda _: 1.0, GROUPS) == Estimate(1.0, 1.0, 1.0, 6, 4)
    # Of one group nothing can be drawn.
    assert estimate(lambda _: 1.0, ["a", "a"], FEW) == Estimate(1.0, None, None, 2, 1)
    assert weighted_estimate(lambda _: 1.0, ["a"], Resampling(draws=1)) == Estimate(1.0, None, None, 1, 1)
    assert weighted_estimate(lambda _: 1.0, GROUPS, FEW, informative=2).groups == 2


@pytest.mark.parametrize(("kept", "known"), [(20, True), (19, False)])
def test_an_interval_needs_a_value_in_half_of_the_draws(kept: int, known: bool) -> None:
    answers = iter([float(k) if k < kept else None for k in range(40)] + [1.0])
    found = estimate(lambda cells: next(answers), GROUPS, FEW)
    assert (found.low is not None, found.high is not None) == (known, known)
    if known:
        assert (found.low, found.high) == (pytest.approx(1.9), pytest.approx(17.1))


def test_a_job_that_is_to_stop_is_requested_between_draws() -> None:
    requested: list[int] = []
    resampling = Resampling(draws=7, pulse=lambda: requested.append(1))
    estimate(lambda _: 1.0, GROUPS, resampling)
    assert len(requested) == 7
    weighted_estimate(lambda _: 0.5, GROUPS, resampling, SHARE_LIKE)
    assert len(requested) == 11


def test_bounded_figures_leave_each_group_out_in_turn() -> None:
    """The jackknife of a mean has the error of the textbook: sqrt((n - 1) / n * sum of squares)."""
    shares = VALUES / 10
    groups = list(range(6))
    found = weighted_estimate(lambda counts: float(np.average(shares, weights=counts)), groups, FEW, SHARE_LIKE)
    without = [np.delete(shares, k).mean() for k in groups]
    error = float(np.sqrt(5 / 6 * np.sum((np.array(without) - np.mean(without)) ** 2)))
    low, high = transformed_interval(0.4, error, 6, SHARE_LIKE, 0.8)
    assert found == Estimate(pytest.approx(0.4), pytest.approx(low), pytest.approx(high), 6, 6)
    # Whole groups are left out, of whatever size.
    seen: list[list[int]] = []
    weighted_estimate(lambda counts: float(bool(seen.append(counts.tolist()))), GROUPS, FEW, SHARE_LIKE)
    assert seen[0] == [1] * 6
    assert sorted(seen[1:]) == sorted([[0, 1, 0, 1, 1, 1], [1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 0]])


def test_of_many_groups_several_are_left_out_together() -> None:
    groups = list(range(2 * MOST_LEFT_OUT))
    seen: list[npt.NDArray[np.int64]] = []
    weighted_estimate(lambda counts: float(len(seen.append(counts.copy()) or seen) % 2), groups, FEW, SHARE_LIKE)
    out = np.array([1 - counts for counts in seen[1:]])
    assert out.shape == (MOST_LEFT_OUT, len(groups))
    assert out.sum(axis=0).tolist() == [1] * len(groups)
    assert out.sum(axis=1).tolist() == [2] * MOST_LEFT_OUT
    # Chance decides which, not their order, and the seed decides chance.
    assert any(np.diff(np.flatnonzero(row))[0] != MOST_LEFT_OUT for row in out)
    first = out[0]
    seen.clear()
    weighted_estimate(lambda counts: float(len(seen.append(counts.copy()) or seen) % 2), groups, FEW, SHARE_LIKE)
    assert (1 - seen[1] == first).all()


@pytest.mark.parametrize(
    ("answers", "informative", "known"),
    [
        ((0.4, 0.3, 0.5, None, None), None, True),
        ((0.4, 0.3, None, None, None), None, False),
        ((None, 0.3, 0.5, 0.4, 0.4), None, False),
        ((0.4, 0.3, 0.5, 0.4, 0.4), 1, False),
        ((0.4, 0.3, 0.5, 0.4, 0.4), 2, True),
    ],
)
def test_a_bounded_figure_needs_two_groups_and_half_of_its_values(
    answers: tuple[float | None, ...], informative: int | None, known: bool
) -> None:
    given = iter(answers)
    found = weighted_estimate(lambda _: next(given), GROUPS, FEW, SHARE_LIKE, informative)
    assert (found.low is not None, found.high is not None) == (known, known)
    assert (found.value, found.groups) == (answers[0], informative or 4)
    # Of two groups both have to tell something.
    for last in (0.5, None):
        of_two = iter((0.4, 0.3, last)).__next__
        found = weighted_estimate(lambda _, answer=of_two: answer(), ["a", "b"], FEW, SHARE_LIKE)
        assert (found.low is None) == (last is None)
    assert weighted_estimate(lambda _: 0.4, ["a", "a"], FEW, SHARE_LIKE).low is None


def test_shares_count_only_what_is_below_the_line() -> None:
    hits, of = [True, True, False, True, False, True], [True, True, True, False, True, False]
    found = share_estimate(hits, of, GROUPS, FEW)
    expected = clustered_share(np.array([1, 1, 0, 0]), np.array([2, 2, 0, 0]), 0.8)
    assert found == Estimate(0.5, expected.low, expected.high, 4, 2)
    assert counted_estimate([1, 1, 0, 0], [2, 2, 0, 0], FEW) == found
    assert counted_estimate([0, 0], [0, 0]).value is None
    assert share_estimate([True], [False], ["a"]) == Estimate(None, None, None, 0, 0)
    with pytest.raises(CytoError, match="for each of the 2 cells, got 1"):
        share_estimate([True, True], [True, True], ["a"])


def test_groups_are_numbered_by_first_mention() -> None:
    numbers, many = group_numbers(GROUPS, 6)
    assert (numbers.tolist(), many) == ([0, 1, 0, 2, 1, 3], 4)
    assert groups_with([True, False, True, True, False, False], GROUPS) == 2
    with pytest.raises(ValueError, match="shorter"):
        groups_with([True], GROUPS)


@pytest.mark.parametrize(("draws", "confidence"), [(0, 0.5), (1, 0.0), (1, 1.0), (1, -0.1)])
def test_what_cannot_be_drawn_is_refused(draws: int, confidence: float) -> None:
    with pytest.raises(CytoError, match=f"got {draws} and {confidence}"):
        Resampling(draws, confidence)


def test_least_and_defaults_of_resampling() -> None:
    assert Resampling(1, 0.001).draws == 1
    assert (RESAMPLING.draws, RESAMPLING.confidence) == (2000, 0.95)


@pytest.mark.parametrize(("groups", "few"), [(19, True), (20, False), (None, False)])
def test_an_estimate_of_few_groups_says_so(groups: int | None, few: bool) -> None:
    assert Estimate(0.5, 0.4, 0.6, 9, groups).to_json() == {
        "value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "groups": groups, "few_groups": few,
    }  # fmt: skip


@pytest.mark.parametrize(("called", "cells", "worth"), [(12, 400, 90.0), (0, 50, 500.0), (3, 1_000, 7.0)])
def test_false_calls_are_predicted_as_the_beta_binomial_has_it(called: int, cells: int, worth: float) -> None:
    """Jeffreys' prior, and a standard deviation between slides as large as the mean."""
    n = min(worth, cells)
    mean = (called / cells * n + 0.5) / (n + 1)
    total = mean * (1 - mean) / (mean * (1 - mean) / (n + 2) + mean**2) - 1
    found = FalseRate(called, cells, worth, 9).expected(700, 0.9)
    low, high = betabinom.ppf([0.05, 0.95], 700, mean * total, (1 - mean) * total)
    assert found == Expected(700, pytest.approx(700 * mean), low, high)
    assert FalseRate(called, cells, worth, 9).value == called / cells
    usual = betabinom.ppf([0.025, 0.975], 700, mean * total, (1 - mean) * total)
    assert (FalseRate(called, cells, worth, 9).expected(700).high, usual[1]) == (usual[1], usual[1])


def test_beyond_so_many_cells_the_range_goes_on_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = FalseRate(30, 1_000, 300.0, 12)
    counted = rate.expected(excess_module.MOST_COUNTED)
    monkeypatch.setattr(excess_module, "MOST_COUNTED", 49_999)
    smooth = rate.expected(50_000)
    assert (smooth.low, smooth.high) == (pytest.approx(counted.low, abs=2), pytest.approx(counted.high, abs=5))
    assert smooth.low == int(smooth.low)
    assert smooth != counted
    # A model that errs on nearly all is as uncertain as can be, and stays within what there is.
    assert FalseRate(9, 9, 9.0, 2).expected(5).high == 5
    assert FalseRate(0, 9, 9.0, 2).expected(0) == Expected(0, 0.0, 0.0, 0.0)


def test_models_may_err_on_the_same_slides() -> None:
    assert together([Expected(1, 2.0, 3.0, 4.0), Expected(10, 20.0, 30.0, 40.0)]) == Expected(11, 22.0, 33.0, 44.0)
