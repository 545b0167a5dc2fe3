"""Guards that what only the slide library reads, damaged anywhere, opens or is refused in a sentence, and ends nothing.

MIRAX (its index as text and as bytes, its data), VMS (the same), and DICOM. Whatever is drawn is opened in a process
of its own, which must still be there afterwards: the slide library is tried in a further one.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opener import Opener
from PIL import Image

from napari_cyto.slides import _openslide_backend as openslide_backend
from napari_cyto.slides import open_slide
from napari_cyto.slides._native_check import open_natively

IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SHORT_FORM, NIGHTLY = 12, 10_000
MOST_MEMORY_MB = 500
SIDE = 32
SLIDE_ID = b"0123456789ABCDEF"

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux can")

Files = dict[str, bytes]
"""The files of one slide by their names; the first is the one that is opened."""


def jpeg(height: int, width: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize((width, height)).save(stream, "JPEG", quality=90, restart_marker_rows=1)
    return stream.getvalue()


def mirax() -> Files:
    """Two levels of 2 x 2 pictures and of one, as the slide library's notes on the format describe them.

    Source: openslide.org/formats/mirax.
    """
    levels = [{0: jpeg(SIDE, SIDE, 0), 1: jpeg(SIDE, SIDE, 1), 2: jpeg(SIDE, SIDE, 2), 3: jpeg(SIDE, SIDE, 3)},
              {0: jpeg(SIDE, SIDE, 4)}]  # fmt: skip
    data = bytearray(b"01.02" + SLIDE_ID + bytes(10))
    index = bytearray(b"01.02" + SLIDE_ID)
    root = len(index) + 8
    index += struct.pack("<ii", root, 0) + bytes(4 * len(levels))
    for number, level in enumerate(levels):
        struct.pack_into("<i", index, root + 4 * number, len(index))
        index += struct.pack("<ii", 0, len(index) + 8)
        index += struct.pack("<ii", len(level), 0)
        for place, tile in level.items():
            index += struct.pack("<iiii", place, len(data), len(tile), 0)
            data += tile
    struct.pack_into("<i", index, 25, len(index))
    index += struct.pack("<i", len(index) + 4) + struct.pack("<ii", 0, 0)
    text = f"""[GENERAL]
SLIDE_VERSION = 01.02
SLIDE_ID = {SLIDE_ID.decode()}
IMAGENUMBER_X = 2
IMAGENUMBER_Y = 2
OBJECTIVE_MAGNIFICATION = 40
CameraImageDivisionsPerSide = 1
[HIERARCHICAL]
INDEXFILE = Index.dat
HIER_COUNT = 1
NONHIER_COUNT = 0
HIER_0_NAME = Slide zoom level
HIER_0_COUNT = 2
HIER_0_VAL_0 = ZoomLevel_0
HIER_0_VAL_0_SECTION = LEVEL_0
HIER_0_VAL_1 = ZoomLevel_1
HIER_0_VAL_1_SECTION = LEVEL_1
[DATAFILE]
FILE_COUNT = 1
FILE_0 = Data0000.dat
"""
    for number, mpp in enumerate((0.25, 0.5)):
        text += f"""[LEVEL_{number}]
OVERLAP_X = 0
OVERLAP_Y = 0
MICROMETER_PER_PIXEL_X = {mpp}
MICROMETER_PER_PIXEL_Y = {mpp}
IMAGE_FORMAT = JPEG
IMAGE_FILL_COLOR_BGR = 16777215
DIGITIZER_WIDTH = {SIDE}
DIGITIZER_HEIGHT = {SIDE}
IMAGE_CONCAT_FACTOR = {number}
"""
    return {"a.mrxs": b"", "a/Slidedat.ini": text.encode(), "a/Index.dat": bytes(index), "a/Data0000.dat": bytes(data)}


def vms() -> Files:
    """One JPEG, a smaller one of the whole, and the text that names them.

    Source: openslide.org/formats/hamamatsu.
    """
    text = """[Virtual Microscope Specimen]
NoLayers=1
NoJpegColumns=1
NoJpegRows=1
ImageFile=a.jpg
MapFile=map.jpg
MacroImage=macro.jpg
PhysicalWidth=64000
PhysicalHeight=64000
SourceLens=40
"""
    return {"a.vms": text.encode(), "a.jpg": jpeg(64, 64), "map.jpg": jpeg(16, 16), "macro.jpg": jpeg(16, 24)}


def _element(group: int, element: int, kind: str, value: bytes) -> bytes:
    if kind == "SQ":
        return struct.pack("<HH2sHI", group, element, b"SQ", 0, len(value)) + value
    value += (b"\0" if kind == "UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, kind.encode(), len(value)) + value


def _item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _ul(value: int) -> bytes:
    return struct.pack("<I", value)


def dicom() -> Files:
    """One level of four tiles, and only what the slide library wants of it.

    Source: DICOM PS3.3 2024, A.32.8 (whole-slide images); PS3.5, 7.1 and A.4 (encoding, fragments).
    """
    volume = b"1.2.840.10008.5.1.4.1.1.77.1.6"
    spacing = _element(0x0028, 0x0030, "DS", b"0.00025\\0.00025")
    spacing += _element(0x0018, 0x0050, "DS", b"0.001")
    measures = _item(spacing)
    meta = b"".join((_element(2, 2, "UI", volume), _element(2, 3, "UI", b"1.2.3.4"),
                     _element(2, 0x10, "UI", b"1.2.840.10008.1.2.4.50"),
                     _element(2, 0x12, "UI", b"1.2.3")))  # fmt: skip
    frames = [jpeg(SIDE, SIDE, k) for k in range(4)]
    frames = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    pixels = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame for frame in frames)
    body = b"".join((
        _element(8, 8, "CS", b"ORIGINAL\\PRIMARY\\VOLUME\\NONE"), _element(8, 0x16, "UI", volume),
        _element(8, 0x18, "UI", b"1.2.3.4"), _element(8, 0x60, "CS", b"SM"), _element(0x20, 0xD, "UI", b"1.2.3.5"),
        _element(0x20, 0xE, "UI", b"1.2.3.6"), _element(0x20, 0x9311, "CS", b"TILED_FULL"),
        _element(0x28, 2, "US", _us(3)), _element(0x28, 4, "CS", b"YBR_FULL_422"), _element(0x28, 6, "US", _us(0)),
        _element(0x28, 8, "IS", b"4"), _element(0x28, 0x10, "US", _us(SIDE)), _element(0x28, 0x11, "US", _us(SIDE)),
        _element(0x28, 0x100, "US", _us(8)), _element(0x28, 0x101, "US", _us(8)), _element(0x28, 0x102, "US", _us(7)),
        _element(0x28, 0x103, "US", _us(0)), _element(0x48, 6, "UL", _ul(2 * SIDE)),
        _element(0x48, 7, "UL", _ul(2 * SIDE)),
        _element(0x5200, 0x9229, "SQ", _item(_element(0x28, 0x9110, "SQ", measures))),
        struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF), struct.pack("<HHI", 0xFFFE, 0xE000, 0), pixels,
        struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)))  # fmt: skip
    head = _element(2, 0, "UL", _ul(len(meta) + 14)) + struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    return {"a.dcm": bytes(128) + b"DICM" + head + meta + body}


KINDS = {"mirax": mirax(), "vms": vms(), "dicom": dicom()}
NUMBERS = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 4097, 30_000, 65_535, 65_536, 10**6, 2**24, 2**31 - 1, 2**31,
           2**32 - 1]  # fmt: skip
WORDS = ["0", "-1", "1", "2", "3", "100", "65535", "2147483647", "-2147483648", "99999999999", "1e308", "nan", "inf",
         "", "x", "../a", "a" * 300]  # fmt: skip


def written(folder: Path, files: Files) -> Path:
    """Write the files of a slide, and return the one to open."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / next(iter(files))


def _text_damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Change the value of a line, or drop or double it."""
    lines = data.decode("latin-1").splitlines()
    at = draw(st.integers(0, max(0, len(lines) - 1)))
    match draw(st.sampled_from(["value", "value", "value", "out", "twice"])):
        case "value" if lines and "=" in lines[at]:
            lines[at] = lines[at].partition("=")[0] + "= " + draw(st.sampled_from(WORDS))
        case "twice" if lines:
            lines.insert(at, lines[at])
        case "out" if lines:
            del lines[at]
    return ("\n".join(lines) + "\n").encode("latin-1")


def _bytes_damaged(draw: st.DrawFn, data: bytearray) -> bytes:
    """Change a number or a byte, cut something out, put something in, or cut off."""
    at = draw(st.integers(0, min(200, len(data))) | st.integers(0, len(data)))
    match draw(st.sampled_from(["number", "number", "number", "byte", "out", "in", "end"])):
        case "number":
            count = draw(st.sampled_from([1, 2, 4]))
            number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * count)
            data[at : at + count] = number.to_bytes(count, "little")
        case "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        case "out":
            del data[at : at + draw(st.integers(1, 40))]
        case "in":
            data[at:at] = draw(st.binary(min_size=1, max_size=20))
        case "end":
            del data[at:]
    return bytes(data)


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> Files:
    """Draw a slide with one to three things wrong with its files."""
    files = dict(KINDS[kind])
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        if name.endswith((".ini", ".vms")) and draw(st.integers(0, 4)):
            files[name] = _text_damaged(draw, files[name])
        elif draw(st.integers(0, 30)) == 0 and name != next(iter(files)):
            del files[name]
        else:
            files[name] = _bytes_damaged(draw, bytearray(files[name]))
    return files


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    opener = Opener(tmp_path_factory.mktemp("fuzz"))
    yield opener
    opener.close()


def opened(opener: Opener, files: Files) -> tuple[str, float, float]:
    """Write a slide to an empty folder, and open it."""
    folder = opener.path if opener.path.is_dir() else opener.path.parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    opener.path = written(folder, files)
    return opener.opened()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_here_opens_when_it_is_not(opener: Opener, kind: str) -> None:
    assert opened(opener, KINDS[kind])[0] == "opened"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=NIGHTLY if IS_NIGHTLY else SHORT_FORM, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_slide_opens_or_is_refused_in_a_sentence(opener: Opener, kind: str, data: st.DataObject) -> None:
    what, _, megabytes = opened(opener, data.draw(damaged(kind)))
    assert what == "opened" or what.startswith("refused: "), what
    assert megabytes <= MOST_MEMORY_MB


def test_a_damaged_tile_spoils_no_other_and_costs_few_openings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict(KINDS["mirax"])
    hurt = files["a/Data0000.dat"].index(jpeg(SIDE, SIDE, 1))
    data = bytearray(files["a/Data0000.dat"])
    data[hurt : hurt + 40] = bytes(40)
    path = written(tmp_path, files | {"a/Data0000.dat": bytes(data)})
    whole = written(tmp_path / "whole", files)
    monkeypatch.setattr(openslide_backend, "_TILE_PX", SIDE)
    opened: list[Path] = []
    monkeypatch.setattr(openslide_backend, "open_natively", lambda p: (opened.append(p), open_natively(p))[1])
    with open_slide(path) as slide, open_slide(whole) as good:
        opened.clear()
        for _ in range(2):
            shown, expected = (each.read_region(0, 0, 0, 2 * SIDE, 2 * SIDE) for each in (slide, good))
        assert [tile.bounds_yxyx for tile in slide.unreadable] == [(0, SIDE, SIDE, 2 * SIDE)]
        # One to tell that it is this tile, and at most one for each of those read beside it.
        assert len(opened) <= 4
    np.testing.assert_array_equal(shown[:, :SIDE], expected[:, :SIDE])
    np.testing.assert_array_equal(shown[SIDE:], expected[SIDE:])
