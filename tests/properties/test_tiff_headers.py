"""Guards that no header of a TIFF hangs, fills the memory or raises anything but one sentence, whatever it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiff_bytes import (
    LENGTH,
    LENGTHS,
    PIXELS,
    ROWS,
    SUBS,
    TILE_L,
    TILE_LENGTHS,
    TILE_PLACES,
    TILE_W,
    WIDTH,
    Made,
    Tags,
    Value,
    long,
    short,
    striped,
    tiled,
)

from napari_cyto.errors import FormatError, SlideError
from napari_cyto.formats.image_size import image_size_hw
from napari_cyto.slides import open_slide
from napari_cyto.slides._tiff_check import check_tiff
from napari_cyto.slides.slide_info import true_factors_yx

PALETTE = {258: short(8), 262: short(3), 277: short(1), 320: short(*range(30))}

ATTACKS: dict[str, tuple[Made | bytes, str]] = {
    "four bytes": (b"II*\0", "a file of 4 bytes"),
    "no page": (b"II*\0\0\0\0\0", "names none"),
    "first page beyond the end": (b"II*\0\xff\xff\xff\x7f", "within the 8 bytes"),
    "width 0": (Made((striped() | {WIDTH: long(0)},), PIXELS), r"ImageWidth \(tag 256\), got 0"),
    "height 0": (Made((striped() | {LENGTH: long(0)},), PIXELS), r"ImageLength \(tag 257\), got 0"),
    "height too large": (Made((striped() | {LENGTH: long(2**32 - 1)},), PIXELS), r"ImageLength .* got 4,294,967,295"),
    "height as text": (Made((striped() | {LENGTH: Value(2, b"40 px\0")},), PIXELS), "whole numbers in ImageLength"),
    "no rows in a strip": (Made((striped() | {ROWS: long(0)},), PIXELS), r"RowsPerStrip \(tag 278\), got 0"),
    "tiles of 0 px": (Made((tiled() | {TILE_W: long(0)},), PIXELS), r"TileWidth \(tag 322\), got 0"),
    "tiles of 1 px": (Made((tiled() | {TILE_W: long(1)},), PIXELS), r"TileWidth \(tag 322\), got 1"),
    "tiles of 10 Gpx": (Made((tiled() | {TILE_W: long(10**5), TILE_L: long(10**5)},), PIXELS), "tiles of at most"),
    "too many px": (
        Made((tiled() | {WIDTH: long(30_000_000), LENGTH: long(30_000_000)},), PIXELS), "at most 274,877,906,944 px"),
    "too many tiles": (
        Made((tiled() | {WIDTH: long(40_000), LENGTH: long(40_000)},), PIXELS), "at most 4,000,000 tiles or strips"),
    "too few places": (Made((tiled() | {TILE_PLACES: long(16, 784)},), PIXELS), "6 numbers in TileOffsets .* got 2"),
    "strips too wide": (Made((striped(1, 2_000_000, 1),), PIXELS), "1,048,576 px across"),
    "no places": (Made(({c: v for c, v in tiled().items() if c != TILE_PLACES},), PIXELS), "TileOffsets"),
    "places beyond the end": (
        Made((tiled() | {TILE_PLACES: Value(4, (1, 2), count=2**30, place=100)},), PIXELS), "TileOffsets"),
    "a tile 0 deep": (Made((tiled() | {32998: long(0)},), PIXELS), r"1 in TileDepth \(tag 32998\), got 0"),
    "a short palette": (Made((striped(samples=1) | PALETTE,), PIXELS), r"768 numbers .* ColorMap .* got 30"),
    "no samples": (Made((striped() | {277: short(0)},), PIXELS), "SamplesPerPixel"),
    "no bits": (Made((striped() | {258: short(0, 0, 0)},), PIXELS), "BitsPerSample"),
    "JPEG tables of numbers": (Made((tiled() | {259: short(7), 347: long(1, 2)},), PIXELS), "JPEGTables"),
    "one packed strip of 1 Gpx": (
        Made((striped(30_000, 30_000, 30_000) | {259: short(8), LENGTHS: long(99)},), PIXELS), "strips of at most"),
    "too many tags": (b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 65535), "1 to 4,096 tags"),
}  # fmt: skip


@pytest.fixture
def written(tmp_path: Path):
    def write(made: Made | bytes, name: str = "a.tif") -> Path:
        path = tmp_path / name
        path.write_bytes(made if isinstance(made, bytes) else made.written())
        return path

    return write


@pytest.mark.parametrize(("made", "says"), ATTACKS.values(), ids=ATTACKS)
def test_a_damaged_header_is_refused_in_one_sentence_that_names_the_tag(written, made: Made | bytes, says: str) -> None:
    path = written(made)
    with pytest.raises(SlideError, match=f"^a.tif is a damaged or unusual TIFF: .*expected .*{says}") as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)


RIGHT = [
    Made((striped(),), PIXELS),
    Made((tiled(),), PIXELS),
    Made((striped(),), PIXELS, ">"),
    Made((tiled(),), PIXELS, ">", big=True),
]


@pytest.mark.parametrize("made", RIGHT)
def test_what_is_right_is_read(written, made: Made) -> None:
    path = written(made)
    assert check_tiff(path) == ""
    assert image_size_hw(path) == (40, 30)
    with open_slide(path) as slide:
        assert slide.info.size_hw == (40, 30)
        shown = slide.read_region(0, 0, 0, 16, 16)
        across = 16 if TILE_W in made.pages[0] else 30
        expected = np.frombuffer(PIXELS, np.uint8)[: 16 * across * 3].reshape(16, across, 3)[:, :16]
        np.testing.assert_array_equal(shown, expected)
        assert not slide.unreadable


@pytest.mark.parametrize("second", [{LENGTH: long(0)}, {TILE_W: long(0)}, {258: short(7, 8, 9)}], ids=str)
def test_a_damaged_further_page_is_said_and_the_first_one_shown(written, second: Tags) -> None:
    with open_slide(written(Made((tiled(), tiled(20, 15) | second), PIXELS))) as slide:
        assert slide.info.size_hw == (40, 30)
        assert [r for r in slide.info.remarks if "left out" in r and "page 2" in r]
        slide.read_region(0, 0, 0, 40, 30)
        assert not slide.unreadable


def test_chains_that_come_back_end(written) -> None:
    with open_slide(written(Made((striped(), striped(20, 15)), PIXELS, following=(1, 0)))) as slide:
        assert [r for r in slide.info.remarks if "the first ones again" in r]
    chain = Made((striped(),), PIXELS)
    place = 16 + len(PIXELS)
    with open_slide(written(replace(chain, pages=(striped() | {SUBS: long(*[place] * 50_000)},)))) as slide:
        assert [r for r in slide.info.remarks if "lists 50,000 pages" in r]


def test_more_tags_than_are_looked_at_are_said(written) -> None:
    page = striped(8, 8) | {code: short(1) for code in range(1000, 5000)}
    with open_slide(written(Made((page,) * 26, PIXELS))) as slide:
        assert [r for r in slide.info.remarks if "more than 100,000 tags together; those behind page 24" in r]
    with open_slide(written(Made((striped(8, 8),), PIXELS, sub_pages=(page,) * 10))) as slide:
        assert [r for r in slide.info.remarks if "2 pages of the file cannot be read" in r]


def test_more_pages_than_are_looked_at_are_said(written) -> None:
    with open_slide(written(Made((striped(8, 8),) * 1100, PIXELS))) as slide:
        assert [r for r in slide.info.remarks if "more than 1,000 pages" in r]


GARBAGE, A_NUMBER, BEYOND = Value(7, bytes(range(200))), long(5), Value(16, (9, 9), count=10**9, place=50)


# A description may have any bytes.
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (code, value)
        for code in (34675, 282, 270)
        for value in (GARBAGE, A_NUMBER, BEYOND)
        if (code, value.kind) != (270, 7)
    ],
    ids=str,
)
def test_what_only_describes_a_slide_never_makes_it_unreadable(written, code: int, value: Value) -> None:
    with open_slide(written(Made((striped() | {code: value},), PIXELS))) as slide:
        assert slide.info.icc is None
        assert slide.info.mpp is None
        assert slide.info.remarks
        slide.read_region(0, 0, 0, 40, 30, icc=True)
        assert not slide.unreadable


def test_a_resolution_over_nothing_is_unknown(written) -> None:
    tags = striped() | {282: Value(5, (1, 0)), 283: Value(5, (1, 0)), 296: short(3)}
    with open_slide(written(Made((tags,), PIXELS))) as slide:
        assert slide.info.mpp is None
        assert [r for r in slide.info.remarks if "1 / 0" in r]


def test_a_tile_without_a_place_is_hatched_and_the_others_shown(written) -> None:
    tags = tiled()
    tags |= {TILE_PLACES: long(16, 2**32 - 1, 16, 16, 16, 16), TILE_LENGTHS: long(768, 768, 5, 2**32 - 1, 768, 0)}
    with open_slide(written(Made((tags,), PIXELS))) as slide:
        pixels = slide.read_region(0, 0, 0, 40, 30)
        said = sorted(tile.reason for tile in slide.unreadable)
        # More bytes than needed do no harm, and a tile of no bytes is left out on purpose.
        assert len(said) == 2
        assert "the file gives it 5" in said[0]
        assert "the file ends at byte" in said[1]
        assert pixels[0, 0].tolist() == list(PIXELS[:3])
        assert pixels[39, 29].tolist() == [255, 255, 255]


def test_a_huge_strip_that_is_not_packed_is_read_in_bands(written, tmp_path: Path) -> None:
    path = tmp_path / "one_strip.tif"
    path.write_bytes(Made((striped(40_000, 20_000, 40_000),), b"").written())
    with path.open("r+b") as stream:
        stream.truncate(16 + 40_000 * 60_000)
    with open_slide(path) as slide:
        height, width = slide.tile_shape_hw(0)
        assert height * width <= 2**23
        assert slide.read_region(0, 39_000, 100, 10, 10).shape == (10, 10, 3)
        assert not slide.unreadable


@given(st.tuples(st.integers(1, 700), st.integers(1, 700)), st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_the_factor_of_a_level_is_the_one_that_trying_them_all_finds(
    size0: tuple[int, int], size: tuple[int, int]
) -> None:
    size = (min(size[0], size0[0]), min(size[1], size0[1]))
    ratios = (size0[0] / size[0], size0[1] / size[1])
    wholes = [n for n in range(1, max(size0) + 1)
              if all(s in (s0 // n, -(-s0 // n)) for s0, s in zip(size0, size, strict=True))]  # fmt: skip
    nearest = min(wholes, key=lambda n: (n & (n - 1) != 0, abs(n - sum(ratios) / 2)), default=None)
    expected = ratios if nearest is None else (float(nearest),) * 2
    assert true_factors_yx(size0, (size,)) == (expected,)


def test_the_factor_of_a_level_costs_nothing_however_large_the_slide() -> None:
    true_factors_yx((2**31, 2**31), ((1, 1), (2, 3), (2**31, 1)))


@pytest.mark.parametrize("made", [made for made, _ in ATTACKS.values()][:6], ids=list(ATTACKS)[:6])
def test_the_size_for_labels_is_refused_in_a_sentence_too(written, made: Made | bytes) -> None:
    with pytest.raises(FormatError, match=r"a\.tif: the size of the image cannot be read \(expected"):
        image_size_hw(written(made))
