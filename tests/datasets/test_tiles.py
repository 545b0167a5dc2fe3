"""Which tiles of a slide are looked at: those with stained material, and a field of a camera whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets.tiles import StainedParts, grid, tiles_of
from napari_cyto.slides import open_slide
from napari_cyto.slides.tiff_writer import write_pyramid


@given(st.integers(0, 2**31), st.data())
def test_stained_parts_are_found_as_by_looking_at_each_px(seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(2, 30)), int(rng.integers(2, 30))
    mask = rng.random((rows, columns)) < 0.05
    size_hw = (rows * 37, columns * 41)
    y0, x0 = data.draw(st.integers(0, size_hw[0] - 1)), data.draw(st.integers(0, size_hw[1] - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, size_hw[0])), data.draw(st.integers(x0 + 1, size_hw[1]))
    found = StainedParts(mask, size_hw).within((y0, x0, y1, x1))
    covered = mask[y0 // 37 : -(-y1 // 37), x0 // 41 : -(-x1 // 41)]
    if covered.any():
        assert found, "stained material is never missed"
    around = mask[max(y0 // 37 - 1, 0) : -(-y1 // 37) + 1, max(x0 // 41 - 1, 0) : -(-x1 // 41) + 1]
    if not around.any():
        assert not found, "bare glass is not looked at"


@pytest.fixture(scope="module")
def slide_with_cells(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("slides") / "cells.tif"
    rng = np.random.default_rng(0)
    size = 6144
    picture = np.full((size, size, 3), 243, dtype=np.uint8)
    # Clumps of cells: some on the corners and seams of tiles, one at the slide's own corner.
    centres = np.vstack([rng.uniform(300, 2800, (30, 2)), [[1024, 1024], [832, 1664], [928, 928], [30, 30]]])
    for y, x in centres.round().astype(int):
        yy, xx = np.ogrid[max(y - 60, 0) : y + 60, max(x - 60, 0) : x + 60]
        spot = np.hypot(yy - y, xx - x) < 55
        picture[max(y - 60, 0) : y + 60, max(x - 60, 0) : x + 60][spot] = (190, 120, 170)
    write_pyramid(path, (size, size), lambda y, x, h, w: picture[y : y + h, x : x + w], mpp=0.25)
    return path, centres


def test_every_cell_is_owned_once_and_bare_glass_is_left_out(slide_with_cells: tuple[Path, np.ndarray]) -> None:
    path, centres = slide_with_cells
    with open_slide(path) as slide:
        tiles = list(tiles_of(slide))
        everything = list(tiles_of(slide, stained_only=False))
        region = list(tiles_of(slide, region_yxyx=(100.5, 0.0, 900.0, 2000.0)))
    assert np.array_equal(sum(t.owns(centres).astype(int) for t in tiles), np.ones(len(centres)))
    assert everything == list(grid((6144, 6144), 1024, 96))
    assert len(tiles) < len(everything) / 2
    inside = (centres[:, 0] >= 101) & (centres[:, 0] < 900) & (centres[:, 1] < 2000)
    assert np.array_equal(sum(t.owns(centres[inside]).astype(int) for t in region), np.ones(inside.sum()))


def test_a_camera_field_is_looked_at_whole(tmp_path: Path) -> None:
    path = tmp_path / "field.png"
    Image.fromarray(np.full((960, 1280, 3), 240, dtype=np.uint8)).save(path)
    with open_slide(path) as slide:
        tiles = list(tiles_of(slide))
    assert [t.bounds_yxyx for t in tiles] == [(0, 0, 960, 1024), (0, 256, 960, 1280)]
