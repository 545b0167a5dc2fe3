"""Promise: blur is found whatever the stain and scale, cover is found where it lies, spot checks are spread evenly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_cyto.errors import ScaleUnknownError
from napari_cyto.slides import open_slide
from napari_cyto.slides.sharpness import OUT_OF_FOCUS_BELOW, focus_of, glass_of, quality_of
from napari_cyto.slides.survey import Survey, spots_in, survey
from napari_cyto.slides.tiff_writer import write_pyramid

GLASS = np.full(3, 240, np.float32)


def smear(seed: int = 0, side: int = 512, dark: float = 0.0) -> np.ndarray:
    """Pale cells with dark nuclei and sharp edges on bright glass; ``dark`` is the share of rows under pus."""
    rng = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 240.0)
    ys, xs = np.mgrid[-22:23, -22:23]
    far = np.hypot(ys, xs)
    for y, x in rng.integers(23, side - 23, (60 * (side // 512) ** 3, 2)):
        cell = pixels[y - 22 : y + 23, x - 22 : x + 23]
        cell[far < 22] = (190, 160, 170)
        cell[far < 5] = (90, 60, 110)
    pixels[: int(side * dark)] = (70, 50, 80)
    return np.clip(pixels + rng.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)


def blurred(rgb: np.ndarray, sigma_px: float) -> np.ndarray:
    soft = ndimage.gaussian_filter(rgb.astype(float), (sigma_px, sigma_px, 0))
    return np.clip(soft + np.random.default_rng(1).normal(0, 1, rgb.shape), 0, 255).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32).mean(-1)


def test_focus_falls_with_blur_and_does_not_follow_the_stain():
    sharp = smear()
    falling = [focus_of(luma(blurred(sharp, sigma)) if sigma else luma(sharp)) for sigma in (0, 1, 2, 4)]
    assert falling[0] > OUT_OF_FOCUS_BELOW > falling[2] > 0
    assert falling[0] > falling[1] > falling[2]
    pale = 240 - (240 - sharp.astype(np.float32)) * 0.4
    assert focus_of(pale.mean(-1)) == pytest.approx(falling[0], rel=0.05)
    assert focus_of(np.zeros((64, 64), np.float32)) == 0.0


def test_what_is_obscured_is_what_lies_under_dark_cover():
    free, half = quality_of(smear(), GLASS), quality_of(smear(dark=0.5), GLASS)
    assert free.obscured < 0.03
    assert half.obscured == pytest.approx(0.5, abs=0.05)
    assert quality_of(np.full((256, 256, 3), 240, np.uint8), GLASS).focus is None


def test_glass_is_the_brightest_that_was_scanned():
    image = smear()
    image[:100] = 255
    assert np.abs(glass_of(image) - 240).max() < 6
    assert glass_of(np.full((8, 8, 3), 255, np.uint8)).tolist() == [255, 255, 255]


@pytest.mark.parametrize("spots", [1, 7, 50, 400])
def test_spots_are_few_enough_and_on_the_tissue(spots):
    tissue = np.zeros((100, 300), bool)
    tissue[20:80, 30:200] = True
    tissue[40:60, 100:140] = False
    places = spots_in(tissue, (10_000, 30_000), spots)
    assert 0 < len(places) <= spots
    if spots > 7:
        assert len(places) > spots / 3
    assert tissue[tuple((places // 100).astype(int).T)].all()
    far = spots_in(tissue, (10_000, 30_000), spots, apart_px=1500)
    gaps = np.abs(far[:, None] - far[None]).max(-1) + 1e9 * np.eye(len(far))
    assert len(far) < 2 or gaps.min() >= 1300
    assert len(spots_in(np.zeros((10, 10), bool), (1000, 1000), spots)) == 0
    lone = np.zeros((100, 100), bool)
    lone[3, 5] = True
    assert spots_in(lone, (1000, 1000), spots).tolist() == [[35.0, 55.0]]


def run(path: Path, mpp: float | None) -> Survey:
    with open_slide(path) as slide:
        *steps, last = survey(slide, mpp)
    assert all(isinstance(step, tuple) for step in steps)
    assert isinstance(last, Survey)
    return last


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_a_survey_tells_sharp_from_blurred_at_any_scale(tmp_path, mpp):
    scale = round(0.5 / mpp)
    for name, pixels in (("sharp", smear(side=1024)), ("soft", blurred(smear(side=1024), 2.5))):
        large = np.asarray(Image.fromarray(pixels).resize((1024 * scale, 1024 * scale), Image.Resampling.NEAREST))
        path = tmp_path / f"{name}.tif"
        write_pyramid(path, large.shape[:2], lambda y, x, h, w, p=large: p[y : y + h, x : x + w], mpp=mpp)
        found = run(path, mpp)
        assert found.tiles > 5
        assert found.checked > 5
        assert found.tissue.any()
        assert (found.out_of_focus == 0) if name == "sharp" else (found.out_of_focus == found.checked)


def test_lone_cells_count_as_stained_and_pen_strokes_do_not(tmp_path):
    image = np.full((8192, 8192, 3), 240, np.uint8)
    cells = [(y, x) for y in range(900, 8000, 1700) for x in range(1000, 6000, 1900)]
    for y, x in cells:
        image[y - 10 : y + 10, x - 10 : x + 10] = (150, 110, 160)
    image[300:420, 6500:8000] = (10, 20, 230)
    write_pyramid(tmp_path / "s.tif", (8192, 8192), lambda y, x, h, w: image[y : y + h, x : x + w], mpp=0.5)
    found = run(tmp_path / "s.tif", 0.5)
    assert all(found.tissue[y // 8, x // 8] for y, x in cells)
    assert not found.tissue[44, 850:950].any()
    assert found.tissue.mean() < 0.02


def test_without_a_scale_it_is_refused(tmp_path):
    Image.fromarray(smear()).save(tmp_path / "field.png")
    with pytest.raises(ScaleUnknownError, match="enter it"):
        run(tmp_path / "field.png", None)


@pytest.mark.shared
def test_real_fields_are_sharp(shared):
    found = run(shared / "slides" / "cric_fields.mrxs", 0.228)
    assert found.out_of_focus == 0
    assert 0.05 < found.obscured < 0.4
