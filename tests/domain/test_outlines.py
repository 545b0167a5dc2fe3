"""Promise: outlines that a hand draws or a box cuts enclose what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import Box, Polygon, boxes_inside, closed_outline, outline_within, rectangle
from napari_cyto.errors import CytoError

whole = st.integers(0, 20).map(float)
drawn = st.lists(st.tuples(whole, whole), min_size=3, max_size=7)


@given(drawn)
def test_what_a_hand_draws_becomes_the_largest_part_that_it_encloses(corners: list[tuple[float, float]]) -> None:
    made = shapely.make_valid(shapely.Polygon(corners))
    areas = [part for part in shapely.get_parts(shapely.get_parts(made)) if part.geom_type == "Polygon"]
    if len(set(corners)) < 3 or not any(part.area > 0 for part in areas):
        with pytest.raises(CytoError, match="at least three corners"):
            closed_outline(corners, 0.0)
        return
    outline = closed_outline(corners, 0.0)
    shape = shapely.Polygon(outline)
    assert shape.is_valid
    assert len(set(outline)) >= 3
    largest = max(part.area for part in areas)
    # Where a line crosses itself, the corner is as exact as float64.
    ways = [shapely.Polygon(part.exterior) for part in areas if math.isclose(part.area, largest)]
    assert any(way.symmetric_difference(shape).area < 1e-9 for way in ways)


def test_corners_that_change_nothing_go() -> None:
    edges = [(0.0, 0.0), (0.0, 5.0), (0.4, 10.0), (10.0, 10.0), (10.0, 0.0)]
    assert set(closed_outline(edges, 1.0)) == {(0.0, 0.0), (0.4, 10.0), (10.0, 10.0), (10.0, 0.0)}
    assert set(closed_outline(edges, 0.01)) == set(edges)
    # An outline smaller than the tolerance stays as it was drawn.
    small = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 0.0)]
    assert shapely.Polygon(closed_outline(small, 100.0)).area > 0
    tiny = [(0.0, 0.0), (0.0, 1e-3), (1e-3, 0.0)]
    assert set(closed_outline(tiny, 0.0)) == set(tiny)
    near = [(0.0, 0.0), (1e-9, 1.0), (0.0, 1.0 + 1e-9), (1.0, 0.0)]
    assert set(closed_outline(near, 0.0)) == {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)}


boxes = st.tuples(whole, whole, st.integers(1, 9), st.integers(1, 9)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(drawn, drawn, st.lists(boxes, max_size=5), st.sampled_from([0.0, 0.25]))
def test_boxes_lie_inside_where_all_their_places_do(one, other, many, slack) -> None:
    outlines = [Polygon(tuple(corners)) for corners in (one, other)]
    found = boxes_inside(np.asarray(many, np.float64).reshape(-1, 4), outlines, slack)
    assert found.dtype == bool
    covered = shapely.union_all([shapely.make_valid(shapely.Polygon(each.vertices_yx)) for each in outlines])
    assert found.tolist() == [
        shapely.box(y0 + slack, x0 + slack, y1 - slack, x1 - slack).difference(covered).area < 1e-9
        for y0, x0, y1, x1 in many
    ]
    nothing = boxes_inside(np.asarray(many, np.float64).reshape(-1, 4), [], slack)
    assert nothing.dtype == bool
    assert nothing.tolist() == [False] * len(many)


def test_a_box_lies_in_two_outlines_together() -> None:
    left, right = (Polygon(((0.0, x), (9.0, x), (9.0, x + 5.0), (0.0, x + 5.0))) for x in (0.0, 5.0))
    across = np.array([[1.0, 1.0, 8.0, 9.0], [1.0, 1.0, 8.0, 10.5], [-0.4, -0.4, 9.4, 10.4], [-0.4, 1.0, 3.0, 4.0],
                       [1.0, -0.4, 3.0, 4.0], [1.0, 1.0, 9.4, 4.0], [1.0, 1.0, 3.0, 10.4]])  # fmt: skip
    assert boxes_inside(across, [left, right]).tolist() == [True, *[False] * 6]
    assert boxes_inside(across, [left, right], 0.5).tolist() == [True] * 7
    assert boxes_inside(across, [left]).tolist() == [False] * 7


@given(drawn, boxes)
def test_what_of_an_outline_lies_in_a_box_is_their_intersection(corners, box) -> None:
    outline, within = Polygon(tuple(corners)), shapely.box(*box)
    shape = shapely.Polygon(corners)
    found = outline_within(outline, box)
    if all(box[0] <= y <= box[2] and box[1] <= x <= box[3] for y, x in corners):
        assert found is outline
        return
    assume(shape.is_valid)
    part = shape.intersection(within)
    if part.geom_type != "Polygon" or part.is_empty or len(part.interiors):
        assert found is None
    else:
        assert found is not None
        assert len(set(found.vertices_yx)) == len(found.vertices_yx)
        assert shapely.Polygon(found.vertices_yx).equals(part)


def test_an_outline_that_touches_the_edge_of_a_box_is_whole_and_one_that_crosses_itself_is_not_cut() -> None:
    edge = Polygon(((0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 0.0)))
    assert outline_within(edge, (0.0, 0.0, 4.0, 4.0)) is edge
    bow = Polygon(((0.0, 0.0), (4.0, 4.0), (0.0, 4.0), (4.0, 0.0)))
    assert outline_within(bow, (0.0, 0.0, 4.0, 4.0)) is bow
    assert outline_within(bow, (0.0, 0.0, 3.0, 4.0)) is None
    assert outline_within(edge, (4.0, 4.0, 9.0, 9.0)) is None
    comb = Polygon(((0.0, 0.0), (9.0, 0.0), (9.0, 2.0), (1.0, 2.0), (1.0, 4.0), (9.0, 4.0), (9.0, 6.0), (0.0, 6.0)))
    assert outline_within(comb, (5.0, 0.0, 9.0, 9.0)) is None


def test_four_straight_corners_are_a_box() -> None:
    corners = [(1.0, 2.0), (1.0, 9.0), (4.0, 9.0), (4.0, 2.0)]
    for start in range(4):
        turned = corners[start:] + corners[:start]
        assert rectangle(Polygon(tuple(turned))) == rectangle(Polygon(tuple(turned[::-1]))) == Box(1.0, 2.0, 4.0, 9.0)
    for wrong in ([corners[0], corners[2], corners[1], corners[3]], corners[:3], [*corners, corners[0]],
                  [(1.0, 2.0), (1.0, 9.0), (4.0, 9.0), (4.5, 2.0)], [(1.0, 2.0)] * 4,
                  [(1.0, 2.0), (1.0, 9.0), (1.0, 9.0), (1.0, 2.0)]):  # fmt: skip
        assert rectangle(Polygon(tuple(wrong))) is None
