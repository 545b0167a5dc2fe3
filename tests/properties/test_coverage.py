"""Promise: what was looked at is the union of the views, in any order, never more than the whole slide."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.coverage import MAGNIFICATIONS, Coverage, level_of, magnification_of

sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
edges = st.floats(-500, 3500, allow_nan=False)
views = st.tuples(edges, edges, edges, edges).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)
looks = st.lists(st.tuples(views, st.floats(0.1, 100)), max_size=12)
objectives = st.sampled_from(MAGNIFICATIONS)


def looked(size_hw, pairs) -> Coverage:
    seen = Coverage(size_hw)
    for view, magnification in pairs:
        seen.see(view, magnification)
    return seen


@given(sizes, looks, objectives, st.randoms(use_true_random=False))
def test_the_order_of_views_does_not_matter(size_hw, pairs, objective, chance):
    shuffled = list(pairs)
    chance.shuffle(shuffled)
    one, other = looked(size_hw, pairs), looked(size_hw, shuffled + pairs)
    assert np.array_equal(one.seen, other.seen)
    assert one.share(objective) == other.share(objective)


@given(sizes, looks, looks, objectives)
def test_merging_is_looking_at_both(size_hw, mine, yours, objective):
    merged = looked(size_hw, mine).merged(looked(size_hw, yours))
    assert np.array_equal(merged.seen, looked(size_hw, mine + yours).seen)
    shares = [looked(size_hw, pairs).share(objective) for pairs in (mine, yours)]
    assert max(shares) <= merged.share(objective) + 1e-12
    assert merged.share(objective) <= min(1.0, sum(shares)) + 1e-9


@given(sizes, looks, objectives, st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_no_share_is_over_the_whole(size_hw, pairs, objective, h, w, seed):
    seen = looked(size_hw, pairs)
    mask = np.random.default_rng(seed).random((h, w)) < 0.4
    for where in (None, mask, np.zeros((h, w), bool)):
        assert 0.0 <= seen.share(objective, where) <= 1.0
    everything = looked(size_hw, [*pairs, ((0, 0, *size_hw), 80)])
    assert everything.share(objective, mask) == everything.share(objective) == 1.0


@given(sizes, looks)
def test_a_lower_magnification_counts_no_less(size_hw, pairs):
    shares = [looked(size_hw, pairs).share(each) for each in MAGNIFICATIONS]
    assert shares == sorted(shares, reverse=True)


@given(sizes, looks)
def test_it_is_kept_as_it_is(size_hw, pairs):
    seen = looked(size_hw, pairs)
    kept = json.loads(json.dumps(seen.to_dict()))
    assert np.array_equal(Coverage.from_dict(kept, size_hw).seen, seen.seen)
    other = (size_hw[0] + 1, size_hw[1])
    assert not Coverage.from_dict(kept, other).seen.any()


@given(sizes, views, st.floats(4, 100))
def test_the_share_is_about_the_area_of_the_view(size_hw, view, magnification):
    seen = looked(size_hw, [(view, magnification)])
    height, width = (
        max(0.0, min(far, length) - max(near, 0)) for near, far, length in zip(view[:2], view[2:], size_hw, strict=True)
    )
    step = seen.step_px
    # A place counts by its middle, so each edge is off by half a place at most.
    slack = (height + step) * (width + step) - height * width
    area = size_hw[0] * size_hw[1]
    assert abs(seen.share(MAGNIFICATIONS[0]) * area - height * width) <= slack + 1e-6


def test_too_far_away_is_not_looked_at():
    seen = Coverage((1000, 1000))
    assert not seen.see((0, 0, 1000, 1000), 3.9)
    assert seen.see((0, 0, 1000, 1000), 10.0)
    assert not seen.see((0, 0, 1000, 1000), 10.0)
    assert (seen.share(10.0), seen.share(20.0)) == (1.0, 0.0)


def test_magnification_is_that_of_the_scanners():
    assert magnification_of(0.25) == pytest.approx(40)
    assert magnification_of(1.0) == pytest.approx(10)
    assert [level_of(m) for m in (3.99, 4, 9.9, 10, 20, 40, 100)] == [0, 1, 1, 2, 3, 4, 4]


def test_a_large_slide_stays_small():
    seen = Coverage((100_000, 220_000))
    chance = np.random.default_rng(1)
    for y, x in chance.uniform((0, 0), (100_000, 220_000), (2000, 2)):
        seen.see((y, x, y + 900, x + 1500), float(chance.choice([8, 12, 30, 60])))
    assert seen.seen.nbytes <= 1_100_000
    assert len(json.dumps(seen.to_dict())) < 100_000


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.integers(1, 50), st.integers(1, 50),
       st.tuples(*[st.integers(0, 3000)] * 4), st.sampled_from(MAGNIFICATIONS))  # fmt: skip
def test_an_image_of_what_was_seen_shows_at_each_px_the_place_under_it(size_hw, h, w, view, objective) -> None:
    seen = Coverage(size_hw)
    y0, x0, y1, x1 = view
    seen.see((min(y0, y1), min(x0, x1), max(y0, y1), max(x0, x1)), 20.0)
    picture = seen.as_mask(objective, (h, w))
    assert picture.shape == (h, w)
    assert picture.dtype == bool
    for y, x in ((0, 0), (h - 1, w - 1), (h // 2, w // 3)):
        row = int((2 * y + 1) * size_hw[0] / (2 * h) / seen.step_px + 1e-9)
        column = int((2 * x + 1) * size_hw[1] / (2 * w) / seen.step_px + 1e-9)
        assert picture[y, x] == (seen.seen[row, column] >= 1 + MAGNIFICATIONS.index(objective))
    # Below the least objective, what was looked at at all.
    assert (seen.as_mask(1.0, (h, w)) == seen.as_mask(4.0, (h, w))).all()
    mask = np.arange(h * w).reshape(h, w) % 3 == 0
    sampled = seen.sampled(mask)
    middle = (min(seen.step_px, size_hw[0]) / 2, min(seen.step_px, size_hw[1]) / 2)
    assert sampled[0, 0] == mask[int(middle[0] * h / size_hw[0]), int(middle[1] * w / size_hw[1])]
    assert Coverage.from_dict(json.loads(json.dumps(seen.to_dict())), size_hw).seen.tolist() == seen.seen.tolist()
