"""Guards that a TIFF damaged in any tag opens right or is refused in one sentence, soon and in little memory.

Whatever is drawn is opened in a process of its own, as the command line, the window and napari open it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opener import Opener
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

IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SHORT_FORM, NIGHTLY = 120, 10_000
MOST_MEMORY_MB = 500

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux can")


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    opener = Opener(tmp_path_factory.mktemp("fuzz") / "a.tif")
    yield opener
    opener.close()


RGB = np.frombuffer(PIXELS, np.uint8)[: 16 * 16 * 3].reshape(16, 16, 3)
TILE = np.ascontiguousarray(np.tile(RGB, (2, 2, 1)))


def packed(compression: int, data: bytes, **more: Value) -> Made:
    """Four tiles of 32 px that are the same bytes."""
    tags = tiled(64, 64, 32) | {259: short(compression), TILE_PLACES: long(*[16] * 4)}
    tags |= {TILE_LENGTHS: long(*[len(data)] * 4)} | {int(code[1:]): value for code, value in more.items()}
    return Made((tags,), data)


def planar() -> Tags:
    plane = striped(40, 30, 40, samples=1)
    return plane | {258: short(8, 8, 8), 262: short(2), 277: short(3), 284: short(2),
                    PLACES_: long(16, 1216, 2416), LENGTHS: long(1200, 1200, 1200)}  # fmt: skip


PLACES_ = 273
APERIO = b"Aperio Image Library v12\n64x64 [0,0 64x64] (32x32) RGB|AppMag = 20|MPP = 0.5\0"
OME = (b'<?xml version="1.0"?><OME><Image><Pixels DimensionOrder="XYCZT" SizeX="64" SizeY="64" SizeC="3" SizeZ="1" '
       b'SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5"/></Image></OME>\0')  # fmt: skip
IMAGEJ = b"ImageJ=1.53\nimages=1\nunit=micron\n\0"
SAID = {282: Value(5, (20_000, 1)), 283: Value(5, (20_000, 1)), 296: short(3), 274: short(1)}
JPEG = imagecodecs.jpeg_encode(TILE, 80, colorspace="rgb", outcolorspace="ycbcr")
PALETTE = {258: short(8), 262: short(3), 277: short(1), 320: short(*range(0, 768 * 80, 80))}

KINDS: dict[str, Made] = {
    "strips": Made((striped() | SAID,), PIXELS),
    "one strip": Made((striped(rows=40),), PIXELS),
    "tiles": Made((tiled() | {34675: Value(7, bytes(200))},), PIXELS),
    "big": Made((tiled() | SAID,), PIXELS, big=True),
    "big endian": Made((striped(), striped(20, 15)), PIXELS, ">"),
    "planes": Made((planar(),), PIXELS),
    "palette": Made((striped(samples=1) | PALETTE,), PIXELS),
    "16 bit": Made((striped(20, 15) | {258: short(16, 16, 16), LENGTHS: long(1440, 360)},), PIXELS),
    "1 bit": Made((striped(40, 30, samples=1) | {258: short(1), LENGTHS: long(64, 64, 32)},), PIXELS),
    "pages": Made((tiled(64, 64), tiled(32, 32), tiled(16, 16)), PIXELS * 2),
    "parts": Made((tiled(64, 64) | {270: Value(2, OME)},), PIXELS * 2, sub_pages=(tiled(32, 32), tiled(16, 16))),
    "imagej": Made((striped() | {270: Value(2, IMAGEJ)} | SAID,), PIXELS),
    "aperio": packed(7, JPEG, t262=short(6), t270=Value(2, APERIO), t530=short(2, 2)),
    "jpeg": packed(7, JPEG, t262=short(6), t530=short(2, 2)),
    "deflate": packed(8, imagecodecs.zlib_encode(TILE.tobytes()), t317=short(2)),
    "lzw": packed(5, imagecodecs.lzw_encode(TILE.tobytes())),
    "packbits": packed(32773, imagecodecs.packbits_encode(TILE)),
    "zstd": packed(50000, imagecodecs.zstd_encode(TILE.tobytes())),
    "lzma": packed(34925, imagecodecs.lzma_encode(TILE.tobytes())),
    "webp": packed(50001, imagecodecs.webp_encode(TILE, lossless=True)),
    "jpeg 2000": packed(34712, imagecodecs.jpeg2k_encode(TILE, reversible=True)),
    "aperio jpeg 2000": packed(33005, imagecodecs.jpeg2k_encode(TILE, reversible=True), t270=Value(2, APERIO)),
    "jpeg xl": packed(50002, imagecodecs.jpegxl_encode(TILE)),
    "png": packed(34933, imagecodecs.png_encode(TILE)),
    "lerc": packed(34887, imagecodecs.lerc_encode(TILE)),
}  # fmt: skip

NUMBERS = st.sampled_from([0, 1, 2, 3, 7, 8, 15, 16, 17, 255, 256, 30_000, 65_535, 65_536, 10**6, 2**24, 2**31 - 1,
                           2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)  # fmt: skip
CODES = st.sampled_from([254, WIDTH, LENGTH, 258, 259, 262, 266, 270, PLACES_, 274, 277, ROWS, LENGTHS, 282, 283, 284,
                         296, 305, 317, 320, TILE_W, TILE_L, TILE_PLACES, TILE_LENGTHS, SUBS, 338, 339, 347, 530, 532,
                         32997, 32998, 34675, 65420])  # fmt: skip
KIND_OF_VALUE = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 16, 17, 18, 99])
WHOLE = st.builds(lambda kind, numbers: Value(kind, tuple(n % 2 ** (16 if kind == 3 else 32) for n in numbers)),
                  st.sampled_from([3, 4]), st.lists(NUMBERS, min_size=1, max_size=6))  # fmt: skip
VALUES = (
    WHOLE
    | st.builds(Value, st.just(5), st.tuples(NUMBERS, NUMBERS))
    | st.builds(Value, st.sampled_from([2, 7]), st.binary(max_size=60))
    | st.builds(lambda kind, data, count, place: Value(kind, data, count, place), KIND_OF_VALUE, st.binary(max_size=8),
                NUMBERS, st.none() | NUMBERS)
)  # fmt: skip
SELDOM = st.sampled_from([False] * 9 + [True])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a TIFF of some kind with one to three things wrong with it."""
    made = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    pages = [dict(page) for page in made.pages]
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 3, 0]))):
        tags = pages[draw(st.integers(0, len(pages) - 1))]
        code = draw(st.sampled_from(sorted(tags)) if tags and draw(st.booleans()) else CODES)
        match draw(st.sampled_from(["drop", "value", "type", "count", "place"])):
            case "drop":
                tags.pop(code, None)
            case "value":
                tags[code] = draw(VALUES)
            case "type" if code in tags:
                value = tags[code]
                tags[code] = Value(draw(KIND_OF_VALUE), value.pack(made.order), value.true_count)
            case "count" if code in tags:
                tags[code] = replace(tags[code], count=draw(NUMBERS))
            case "place" if code in tags:
                tags[code] = replace(tags[code], place=draw(NUMBERS))
    following: tuple[int | None, ...] = ()
    if draw(SELDOM):
        following = tuple(draw(st.lists(st.none() | st.integers(0, len(pages) - 1), max_size=len(pages))))
    data = bytearray(replace(made, pages=tuple(pages), following=following).written())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 4]))):
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(SELDOM) else data)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_here_opens_when_it_is_not(opener: Opener, kind: str) -> None:
    assert opener.opened(KINDS[kind].written())[0] == "opened"


@settings(max_examples=NIGHTLY if IS_NIGHTLY else SHORT_FORM)
@given(damaged())
def test_a_damaged_tiff_opens_or_is_refused_in_a_sentence(opener: Opener, data: bytes) -> None:
    what, _, megabytes = opener.opened(data)
    assert what == "opened" or what.startswith("refused: "), what
    assert megabytes <= MOST_MEMORY_MB
