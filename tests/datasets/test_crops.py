"""Promise: a crop is the slide's own pixels in the middle of white, whatever its size and place."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.datasets._crops import cut_window, pad_centred

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 200, (50, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (40, 60), (223, 224), (224, 224), (300, 100), (10, 500)])
def test_padding_keeps_every_pixel_in_the_middle(size: tuple[int, int]) -> None:
    crop = RNG.integers(0, 200, (*size, 3), dtype=np.uint8)
    padded = pad_centred(crop, 224)
    assert padded.shape[:2] == tuple(max(s, 224) for s in size)
    y, x = ((padded.shape[i] - size[i]) // 2 for i in range(2))
    assert np.array_equal(padded[y : y + size[0], x : x + size[1]], crop)
    assert (padded == 255).all(axis=2).sum() == padded.shape[0] * padded.shape[1] - size[0] * size[1]


@pytest.mark.parametrize("box", [(0, 0, 50, 80), (-5, -7, 20, 30), (40, 70, 60, 100), (-9, 5, 70, 9), (90, 90, 95, 99)])
def test_a_window_beyond_the_image_is_filled(box: tuple[int, int, int, int]) -> None:
    wide = np.full((250, 280, 3), 255, dtype=np.uint8)
    wide[100:150, 100:180] = IMAGE
    y0, x0, y1, x1 = (v + 100 for v in box)
    assert np.array_equal(cut_window(IMAGE, box), wide[y0:y1, x0:x1])
