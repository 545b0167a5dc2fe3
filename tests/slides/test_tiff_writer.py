"""Guards that a slide of any size is written whole or not at all, and that OpenSlide reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest

from napari_cyto.errors import SlideError
from napari_cyto.slides.tiff_writer import write_pyramid


def test_openslide_reads_levels_and_mpp(pyramid_path: Path) -> None:
    with openslide.OpenSlide(pyramid_path) as slide:
        assert slide.level_dimensions == ((2101, 1503), (1050, 751), (525, 375), (262, 187))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)


def test_every_level_shows_the_same_image(pyramid_path: Path, paint) -> None:
    with openslide.OpenSlide(pyramid_path) as slide:
        for level, (w, h) in enumerate(slide.level_dimensions):
            pixels = np.asarray(slide.read_region((0, 0), level, (w, h)))[..., :3].astype(float)
            side = 2**level
            expected = paint(h * side, w * side).reshape(h, side, w, side, 3).mean((1, 3))
            assert np.abs(pixels - expected).mean() < 2.5


def test_what_draw_raises_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "old.tiff"
    target.write_bytes(b"old")

    def stop(y: int, x: int, h: int, w: int) -> np.ndarray:
        if y:
            raise KeyboardInterrupt
        return np.zeros((h, w, 3), np.uint8)

    with pytest.raises(KeyboardInterrupt):
        write_pyramid(target, (3000, 500), stop, mpp=None)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["old.tiff"]


@pytest.mark.parametrize(("size", "tile"), [((0, 5), 256), ((5, 5), 100)])
def test_refuses_what_cannot_be_written(tmp_path: Path, size: tuple[int, int], tile: int) -> None:
    with pytest.raises(SlideError, match=r"bad\.tiff cannot be written"):
        write_pyramid(tmp_path / "bad.tiff", size, lambda y, x, h, w: np.zeros((h, w, 3), np.uint8), mpp=1, tile=tile)


def test_refuses_a_drawing_of_another_shape(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match="Expected uint8 pixels of shape"):
        write_pyramid(tmp_path / "bad.tiff", (50, 50), lambda y, x, h, w: np.zeros((h, w), np.uint8), mpp=1)
    assert not list(tmp_path.iterdir())
