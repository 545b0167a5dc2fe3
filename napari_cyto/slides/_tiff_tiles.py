"""Tiles of a TIFF straight from its bytes: no library's lock, no copy through another image type."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg

from napari_cyto.errors import SlideError
from napari_cyto.slides._depth import eight_bit, used_bits
from napari_cyto.slides._encoded_size import KNOWN, encoded_size_hw
from napari_cyto.slides._tiff_check import MOST_SEGMENT_PX, CheckedPage, checked_tiff
from napari_cyto.slides.backend import RGB, TileError

# It logs what it meets in a damaged file, which Python prints when nobody listens; we say it in one sentence.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_UNPACKED, _JPEG = 1, 7
_MIN_BAND_PX = 256
# Bare glass is compressed to about a hundredth, and may bring its tables; what is larger seldom comes twice.
_PLAIN_BYTES_PER_PX, _TABLES_BYTES = 1 / 16, 1024
# Enough of a slide's coarsest level to meet its bright glass.
_SAMPLED_TILES, _SAMPLED_VALUES = 16, 2**25
# What is unpacked at one time is bounded: of tiles beyond this, one after another.
_LARGE_PX = 2**22
_LARGE = threading.Lock()
# No codec makes more than twice as many bytes of a picture; with room for tables and profiles of its own.
_MOST_PACKED, _TABLES_AND_PROFILES_BYTES = 2, 2**20
# A JPEG fills up its last blocks, so its size may be rounded up.
_JPEG_BLOCK_PX = 16
_PHOTOMETRICS = {0: "minis white", 1: "minis black", 2: "RGB", 3: "palette", 6: "YCbCr"}
_YCBCR = 6
# None, LZW, deflate, PackBits, LZMA, zstd: these hand out YCbCr as it is, where JPEG's kin make it RGB.
_KEEPING_COLOURS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
# JFIF and Adobe's APP14 segment say how three components are to be understood; TIFF says it in a tag instead,
# and decoders that only see the stream must be told. Source: Adobe TN 5116, section 18.
_APP14 = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


Level: TypeAlias = tuple[CheckedPage, ...]
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
            with checked_tiff(path) as tiff:
                pages = [page for page in tiff.pages if page.is_tiled and readable(page)]
                by_size = {(*page.size_hw, *page.segment_hw): page for page in reversed(pages)}
                chosen = [by_size[(*size, *tile)] for size, tile in zip(sizes_hw, tiles_hw, strict=True)]
                return cls(path, [(page,) for page in chosen])
        except (KeyError, ValueError, OSError, SlideError):
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
        height, width = pages[0].cut_hw(row, column)
        with _LARGE if pages[0].tile_hw[0] * pages[0].tile_hw[1] > _LARGE_PX else contextlib.nullcontext():
            known = []
            for page in pages:
                parts = self._segments(page, row, column)
                if parts is None:
                    return None
                known.append(page.join(parts))
            whole = known[0] if len(known) == 1 else np.stack([plane[..., 0] for plane in known], axis=-1)
            return np.ascontiguousarray(whole[:height, :width])

    def _segments(self, page: _Page, row: int, column: int) -> list[npt.NDArray[np.generic]] | None:
        """Return the samples of the segments that a tile is made of; None when the file leaves one out."""
        parts = []
        for index in page.segments(row, column):
            spans = page.spans(index)
            if spans is None:
                return None
            part = page.decode_segment(b"".join(self._bytes(*span) for span in spans), index)
            if part is None:
                return None
            parts.append(part)
        return parts

    def _used(self, stored: int) -> int:
        """Return how many bits the largest sample needs, of tiles that are spread over the coarsest level."""
        pages, largest, met = self._levels[-1], 0, 0
        rows, columns = pages[0].grid
        for tile in np.unique(np.linspace(0, rows * columns - 1, _SAMPLED_TILES).round().astype(int)).tolist():
            for page in pages:
                try:
                    parts = self._segments(page, *divmod(tile, columns)) or []
                except TileError:
                    continue
                largest = max([largest, *(int(part.max(initial=0)) for part in parts)])
                met += sum(part.size for part in parts)
            if met > _SAMPLED_VALUES:
                break
        return used_bits(largest, stored) if largest else stored

    def _bytes(self, offset: int, count: int) -> bytes:
        file = self._file
        if file is None:
            raise TileError("the slide is closed")
        if offset + count > file.n_bytes:
            raise TileError(f"the file ends at byte {file.n_bytes}, before the tile does")
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
        self.n_bytes = os.fstat(self._descriptor).st_size

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


def readable(checked: CheckedPage) -> bool:
    """Whether a page is a picture of whole numbers in a colour model and a compression that are read."""
    page = checked.page
    if page.photometric == _YCBCR and page.compression in _KEEPING_COLOURS:
        return False
    known = page.photometric in _PHOTOMETRICS and checked.compression in KNOWN
    return known and page.dtype is not None and page.dtype.kind in "bu" and page.dtype.itemsize <= 4


class _Page:
    """How the bytes of one page become RGB."""

    def __init__(self, checked: CheckedPage) -> None:
        self._checked = checked
        self._page = page = checked.page
        # Tags are read while the file is open.
        self._offsets, self._counts = checked.places()
        self._palette = checked.palette()
        self._tables = checked.jpeg_tables()
        self.is_palette = self._palette is not None
        self._size_hw = (height, width) = checked.size_hw
        self._planes, self.bits, rows = checked.planes, checked.bits, checked.segment_hw[0]
        self._is_cut = checked.compression == _UNPACKED and not checked.is_tiled
        is_joined = not checked.is_tiled and not self._is_cut
        self._joined = min(-(-_MIN_BAND_PX // rows), MOST_SEGMENT_PX // (rows * width)) if is_joined else 1
        self.tile_hw = checked.segment_hw if checked.is_tiled else (min(self._joined * rows, height), width)
        self._jpeg_head = self._head_of_jpeg() if page.compression == _JPEG else None
        self._last_plain: tuple[bytes, RGB] = (b"", np.empty((0, 0, 3), np.uint8))
        page.decode  # noqa: B018 - built once here: the first touch is not safe from several threads

    def _head_of_jpeg(self) -> bytes | None:
        page = self._page
        colour = {2: 0, 6: 1}.get(int(page.photometric))
        if page.dtype != np.uint8 or self._planes != 1 or page.samplesperpixel != 3 or colour is None:
            return None
        tables = b"" if self._tables is None else self._tables[2:-2]
        return b"\xff\xd8" + _APP14 + bytes([colour]) + tables

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return (-(-self._size_hw[0] // self.tile_hw[0]), -(-self._size_hw[1] // self.tile_hw[1]))

    def segments(self, row: int, column: int) -> list[int]:
        """Return the indices of the segments that one tile is made of: planes, or the strips of a band."""
        rows, columns = self._checked.grid
        across = range(row * self._joined, min((row + 1) * self._joined, rows))
        return [(p * rows + r) * columns + column for p in range(self._planes) for r in across]

    def spans(self, index: int) -> list[tuple[int, int]] | None:
        """Return place and number of the bytes of a segment; None when the file leaves it out on purpose."""
        if not self._is_cut:
            needed = self._bytes_of(self._checked.segment_hw)
            return self._span(index, 0, needed if self._checked.compression == _UNPACKED else None)
        # The rows of a band lie in one strip or several.
        plane, band = divmod(index, self._checked.grid[0])
        strip_rows, rows = self._checked.stored_rows, self._checked.segment_hw[0]
        strips, top = -(-self._size_hw[0] // strip_rows), band * rows
        bottom, spans = min(top + rows, self._size_hw[0]), []
        for strip in range(top // strip_rows, -(-bottom // strip_rows)):
            begin, end = max(top, strip * strip_rows), min(bottom, (strip + 1) * strip_rows)
            row_bytes = self._checked.bytes_per_row
            span = self._span(
                plane * strips + strip, (begin - strip * strip_rows) * row_bytes, (end - begin) * row_bytes
            )
            if span is None:
                return None
            spans += span
        return spans

    def _bytes_of(self, hw: tuple[int, int]) -> int:
        samples = 1 if self._planes > 1 else self._checked.samples
        return hw[0] * -(-hw[1] * samples * self._checked.bits // 8)

    def _span(self, stored: int, skipped: int, needed: int | None) -> list[tuple[int, int]] | None:
        """Return the bytes of a stored tile or strip, of what is not packed those that are wanted."""
        if stored >= min(len(self._offsets), len(self._counts)):
            raise TileError("the file does not say where it lies")
        place, count = int(self._offsets[stored]), int(self._counts[stored])
        if not place or not count:
            return None
        if needed is not None:
            if skipped + needed > count:
                raise TileError(f"it should have {skipped + needed} bytes, but the file gives it {count}")
            return [(place + skipped, needed)]
        most = _MOST_PACKED * self._bytes_of(self._checked.segment_hw) + _TABLES_AND_PROFILES_BYTES
        if count > most:
            raise TileError(f"it should have at most {most} packed bytes, but the file gives it {count}")
        return [(place, count)]

    def cut_hw(self, row: int, column: int) -> tuple[int, int]:
        """Return the size of a tile without what lies beyond the image, px."""
        (h, w), (th, tw) = self._size_hw, self.tile_hw
        return (min(th, h - row * th), min(tw, w - column * tw))

    def decode_segment(self, data: bytes, index: int) -> npt.NDArray[np.generic] | None:
        """Return one segment's samples, ``(h, w, samples)``.

        Raises
        ------
        TileError
            When they cannot be had, whatever the reason.
        """
        try:
            self._check_size(data)
            strict = None if self._jpeg_head is None else self._jpeg(self._jpeg_head, data)
            if strict is not None:
                return strict
            decoded = self._page.decode(data, index, jpegtables=self._tables)[0]
        except TileError:
            raise
        except Exception as error:
            # Codecs raise errors of their own kinds, MemoryError among them.
            raise TileError(str(error).strip() or type(error).__name__) from error
        return None if decoded is None else np.asarray(decoded)[0]

    def _check_size(self, data: bytes) -> None:
        """Refuse what would unpack to more than the tile: a few bytes can ask for gigabytes."""
        encoded_hw = encoded_size_hw(self._checked.compression, data)
        if encoded_hw is None:
            return
        (height, width), (th, tw) = encoded_hw, self._checked.segment_hw
        if not (0 < height < th + _JPEG_BLOCK_PX and 0 < width < tw + _JPEG_BLOCK_PX):
            raise TileError(f"it should be at most {th} x {tw} px, but its own header says {height} x {width}")

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
        """Return the segments of one tile as uint8 RGB.

        Raises
        ------
        TileError
            When they do not fit together.
        """
        if len(parts) == 1 and self._jpeg_head is not None:
            return np.asarray(parts[0], np.uint8)
        per_plane = len(parts) // self._planes
        try:
            planes = [_stacked(parts[p * per_plane : (p + 1) * per_plane]) for p in range(self._planes)]
            samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
            return _as_rgb(samples, int(self._page.photometric), self.bits, self._palette)
        except (ValueError, IndexError, MemoryError) as error:
            raise TileError(str(error) or type(error).__name__) from error


def _stacked(parts: list[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
    if samples.dtype == np.uint8 and bits == 8 and photometric != 0 and palette is None and samples.shape[-1] >= 3:
        return np.asarray(samples[..., :3], np.uint8)
    out = np.empty((*samples.shape[:2], 3), np.uint8)
    # In parts: on the way a sample takes four times as much.
    rows = max(1, _LARGE_PX // max(1, samples[0].size))
    for top in range(0, len(samples), rows):
        part = samples[top : top + rows]
        if palette is not None:
            out[top : top + rows] = palette[part[..., 0].astype(np.intp)]
        else:
            eight = _eight(part, photometric, bits)
            out[top : top + rows] = eight[..., :3] if eight.shape[-1] >= 3 else eight[..., :1]
    return out


def _eight(samples: npt.NDArray[np.generic], photometric: int, bits: int) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.unsignedinteger] = samples.astype(np.uint32)
    if bits < 8:
        values = values * np.uint32(255 // (2**bits - 1))
    # A sample that was not met when the depth was measured must not wrap round to black.
    eight = eight_bit(np.minimum(values, np.uint32(2 ** max(bits, 8) - 1)), bits)
    return 255 - eight if photometric == 0 else eight
