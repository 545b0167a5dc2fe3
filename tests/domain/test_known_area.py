"""Guards where on a slide it is known what is a cell: its places, its area, and the rectangles that hold it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.known_area import KnownArea

spots = st.lists(st.tuples(st.floats(0, 900), st.floats(0, 700)), max_size=12)
LEFT = Polygon(((0, 0), (0, 50), (100, 50), (100, 0)))


def test_without_limits_it_is_everywhere() -> None:
    known = KnownArea()
    assert known.is_everywhere
    assert known.contains(np.array([[1.0, 2.0]])).all()
    assert known.area_px((30, 20)) == 600
    assert known.windows((30, 20), 8, 1) == [(0.0, 0.0, 30.0, 20.0)]


def test_regions_and_surroundings_add_up() -> None:
    known = KnownArea((LEFT,), np.array([[50.0, 80.0]]), 10.0)
    assert known.contains(np.array([[50.0, 20.0], [50.0, 89.9], [50.0, 91.0], [99.0, 99.0]])).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert known.area_px((100, 100)) == pytest.approx(5000 + math.pi * 100, rel=0.01)
    twice = KnownArea((LEFT, LEFT), np.array([[50.0, 80.0], [50.0, 80.0]]), 10.0)
    assert twice.area_px((100, 100)) == known.area_px((100, 100)), "nothing is counted twice"


@given(places=spots, reach=st.floats(1, 80), side=st.floats(20, 300), region=st.booleans())
def test_the_windows_hold_all_of_it_once(places: list, reach: float, side: float, region: bool) -> None:
    known = KnownArea((LEFT,) if region else (), np.array(places, np.float64).reshape(-1, 2), reach)
    windows = known.windows((900, 700), side, 3.0)
    points = np.stack(np.meshgrid(np.arange(0.5, 900, 13), np.arange(0.5, 700, 13), indexing="ij"), axis=-1)
    points = points.reshape(-1, 2)
    times = sum(
        ((points >= (y0, x0)) & (points < (y1, x1))).all(axis=1).astype(int) for y0, x0, y1, x1 in windows
    ) + np.zeros(len(points), int)
    assert times.max(initial=0) <= 1
    assert (times[known.contains(points)] == 1).all()


@given(places=spots, reach=st.floats(0.5, 200))
def test_it_reaches_as_far_as_it_says(places: list, reach: float) -> None:
    known = KnownArea((), np.array(places, np.float64).reshape(-1, 2), reach)
    points = np.random.default_rng(0).uniform(0, 900, (40, 2))
    near = [any(math.dist(point, place) <= reach for place in places) for point in points]
    assert known.contains(points).tolist() == near
