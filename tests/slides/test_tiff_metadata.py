"""Guards what a TIFF says in words: µm per px in any unit, colours in planes, and what is not shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cyto.slides import _tiff_metadata as tiff_says
from napari_cyto.slides import open_slide
from napari_cyto.slides._tiff_metadata import read_ome, um_per


def facts(path: Path) -> tuple[float | None, str]:
    with open_slide(path) as slide:
        return slide.info.mpp, " ".join(slide.info.remarks)


@pytest.mark.parametrize(
    ("unit", "value"),
    [("nm", 250), ("µm", 0.25), ("mm", 0.00025), ("cm", 2.5e-5), ("m", 2.5e-7), ("pm", 250_000), ("Å", 2500)],
)
def test_ome_sizes_in_any_unit(tmp_path: Path, unit: str, value: float, paint) -> None:
    path = tmp_path / "a.ome.tif"
    said = {"PhysicalSizeX": value, "PhysicalSizeY": value, "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, paint(40, 60), photometric="rgb", metadata={"axes": "YXS", **said})
    assert facts(path) == (pytest.approx(0.25), "")


def test_an_ome_unit_that_is_no_length_is_not_believed(tmp_path: Path, paint) -> None:
    path = tmp_path / "a.ome.tif"
    said = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "pixel"}
    tifffile.imwrite(path, paint(40, 60), photometric="rgb", metadata={"axes": "YXS", **said})
    with open_slide(path) as slide:
        assert slide.info.mpp is None
        assert "'pixel'" in slide.info.mpp_rejected


@pytest.mark.parametrize(
    ("unit", "per_unit"),
    [("micron", 4), ("um", 4), ("\\u00B5m", 4), ("nm", 0.004), ("mm", 4000), ("cm", 40_000), ("inch", 101_600)],
)
def test_imagejs_units_are_words(tmp_path: Path, unit: str, per_unit: float, paint) -> None:
    path = tmp_path / "a.tif"
    resolution = (per_unit, per_unit)
    tifffile.imwrite(path, paint(40, 60), imagej=True, resolution=resolution, metadata={"unit": unit})
    assert facts(path)[0] == pytest.approx(0.25, rel=1e-4)


def test_imagej_without_a_length_says_nothing(tmp_path: Path, paint) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, paint(40, 60), imagej=True, resolution=(4, 4), metadata={"unit": "pixel"})
    assert facts(path)[0] is None


@pytest.mark.parametrize(
    "words",
    [
        "Motic V1.0.0 1920x1440 [0,0 1920x1440] JPEG/RGB Q = 75|AppMag = 40|MPP = 0.257290",
        "Some scanner|MPP=0.257290|AppMag = 40",
        "MPP = 0.257290",
    ],
)
def test_a_scanners_words_are_read(tmp_path: Path, words: str, paint) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, paint(40, 60), photometric="rgb", description=words, metadata=None)
    assert facts(path)[0] == pytest.approx(0.25729)


@pytest.mark.parametrize("words", ["MPP = 0", "MPP = nan", "MPP = 896", "XMPP = 0.25", "MPP = -1"])
def test_words_that_say_nothing_true_are_not_believed(tmp_path: Path, words: str, paint) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, paint(40, 60), photometric="rgb", description=words, metadata=None)
    assert facts(path)[0] is None


CHANNELS = {"Channel": {"Name": ["Red", "Green", "Blue"]}}


@pytest.mark.parametrize("said", [CHANNELS, {}, {"Channel": {"Name": ["R", "G", "B"]}}])
@pytest.mark.parametrize("layout", [{}, {"tile": (32, 32), "compression": "deflate"}])
def test_red_green_and_blue_in_planes_are_one_colour_image(tmp_path: Path, said: dict, layout: dict, paint) -> None:
    path = tmp_path / "planes.ome.tif"
    planes = np.moveaxis(paint(50, 70), -1, 0)
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX", **said}, **layout)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, 50, 70), paint(50, 70))
        assert slide.info.remarks == ()


def test_planes_have_levels_too(tmp_path: Path, paint) -> None:
    path = tmp_path / "pyramid.ome.tif"
    planes = np.moveaxis(paint(128, 160), -1, 0)
    options = {"photometric": "minisblack", "tile": (32, 32)}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(planes, subifds=1, metadata={"axes": "CYX", **CHANNELS}, **options)
        writer.write(planes[:, ::2, ::2], subfiletype=1, **options)
    with open_slide(path) as slide:
        assert slide.info.level_sizes_hw == ((128, 160), (64, 80))
        np.testing.assert_array_equal(slide.read_region(1, 0, 0, 64, 80), paint(128, 160)[::2, ::2])


def test_an_imagej_composite_of_three_is_colour(tmp_path: Path, paint) -> None:
    path = tmp_path / "composite.tif"
    tifffile.imwrite(path, np.moveaxis(paint(50, 70), -1, 0), imagej=True, metadata={"axes": "CYX"})
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, 50, 70), paint(50, 70))


@pytest.mark.parametrize("names", [["DAPI", "FITC", "TRITC"], ["DAPI", "FITC"], ["a", "b", "c", "d"]])
def test_channels_of_fluorescence_are_no_colour_image_and_are_said(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "stained.ome.tif"
    planes = np.zeros((len(names), 50, 70), np.uint8)
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": names}})
    assert f"{len(names)} channels; the first is shown" in facts(path)[1]


@pytest.mark.parametrize(
    ("axes", "shape", "word"),
    [
        ("TZYXS", (4, 5, 40, 60, 3), "4 time points; the first is shown"),
        ("TYXS", (4, 40, 60, 3), "4 time points; the first is shown"),
    ],
)
def test_planes_that_are_not_shown_are_said(tmp_path: Path, axes: str, shape: tuple[int, ...], word: str) -> None:
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="rgb", metadata={"axes": axes})
    assert word in facts(path)[1]


def test_further_pages_of_one_size_are_said_and_a_pyramid_is_not(tmp_path: Path, paint) -> None:
    stack, pyramid = tmp_path / "stack.tif", tmp_path / "pyramid.tif"
    tifffile.imwrite(stack, np.stack([paint(40, 60)] * 5), photometric="rgb", metadata=None)
    assert "5 images of one size and does not say what they are" in facts(stack)[1]
    with tifffile.TiffWriter(pyramid) as writer:
        for level in range(3):
            writer.write(paint(256 >> level, 320 >> level), photometric="rgb", tile=(32, 32), metadata=None)
    assert facts(pyramid)[1] == ""


@pytest.mark.parametrize("tiled", [{}, {"tile": (32, 32)}])
def test_twelve_bits_in_sixteen_are_shown_in_full_and_said(tmp_path: Path, tiled: dict) -> None:
    path = tmp_path / "deep.tif"
    ramp = np.linspace(0, 4095, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint16)
    tifffile.imwrite(path, ramp, photometric="rgb", metadata=None, **tiled)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, 40, 60), ramp >> 4)
        assert "12 of the 16 bits" in slide.info.remarks[0]


def test_units_and_headers_that_are_none() -> None:
    assert um_per("furlong") is None
    assert um_per("") is None
    assert um_per("MM") is None or um_per("MM") == 1000
    assert read_ome("<OME><Image/></OME>") is None
    broken = read_ome('<OME><Image><Pixels SizeZ="99999999999" SizeC="x">')
    assert broken is not None
    assert (broken.count("Z"), broken.count("C"), broken.count("T")) == (1, 1, 1)


@pytest.mark.parametrize("text", ["inf", "nan", "-0.5", "0", "1e999", "half"])
@pytest.mark.parametrize("where", ["ome", "words"])
def test_a_size_of_a_pixel_that_is_no_number_is_unknown_and_said(tmp_path: Path, where: str, text: str, paint) -> None:
    ome = (
        f'<OME><Image><Pixels DimensionOrder="XYCZT" SizeX="30" SizeY="40" PhysicalSizeX="{text}" '
        f'PhysicalSizeY="{text}"/></Image></OME>'
    )
    path = tmp_path / "a.tif"
    description = ome if where == "ome" else f"A scanner|MPP = {text}|AppMag = {text}"
    tifffile.imwrite(path, paint(40, 30), photometric="rgb", metadata=None, description=description)
    with open_slide(path) as slide:
        assert slide.info.mpp is None
        assert slide.info.mpp_rejected == f"The file says that a pixel covers {text!r}, which is not a length."


@pytest.mark.parametrize("count", ["many", "inf", "-3", "0", "1e9", "9" * 5000])
def test_counts_of_planes_that_are_none_leave_the_slide_as_it_is(tmp_path: Path, count: str, paint) -> None:
    path = tmp_path / "a.tif"
    said = f"ImageJ=1.53\nimages=1\nslices={count}\nframes={count}\nchannels={count}\nunit={count}\n"
    tifffile.imwrite(path, paint(40, 30), photometric="rgb", metadata=None, description=said)
    with open_slide(path) as slide:
        assert slide.info.remarks == ()
        assert slide.info.mpp is None


LONG_WORDS = {
    "opened": "<Pixels " * 100_000,
    "one word": "<Pixels " + "a" * 900_000 + ">",
    "channels": "<Pixels>" + "<Channel " * 99_999,
    "a name": "<" + "a" * 900_000,
    "scale": "MPP " * 200_000,
    "quotes": "<Pixels " + 'a="' * 300_000 + ">",
}


@pytest.mark.parametrize("words", LONG_WORDS.values(), ids=LONG_WORDS)
def test_reading_words_takes_no_longer_than_they_are(words: str) -> None:
    """Each would take hours if a place were looked at once for every place before it; the test's own limit stops it."""
    read_ome(words)
    read_ome(f"<OME><Pixels>{words}</Pixels></OME>")
    tiff_says._MPP_WORD.search(words)
