"""What the header of a picture says, each field checked before it is believed; nothing is decoded.

PNG, JPEG, BMP, WebP, JPEG 2000, PNM and GIF. All that is read is bounded, whatever a file says of itself.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

MOST_PX = 1_000_000_000
"""No picture of more px is read: the one limit of all pictures without tiles."""
MOST_PROFILE_BYTES = 4 * 2**20
"""A larger colour profile is left out."""

_MOST_PARTS = 100_000
"""Chunks, segments and boxes that are passed over before the pixels."""
_MOST_FRAMES = 10_000
_MOST_WEBP_PX = 16_384
_MOST_FILLING = 4096
"""Bytes between two segments of a JPEG that may say nothing."""
_MOST_EXIF_BYTES = 2**17
_ORIENTATION = 0x0112
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_BMP_BITS = (1, 2, 4, 8, 16, 24, 32)
# Huffman and arithmetic coding, sequential and progressive, lossless; the rest is no frame.
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


class DamagedImage(ValueError):
    """A header that cannot be true; the text says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of a picture says.

    Parameters
    ----------
    format : str
        ``PNG``, ``JPEG``, ``BMP``, ``WEBP``, ``JPEG2000``, ``PPM`` (all of PNM) or ``GIF``.
    size_hw : tuple of int
        Height and width as stored, px.
    channels, bits : int
        Samples of a px, and bits of each, as stored.
    kind : int
        The format's own word for its pixels: PNG's colour type, BMP's compression, the digit of PNM, and the like.
    in_rows : bool
        Whether rows of pixels can be decoded one after the other.
    pixels_at : int
        Where the pixels begin, bytes from the start.
    coefficient_bytes : int
        What a progressive JPEG holds in memory before its first px is known.
    icc : bytes or None
        Its colour profile, not yet looked at.
    icc_left_out : str
        Why there is no profile though the file has one; empty else.
    orientation : int or None
        The EXIF tag.
    frames : int
        How many pictures the file says it holds.
    """

    format: str
    size_hw: tuple[int, int]
    channels: int = 3
    bits: int = 8
    kind: int = 0
    in_rows: bool = False
    pixels_at: int = 0
    coefficient_bytes: int = 0
    icc: bytes | None = None
    icc_left_out: str = ""
    orientation: int | None = None
    frames: int = 1


def read_image_header(source: Path | bytes) -> ImageHeader | None:
    """Return what the header of a picture says, or None when the bytes are those of no such format.

    Raises
    ------
    DamagedImage
        When they begin as one and go on as none.
    OSError
        When the file cannot be read.
    """
    if isinstance(source, bytes):
        return _header(io.BytesIO(source), len(source))
    with source.open("rb") as stream:
        return _header(stream, os.fstat(stream.fileno()).st_size)


def _header(stream: BinaryIO, length: int) -> ImageHeader | None:
    start = stream.read(16)
    read = next((read for is_one, read in _READERS if is_one(start)), None)
    if read is None:
        return None
    stream.seek(0)
    header = read(_Bytes(stream, length))
    height, width = header.size_hw
    if header.format == "WEBP" and max(height, width) > _MOST_WEBP_PX:
        raise DamagedImage(f"expected up to {_MOST_WEBP_PX:,} px a side of a WebP, got {width:,} x {height:,}")
    if height < 1 or width < 1:
        raise DamagedImage(f"expected a size of 1 px or more, got {width:,} x {height:,}")
    if least_bytes(header) > length:
        raise DamagedImage(f"its {length:,} bytes cannot hold {width:,} x {height:,} px: it was not copied whole")
    return header


def least_bytes(header: ImageHeader) -> int:
    """Return how many bytes a file of this header has at least, if it is whole.

    Source
    ------
    RFC 1951: deflate packs at most 1,032 bytes in one. ITU-T T.81, F.1.2: a block of 8 x 8 px takes a bit or more, and
    up to 4 x 4 px share one sample of colour; a progressive JPEG has passes that take next to nothing.
    """
    height, width = header.size_hw
    if header.format == "PNG":
        return height * -(-width * header.channels * header.bits // 8) // 1_100
    return height * width // 1_024 if header.format == "JPEG" else 0


class _Bytes:
    """A file that says when it ends too early."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self._stream, self.length = stream, length

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        data = self._stream.read(count) if 0 <= count <= self.length else b""
        if len(data) != count:
            raise DamagedImage(f"the file ends within its header, after {self.length:,} bytes")
        return data

    def number(self, count: int, order: str = "big", signed: bool = False) -> int:
        """Return the next bytes as a whole number."""
        return int.from_bytes(self.take(count), "little" if order == "little" else "big", signed=signed)

    @property
    def at(self) -> int:
        """Where the next byte is."""
        return self._stream.tell()

    def go(self, place: int) -> None:
        """Go on from another place, which must lie in the file."""
        if not 0 <= place <= self.length:
            raise DamagedImage(f"a part of the file should lie at byte {place:,}, and it ends at {self.length:,}")
        self._stream.seek(place)


def _png(data: _Bytes) -> ImageHeader:
    """Source: PNG (Third Edition), W3C 2025, 5 (chunks) and 11.2.1 (IHDR)."""
    if data.take(8) != b"\x89PNG\r\n\x1a\n":
        raise DamagedImage("its first bytes are those of a PNG that was changed on its way")
    if data.take(8) != b"\x00\x00\x00\x0dIHDR":
        raise DamagedImage("expected IHDR as the first chunk of a PNG")
    width, height = data.number(4), data.number(4)
    bits, kind, packing, filters, interlaced = data.take(5)
    if bits not in _PNG_DEPTHS.get(kind, ()) or packing or filters or interlaced > 1:
        raise DamagedImage(f"a PNG has no pixels of the kind {kind} with {bits} bits")
    if max(width, height) >= 2**31:
        raise DamagedImage(f"expected sides below 2,147,483,648 px, got {width:,} x {height:,}")
    data.take(4)
    header = ImageHeader("PNG", (height, width), _PNG_CHANNELS[kind], bits, kind, in_rows=not interlaced)
    has_palette = False
    for _ in range(_MOST_PARTS):
        length, name = data.number(4), data.take(4)
        place = data.at
        if name == b"IDAT":
            if kind == 3 and not has_palette:
                raise DamagedImage("it lacks the palette of its colours")
            return replace(header, pixels_at=place - 8)
        if name == b"IEND":
            break
        has_palette |= name == b"PLTE"
        header = _with_png_chunk(header, data, name, length)
        data.go(place + length + 4)
    raise DamagedImage("expected pixels in a PNG, got none")


def _with_png_chunk(header: ImageHeader, data: _Bytes, name: bytes, length: int) -> ImageHeader:
    if name == b"iCCP":
        return _with_png_profile(header, data.take(min(length, MOST_PROFILE_BYTES)))
    if name == b"eXIf":
        return replace(header, orientation=_orientation(data.take(min(length, _MOST_EXIF_BYTES))))
    if name == b"acTL" and length == 8:
        return replace(header, frames=max(1, data.number(4)))
    return header


def _with_png_profile(header: ImageHeader, chunk: bytes) -> ImageHeader:
    packed = chunk.partition(b"\x00")[2][1:]
    try:
        unpacker = zlib.decompressobj()
        icc = unpacker.decompress(packed, MOST_PROFILE_BYTES + 1)
    except zlib.error:
        return replace(header, icc_left_out="it cannot be unpacked")
    return _with_profile(header, icc)


def _with_profile(header: ImageHeader, icc: bytes) -> ImageHeader:
    if len(icc) > MOST_PROFILE_BYTES:
        return replace(header, icc_left_out=f"it has more than {MOST_PROFILE_BYTES:,} bytes")
    return replace(header, icc=icc or None)


def _jpeg(data: _Bytes) -> ImageHeader:
    """Source: ITU-T T.81, B.1 and B.2 (markers); ICC.1:2022, B.4 (profiles in APP2)."""
    data.take(2)
    header: ImageHeader | None = None
    orientation: int | None = None
    profile: dict[int, bytes] = {}
    for marker, length in _jpeg_segments(data):
        if marker == 0xDA:
            if header is None:
                break
            icc = b"".join(profile[k] for k in sorted(profile))
            return replace(_with_profile(header, icc), orientation=orientation, pixels_at=data.at - 4)
        if marker in _JPEG_FRAMES and header is None:
            header = _jpeg_frame(data.take(length), marker)
        elif marker == 0xE1 and orientation is None:
            body = data.take(length)
            orientation = _orientation(body[6:]) if body.startswith(b"Exif\x00") else None
        elif marker == 0xE2:
            body = data.take(length)
            if body.startswith(b"ICC_PROFILE\x00") and sum(map(len, profile.values())) <= MOST_PROFILE_BYTES:
                profile.setdefault(body[12] if len(body) > 12 else 0, body[14:])
    raise DamagedImage("expected the size of a JPEG before its pixels, got none")


def _jpeg_segments(data: _Bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and length of each segment up to the pixels; the file is then at the segment's first byte."""
    for _ in range(_MOST_PARTS):
        if data.take(1) != b"\xff":
            raise DamagedImage(f"expected a marker of a JPEG at byte {data.at - 1:,}")
        marker = next((byte for byte in (data.number(1) for _ in range(_MOST_FILLING)) if byte != 0xFF), 0)
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if marker in (0x00, 0xD9):
            break
        length = data.number(2) - 2
        if length < 0:
            raise DamagedImage(f"expected a segment of 2 bytes or more at byte {data.at - 2:,}")
        place = data.at
        yield marker, length
        data.go(place + length)


def _jpeg_frame(body: bytes, marker: int) -> ImageHeader:
    if len(body) < 6 or not 1 <= body[5] <= 4 or len(body) < 6 + 3 * body[5]:
        raise DamagedImage("the frame of a JPEG is too short for its components")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    factors = [(body[6 + 3 * k + 1] >> 4, body[6 + 3 * k + 1] & 15) for k in range(body[5])]
    if not all(1 <= f <= 4 for pair in factors for f in pair):
        raise DamagedImage("expected 1 to 4 for the sampling of a JPEG's component")
    across, down = max(f[0] for f in factors), max(f[1] for f in factors)
    samples = sum(width * f[0] // across * (height * f[1] // down) for f in factors)
    held = 2 * samples if marker in _JPEG_PROGRESSIVE else 0
    return ImageHeader("JPEG", (height, width), body[5], body[0], marker, coefficient_bytes=held)


def _bmp(data: _Bytes) -> ImageHeader:
    """Source: Microsoft, Bitmap Storage and BITMAPINFOHEADER; OS/2's header of 12 bytes."""
    data.take(10)
    pixels_at, header_size = data.number(4, "little"), data.number(4, "little")
    if header_size == 12:
        width, height, _, bits = (data.number(2, "little") for _ in range(4))
        compression = 0
    elif 40 <= header_size <= 256 or header_size in (16, 64):
        width, height = data.number(4, "little", signed=True), data.number(4, "little", signed=True)
        _, bits = data.number(2, "little"), data.number(2, "little")
        compression = data.number(4, "little") if header_size >= 20 else 0
    else:
        raise DamagedImage(f"a BMP has no header of {header_size:,} bytes")
    if bits not in _BMP_BITS or compression not in (0, 1, 2, 3, 6):
        raise DamagedImage(f"a BMP of {bits} bits a px and the compression {compression} is not read")
    if not 14 + header_size <= pixels_at <= data.length:
        raise DamagedImage(f"the pixels of a BMP should begin at byte {pixels_at:,} of {data.length:,}")
    in_rows = compression in (0, 3, 6) and bits in (8, 16, 24, 32)
    return ImageHeader("BMP", (abs(height), width), -(-bits // 8), 8, compression, in_rows, pixels_at)


def _webp(data: _Bytes) -> ImageHeader:
    """Source: RFC 9649, 2 (container) and 3.4 (VP8L); RFC 6386, 9.1 (VP8's frame header)."""
    data.take(12)
    name, length = data.take(4), data.number(4, "little")
    if name == b"VP8 ":
        frame = data.take(10)
        if frame[3:6] != b"\x9d\x01\x2a":
            raise DamagedImage("the frame of a WebP does not begin as one")
        width, height = (int.from_bytes(frame[k : k + 2], "little") & 0x3FFF for k in (6, 8))
        return ImageHeader("WEBP", (height, width))
    if name == b"VP8L":
        if data.take(1) != b"\x2f":
            raise DamagedImage("the frame of a WebP does not begin as one")
        packed = data.number(4, "little")
        return ImageHeader("WEBP", ((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1), 4)
    if name != b"VP8X":
        raise DamagedImage(f"a WebP does not begin with {name!r}")
    place = data.at
    flags = data.take(4)[0]
    width, height = data.number(3, "little") + 1, data.number(3, "little") + 1
    header = ImageHeader("WEBP", (height, width), 4, kind=flags, frames=0 if flags & 2 else 1)
    data.go(min(place + length + length % 2, data.length))
    return _with_webp_chunks(header, data)


def _with_webp_chunks(header: ImageHeader, data: _Bytes) -> ImageHeader:
    for _ in range(_MOST_PARTS):
        if data.at + 8 > data.length or header.frames > _MOST_FRAMES:
            break
        name, length = data.take(4), data.number(4, "little")
        place = data.at
        if name == b"ICCP":
            # One byte more tells that it is too large.
            header = _with_profile(header, data.take(min(length, MOST_PROFILE_BYTES + 1)))
        elif name == b"EXIF":
            header = replace(header, orientation=_orientation(data.take(min(length, _MOST_EXIF_BYTES))))
        elif name == b"ANMF":
            header = replace(header, frames=header.frames + 1)
        data.go(min(place + length + length % 2, data.length))
    return replace(header, frames=max(1, header.frames))


def _jpeg2000(data: _Bytes) -> ImageHeader:
    """Source: ITU-T T.800, I.4 (boxes) and A.5.1 (SIZ)."""
    if data.take(2) != b"\xff\x4f":
        data.go(0)
        for _ in range(_MOST_PARTS):
            place, length, name = data.at, data.number(4), data.take(4)
            length = data.number(8) if length == 1 else length or data.length - place
            if name == b"jp2c":
                break
            if length < 8:
                raise DamagedImage(f"expected a box of 8 bytes or more, got {length}")
            data.go(place + length)
        if data.take(2) != b"\xff\x4f":
            raise DamagedImage("the pixels of a JPEG 2000 do not begin as they should")
    if data.take(2) != b"\xff\x51":
        raise DamagedImage("expected the size of a JPEG 2000 before its pixels, got none")
    data.take(4)
    x1, y1, x0, y0, tile_w, tile_h, tile_x0, tile_y0 = (data.number(4) for _ in range(8))
    channels = data.number(2)
    if not 1 <= channels <= 16384 or x0 >= x1 or y0 >= y1 or not tile_w or not tile_h:
        raise DamagedImage(f"a JPEG 2000 of {x1 - x0:,} x {y1 - y0:,} px in {channels:,} channels cannot be")
    if tile_x0 > x0 or tile_y0 > y0 or -(-(x1 - tile_x0) // tile_w) * -(-(y1 - tile_y0) // tile_h) > 65_535:
        raise DamagedImage("expected up to 65,535 tiles that cover a JPEG 2000")
    bits = max((data.take(3)[0] & 0x7F) + 1 for _ in range(channels))
    if bits > 38:
        raise DamagedImage(f"expected up to 38 bits a sample, got {bits}")
    return ImageHeader("JPEG2000", (y1 - y0, x1 - x0), channels, bits)


def _pnm(data: _Bytes) -> ImageHeader:
    """Source: netpbm, pbm(5), pgm(5), ppm(5)."""
    start = data.take(min(4096, data.length))
    kind = int(start[1:2])
    count = 2 if kind in (1, 4) else 3
    pattern = rb"P\d" + rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})" * count + rb"(?:#[^\r\n]*[\r\n]|\s)"
    found = re.match(pattern, start)
    if found is None:
        raise DamagedImage("expected width, height and the largest value of a PNM, got something else")
    numbers = [int(text) for text in found.groups()]
    largest = numbers[2] if count == 3 else 1
    if not 1 <= largest <= 65_535:
        raise DamagedImage(f"expected a largest value of 1 to 65,535, got {largest:,}")
    bits = 1 if count == 2 else 8 if largest < 256 else 16
    channels = 3 if kind in (3, 6) else 1
    return ImageHeader("PPM", (numbers[1], numbers[0]), channels, bits, kind, kind >= 4, found.end())


def _gif(data: _Bytes) -> ImageHeader:
    data.take(6)
    width, height = data.number(2, "little"), data.number(2, "little")
    return ImageHeader("GIF", (height, width), 1)


def _orientation(exif: bytes) -> int | None:
    """Return EXIF's orientation, or None.

    Source
    ------
    TIFF 6.0, section 2 (the first directory); Exif 2.32, tag 274.
    """
    exif = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return None

    def number(at: int, count: int) -> int:
        return int.from_bytes(exif[at : at + count], "little" if order == "little" else "big")

    first = number(4, 4)
    for entry in range(min(number(first, 2), 1000)):
        at = first + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION and at + 12 <= len(exif):
            return number(at + 8, 2)
    return None


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[_Bytes], ImageHeader]], ...] = (
    (lambda start: start.startswith(b"\x89PNG"), _png),
    (lambda start: start.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda start: start.startswith(b"BM"), _bmp),
    (lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP", _webp),
    (lambda start: start.startswith((b"\x00\x00\x00\x0cjP", b"\xff\x4f\xff\x51")), _jpeg2000),
    (lambda start: re.match(rb"P[1-6][\s#]", start) is not None, _pnm),
    (lambda start: start.startswith(b"GIF8"), _gif),
)
