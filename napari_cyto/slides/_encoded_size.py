"""How large a packed tile says it is, read before it is unpacked: a few bytes can ask for gigabytes.

Sources: ITU-T T.81 B.2.2 (JPEG), ISO/IEC 15444-1 A.5.1 (JPEG 2000), ISO/IEC 18181-1 D.3 (JPEG XL), RFC 9649 (WebP),
ITU-T T.832 A (JPEG XR), W3C PNG 11.2.2, the Lerc2 header of github.com/Esri/lerc.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from napari_cyto.slides.backend import TileError

_WITHOUT_FRAME = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def encoded_size_hw(compression: int, data: bytes) -> tuple[int, int] | None:
    """Return height and width that packed bytes claim, px; None for compressions whose output is as long as asked.

    Parameters
    ----------
    compression : int
        As TIFF numbers it.
    data : bytes
        The tile or strip as it lies in the file.

    Raises
    ------
    TileError
        When they do not say it as their format does.
    """
    size_of = _TELLING.get(compression)
    if size_of is None:
        return None
    try:
        return size_of(data)
    except (struct.error, IndexError, ValueError) as error:
        raise TileError("its packed bytes do not say how large the image in them is") from error


def _jpeg(data: bytes) -> tuple[int, int]:
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _WITHOUT_FRAME:
            place += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return height, width
        else:
            place += 2 + max(2, struct.unpack_from(">H", data, place + 2)[0])
    raise ValueError("no frame")


def _jpeg_2000(data: bytes) -> tuple[int, int]:
    start = data.index(b"\xff\x4f\xff\x51")
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    return bottom - top, right - left


def _jpeg_xl(data: bytes) -> tuple[int, int]:
    if data[:2] == b"\xff\x0a":
        return _jpeg_xl_size(data[2:14])
    # In boxes: the codestream, or the first part of it, which begins with its number.
    is_whole = b"jxlc" in data[:4096]
    start = data.index(b"jxlc") + 4 if is_whole else data.index(b"jxlp") + 8
    if data[start : start + 2] != b"\xff\x0a":
        raise ValueError("no codestream")
    return _jpeg_xl_size(data[start + 2 : start + 14])


def _jpeg_xl_size(head: bytes) -> tuple[int, int]:
    bits, used = int.from_bytes(head, "little"), 0

    def take(count: int) -> int:
        nonlocal used
        value = bits >> used & (1 << count) - 1
        used += count
        if used > 8 * len(head):
            raise ValueError("cut off")
        return value

    is_small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if is_small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return height, side()
    across, down = _JXL_RATIOS[ratio - 1]
    return height, height * across // down


def _webp(data: bytes) -> tuple[int, int]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ValueError("no WebP")
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3].ljust(3, b"\xff"), "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        packed = struct.unpack_from("<I", data, 21)[0]
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return height, width


def _png(data: bytes) -> tuple[int, int]:
    if data[:4] != b"\x89PNG" or data[12:16] != b"IHDR":
        raise ValueError("no PNG")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _jpeg_xr(data: bytes) -> tuple[int, int]:
    if data[:3] != b"II\xbc":
        raise ValueError("no JPEG XR")
    place = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, place)[0]
    found = {}
    for k in range(count):
        code, kind, _, value = struct.unpack_from("<HHII", data, place + 2 + 12 * k)
        found[code] = value & 0xFFFF if kind == 3 else value
    if not {0xBC80, 0xBC81} <= found.keys():
        raise ValueError("no size")
    return found[0xBC81], found[0xBC80]


def _lerc(data: bytes) -> tuple[int, int]:
    if data[:6] != b"Lerc2 ":
        raise ValueError("no Lerc2")
    version = struct.unpack_from("<i", data, 6)[0]
    height, width = struct.unpack_from("<ii", data, 14 if version >= 3 else 10)
    return height, width


_TELLING: dict[int, Callable[[bytes], tuple[int, int]]] = {
    **dict.fromkeys((6, 7, 33007, 34892), _jpeg),
    **dict.fromkeys((33003, 33004, 33005, 34712), _jpeg_2000),
    **dict.fromkeys((50002, 52546), _jpeg_xl),
    **dict.fromkeys((34927, 50001), _webp),
    **dict.fromkeys((22610, 34934), _jpeg_xr),
    34933: _png,
    34887: _lerc,
}
OUTPUT_AS_REQUESTED = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 34926, 50000})
"""Compressions whose decoders stop at the size that they are given."""
KNOWN = OUTPUT_AS_REQUESTED | _TELLING.keys()
"""Compressions that are read."""
