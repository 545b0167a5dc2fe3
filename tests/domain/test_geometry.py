"""Promise: what lies in, on, over and near what is as shapely, or counting by hand, says; edges are half-open."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import (
    Box,
    Point,
    Polygon,
    area,
    bounds_of,
    bounds_outside,
    bounds_reach_out,
    box_area,
    box_contains_box,
    box_contains_point,
    boxes_overlap,
    boxes_touch,
    click_rank,
    clipped,
    count_in_outlines,
    covered_area,
    distance,
    distance_to_outline,
    distances,
    grown,
    intersection,
    iou,
    is_on_image,
    lies_outside,
    outlines_within,
    overlapping,
    pairs_within,
    pixels_in_outline,
    points_in_box,
    points_in_outline,
    reaches_out,
    touching,
)

# Small whole numbers meet each other's edges and corners; any others next to never do.
whole = st.integers(-6, 6).map(float)
places = st.tuples(whole, whole)
sides = st.tuples(whole, whole).filter(lambda ends: ends[0] != ends[1]).map(sorted)
boxes = st.tuples(sides, sides).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))
outlines = st.lists(places, min_size=3, max_size=9).map(tuple)
anywhere = st.floats(-1e5, 1e5)
drawn = st.lists(st.tuples(anywhere, anywhere), min_size=3, max_size=12).map(tuple)


def as_area(box_yxyx):
    return shapely.box(*box_yxyx)


@given(drawn, st.lists(st.tuples(anywhere, anywhere), max_size=20))
def test_points_lie_in_any_outline_by_the_even_odd_rule(outline, points):
    inside = points_in_outline(np.array(points).reshape(-1, 2), outline)
    ring = shapely.LinearRing(outline)
    for found, (y, x) in zip(inside, points, strict=True):
        ray = [(a, b) for a, b in zip(outline, (*outline[1:], outline[0]), strict=True) if (a[0] > y) != (b[0] > y)]
        beyond = [(b[1] - a[1]) * (y - a[0]) / (b[0] - a[0]) + a[1] > x for a, b in ray]
        if ring.distance(shapely.Point(y, x)) > 1e-6:
            assert found == (sum(beyond) % 2 == 1)


@given(boxes, st.lists(places, max_size=12))
def test_a_box_and_the_outline_of_it_hold_the_same_points_on_the_edge_too(box, points):
    y0, x0, y1, x1 = box
    points = np.array(points).reshape(-1, 2)
    inside = [y0 <= y < y1 and x0 <= x < x1 for y, x in points]
    assert points_in_box(points, box).tolist() == inside
    assert points_in_outline(points, [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]).tolist() == inside
    assert points_in_outline(points, [(y1, x0), (y1, x1), (y0, x1), (y0, x0)]).tolist() == inside
    assert [box_contains_point(box, (y, x)) for y, x in points] == inside
    closed = [box_contains_point(box, (y, x), closed=True) for y, x in points]
    assert closed == [as_area(box).intersects(shapely.Point(y, x)) for y, x in points]
    assert points_in_box(points, box, 1.0).tolist() == points_in_box(points, grown(box, 1.0)).tolist()


def test_of_two_regions_that_share_a_slanted_edge_each_point_on_it_has_one():
    left, right = [(0, 0), (0, 3), (8, 7), (8, 0)], [(0, 3), (0, 9), (8, 9), (8, 7)]
    on_edge = np.array([(2 * n, 3 + n) for n in range(4)], float)
    assert (points_in_outline(on_edge, left) ^ points_in_outline(on_edge, right)).all()


def test_an_outline_that_encloses_nothing_holds_nothing_and_no_points_are_none():
    for flat in ([(0, 0), (5, 5), (9, 9)], [(1, 1)] * 3):
        assert not points_in_outline(np.array([(5.0, 5.0), (1.0, 1.0), (2.0, 7.0)]), flat).any()
    assert points_in_outline(np.empty((0, 2)), [(0, 0), (0, 1), (1, 1)]).shape == (0,)


@given(boxes, boxes)
def test_boxes_have_in_common_what_shapely_says(one, other):
    a, b = as_area(one), as_area(other)
    assert boxes_touch(one, other) == a.intersects(b)
    assert boxes_overlap(one, other) == (a.intersection(b).area > 0)
    assert overlapping(np.array([one, one]), other).tolist() == [boxes_overlap(one, other)] * 2
    assert overlapping(np.array([one]), other, 1.0).tolist() == [boxes_overlap(one, grown(other, 1.0))]
    assert box_contains_box(one, other) == a.covers(b)
    common = intersection(one, other)
    assert (0.0 if common is None else box_area(common)) == a.intersection(b).area
    assert common is None or as_area(common).equals(a.intersection(b))
    assert iou(one, other) == pytest.approx(a.intersection(b).area / a.union(b).area)
    assert bounds_of((one, other)) == shapely.union(a, b).bounds


def test_a_box_grows_by_as_much_up_and_down_and_left_and_right():
    assert grown((1, 2, 3, 4), 10) == (-9, -8, 13, 14)
    assert grown((1, 2, 3, 4), 10, 20) == (-9, -18, 13, 24)


@given(st.lists(boxes, max_size=12))
def test_each_box_is_reported_with_the_earlier_ones_that_it_touches(them):
    them = [Box(*b) for b in them]
    found = {n: others.tolist() for n, others in touching(them)}
    expected = {
        n: [m for m in range(n) if boxes_touch(them[m].bounds_yxyx, them[n].bounds_yxyx)] for n in range(len(them))
    }
    assert found == {n: others for n, others in expected.items() if others}


@given(boxes, places, st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_an_image_ends_before_its_last_px_and_a_point_on_its_border_is_not_outside(box, yx, size_hw):
    height, width = size_hw
    image = shapely.box(0, 0, height, width)
    part = clipped(box, size_hw)
    assert (0.0 if part is None else box_area(part)) == as_area(box).intersection(image).area
    assert is_on_image(yx, size_hw) == (0 <= yx[0] < height and 0 <= yx[1] < width)
    assert lies_outside(Point(*yx), size_hw) == (not image.intersects(shapely.Point(yx)))
    assert lies_outside(Box(*box), size_hw) == bounds_outside(box, False, size_hw) == (part is None)
    assert reaches_out(Box(*box), size_hw) == bounds_reach_out(box, size_hw) == (not image.covers(as_area(box)))


def brute_distance(outline, yx):
    """By the nearest of many places along each side; 0 where a turn around the place is whole."""
    if points_in_outline(np.array([yx]), outline)[0]:
        return 0.0
    return min(side_distance(a, b, yx) for a, b in zip(outline, (*outline[1:], outline[0]), strict=True))


def side_distance(a, b, yx):
    along = np.linspace(0, 1, 2001)[:, None]
    return float(np.hypot(*(np.array(a) + along * (np.array(b) - np.array(a)) - yx).T).min())


@given(outlines, places)
def test_a_place_is_as_far_from_an_outline_as_from_its_nearest_side(outline, yx):
    assert distance(Polygon(outline), yx) == pytest.approx(brute_distance(outline, yx), abs=0.01)
    line = min(side_distance(a, b, yx) for a, b in zip(outline, (*outline[1:], outline[0]), strict=True))
    assert distance_to_outline(outline, yx) == pytest.approx(line, abs=0.01)


@given(boxes, places)
def test_a_place_is_as_far_from_a_box_and_a_point_as_shapely_says(box, yx):
    assert distance(Box(*box), yx) == pytest.approx(as_area(box).distance(shapely.Point(yx)))
    assert distance(Point(*box[:2]), yx) == pytest.approx(math.dist(box[:2], yx))


@given(st.lists(places, max_size=12), st.sampled_from([1.0, 2.0, math.sqrt(2), 5.0]))
def test_pairs_are_those_nearer_than_that_and_those_as_far_where_closed(points, apart):
    points = np.array(points).reshape(-1, 2)
    every = [(i, j) for i in range(len(points)) for j in range(i + 1, len(points))]
    away = {(i, j): math.hypot(*(points[i] - points[j])) for i, j in every}
    assert sorted(map(tuple, pairs_within(points, apart).tolist())) == [p for p in every if away[p] < apart]
    closed = pairs_within(points, apart, closed=True).tolist()
    assert sorted(map(tuple, closed)) == [p for p in every if away[p] <= apart]


def test_distances_are_of_each_to_its_own_or_of_all_to_one():
    points = np.array([(0.0, 0.0), (3.0, 4.0)])
    assert distances(points, np.array([(0.0, 2.0), (0.0, 0.0)])).tolist() == [2.0, 5.0]
    assert distances(points, (3.0, 4.0)).tolist() == [5.0, 0.0]


def test_areas_are_in_px_and_what_lies_twice_counts_once():
    square = Polygon(((0, 0), (0, 10), (10, 10), (10, 0)))
    assert (area(square), area(Box(0, 0, 2, 3)), area(Point(4, 4))) == (100.0, 6.0, 0.0)
    assert area(Polygon(((0, 0), (0, 4), (3, 4)))) == 6.0
    nowhere, image = np.empty((0, 2)), (0.0, 0.0, 20.0, 30.0)
    assert covered_area([square, square], nowhere, 0.0, image) == 100.0
    assert covered_area([square], nowhere, 0.0, (5.0, 5.0, 20.0, 30.0)) == 25.0
    assert covered_area([], nowhere, 4.0, image) == 0.0
    circle = covered_area([], np.array([(10.0, 25.0)]), 4.0, image)
    assert circle == pytest.approx(math.pi * 16, rel=0.01)
    # Half of one beyond the right border, none at the transposed place.
    assert covered_area([], np.array([(10.0, 30.0)]), 4.0, image) == pytest.approx(circle / 2)
    assert covered_area([], np.array([(30.0, 10.0)]), 4.0, image) == 0.0


def test_a_click_means_a_cell_before_a_region_then_the_nearest_the_smallest_and_the_nearest_middle():
    at = (5.0, 5.0)
    shapes = [
        (Box(4.0, 4.0, 7.0, 7.0), False),
        (Box(4.0, 4.0, 9.0, 8.0), False),
        (Box(4.5, 4.0, 9.5, 8.0), False),
        (Box(0.0, 0.0, 4.0, 4.0), False),
        (Polygon(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0))), True),
    ]
    ranks = [click_rank(shape, at, is_region=is_region) for shape, is_region in shapes]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_outlines_that_overlap_hold_or_nearly_touch_each_other_are_pairs() -> None:
    def square(y: float, x: float, side: float) -> tuple[tuple[float, float], ...]:
        return ((y, x), (y, x + side), (y + side, x + side), (y + side, x))

    crossing = ((-5.0, 4.0), (-5.0, 5.0), (15.0, 5.0), (15.0, 4.0))
    outlines = [square(0, 0, 10), square(0, 11, 10), square(3, 3, 2), square(50, 50, 10), crossing]
    assert sorted(outlines_within(outlines, 1.0).tolist()) == [[0, 1], [0, 2], [0, 4], [2, 4]]
    assert sorted(outlines_within(outlines, 0.9).tolist()) == [[0, 2], [0, 4], [2, 4]]
    assert outlines_within(outlines[:1], 9.0).shape == outlines_within([], 9.0).shape == (0, 2)


@given(st.lists(outlines, max_size=8), st.lists(places, max_size=20))
def test_points_are_counted_in_many_outlines_as_in_each_alone(many, points):
    yx = np.array(points).reshape(-1, 2)
    assert count_in_outlines(yx, many).tolist() == [points_in_outline(yx, outline).sum() for outline in many]


def test_points_are_counted_in_more_outlines_than_one_go_takes():
    rng = np.random.default_rng(0)
    turns = np.sort(rng.uniform(0, 2 * np.pi, (500, 12)), axis=1)
    stars = rng.uniform(0, 300, (500, 1, 2)) + np.stack([np.sin(turns), np.cos(turns)], 2) * rng.uniform(
        5, 40, (500, 12, 1)
    )
    # Whole numbers put points on lines and corners, and mixed corners let lines cross.
    stars[::2] = stars[::2].round()
    stars[::5] = rng.permuted(stars[::5], axis=1)
    points = np.concatenate(
        [rng.uniform(0, 300, (500, 2)), rng.integers(0, 300, (500, 2)), stars[::2, 3], stars[::2, 7]]
    )
    found = count_in_outlines(points, list(stars))
    assert found.tolist() == [points_in_outline(points, outline).sum() for outline in stars]
    assert found.max() > 9


def test_the_pixels_of_an_outline_are_those_whose_centre_it_holds() -> None:
    held = pixels_in_outline(((101.0, 201.0), (101.0, 203.2), (103.6, 203.2), (103.6, 201.0)), (100, 200), (5, 4))
    assert held.astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
