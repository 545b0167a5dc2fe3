"""Promise: no cell where nothing was scanned, at any size and in any colour; and no dark cell is taken for that."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_cyto.inference.engine._unscanned_area import not_scanned
from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.inference.model_view import ImagePixels, ModelView


def request(image: np.ndarray, points: list[tuple[float, float]], mpp: float | None, cut: bool = False) -> list[bool]:
    height, width = image.shape[:2]
    y0, x0 = (height // 3, width // 3) if cut else (-64, -64)
    tile = Tile(y0, x0, height - 2 * y0, width - 2 * x0, (0.0, 0.0, float(height), float(width)))
    view = ModelView(ImagePixels(image), 1.0)
    return not_scanned(np.array(points), tile, view.read(tile.y0, tile.x0, tile.height, tile.width), view, mpp).tolist()


def jpeg(image: np.ndarray, quality: int = 80) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream).convert("RGB"))


def smear(height: int, width: int, mpp: float, seed: int = 0) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Stained ground with dark nuclei, the darkest nearly black, each with the grain of chromatin."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (205, 180, 200), np.float64)
    centres = [tuple(rng.uniform((0, 0), (height, width))) for _ in range(max(4, int(height * width * mpp**2 / 2500)))]
    ys, xs = np.ogrid[:height, :width]
    for n, (y, x) in enumerate(centres):
        inside = np.hypot(ys - y, xs - x) <= rng.uniform(4, 14) / mpp
        image[inside] = np.array([(35, 20, 40), (90, 60, 110), (180, 150, 170)][n % 3])
    grain = ndimage.gaussian_filter(rng.normal(0, 1, image.shape[:2]), 0.8 / mpp)
    return np.clip(image + 6 * (grain / grain.std())[..., None], 0, 255).astype(np.uint8), centres


EVEN = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "blue": (40, 60, 160),
}


@pytest.mark.parametrize("size", [(24, 30), (60, 90), (300, 400)])
@pytest.mark.parametrize("mpp", [0.25, 1.0, None])
@pytest.mark.parametrize("colour", [*EVEN, "jpeg", "sensor"])
def test_one_even_colour_holds_no_cell_at_any_size(size: tuple[int, int], mpp: float | None, colour: str) -> None:
    rng = np.random.default_rng(2)
    image = np.empty((*size, 3), np.uint8)
    image[:] = EVEN.get(colour, (200, 190, 205))
    if colour == "jpeg":
        image = jpeg(np.clip(image + rng.normal(0, 1, image.shape), 0, 255).astype(np.uint8))
    if colour == "sensor":
        image = np.clip(rng.normal(7, 2.5, image.shape), 0, 255).astype(np.uint8)
    points = [tuple(rng.uniform((0, 0), size)) for _ in range(20)]
    assert all(request(image, points, mpp))


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
def test_beside_a_stained_half_the_other_half_holds_none(mpp: float, ground: tuple[int, int, int]) -> None:
    height, width = int(120 / mpp), int(200 / mpp)
    image, centres = smear(height, width, mpp)
    image[:, width // 2 :] = ground
    stored = jpeg(image)
    rng = np.random.default_rng(0)
    away = max(3 / mpp, 8)  # a compressed block of 8 px blurs the border
    beside = [(rng.uniform(0, height), rng.uniform(width / 2 + away, width)) for _ in range(30)]
    on_stain = [(y, x) for y, x in centres if x < width / 2 - 1]
    for shown in (image, stored):
        for cut in (False, True):
            assert all(request(shown, beside, mpp, cut))
            assert not any(request(shown, on_stain, mpp, cut))


def test_a_dark_cell_is_never_taken_for_what_was_not_scanned() -> None:
    for mpp in (0.25, 1.0):
        for seed in range(2):
            image, centres = smear(int(150 / mpp), int(150 / mpp), mpp, seed)
            assert not any(request(image, centres, mpp))
    # Black through and through, and as large as nuclei grow, alone on saturated glass.
    image = np.full((400, 400, 3), 255, np.uint8)
    ys, xs = np.ogrid[:400, :400]
    image[np.hypot(ys - 200, xs - 200) <= 15 / 0.5] = 0
    assert request(image, [(200.0, 200.0), (190.0, 205.0)], 0.5) == [False, False]


def test_nothing_is_requested_of_no_detections() -> None:
    assert not_scanned(
        np.empty((0, 2)), Tile(0, 0, 9, 9, (0.0, 0.0, 9.0, 9.0)), np.zeros((9, 9, 3), np.uint8),
        ModelView(ImagePixels(np.zeros((9, 9, 3), np.uint8)), 1.0), 1.0,
    ).shape == (0,)  # fmt: skip
