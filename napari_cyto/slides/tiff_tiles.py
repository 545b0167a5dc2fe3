"""Tiles of a TIFF straight from its bytes: no library's lock, no copy through another image type."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile

from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.depth import eight_bit, used_bits

# It logs what it meets in a damaged file, which Python prints when nobody listens; we say it in one sentence.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_JPEG = 7
_MIN_BAND_PX = 256
# Bare glass is compressed to about a hundredth, and may bring its tables; what is larger seldom comes twice.
_PLAIN_BYTES_PER_PX, _TABLES_BYTES = 1 / 16, 1024
# Enough of a slide's coarsest level to meet its bright glass.
_SAMPLED_TILES = 16
_PHOTOMETRICS = {0: "minis white", 1: "minis black", 2: "RGB", 3: "palette", 6: "YCbCr"}
_YCBCR = 6
# None, LZW, deflate, PackBits, LZMA, zstd: these hand out YCbCr as it is, where JPEG's kin make it RGB.
_KEEPING_COLOURS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
# JFIF and Adobe's APP14 segment say how three components are to be understood; TIFF says it in a tag instead,
# and decoders that only see the stream must be told. Source: Adobe TN 5116, section 18.
_APP14 = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


Level: TypeAlias = tuple[tifffile.TiffPage, ...]
"""One page, or three that are the red, green and blue of one image."""


class TiffTiles:
    """Reads and decodes the tiles of a TIFF's levels; safe from many threads.

    Parameters
    ----------
    path : Path
        The file.
    levels : list of Level
        Largest first. Strips are joined into bands at least 256 px high.

    Attributes
    ----------
    bits : tuple of int
        How many bits of each sample are used, as the coarsest level shows, and how many are stored.
    """

    def __init__(self, path: Path, levels: list[Level]) -> None:
        self._file: _File | None = _File(path)
        self._levels = [tuple(_Page(page) for page in level) for level in levels]
        stored = self._levels[0][0].bits
        self.bits = (stored, stored) if stored <= 8 or self._levels[0][0].is_palette else (self._used(stored), stored)
        for page in (page for level in self._levels for page in level):
            page.bits = self.bits[0]

    @classmethod
    def matching(
        cls, path: Path, sizes_hw: tuple[tuple[int, int], ...], tiles_hw: tuple[tuple[int, int], ...]
    ) -> TiffTiles | None:
        """Return the tiles of a TIFF whose pages are exactly these levels, or None when they are not."""
        try:
            with tifffile.TiffFile(path) as tiff:
                pages = [p for p in tiff.pages if isinstance(p, tifffile.TiffPage) and p.is_tiled]
                by_size = {
                    (p.imagelength, p.imagewidth, p.tilelength, p.tilewidth): p for p in reversed(pages) if _readable(p)
                }
                chosen = [by_size[(*size, *tile)] for size, tile in zip(sizes_hw, tiles_hw, strict=True)]
                return cls(path, [(page,) for page in chosen])
        except (KeyError, ValueError, OSError, tifffile.TiffFileError):
            return None

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of the tiles of a level."""
        return self._levels[level][0].tile_hw

    def decode(self, level: int, row: int, column: int) -> RGB | None:
        """Return the pixels of one tile, cut at the border, or None when the file leaves it out (sparse).

        Raises
        ------
        TileError
            When its bytes are damaged or gone.
        """
        pages = self._levels[level]
        parts = [self._segments(page, row, column) for page in pages]
        known = [page.join(part) for page, part in zip(pages, parts, strict=True) if part is not None]
        if len(known) < len(pages):
            return None
        whole = known[0] if len(known) == 1 else np.stack([plane[..., 0] for plane in known], axis=-1)
        height, width = pages[0].cut_hw(row, column)
        return np.ascontiguousarray(whole[:height, :width])

    def _segments(self, page: _Page, row: int, column: int) -> list[npt.NDArray[np.generic]] | None:
        """Return the samples of the segments that a tile is made of; None when the file leaves one out."""
        parts = []
        for index in page.segments(row, column):
            data = self._bytes(page.offsets[index], page.counts[index])
            part = None if data is None else page.decode_segment(data, index)
            if part is None:
                return None
            parts.append(part)
        return parts

    def _used(self, stored: int) -> int:
        """Return how many bits the largest sample needs, of tiles that are spread over the coarsest level."""
        pages, largest = self._levels[-1], 0
        rows, columns = pages[0].grid
        for tile in np.unique(np.linspace(0, rows * columns - 1, _SAMPLED_TILES).round().astype(int)).tolist():
            for page in pages:
                try:
                    parts = self._segments(page, *divmod(tile, columns)) or []
                except TileError:
                    continue
                largest = max([largest, *(int(part.max(initial=0)) for part in parts)])
        return used_bits(largest, stored) if largest else stored

    def _bytes(self, offset: int, count: int) -> bytes | None:
        if count == 0 or offset == 0:
            return None
        file = self._file
        if file is None:
            raise TileError("the slide is closed")
        try:
            data = file.read_at(offset, count)
        except OSError as error:
            raise TileError(f"the file cannot be read at byte {offset}: {error}") from error
        if len(data) < count:
            raise TileError(f"the file ends at byte {offset + len(data)}, before the tile does")
        return data

    def close(self) -> None:
        """Let go of the file; a thread that is reading from it keeps it open until it is done."""
        self._file = None


class _File:
    """Bytes at any place, for many threads at once; closed when nobody holds it any more.

    Closing it under a reading thread could hand that thread the bytes of whatever file is opened next.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._lock = threading.Lock()
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``."""
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, count, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, count)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _readable(page: tifffile.TiffPage) -> bool:
    if page.photometric == _YCBCR and page.compression in _KEEPING_COLOURS:
        return False
    return page.photometric in _PHOTOMETRICS and page.dtype is not None and page.dtype.kind in "bu"


class _Page:
    """How the bytes of one page become RGB."""

    def __init__(self, page: tifffile.TiffPage) -> None:
        self._page = page
        self.offsets, self.counts = page.dataoffsets, page.databytecounts
        self._size_hw = (page.imagelength, page.imagewidth)
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        self.bits: int = page.bitspersample if isinstance(page.bitspersample, int) else page.bitspersample[0]
        self.is_palette = int(page.photometric) == 3
        self._strips = 0 if page.is_tiled else -(-_MIN_BAND_PX // page.rowsperstrip)
        self.tile_hw = (
            (page.tilelength, page.tilewidth)
            if page.is_tiled
            else (min(self._strips * page.rowsperstrip, page.imagelength), page.imagewidth)
        )
        self._jpeg_head = self._head_of_jpeg() if page.compression == _JPEG else None
        self._last_plain: tuple[bytes, RGB] = (b"", np.empty((0, 0, 3), np.uint8))
        # Tags are read while the file is open.
        colours = page.colormap if int(page.photometric) == 3 else None
        self._palette: RGB | None = None if colours is None else (colours.T >> 8).astype(np.uint8)
        page.decode  # noqa: B018 - built once here: the first touch is not safe from several threads

    def _head_of_jpeg(self) -> bytes | None:
        page = self._page
        colour = {2: 0, 6: 1}.get(int(page.photometric))
        if page.dtype != np.uint8 or self._planes != 1 or page.samplesperpixel != 3 or colour is None:
            return None
        tables = b"" if page.jpegtables is None else page.jpegtables[2:-2]
        return b"\xff\xd8" + _APP14 + bytes([colour]) + tables

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return (-(-self._size_hw[0] // self.tile_hw[0]), -(-self._size_hw[1] // self.tile_hw[1]))

    def segments(self, row: int, column: int) -> list[int]:
        """Return the indices of the segments that one tile is made of: planes, or the strips of a band."""
        if self._strips:
            count = -(-self._size_hw[0] // self._page.rowsperstrip)
            first, across = row * self._strips, range(min(self._strips, count - row * self._strips))
            return [p * count + first + s for p in range(self._planes) for s in across]
        rows, columns = self.grid
        return [(p * rows + row) * columns + column for p in range(self._planes)]

    def cut_hw(self, row: int, column: int) -> tuple[int, int]:
        """Return the size of a tile without what lies beyond the image, px."""
        (h, w), (th, tw) = self._size_hw, self.tile_hw
        return (min(th, h - row * th), min(tw, w - column * tw))

    def decode_segment(self, data: bytes, index: int) -> npt.NDArray[np.generic] | None:
        """Return one segment's samples, ``(h, w, samples)``."""
        try:
            strict = None if self._jpeg_head is None else self._jpeg(self._jpeg_head, data)
            if strict is not None:
                return strict
            decoded = self._page.decode(data, index, jpegtables=self._page.jpegtables)[0]
        except (ValueError, RuntimeError, TypeError, imagecodecs.DelayedImportError) as error:
            # Codecs raise RuntimeErrors of their own kinds.
            raise TileError(str(error).strip() or type(error).__name__) from error
        return None if decoded is None else np.asarray(decoded)[0]

    def _jpeg(self, head: bytes, data: bytes) -> RGB | None:
        """Return the samples of a JPEG; of a page's tiles of bare glass many are the very same bytes."""
        known, pixels = self._last_plain
        if data == known:
            return pixels
        decoded = _strict_jpeg(head, data)
        if decoded is not None and len(data) <= _TABLES_BYTES + _PLAIN_BYTES_PER_PX * decoded[..., 0].size:
            decoded.flags.writeable = False  # several tiles are this one
            self._last_plain = (data, decoded)
        return decoded

    def join(self, parts: list[npt.NDArray[np.generic]]) -> RGB:
        """Return the segments of one tile as uint8 RGB."""
        if len(parts) == 1 and self._jpeg_head is not None:
            return np.asarray(parts[0], np.uint8)
        per_plane = len(parts) // self._planes
        planes = [np.concatenate(parts[p * per_plane : (p + 1) * per_plane]) for p in range(self._planes)]
        samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return _as_rgb(samples, int(self._page.photometric), self.bits, self._palette)


def _strict_jpeg(head: bytes, data: bytes) -> RGB | None:
    """Decode a JPEG, or return None when it is of a kind that only the other decoder knows."""
    if data[:2] != b"\xff\xd8":
        raise TileError("a JPEG should begin with the bytes ff d8")
    try:
        # libjpeg repairs damage in silence unless its warnings are taken for what they are.
        decoded: RGB = simplejpeg.decode_jpeg(head + data[2:], "RGB", strict=True)
    except ValueError as error:
        if "subsampling" in str(error):
            return None
        raise
    return decoded


def _as_rgb(samples: npt.NDArray[np.generic], photometric: int, bits: int, palette: RGB | None) -> RGB:
    if palette is not None:
        return palette[samples[..., 0].astype(np.intp)]
    values: npt.NDArray[np.unsignedinteger] = samples.astype(np.uint32)
    if bits < 8:
        values = values * np.uint32(255 // (2**bits - 1))
    # A sample that was not met when the depth was measured must not wrap round to black.
    eight = eight_bit(np.minimum(values, np.uint32(2 ** max(bits, 8) - 1)), bits)
    if photometric == 0:
        eight = 255 - eight
    return eight[..., :3] if eight.shape[-1] >= 3 else np.repeat(eight[..., :1], 3, axis=-1)
