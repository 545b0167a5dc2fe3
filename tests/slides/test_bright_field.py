"""Promise: what cannot be a stained smear in bright field is told, and a stained smear never is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_cyto.slides.bright_field import Look, look_of
from napari_cyto.slides.pixel_source import ImagePixels
from napari_cyto.slides.stain import stain_of

CRIC = Path(__file__).parents[3] / "shared/data/cric/images"


def field(seed: int, crowded: float = 1.0, size_hw: tuple[int, int] = (720, 960)) -> np.ndarray:
    """Blue-green and pink cells with dark nuclei on bright glass, at 0.25 µm per px."""
    rng = np.random.default_rng(seed)
    image = np.full((*size_hw, 3), (238, 236, 240), np.float64)
    for n in range(int(40 * crowded)):
        y, x = rng.uniform((0, 0), size_hw)
        stain = np.array([(0.72, 0.85, 0.88), (0.92, 0.72, 0.76)][n % 2])
        # No cell reaches further than 110 / 0.7 px.
        top, left = max(int(y) - 158, 0), max(int(x) - 158, 0)
        around = image[top : int(y) + 159, left : int(x) + 159]
        ys, xs = np.ogrid[: around.shape[0], : around.shape[1]]
        ys, xs = ys + top - y, xs + left - x
        around[np.hypot(ys, xs * rng.uniform(0.7, 1.3)) < rng.uniform(50, 110)] *= stain
        around[np.hypot(ys, xs) < rng.uniform(14, 34)] *= (0.45, 0.4, 0.6)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, size_hw), 3)
    return np.clip(image + 4 * (grain / grain.std())[..., None], 0, 255).astype(np.uint8)


def look(image: np.ndarray, mpp: float | None = 0.25) -> Look:
    pixels = ImagePixels(np.ascontiguousarray(image))
    return look_of(pixels, mpp, stain_of(pixels, mpp), "a.png")


def grey(image: np.ndarray) -> np.ndarray:
    return image.mean(-1, keepdims=True).astype(np.uint8).repeat(3, axis=-1)


def fluorescence(image: np.ndarray) -> np.ndarray:
    depth = np.clip((238.0 - image.mean(-1)) * 1.2, 0, 255)
    return np.stack([0 * depth, 0.3 * depth, depth], axis=-1).astype(np.uint8)


NO_BRIGHT_FIELD = {
    "inverted": lambda p: 255 - p,
    "inverted grey": lambda p: 255 - grey(p),
    "fluorescence": fluorescence,
    "saturated spots": lambda p: 255 * (p.mean(-1, keepdims=True) < 150).astype(np.uint8).repeat(3, axis=-1),
    "dark field": lambda p: (8 + 0.6 * np.abs(238.0 - grey(p))).clip(0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("how", NO_BRIGHT_FIELD)
@pytest.mark.parametrize("mpp", [0.25, pytest.param(None, marks=pytest.mark.nightly)])
def test_dark_ground_is_refused(how: str, mpp: float | None) -> None:
    for seed, crowded in ((0, 0.4), (1, 1.5)):
        found = look(NO_BRIGHT_FIELD[how](field(seed, crowded)), mpp)
        assert "does not look like a stained smear" in found.refusal


def test_a_stained_smear_is_not_reported_whatever_surrounds_it() -> None:
    for seed, crowded in ((0, 0.1), (1, 1.0), (2, 3.0)):
        image = field(seed, crowded)
        half = image.copy()
        half[:, 480:] = 0
        for shown in (image, half, (image * 0.8).astype(np.uint8), image[200:500, 300:700]):
            assert look(shown) == Look()
        islands = np.zeros((900, 1300, 3), np.uint8)
        islands[40:740, 60:900] = image[:700, :840]
        assert look(islands) == Look()
    assert look(np.zeros((300, 400, 3), np.uint8)) == Look()


def test_grey_and_purple_all_over_are_remarks() -> None:
    assert "no colour" in look(grey(field(3))).remark
    tissue = field(4, 2.0, (1300, 1300)).astype(float)
    tissue[..., 1] = np.minimum(tissue[..., 1], tissue.min(-1))
    tissue[..., 1] = np.where(tissue.mean(-1) < 230, 0.75 * tissue[..., 1], tissue[..., 1])
    found = look(tissue.astype(np.uint8), 0.5)
    assert "haematoxylin and eosin" in found.remark
    assert not found.refusal
    assert look(tissue.astype(np.uint8)[:400, :400], 0.25) == Look(), "of a single field it cannot be told"


@pytest.mark.shared
@pytest.mark.nightly
def test_no_real_field_is_reported_and_each_inverted_one_is_refused() -> None:
    for path in sorted(CRIC.glob("*.jpg")):
        image = np.array(Image.open(path).convert("RGB"))
        assert look(image, 0.24) == Look()
        assert look(255 - image, 0.24).refusal
