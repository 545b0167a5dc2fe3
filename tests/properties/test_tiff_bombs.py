"""Guards that what unpacks to more than its tile is hatched before a decoder makes room for it."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from tiff_bytes import LENGTH, LENGTHS, TILE_LENGTHS, TILE_PLACES, WIDTH, Made, long, short, striped, tiled

from napari_cyto.slides import open_slide
from napari_cyto.slides._encoded_size import encoded_size_hw
from napari_cyto.slides._hatch_pattern import hatched
from napari_cyto.slides.backend import TileError

ENCODERS: dict[str, tuple[int, Callable[[np.ndarray], bytes]]] = {
    "jpeg": (7, lambda pixels: imagecodecs.jpeg_encode(pixels, 50)),
    "jpeg 2000": (34712, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=40)),
    "jpeg 2000 bare": (33005, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=40, codecformat="j2k")),
    "jpeg xl": (50002, lambda pixels: imagecodecs.jpegxl_encode(pixels, effort=1)),
    "jpeg xl in boxes": (50002, lambda pixels: imagecodecs.jpegxl_encode(pixels, effort=1, usecontainer=True)),
    "webp": (50001, lambda pixels: imagecodecs.webp_encode(pixels, 50)),
    "webp without loss": (50001, lambda pixels: imagecodecs.webp_encode(pixels, lossless=True)),
    "jpeg xr": (22610, lambda pixels: imagecodecs.jpegxr_encode(pixels, 0.5)),
    "png": (34933, lambda pixels: imagecodecs.png_encode(pixels, 1)),
    "lerc": (34887, lambda pixels: imagecodecs.lerc_encode(np.ascontiguousarray(pixels))),
}
PACKERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "deflate": (8, imagecodecs.zlib_encode),
    "lzw": (5, imagecodecs.lzw_encode),
    "packbits": (32773, lambda data: imagecodecs.packbits_encode(np.frombuffer(data, np.uint8).reshape(-1, 96))),
    "zstd": (50000, imagecodecs.zstd_encode),
    "lzma": (34925, imagecodecs.lzma_encode),
}
NEEDED = {"jpeg xr": imagecodecs.JPEGXR.available, "lerc": imagecodecs.LERC.available}


def tile_of(path: Path, compression: int, data: bytes, side: int = 32) -> Path:
    tags = tiled(side, side, side) | {259: short(compression), TILE_PLACES: long(16), TILE_LENGTHS: long(len(data))}
    path.write_bytes(Made((tags,), data).written())
    return path


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("size_hw", [(48, 80), (2001, 16), (256, 256), (600, 800)])
def test_the_size_is_reported_before_it_is_unpacked(codec: str, size_hw: tuple[int, int]) -> None:
    if not NEEDED.get(codec, True):
        pytest.skip(f"imagecodecs has no {codec} here")
    compression, encode = ENCODERS[codec]
    assert encoded_size_hw(compression, encode(np.full((*size_hw, 3), 200, np.uint8))) == size_hw


@pytest.mark.parametrize("codec", ENCODERS)
def test_an_image_larger_than_its_tile_is_hatched_and_not_unpacked(tmp_path: Path, codec: str) -> None:
    if not NEEDED.get(codec, True):
        pytest.skip(f"imagecodecs has no {codec} here")
    compression, encode = ENCODERS[codec]
    path = tile_of(tmp_path / "bomb.tif", compression, encode(np.zeros((512, 640, 3), np.uint8)))
    with open_slide(path) as slide:
        shown = slide.read_region(0, 0, 0, 32, 32)
        assert [t.reason for t in slide.unreadable] == [
            "it should be at most 32 x 32 px, but its own header says 512 x 640"
        ]
        np.testing.assert_array_equal(shown, hatched(32, 32))


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_bytes_that_say_no_size_are_a_damaged_tile(codec: str, cut: int) -> None:
    if not NEEDED.get(codec, True):
        pytest.skip(f"imagecodecs has no {codec} here")
    compression, encode = ENCODERS[codec]
    data = encode(np.zeros((8, 8, 3), np.uint8))[:cut]
    with pytest.raises(TileError, match="do not say how large"):
        encoded_size_hw(compression, data)


@pytest.mark.parametrize("codec", PACKERS)
def test_packed_bytes_never_take_more_than_their_tile(tmp_path: Path, codec: str) -> None:
    compression, pack = PACKERS[codec]
    path = tile_of(tmp_path / "bomb.tif", compression, pack(bytes(96 * 100_000)))
    with open_slide(path) as slide:
        tracemalloc.start()
        slide.read_region(0, 0, 0, 32, 32)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 4 * 2**20


def test_a_tile_of_more_bytes_than_any_codec_makes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.tif"
    tags = tiled(32, 32, 32) | {259: short(8), TILE_LENGTHS: long(2**31), TILE_PLACES: long(16)}
    path.write_bytes(Made((tags,)).written())
    with path.open("r+b") as stream:
        stream.truncate(2**32)
    with open_slide(path) as slide:
        slide.read_region(0, 0, 0, 32, 32)
        assert "at most 1054720 packed bytes" in slide.unreadable[0].reason


def test_strips_of_a_jpeg_that_claims_more_rows(tmp_path: Path) -> None:
    data = imagecodecs.jpeg_encode(np.zeros((64, 64, 3), np.uint8))
    at = data.index(b"\xff\xc0")
    data = data[: at + 5] + struct.pack(">HH", 30_000, 16_000) + data[at + 9 :]
    tags = striped(64, 64, 64) | {WIDTH: long(64), LENGTH: long(64), 259: short(7), 262: short(6), 530: short(2, 2)}
    tags |= {273: long(16), LENGTHS: long(len(data))}
    path = tmp_path / "strip.tif"
    path.write_bytes(Made((tags,), data).written())
    with open_slide(path) as slide:
        slide.read_region(0, 0, 0, 32, 32)
        assert "its own header says 30000 x 16000" in slide.unreadable[0].reason


def test_hatching_takes_no_memory_however_large_the_tile() -> None:
    shown = hatched(100_000, 100_000)
    assert shown.strides == (3, 3, 1)
    np.testing.assert_array_equal(shown[5000:5064, 7000:7064], hatched(12_064, 12_064)[5000:5064, 7000:7064])


def test_the_pixels_beside_a_damaged_strip_are_shown(tmp_path: Path) -> None:
    rows = [imagecodecs.zlib_encode(bytes(256 * 90)), b"\0" * 40, imagecodecs.zlib_encode(bytes(256 * 90))]
    places = np.cumsum([16, *map(len, rows[:2])]).tolist()
    tags = striped(768, 30, 256) | {259: short(8), 273: long(*places), LENGTHS: long(*map(len, rows))}
    path = tmp_path / "strips.tif"
    path.write_bytes(Made((tags,), b"".join(rows)).written())
    with open_slide(path) as slide:
        shown = slide.read_region(0, 0, 0, 768, 30)
        assert [t.bounds_yxyx for t in slide.unreadable] == [(256.0, 0.0, 512.0, 30.0)]
        assert not shown[:256].any()
        assert not shown[512:].any()
