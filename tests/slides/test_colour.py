"""Guards that colours come to sRGB on request only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
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


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


DAMAGED_PROFILES = {
    "garbage": bytes(range(256)) * 9,
    "short": b"acsp",
    "cut off": _profile()[:200],
    "size beyond its end": b"\x7f\xff\xff\xff" + _profile()[4:],
    "grey": _profile()[:16] + b"GRAY" + _profile()[20:],
    "cmyk": _profile()[:16] + b"CMYK" + _profile()[20:],
    "a link": _profile()[:12] + b"link" + _profile()[16:],
    "table of a billion": _profile()[:128] + b"\x3f\xff\xff\xff" + _profile()[132:],
    "entry beyond its end": _profile()[:136] + b"\xff\xff\xff\xff" + _profile()[140:],
    "five megabytes": (5 * 2**20).to_bytes(4, "big") + _profile()[4:] + bytes(5 * 2**20),
    "no curves": _profile()[:132] + bytes(len(_profile()) - 132),
}
# The slide library hands these out whole.
REPAIRED = ("size beyond its end", "entry beyond its end", "five megabytes")


@pytest.mark.parametrize("kind", DAMAGED_PROFILES)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.svs"])
def test_a_damaged_profile_makes_no_good_slide_unreadable(tmp_path: Path, kind: str, name: str, paint) -> None:
    path, icc = tmp_path / name, DAMAGED_PROFILES[kind]
    if path.suffix in (".tif", ".svs"):
        tags = [(34675, 7, len(icc), icc, False)]
        said = "Aperio Image Library v11\n64x64|AppMag = 40" if path.suffix == ".svs" else None
        options = {"photometric": "rgb", "metadata": None, "description": said, "extratags": tags}
        tifffile.imwrite(path, paint(64, 64), tile=(64, 64), compression="deflate", **options)
    else:
        Image.fromarray(paint(64, 64)).save(path, quality=95, icc_profile=icc)
    with open_slide(path) as slide:
        assert np.abs(slide.read_region(0, 0, 0, 64, 64, icc=True).astype(int) - paint(64, 64)).mean() < 5
        assert np.abs(slide.read_region(0, 0, 0, 64, 64).astype(int) - paint(64, 64)).mean() < 5
        assert slide.unreadable == ()
        repaired = slide.info.icc is not None and kind in REPAIRED and slide.info.vendor in ("aperio", "generic-tiff")
        assert repaired or any("colour profile is damaged" in remark for remark in slide.info.remarks)
        if not repaired:
            assert slide.info.icc is None
