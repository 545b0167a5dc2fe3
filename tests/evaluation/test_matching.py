"""Guards that detections are matched as Patherea section 5 says, fast, and in neither of two published wrong ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from napari_cyto.errors import CytoError
from napari_cyto.evaluation import matching
from napari_cyto.evaluation.detection import Counts, Detection, score_detections
from napari_cyto.evaluation.matching import ROUNDING, match_points

# Whole numbers on a small field: many ties, many points in the same place, distances exactly at the radius.
grid = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=25)
few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6)
anywhere = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=25)
radii = st.sampled_from([0.5, 1.0, 2.0, 5.0, 7.3])


def points(values: list[tuple[float, float]]) -> np.ndarray:
    return np.asarray(values, np.float64).reshape(-1, 2)


def distance_matrix(truth: np.ndarray, pred: np.ndarray) -> np.ndarray:
    return np.hypot(*np.moveaxis(truth[:, None] - pred[None], -1, 0))


def dense_hungarian_tp(truth: np.ndarray, pred: np.ndarray, radius_px: float) -> int:
    """The paper's protocol, word for word: the Hungarian algorithm on the Boolean matrix."""
    within = distance_matrix(truth, pred) <= radius_px * (1 + ROUNDING)
    return int(within[linear_sum_assignment(within, maximize=True)].sum())


def brute_force_tp(truth: np.ndarray, pred: np.ndarray, radius_px: float) -> int:
    """Every one-to-one assignment tried."""
    if len(truth) > len(pred):
        truth, pred = pred, truth
    within = distance_matrix(truth, pred) <= radius_px
    orders = itertools.permutations(range(len(pred)), len(truth))
    return max(int(within[range(len(truth)), list(order)].sum()) for order in orders)


def distance_first_tp(truth: np.ndarray, pred: np.ndarray, radius_px: float) -> int:
    """Published mistake one: the Hungarian algorithm on distances, the radius applied afterwards."""
    distances = distance_matrix(truth, pred)
    return int((distances[linear_sum_assignment(distances)] <= radius_px).sum())


def many_to_one_tp(truth: np.ndarray, pred: np.ndarray, radius_px: float) -> int:
    """Published mistake two: every detection near any cell counts."""
    return int((distance_matrix(truth, pred) <= radius_px).any(axis=0).sum())


@given(grid | anywhere, grid | anywhere, radii)
def test_as_many_pairs_as_the_dense_hungarian_finds(truth: list, pred: list, radius_px: float) -> None:
    t, p = points(truth), points(pred)
    assert match_points(t, p, radius_px).tp == dense_hungarian_tp(t, p, radius_px)


@given(few, few, radii)
def test_as_many_pairs_as_trying_them_all(truth: list, pred: list, radius_px: float) -> None:
    t, p = points(truth), points(pred)
    assert match_points(t, p, radius_px).tp == brute_force_tp(t, p, radius_px)


@given(grid | anywhere, grid | anywhere, radii)
def test_pairs_are_one_to_one_and_within_reach(truth: list, pred: list, radius_px: float) -> None:
    t, p = points(truth), points(pred)
    found = match_points(t, p, radius_px)
    assert len(set(found.truth_index)) == len(set(found.pred_index)) == found.tp
    assert np.array_equal(found.distances_px, np.hypot(*(t[found.truth_index] - p[found.pred_index]).T))
    assert (found.distances_px <= radius_px * (1 + ROUNDING)).all()
    assert (found.tp + found.fn, found.tp + found.fp) == (len(t), len(p))


@given(grid, grid, radii)
def test_sides_and_frames_may_be_exchanged(truth: list, pred: list, radius_px: float) -> None:
    """Turned, moved and mirrored points, and truth taken for prediction, give the same counts."""
    t, p = points(truth), points(pred)
    straight, turned = match_points(t, p, radius_px), match_points(p[:, ::-1] + 1000, t[:, ::-1] + 1000, radius_px)
    assert (straight.tp, straight.fp, straight.fn) == (turned.tp, turned.fn, turned.fp)


@given(grid | anywhere, grid | anywhere, radii)
def test_the_published_mistakes_err_to_their_own_side(truth: list, pred: list, radius_px: float) -> None:
    """Distances before the radius never find more, many-to-one never less, than there is to find."""
    t, p = points(truth), points(pred)
    reach = radius_px * (1 + ROUNDING)
    assert distance_first_tp(t, p, reach) <= match_points(t, p, radius_px).tp <= many_to_one_tp(t, p, reach)


@given(few, few, radii)
def test_the_pairs_are_the_nearest_of_their_number(truth: list, pred: list, radius_px: float) -> None:
    t, p = points(truth), points(pred)
    found = match_points(t, p, radius_px)
    distances = distance_matrix(t, p)
    best = np.inf if found.tp else 0.0
    for rows in itertools.combinations(range(len(t)), found.tp):
        for columns in itertools.permutations(range(len(p)), found.tp):
            each = distances[list(rows), list(columns)]
            if (each <= radius_px).all():
                best = min(best, float(each.sum()))
    assert found.distances_px.sum() == pytest.approx(best)


@given(grid, grid, radii)
def test_large_clusters_have_the_same_counts(truth: list, pred: list, radius_px: float) -> None:
    """Where pairs are not chosen by distance, there are as many of them."""
    t, p = points(truth), points(pred)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "NEAREST_LIMIT", 0)
        assert match_points(t, p, radius_px).tp == dense_hungarian_tp(t, p, radius_px)


def test_distances_before_the_radius_lose_a_found_cell() -> None:
    """Patherea figure 3, right: the detection on a cell is given away to a distant cell to lower the sum."""
    truth, pred = points([(0, 0), (0, 10)]), points([(0, 4), (0, -7)])
    found = match_points(truth, pred, 5)
    assert (found.tp, found.fp, found.fn) == (1, 1, 1)
    assert distance_first_tp(truth, pred, 5) == 0


def test_many_to_one_counts_a_cell_twice() -> None:
    """Patherea section 5, last mistake: two detections of one cell are one found cell and one false one."""
    truth, pred = points([(0, 0)]), points([(0, 1), (0, -2), (3, 0)])
    found = match_points(truth, pred, 5)
    assert (found.tp, found.fp, found.fn) == (1, 2, 0)
    assert many_to_one_tp(truth, pred, 5) == 3


def test_the_nearest_first_may_miss_a_pair() -> None:
    """Greedy in order of distance, the third way to be wrong: the middle detection is needed elsewhere."""
    truth, pred = points([(0, 0), (0, 6)]), points([(0, 2), (0, -4)])
    assert match_points(truth, pred, 4).tp == 2


@pytest.mark.parametrize(
    ("n_truth", "n_pred", "scores"),
    [(0, 0, (None, None, None)), (3, 0, (None, 0.0, 0.0)), (0, 3, (0.0, None, 0.0))],
)
def test_nothing_on_a_side_is_defined(n_truth: int, n_pred: int, scores: tuple[float | None, ...]) -> None:
    t, p = np.zeros((n_truth, 2)), np.zeros((n_pred, 2))
    result = score_detections(t, ["HSIL"] * n_truth, p, ["HSIL"] * n_pred, 5)
    assert result.overall == Counts(0, n_pred, n_truth)
    assert (result.overall.precision, result.overall.recall, result.overall.f1) == scores
    assert len(result.distances_px) == 0
    assert set(result.per_class) == ({"HSIL"} if n_truth or n_pred else set())


def test_the_radius_itself_is_within_also_after_micrometres() -> None:
    assert match_points([(0, 0)], [(3, 4)], 5).tp == 1
    assert match_points([(0, 0)], [(0, 3)], 0.3 / 0.1).tp == 1
    assert match_points([(0, 0)], [(0, 3.001)], 3).tp == 0


def test_a_class_is_matched_within_itself() -> None:
    """A cell that was found as another class is found, is missing in its own class, and false in the other."""
    result = score_detections([(0, 0), (0, 50)], ["HSIL", "NILM"], [(0, 1), (0, 50)], ["LSIL", "NILM"], 5)
    assert result.overall == Counts(2, 0, 0)
    assert result.per_class == {"HSIL": Counts(0, 0, 1), "LSIL": Counts(0, 1, 0), "NILM": Counts(1, 0, 0)}
    assert result.macro_f1 == pytest.approx(1 / 3)


def test_images_are_summed_not_averaged() -> None:
    one = score_detections([(0, 0)], ["a"], [(0, 0)], ["a"], 5)
    other = score_detections([(0, 0)] * 3, ["a"] * 3, [(9, 9)], ["b"], 5)
    both = one + other + Detection()
    assert both.overall == Counts(1, 1, 3)
    assert both.per_class == {"a": Counts(1, 0, 3), "b": Counts(0, 1, 0)}


def test_a_hundred_thousand_cells_are_matched() -> None:
    """Moved by less than half the distance of neighbours, all are found; a dense matrix would take 80 GB."""
    rng = np.random.default_rng(3)
    side = np.arange(317) * 20.0
    truth = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    pred = truth + rng.uniform(-6, 6, truth.shape)
    found = match_points(truth, rng.permutation(pred), 13)
    assert found.tp == len(truth) == 100_489
    assert np.sort(found.distances_px).sum() <= np.hypot(*(truth - pred).T).sum() + 1e-6


def test_clusters_of_every_size_are_matched_by_the_hundred_thousand() -> None:
    """Points at random, so dense that most hang together with others; doubled detections add nothing."""
    rng = np.random.default_rng(5)
    truth, pred = rng.uniform(0, 8000, (100_000, 2)), rng.uniform(0, 8000, (50_000, 2))
    once, twice = match_points(truth, pred, 12), match_points(pred, truth, 12)
    assert once.tp == twice.tp
    assert 20_000 < once.tp < 50_000


@pytest.mark.parametrize("in_order", [False, True])
def test_one_large_cluster_is_matched(in_order: bool) -> None:
    """Far beyond what the dense algorithm is asked for; sorted by place, as files are, is the hard case."""
    rng = np.random.default_rng(4)
    truth, pred = rng.uniform(0, 500, (5000, 2)), rng.uniform(0, 500, (5000, 2))
    if in_order:
        truth, pred = (each[np.lexsort((each[:, 1], each[:, 0] // 15))] for each in (truth, pred))
    found = match_points(truth, pred, 15)
    assert found.tp == 4931
    assert (found.distances_px <= 15 * (1 + ROUNDING)).all()


@pytest.mark.parametrize(
    ("truth", "radius_px", "word"),
    [
        ([(0.0, np.nan)], 5, "finite"),
        ([(0.0, 1.0, 2.0)], 5, "shape"),
        ([(0.0, 1.0)], 0, "above 0"),
        ([(0.0, 1.0)], np.inf, "above 0"),
    ],
)
def test_what_cannot_be_matched_is_refused(truth: list, radius_px: float, word: str) -> None:
    with pytest.raises(CytoError, match=word):
        match_points(truth, [(0, 0)], radius_px)


def test_a_radius_over_crowds_is_refused_not_swapped_out() -> None:
    with pytest.raises(CytoError, match="that of a nucleus"):
        match_points(np.zeros((5000, 2)), np.zeros((5000, 2)), 5)


def test_each_point_needs_its_class() -> None:
    with pytest.raises(CytoError, match="Expected a class for each point"):
        score_detections([(0, 0)], [], [], [], 5)
