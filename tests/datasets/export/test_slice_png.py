"""Promise: a slice that is mostly beyond its slide has the same pixels as one that was encoded whole, for less work."""

from __future__ import annotations

import imagecodecs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.datasets.export._slice_overview import NAME_HEIGHT_PX, NAME_WIDTH_PX, draw_overview
from napari_cyto.datasets.export._slice_png import encode_padded
from napari_cyto.domain.geometry import Box
from napari_cyto.formats.apacc.label_lines import CLASSES
from napari_cyto.formats.apacc.slices import SliceCell

SIDE = 200


def whole(image: np.ndarray, size_hw: tuple[int, int], colour: tuple[int, int, int]) -> np.ndarray:
    area = np.empty((*size_hw, 3), np.uint8)
    area[:] = colour
    area[: image.shape[0], : image.shape[1]] = image
    return area


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, SIDE),
    st.integers(1, SIDE),
    st.sampled_from([(255, 255, 255), (0, 0, 0), (3, 200, 77)]),
    st.integers(0, 99),
)
def test_the_pixels_are_those_of_the_whole(height: int, width: int, colour: tuple[int, int, int], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = encode_padded(image, (SIDE, SIDE), colour)
    np.testing.assert_array_equal(imagecodecs.png_decode(data), whole(image, (SIDE, SIDE), colour))


def test_an_overview_of_what_there_is_is_that_of_the_whole_slice() -> None:
    size, white = (1000, 1000), (255, 255, 255)
    rng = np.random.default_rng(0)
    for name in CLASSES:
        y, x = rng.integers(0, 200, 2).tolist()
        cells = [SliceCell(name, Box(y, x, y + 50.0, x + 40.0))]
        image = np.full((y + 50 + NAME_HEIGHT_PX, x + 40 + NAME_WIDTH_PX, 3), 200, np.uint8)
        image[y:, x:] = 255
        drawn = draw_overview(image, cells, size)
        np.testing.assert_array_equal(whole(drawn, size, white), draw_overview(whole(image, size, white), cells))
