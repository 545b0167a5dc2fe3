"""Synthetic slides whose every pixel is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cyto.slides.tiff_writer import write_pyramid


def image(height: int, width: int, y0: int = 0, x0: int = 0) -> np.ndarray:
    """Return smooth colours that depend on the position alone, so that JPEG keeps them."""
    y, x = np.mgrid[y0 : y0 + height, x0 : x0 + width]
    rgb = np.stack([128 + 90 * np.sin(y / 37), 128 + 90 * np.cos(x / 41), 128 + 60 * np.sin((y + x) / 53)], axis=-1)
    return rgb.astype(np.uint8)


@pytest.fixture
def paint() -> Callable[..., np.ndarray]:
    return image


@pytest.fixture(scope="session")
def pyramid_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyramidal slide of odd size: 1503 x 2101 px, three levels, 0.25 µm per px."""
    path = tmp_path_factory.mktemp("pyramid") / "smear.tiff"
    write_pyramid(path, (1503, 2101), lambda y, x, h, w: image(h, w, y, x), mpp=0.25, tile=128)
    return path


@pytest.fixture(scope="session")
def plain_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lossless tiled TIFF of one page."""
    path = tmp_path_factory.mktemp("plain") / "field.tif"
    tifffile.imwrite(path, image(301, 407), tile=(64, 80), compression="deflate", photometric="rgb", metadata=None)
    return path
