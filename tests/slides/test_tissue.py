"""Guards that the camera finds the cells, and nothing where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_cyto.slides import open_slide, thumbnail, tissue_bounds_yxyx, tissue_mask
from napari_cyto.slides.tissue import grown, mask_of

GLASS = (238, 236, 240)


def glass(height: int = 400, width: int = 600, grain: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, grain, (height, width, 3))
    return np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)


def with_cells(rgb: np.ndarray, box_yxyx: tuple[int, int, int, int]) -> np.ndarray:
    y0, x0, y1, x1 = box_yxyx
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    for y in range(y0, y1 - 15, 20):
        for x in range(x0, x1 - 15, 20):
            draw.ellipse((x, y, x + 15, y + 15), fill=(150, 190, 205) if (x + y) % 40 else (215, 160, 185))
    return np.array(image)


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(ys[0]), int(xs[0]), int(ys[-1]) + 1, int(xs[-1]) + 1)


def test_cells_are_found_where_they_are() -> None:
    found = bounds(mask_of(with_cells(glass(), (100, 200, 300, 500))))
    np.testing.assert_allclose(found, (100, 200, 300, 500), atol=10)


@pytest.mark.parametrize("grain", [0.0, 2.0, 6.0])
def test_blank_glass_has_none(grain: float) -> None:
    assert not mask_of(glass(grain=grain)).any()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_colour_has_none(value: int) -> None:
    assert not mask_of(np.full((50, 60, 3), value, np.uint8)).any()


def test_ink_and_padding_do_not_count() -> None:
    rgb = with_cells(glass(), (150, 250, 250, 400))
    rgb[10:40, 20:300] = (20, 30, 160)
    rgb[350:380, 20:300] = (15, 15, 15)
    rgb[:, 560:] = 255
    np.testing.assert_allclose(bounds(mask_of(rgb)), (150, 250, 246, 386), atol=6)


def test_bounds_are_in_level_0(tmp_path: Path) -> None:
    path = tmp_path / "field.png"
    Image.fromarray(with_cells(glass(800, 1200), (200, 400, 600, 1000))).save(path)
    with open_slide(path) as slide:
        found = tissue_bounds_yxyx(slide, 300)
        assert tissue_mask(slide, 300).shape == (200, 300)
    assert found is not None
    np.testing.assert_allclose(found, (200, 400, 600, 1000), atol=25)


def test_thumbnail_is_the_whole_slide_in_place(pyramid_path: Path, paint) -> None:
    with open_slide(pyramid_path) as slide:
        small = thumbnail(slide, 300)
    expected = np.array(Image.fromarray(paint(1503, 2101)).resize((300, 215), Image.Resampling.BOX))
    assert small.shape == expected.shape
    assert np.abs(small.astype(int) - expected).mean() < 3


@given(st.integers(0, 1000), st.tuples(st.integers(1, 30), st.integers(1, 30)), st.integers(0, 4))
def test_a_mask_grows_as_scipy_lets_it(seed: int, shape: tuple[int, int], steps: int) -> None:
    mask = np.random.default_rng(seed).random(shape) < 0.1
    expected = ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    assert np.array_equal(grown(mask, steps), expected)
