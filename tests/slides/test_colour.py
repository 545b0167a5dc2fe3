"""Guards that colours come to sRGB on request only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from napari_cyto.errors import SlideError
from napari_cyto.slides import open_slide, pyramid
from napari_cyto.slides.colour import SrgbTransform


def test_srgb_stays_what_it_is(paint) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(SrgbTransform(profile)(paint(20, 30)).astype(int) - paint(20, 30)).max() <= 1


def test_no_profile_at_all() -> None:
    with pytest.raises(SlideError, match="ICC profile cannot be used"):
        SrgbTransform(b"nonsense")


def test_a_slide_without_a_profile_is_shown_as_it_is(plain_path: Path) -> None:
    with open_slide(plain_path) as slide:
        np.testing.assert_array_equal(pyramid(slide, icc=True)[0][:9, :9], pyramid(slide)[0][:9, :9])


def test_a_profile_changes_the_colours_and_only_on_request(tmp_path: Path, paint) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    Image.fromarray(paint(30, 40)).save(tmp_path / "field.png", icc_profile=swapped)
    with open_slide(tmp_path / "field.png") as slide:
        plain, mapped = pyramid(slide)[0][:], pyramid(slide, icc=True)[0][:]
    np.testing.assert_array_equal(plain, paint(30, 40))
    np.testing.assert_array_equal(mapped, SrgbTransform(swapped)(plain))
    assert np.abs(mapped.astype(int) - plain).mean() > 5


def test_a_field_with_a_profile_keeps_it(tmp_path: Path, paint) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(paint(30, 40)).save(tmp_path / "field.png", icc_profile=icc)
    with open_slide(tmp_path / "field.png") as slide:
        assert slide.info.icc == icc
