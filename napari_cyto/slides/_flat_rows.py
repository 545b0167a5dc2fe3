"""Rows of a PNG, BMP or PNM, one band after the other: what a picture unpacks to is never in memory at once."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, PpmImagePlugin

from napari_cyto.domain.image_header import ImageHeader
from napari_cyto.slides.backend import TileError

Samples: TypeAlias = npt.NDArray[np.unsignedinteger]
"""uint8 or uint16 ``(h, w, channels)``: grey, grey and alpha, RGB, or RGB and alpha."""

BAND_BYTES = 2 * 2**20
"""About what a band has as it is stored."""

_MOST_CHUNK_BYTES = 2**31 - 1
_READ_BYTES = 2**18
_MOST_BAND_ROWS = 65_536
# First column and row of each pass, and the steps across and down.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# PNG's filters work on bytes: any kind of pixel is unfiltered as one that has as many bytes a px.
_UNFILTERED_AS = {1: (8, 0), 2: (8, 4), 3: (8, 2), 4: (8, 6), 6: (16, 2), 8: (16, 6)}


def bands(path: Path, image_header: ImageHeader) -> Iterator[Samples]:
    """Yield the samples of a picture whose header says ``in_rows``, from top to bottom.

    Raises
    ------
    TileError
        When the file is damaged; what was yielded before that is good.
    """
    assert image_header.in_rows
    with path.open("rb") as stream:
        yield from {"PNG": _png, "BMP": _bmp, "PPM": _pnm}[image_header.format](stream, image_header)


def row_bytes(image_header: ImageHeader) -> int:
    """Return the length of a row as it is stored, bytes."""
    bits = image_header.channels * image_header.bits
    return -(-image_header.size_hw[1] * bits // 8)


def _heights(image_header: ImageHeader) -> Iterator[tuple[int, int]]:
    """Yield first and end row of each band."""
    height = image_header.size_hw[0]
    step = min(max(1, BAND_BYTES // row_bytes(image_header)), _MOST_BAND_ROWS)
    for first in range(0, height, step):
        yield first, min(first + step, height)


def _png(stream: BinaryIO, image_header: ImageHeader) -> Iterator[Samples]:
    """Source: PNG (Third Edition), W3C 2025, 9 (filters) and 11.3.1 (transparency)."""
    extra = _png_extra(stream, image_header)
    yield from _png_bands(_Unpacked(stream, image_header.pixels_at), image_header, extra)


def _png_bands(packed: _Unpacked, image_header: ImageHeader, extra: dict[bytes, bytes]) -> Iterator[Samples]:
    length = row_bytes(image_header)
    last = bytes(length)
    for first, end in _heights(image_header):
        filtered = packed.take((end - first) * (length + 1))
        rows = _unfiltered(b"\x00" + last + filtered, end - first + 1, length, image_header)[1:]
        last = rows[-1].tobytes()
        yield _png_samples(rows, image_header, extra)


def interlaced(path: Path, image_header: ImageHeader) -> Samples:
    """Return the samples of a PNG that comes in seven passes, all at once.

    Source
    ------
    PNG (Third Edition), W3C 2025, 8.1 (Adam7).

    Raises
    ------
    TileError
        When the file is damaged.
    """
    height, width = image_header.size_hw
    out: Samples | None = None
    with path.open("rb") as stream:
        extra = _png_extra(stream, image_header)
        packed = _Unpacked(stream, image_header.pixels_at)
        for x0, y0, across, down in _ADAM7:
            rows, columns = -(-(height - y0) // down), -(-(width - x0) // across)
            if rows < 1 or columns < 1:
                continue
            row = y0
            for samples in _png_bands(packed, replace(image_header, size_hw=(rows, columns)), extra):
                if out is None:
                    out = np.empty((height, width, samples.shape[2]), samples.dtype)
                out[row : row + down * len(samples) : down, x0::across] = samples
                row += down * len(samples)
    assert out is not None
    return out


def _png_extra(stream: BinaryIO, image_header: ImageHeader) -> dict[bytes, bytes]:
    """Return the chunks before the pixels that pixels need: palette and transparency."""
    found: dict[bytes, bytes] = {}
    stream.seek(8)
    while stream.tell() < image_header.pixels_at:
        length, name = struct.unpack(">I4s", stream.read(8))
        if name in (b"PLTE", b"tRNS"):
            found[name] = stream.read(min(length, 768))
            length -= len(found[name])
        stream.seek(length + 4, 1)
    return found


class _Unpacked:
    """The unpacked bytes of a PNG's pixels, as many as are asked for; the sums of its chunks are checked."""

    def __init__(self, stream: BinaryIO, at: int) -> None:
        stream.seek(at)
        self._stream = stream
        self._unpacker = zlib.decompressobj()
        self._left = self._sum = 0
        self._waiting = b""

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        parts: list[bytes] = []
        try:
            while count > 0:
                data = self._waiting or self._more()
                part = self._unpacker.decompress(data, count)
                self._waiting = self._unpacker.unconsumed_tail
                parts.append(part)
                count -= len(part)
                if count > 0 and self._unpacker.eof:
                    raise TileError("its pixels end too early")
        except zlib.error as error:
            raise TileError(f"its pixels cannot be unpacked ({error})") from error
        return b"".join(parts)

    def _more(self) -> bytes:
        """Return more of the packed bytes, from as many chunks as they are in."""
        while self._left == 0:
            head = self._stream.read(8)
            length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
            if name != b"IDAT" or length > _MOST_CHUNK_BYTES:
                raise TileError("the file ends before its pixels do")
            self._left, self._sum = length, zlib.crc32(name)
            if length == 0:
                self._stream.read(4)
        data = self._stream.read(min(self._left, _READ_BYTES))
        if not data:
            raise TileError("the file ends before its pixels do")
        self._left -= len(data)
        self._sum = zlib.crc32(data, self._sum)
        if self._left == 0 and self._stream.read(4) != struct.pack(">I", self._sum):
            raise TileError("its pixels are damaged: their sum is not the one that is stored")
        return data


def _unfiltered(filtered: bytes, height: int, length: int, image_header: ImageHeader) -> npt.NDArray[np.uint8]:
    """Return rows as they were before PNG's filters, uint8 ``(height, length)``."""
    px_bytes = max(1, image_header.channels * image_header.bits // 8)
    bits, kind = _UNFILTERED_AS[px_bytes]
    head = struct.pack(">IIBBBBB", length // px_bytes, height, bits, kind, 0, 0, 0)
    whole = b"".join(
        (b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(filtered, 0)), _chunk(b"IEND", b""))
    )
    try:
        samples = np.asarray(imagecodecs.png_decode(whole))
    except (RuntimeError, ValueError) as error:
        raise TileError(f"its pixels are damaged ({error})") from error
    if bits == 16:
        samples = samples.astype(">u2")
    return samples.reshape(height, -1).view(np.uint8).reshape(height, length)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_samples(rows: npt.NDArray[np.uint8], image_header: ImageHeader, extra: dict[bytes, bytes]) -> Samples:
    """Return rows of bytes as samples, with the palette's colours and with alpha where the file has either."""
    width = image_header.size_hw[1]
    clear = extra.get(b"tRNS", b"")
    if image_header.bits == 16:
        samples: Samples = rows.view(">u2").astype(np.uint16).reshape(len(rows), width, image_header.channels)
    elif image_header.bits == 8:
        samples = rows.reshape(len(rows), width, image_header.channels)
    else:
        samples = _unpacked_bits(rows, image_header.bits)[:, :width, None]
    if image_header.kind == 3:
        return _coloured(samples[..., 0], extra[b"PLTE"], clear)
    if image_header.bits < 8:
        top = 2**image_header.bits - 1
        opaque = None if len(clear) < 2 else samples != int.from_bytes(clear[:2], "big")
        grey = samples * np.uint8(255 // top)
        return grey if opaque is None else np.concatenate([grey, np.where(opaque, np.uint8(255), np.uint8(0))], axis=-1)
    if image_header.kind in (0, 2) and len(clear) >= 2 * image_header.channels:
        key = np.frombuffer(clear[: 2 * image_header.channels], ">u2")
        alpha = (samples != key).any(axis=-1, keepdims=True)
        return np.concatenate([samples, alpha * np.array(np.iinfo(samples.dtype).max, samples.dtype)], axis=-1)
    return samples


def _unpacked_bits(rows: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return (rows[..., None] >> shifts & np.uint8(2**bits - 1)).reshape(len(rows), -1)


def _coloured(places: npt.NDArray[np.unsignedinteger], palette: bytes, clear: bytes) -> npt.NDArray[np.uint8]:
    table = np.zeros((256, 4), np.uint8)
    colours = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    table[: len(colours), :3] = colours
    table[:, 3] = 255
    table[: len(clear), 3] = np.frombuffer(clear[:256], np.uint8)
    return np.asarray(table[places] if clear else table[places, :3])


def _bmp(stream: BinaryIO, image_header: ImageHeader) -> Iterator[Samples]:
    """Each band is a BMP of fewer rows: they lie at known places, mostly the last one first."""
    head = bytearray(stream.read(image_header.pixels_at))
    height = image_header.size_hw[0]
    core = int.from_bytes(head[14:18], "little") == 12
    place, count = (20, 2) if core else (22, 4)
    upwards = core or not head[25] & 0x80
    bits = int.from_bytes(head[24:26] if core else head[28:30], "little")
    stride = -(-image_header.size_hw[1] * bits // 32) * 4
    for first, end in _heights(image_header):
        stream.seek(image_header.pixels_at + (height - end if upwards else first) * stride)
        rows = end - first
        head[place : place + count] = (rows if upwards else 2 ** (8 * count) - rows).to_bytes(count, "little")
        yield _decoded(BmpImagePlugin.BmpImageFile, bytes(head) + _rows(stream, rows * stride))


def _pnm(stream: BinaryIO, image_header: ImageHeader) -> Iterator[Samples]:
    head = stream.read(image_header.pixels_at)
    largest = b"" if image_header.kind == 4 else head.rstrip().split()[-1]
    length = row_bytes(image_header)
    for first, end in _heights(image_header):
        start = (
            b"P%d %d %d" % (image_header.kind, image_header.size_hw[1], end - first)
            + (largest and b" " + largest)
            + b"\n"
        )
        yield _decoded(PpmImagePlugin.PpmImageFile, start + _rows(stream, (end - first) * length))


def _rows(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise TileError("the file ends before its pixels do")
    return data


def _decoded(kind: type[BmpImagePlugin.BmpImageFile] | type[PpmImagePlugin.PpmImageFile], data: bytes) -> Samples:
    """Return the pixels of a small picture in memory."""
    try:
        with warnings.catch_warnings(), kind(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            if image.mode.startswith("I"):
                return np.asarray(image).astype(np.uint16)[..., None]
            pixels = np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, IndexError, KeyError, struct.error) as error:
        raise TileError(f"its pixels are damaged ({error})") from error
    return pixels
