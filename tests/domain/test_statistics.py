"""Guards the intervals: they hold the truth as often as they say, for rare events, few groups, unequal sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.statistics import clustered_share, share_interval, transformed_interval
from napari_cyto.domain.statistics.unreviewed_bound import ControlDraws

Groups = tuple[np.ndarray, np.ndarray]


def grouped(rng: np.random.Generator, share: float, groups: int, correlation: float, mean_size: float = 20) -> Groups:
    """Return hits and sizes of groups of very unequal size, beta-binomial with this correlation."""
    sizes = np.maximum(1, np.round(rng.gamma(1.5, mean_size / 1.5, groups))).astype(int)
    if share in (0, 1):
        return share * sizes, sizes
    prior = (1 - correlation) / correlation
    return rng.binomial(sizes, rng.beta(share * prior, (1 - share) * prior, groups)), sizes


def coverage(share: float, groups: int, correlation: float, runs: int, seed: int = 0, mean_size: float = 20) -> float:
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(runs):
        found = clustered_share(*grouped(rng, share, groups, correlation, mean_size))
        assert found.low is not None
        assert found.high is not None
        held += found.low - 1e-12 <= share <= found.high + 1e-12
    return held / runs


@pytest.mark.parametrize("groups", [10, 14, 30, 60])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.98])
def test_intervals_of_shares_cover_as_they_say(share: float, groups: int) -> None:
    """Of 95 % intervals 93 to 97 % hold the truth; 1,000 runs tell a coverage to within 1.4 points (two errors).

    A percentile bootstrap covers 59 % at 0.02 and 14 groups.
    """
    assert 0.93 - 0.014 <= coverage(share, groups, 0.1, 1000) <= 0.97 + 0.014


@pytest.mark.parametrize("groups", [10, 60])
def test_no_interval_is_a_point_where_nothing_was_seen(groups: int) -> None:
    """At 0 each interval holds the truth, which no method can help; it must not say that 0 is certain."""
    rng = np.random.default_rng(groups)
    hits, sizes = grouped(rng, 0.0, groups, 0.1)
    none, every = clustered_share(hits, sizes), clustered_share(sizes - hits, sizes)
    assert none.low == 0.0
    assert none.high is not None
    # Not more certain than independent cells would be, not less than one cell a group.
    independent, of_groups = share_interval(0, sizes.sum()), share_interval(0, groups)
    assert independent is not None
    assert of_groups is not None
    assert independent[1] < none.high < of_groups[1]
    assert every.high == 1.0
    assert every.low == pytest.approx(1 - none.high)


@pytest.mark.nightly
@pytest.mark.parametrize("correlation", [0.02, 0.05, 0.1, 0.25])
@pytest.mark.parametrize("mean_size", [8, 25, 60])
@pytest.mark.parametrize("groups", [10, 14, 20, 30, 60])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.98])
def test_coverage_holds_for_other_groups(share: float, groups: int, mean_size: float, correlation: float) -> None:
    """Cells that hardly resemble each other: too wide rather than too narrow. Very alike ones: 88 % at the least."""
    assert coverage(share, groups, correlation, 1500, mean_size=mean_size) >= (0.88 if correlation > 0.1 else 0.93)


def test_a_rare_event_in_few_patients_is_not_said_to_be_impossible() -> None:
    """0 of 30 cells of 10 patients: the bootstrap said [0, 0]."""
    found = clustered_share([0] * 10, [3] * 10)
    assert found.low == 0.0
    assert found.high is not None
    assert found.high > 0.1
    assert found.groups == 10


def test_groups_without_units_are_no_groups() -> None:
    assert clustered_share([1, 0, 2, 0], [2, 3, 4, 0]) == clustered_share([1, 0, 2], [2, 3, 4])
    assert clustered_share([3], [5]).low is None
    assert clustered_share([], []).groups == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=20))
def test_an_interval_holds_its_share_and_mirrors(pairs: list[tuple[int, int]]) -> None:
    hits, sizes = np.asarray([min(p) for p in pairs]), np.asarray([max(p) for p in pairs])
    found, mirrored = clustered_share(hits, sizes), clustered_share(sizes - hits, sizes)
    if found.low is None or found.high is None:
        assert (sizes > 0).sum() < 2
        return
    assert 0 <= found.low <= hits.sum() / sizes.sum() <= found.high <= 1
    assert mirrored.low == pytest.approx(1 - found.high, abs=1e-9)
    # Groups can tell less than their cells, never more.
    assert found.effective_n <= sizes.sum() + 1e-9


@given(st.floats(0.01, 0.99) | st.sampled_from([0.0, 1.0]), st.floats(0, 0.5), st.integers(1, 50))
def test_a_bounded_figure_stays_within_its_bounds_and_is_no_point(value: float, error: float, groups: int) -> None:
    low, high = transformed_interval(value, error, groups)
    assert 0 <= low <= value <= high <= 1
    if error > 1e-6 or value in (0, 1):
        assert high > low
    below, above = transformed_interval(2 * value - 1, 2 * error, groups, (-1.0, 1.0))
    assert below == pytest.approx(2 * low - 1, abs=1e-6)
    assert above == pytest.approx(2 * high - 1, abs=1e-6)


def ever_wrong(cells: int, abnormal: int, control_share: float, every: int, rng: np.random.Generator) -> bool:
    """Whether a bound was ever below the truth while a reader went through a slide, the riskiest cells first."""
    risk = rng.random(cells)
    is_abnormal = np.zeros(cells, bool)
    if abnormal:
        weights = np.exp(3 * risk)
        is_abnormal[rng.choice(cells, abnormal, False, weights / weights.sum())] = True
    by_chance, by_risk = rng.permutation(cells), np.argsort(-risk)
    draws = ControlDraws()
    draws.add((str(cell), place) for place, cell in enumerate(by_chance.tolist()))
    waits, left = np.ones(cells, bool), abnormal
    orders = {True: iter(by_chance.tolist()), False: iter(by_risk.tolist())}
    for step in range(cells):
        order = orders[bool(rng.random() < control_share)]
        cell = next(c for c in order if waits[c])
        waits[cell] = False
        left -= int(is_abnormal[cell])
        draws.read(str(cell), bool(is_abnormal[cell]))
        if step % every == 0 and draws.bound().most < left:
            return True
    return False


@pytest.mark.parametrize(("abnormal", "control_share"), [(0, 0.3), (3, 0.6), (12, 0.3), (25, 0.3)])
def test_the_bound_on_unread_cells_holds_whenever_one_stops(abnormal: int, control_share: float) -> None:
    """Looked at after every tenth verdict, the bound is ever wrong in 5 % of readings at most."""
    rng = np.random.default_rng(abnormal)
    wrong = sum(ever_wrong(120, abnormal, control_share, 10, rng) for _ in range(40))
    # 40 readings of which 5 % are wrong show 6 or more in 1.4 % of cases.
    assert wrong < 6


@pytest.mark.nightly
@pytest.mark.parametrize(("cells", "abnormal", "control_share"), [(8000, 1, 0.05), (8000, 1, 0.5), (8000, 80, 0.1)])
def test_the_bound_holds_at_the_size_of_a_slide(cells: int, abnormal: int, control_share: float) -> None:
    rng = np.random.default_rng(cells)
    assert sum(ever_wrong(cells, abnormal, control_share, 200, rng) for _ in range(40)) < 6


def clean_reading(unread: int, read: int) -> ControlDraws:
    draws = ControlDraws()
    draws.add((str(cell), cell) for cell in range(unread + read))
    for cell in range(read):
        assert draws.read(str(cell), False)
    return draws


@pytest.mark.parametrize("read", [50, 380, 760])
def test_clean_draws_bring_the_bound_down_nearly_as_fast_as_a_rule_of_three(read: int) -> None:
    """What may be looked at any time costs a quarter more draws than what is looked at once (3 / n), or so."""
    found = clean_reading(2431, read).bound()
    assert found.unread == 2431
    assert 3.0 / read * 0.8 < found.most / 2431 < 4.2 / read


def test_the_draws_that_are_said_to_be_needed_suffice() -> None:
    needed = clean_reading(8000, 100).bound(0.01).more
    assert needed is not None
    after = clean_reading(8000 - needed, 100 + needed).bound(0.01)
    assert after.most <= 0.0101 * 8000
    assert clean_reading(8000, 0).bound(0.01).most == 8000


def test_cells_that_change_under_the_reader_cost_evidence() -> None:
    """Each beginning anew spends of the same 5 %: whoever could begin anew for nothing would do so until it fits."""
    draws = clean_reading(500, 200)
    draws.lose(["300", "301"])
    assert not draws.outcomes
    for cell in range(200, 300):
        draws.read(str(cell), False)
    assert draws.bound().drawn == 100
    assert draws.bound().most > clean_reading(398, 100).bound().most
