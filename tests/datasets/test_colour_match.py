"""Colours brought to those of a picked picture: statistics agree afterwards, for training as for inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2lab

from napari_cyto.datasets.colour_match import (
    ColourMatch,
    ColourStatistics,
    colour_statistics,
    match_colour,
    match_for,
    picked_statistics,
    preview_match,
    slide_statistics,
)
from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.errors import CytoError, SlideError
from napari_cyto.slides import open_slide
from napari_cyto.slides.tiff_writer import write_pyramid


def stained(seed: int, tint: tuple[float, float, float], size: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (size // 8, size // 8), dtype=np.uint8))
    grey = np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    return np.clip((0.35 + 0.45 * grey[..., None]) * 255 * np.array(tint), 0, 255).astype(np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    own, target = tmp_path / "eigenes Bild ü.png", tmp_path / "ziel.png"
    Image.fromarray(stained(0, (1.0, 0.8, 0.9))).save(own)
    Image.fromarray(stained(1, (0.7, 0.85, 1.0))).save(target)
    return own, target


def test_mean_and_spread_become_the_targets(images: tuple[Path, Path]) -> None:
    own, target = (np.asarray(Image.open(p)) for p in images)
    expected = colour_statistics(target)
    matched = colour_statistics(match_colour(own, expected))
    assert np.abs(np.subtract(matched.mean_lab, expected.mean_lab)).max() < 0.6
    assert np.abs(np.subtract(matched.std_lab, expected.std_lab)).max() < 0.6


def test_the_statistics_are_those_of_lab() -> None:
    picture = stained(3, (0.9, 0.7, 0.8), 64)
    lab = rgb2lab(picture).reshape(-1, 3)
    statistics = colour_statistics(picture)
    assert statistics.mean_lab == pytest.approx(lab.mean(0), abs=1e-3)
    assert statistics.std_lab == pytest.approx(lab.std(0), abs=1e-3)


@given(st.integers(0, 2**31), st.tuples(*[st.floats(0.8, 1.25)] * 3), st.tuples(*[st.floats(-8, 8)] * 3))
def test_the_table_agrees_with_each_px_computed_by_itself(seed: int, gain: tuple, shift: tuple) -> None:
    picture = np.random.default_rng(seed).integers(60, 200, (20, 20, 3), dtype=np.uint8)
    own = ColourStatistics((60.0, 10.0, -5.0), (15.0, 6.0, 8.0))
    target = ColourStatistics(
        tuple(m + s for m, s in zip(own.mean_lab, shift, strict=True)),
        tuple(d * g for d, g in zip(own.std_lab, gain, strict=True)),
    )
    match = ColourMatch(own, target)
    exact = match.exactly(picture / np.float32(255)) * 255
    apart = np.abs(match(picture) - exact)
    assert apart.mean() < 1
    assert np.quantile(apart, 0.9) < 3


def test_its_own_statistics_change_nothing() -> None:
    picture = stained(5, (0.9, 0.8, 1.0), 100)
    own = colour_statistics(picture)
    assert np.abs(match_colour(picture, own).astype(int) - picture).max() <= 1


def test_one_colour_and_extremes_pass(images: tuple[Path, Path]) -> None:
    expected = picked_statistics(images[1])
    for value in (0, 128, 255):
        plain = np.full((9, 7, 3), value, dtype=np.uint8)
        assert match_colour(plain, expected).shape == (9, 7, 3)
    assert match_colour(np.zeros((0, 5, 3), np.uint8), expected, expected).shape == (0, 5, 3)
    with pytest.raises(CytoError, match="no pixels"):
        colour_statistics(np.zeros((0, 5, 3), np.uint8), picture="x.png")


def test_crops_are_matched_by_their_slide_not_by_themselves(images: tuple[Path, Path]) -> None:
    target = picked_statistics(images[1])
    rule = CropRule(windows=(40.0,), unit="px", size_px=40)
    with open_slide(images[0]) as slide:
        match = match_for(slide, target)
        assert match is not None
        crops = rule.cut(slide, [(200.0, 200.0), (90.0, 300.0)], None, match)
        plain = rule.cut(slide, [(200.0, 200.0), (90.0, 300.0)], None)
        assert np.array_equal(crops[0, 0], match(plain[0, 0]))
        assert match_for(slide, None) is None
    with open_slide(images[0]) as again:
        assert np.array_equal(rule.cut(again, [(90.0, 300.0)], None, match_for(again, target))[0], crops[1])


def test_a_slide_and_a_field_cut_out_of_it_have_about_the_same_statistics(tmp_path: Path) -> None:
    whole = np.full((4400, 4400, 3), 250, dtype=np.uint8)
    whole[800:3600, 800:3600] = np.tile(stained(7, (0.9, 0.7, 0.85)), (7, 7, 1))
    path, field = tmp_path / "slide.tif", tmp_path / "field.png"
    write_pyramid(path, (4400, 4400), lambda y, x, h, w: whole[y : y + h, x : x + w], mpp=0.25, quality=95)
    Image.fromarray(whole[1600:2800, 1600:2800]).save(field)
    with open_slide(path) as slide:
        of_slide = slide_statistics(slide)
    of_field = picked_statistics(field)
    # Seen at low power as a whole, a slide's colours would spread far less than those of a field.
    assert np.abs(np.subtract(of_slide.mean_lab, of_field.mean_lab)).max() < 8
    assert np.abs(np.subtract(of_slide.std_lab, of_field.std_lab)).max() < 4


def test_the_preview_shows_before_after_and_target(images: tuple[Path, Path]) -> None:
    shown = preview_match(*images, max_px=128)
    assert shown.before.shape == shown.after.shape == (128, 128, 3)
    assert not np.array_equal(shown.before, shown.after)
    to_target = [np.abs(p.mean((0, 1)) - shown.target.mean((0, 1))).sum() for p in (shown.before, shown.after)]
    assert to_target[1] < to_target[0]


def test_a_target_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match="does not exist"):
        picked_statistics(tmp_path / "nowhere.png")
    broken = tmp_path / "broken.jpg"
    Image.fromarray(stained(0, (1, 1, 1))).save(broken)
    broken.write_bytes(broken.read_bytes()[:2000])
    with pytest.raises(CytoError, match="choose another image"):
        picked_statistics(broken)
