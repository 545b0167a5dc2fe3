"""Promise: handles and freehand outlines give valid shapes, whatever the hand does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import Box, Point, Polygon, closed_outline, distance_to_outline
from napari_cyto.errors import CytoError
from napari_cyto.widgets.canvas._shape_handles import box_between, dragged, handle_at, handles_yx

places = st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))


@given(st.integers(0, 7), places)
def test_a_box_stays_a_box_whatever_handle_goes_wherever(handle, yx):
    shaped = dragged(Box(10, 20, 30, 60), handle, yx)
    assert isinstance(shaped, Box)
    assert min(shaped.size_hw) >= 0.999


def test_a_corner_moves_two_edges_and_an_edge_one():
    box = Box(10, 20, 30, 60)
    assert dragged(box, handle_at(box, (30, 60), 2.0), (35, 70)) == Box(10, 20, 35, 70)
    assert dragged(box, handle_at(box, (10, 40), 2.0), (5, 99)) == Box(5, 20, 30, 60)
    assert dragged(box, handle_at(box, (10, 20), 2.0), (40, 70)) == Box(30, 60, 40, 70)
    assert handle_at(box, (20, 40), 2.0) is None


def test_a_regions_corner_moves_alone_and_a_point_has_no_handles():
    region = Polygon(((0, 0), (0, 10), (10, 10)))
    assert dragged(region, 2, (20, 20)).vertices_yx == ((0, 0), (0, 10), (20, 20))
    assert handles_yx(Point(1, 1)) == ()


@given(places, places)
def test_a_rubber_band_is_a_box_or_nothing(a, b):
    box = box_between(a, b)
    assert box is None or min(box.size_hw) > 0


@given(st.lists(places, min_size=0, max_size=12), st.floats(0, 50))
def test_any_drawing_becomes_a_simple_outline_or_one_sentence(vertices, tolerance):
    try:
        outline = closed_outline(vertices, tolerance)
    except CytoError:
        return
    assert len(Polygon(outline).vertices_yx) >= 3


def test_an_outline_that_crosses_itself_keeps_its_largest_part():
    outline = closed_outline([(0, 0), (0, 10), (10, 10), (10, 5), (-20, 5)], 0.01)
    assert len(outline) >= 3
    with pytest.raises(CytoError, match="at least three corners"):
        closed_outline([(0, 0), (5, 5), (10, 10)], 0.1)


def test_the_line_of_a_region_is_near_and_its_middle_is_not():
    square = [(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)]
    assert distance_to_outline(square, (0.0, 5.0)) == 0
    assert distance_to_outline(square, (5.0, 5.0)) == 5
