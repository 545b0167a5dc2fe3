"""Guards that a picture damaged in any field of its header opens or is refused in a sentence, in little memory.

Whatever is drawn is opened in a process of its own, as the command line, the window and napari open it.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opener import Opener
from PIL import Image, ImageCms

from napari_cyto.domain.image_header import DamagedImage, read_image_header

IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SHORT_FORM, NIGHTLY = 15, 10_000
MOST_MEMORY_MB = 500

needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux can")

NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (21, 34, 3), np.uint8))
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = Image.Exif()
EXIF[0x0112] = 6


def saved(named: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    NOISE.convert(mode).save(stream, named, **options)
    return stream.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def interlaced() -> bytes:
    head = struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 1)
    parts = _chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(b"\x00\x05\x00\x07")), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_png() -> bytes:
    rows = np.arange(21 * 34 * 3, dtype=">u2").reshape(21, -1)
    data = zlib.compress(b"".join(b"\x00" + row.tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", 34, 21, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


FRAMES = {"save_all": True, "append_images": [NOISE.rotate(180)]}
KINDS: dict[str, dict[str, bytes]] = {
    "png": {
        "rgb": saved("PNG", icc_profile=ICC, exif=EXIF),
        "palette": saved("PNG", "P", transparency=3),
        "bits": saved("PNG", "1"),
        "alpha": saved("PNG", "RGBA"),
        "deep": deep_png(),
        "interlaced": interlaced(),
        "moving": saved("PNG", **FRAMES),
    },
    "jpeg": {
        "baseline": saved("JPEG", icc_profile=ICC, exif=EXIF),
        "progressive": saved("JPEG", progressive=True),
        "grey": saved("JPEG", "L"),
        "cmyk": saved("JPEG", "CMYK"),
        "two eyes": saved("MPO", **FRAMES),
    },
    "gif": {"still": saved("GIF", "P"), "moving": saved("GIF", "P", **FRAMES)},
    "bmp": {
        "rgb": saved("BMP"),
        "palette": saved("BMP", "P"),
        "alpha": saved("BMP", "RGBA"),
        "bits": saved("BMP", "1"),
    },
    "webp": {
        "lossy": saved("WEBP", icc_profile=ICC, exif=EXIF),
        "lossless": saved("WEBP", "RGBA", lossless=True),
        "moving": saved("WEBP", lossless=True, **FRAMES),
    },
    "jpeg 2000": {
        "boxes": saved("JPEG2000", irreversible=False),
        "bare": saved("JPEG2000", no_jp2=True, tile_size=(16, 16)),
        "grey": saved("JPEG2000", "L"),
    },
    "pnm": {
        "bits": saved("PPM", "1"),
        "grey": saved("PPM", "L"),
        "rgb": saved("PPM"),
        "deep": b"P5\n# deep\n5 3\n4095\n" + bytes(range(30)),
        "text": b"P3\n2 1\n255\n1 2 3 4 5 6\n",
        "text bits": b"P1\n2 2\n0 1\n1 0\n",
    },
}
SEEDS = [(kind, name) for kind, seeds in KINDS.items() for name in seeds]
NUMBERS = [0, 1, 2, 3, 7, 8, 15, 16, 24, 127, 128, 255, 256, 4097, 16_384, 30_000, 65_535, 65_536, 10**6, 2**24,
           2**31 - 1, 2**31, 2**32 - 1]  # fmt: skip


def _checked(png: bytes) -> bytes:
    """Return a PNG with the sums of its chunks set right, so that what is damaged is believed."""
    out, at = bytearray(png), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """Draw a picture with one to four fields of its header changed, something cut out, put in, or cut off."""
    data = bytearray(KINDS[kind][draw(st.sampled_from(sorted(KINDS[kind])))])
    for _ in range(draw(st.integers(1, 4))):
        # Mostly in the header, whose fields lie in the first bytes.
        last = max(0, len(data) - 1)
        at = draw(st.integers(0, min(63, last)) | st.integers(0, min(400, last)) | st.integers(0, last))
        match draw(st.sampled_from(["number", "number", "byte", "out", "in", "twice", "end"])):
            case "number":
                count, order = draw(st.sampled_from([1, 2, 3, 4])), draw(st.sampled_from(["big", "little"]))
                number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * count)
                data[at : at + count] = number.to_bytes(count, order)
            case "byte":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "out":
                del data[at : at + draw(st.integers(1, 40))]
            case "in":
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case "twice":
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case "end":
                del data[at:]
    if kind == "png" and draw(st.integers(0, 3)):
        return _checked(bytes(data))
    return bytes(data)


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    opener = Opener(tmp_path_factory.mktemp("fuzz") / "a.png")
    yield opener
    opener.close()


@needs_linux
@pytest.mark.parametrize(("kind", "name"), SEEDS)
def test_what_is_damaged_here_opens_when_it_is_not(opener: Opener, kind: str, name: str) -> None:
    what = opener.opened(KINDS[kind][name])[0]
    assert what == "opened" if kind != "gif" else "got GIF" in what


@needs_linux
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=NIGHTLY if IS_NIGHTLY else SHORT_FORM)
@given(data=st.data())
def test_a_damaged_image_opens_or_is_refused_in_a_sentence(opener: Opener, kind: str, data: st.DataObject) -> None:
    what, _, megabytes = opener.opened(data.draw(damaged(kind)))
    assert what == "opened" or what.startswith("refused: "), what
    assert megabytes <= MOST_MEMORY_MB


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=NIGHTLY if IS_NIGHTLY else 2 * SHORT_FORM)
@given(data=st.data())
def test_a_header_is_reported_or_refused(kind: str, data: st.DataObject) -> None:
    try:
        header = read_image_header(data.draw(damaged(kind)))
    except DamagedImage:
        return
    assert header is None or min(header.size_hw) >= 1
