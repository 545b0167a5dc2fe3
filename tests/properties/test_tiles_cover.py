"""Tiles: every point of a slide lies well inside one of them, and belongs to exactly one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.datasets.tiles import grid
from napari_cyto.errors import CytoError

sizes = st.integers(1, 5000)
tiles = st.integers(16, 1200)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[tuple[int, int], int, int]:
    tile = draw(tiles)
    return (draw(sizes), draw(sizes)), tile, draw(st.integers(0, (tile - 1) // 2))


def inside_by(point: float, low: int, high: int, length: int) -> tuple[float, float]:
    """How far a point lies from both ends of a span; the slide's own border is no end."""
    return (np.inf if low == 0 else point - low, np.inf if high == length else high - point)


@given(tilings(), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_each_cell_lies_the_margin_inside_the_one_tile_that_owns_it(
    tiling: tuple[tuple[int, int], int, int], u: float, v: float
) -> None:
    size_hw, tile, margin = tiling
    # A grid of many tiny steps says nothing more and takes long.
    size_hw = tuple(min(s, 12 * max(1, tile - 2 * margin) + tile) for s in size_hw)  # type: ignore[assignment]
    centre = np.array([[u * size_hw[0], v * size_hw[1]]])
    found = list(grid(size_hw, tile, margin))
    owners = [t for t in found if t.owns(centre)[0]]
    assert len(owners) == 1
    y0, x0, y1, x1 = owners[0].bounds_yxyx
    gaps = (*inside_by(centre[0, 0], y0, y1, size_hw[0]), *inside_by(centre[0, 1], x0, x1, size_hw[1]))
    assert min(gaps) >= margin
    for t in found:
        assert t.bounds_yxyx[0] >= 0
        assert t.bounds_yxyx[2] <= size_hw[0]
        assert t.bounds_yxyx[2] - t.bounds_yxyx[0] == min(tile, size_hw[0])
        assert t.bounds_yxyx[3] - t.bounds_yxyx[1] == min(tile, size_hw[1])


@given(st.data())
def test_a_region_is_covered_once_with_its_margin(data: st.DataObject) -> None:
    tile = data.draw(st.integers(32, 600))
    margin = data.draw(st.integers(0, tile // 4))
    height, width = data.draw(st.integers(1, 3000)), data.draw(st.integers(1, 3000))
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
    found = list(grid((height, width), tile, margin, (y0, x0, y1, x1)))
    area = sum((t.core_yxyx[2] - t.core_yxyx[0]) * (t.core_yxyx[3] - t.core_yxyx[1]) for t in found)
    assert area == (y1 - y0) * (x1 - x0)
    for t in found:
        for core, bounds, length in zip(t.core_yxyx, t.bounds_yxyx, (height, width) * 2, strict=True):
            assert abs(core - bounds) >= margin or bounds in (0, length)
        assert t.core_yxyx[0] >= t.bounds_yxyx[0]
        assert t.core_yxyx[2] <= t.bounds_yxyx[2]


def test_a_whole_slide_takes_no_memory_for_its_tiles() -> None:
    tracemalloc.start()
    count = sum(1 for _ in grid((220_000, 100_000), 1024, 96))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count > 30_000
    assert peak < 1_000_000


@pytest.mark.parametrize("margin", [512, 600, -1])
def test_a_margin_that_leaves_nothing_is_refused(margin: int) -> None:
    with pytest.raises(CytoError, match="choose it smaller"):
        list(grid((2000, 2000), 1024, margin))
