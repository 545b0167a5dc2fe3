"""Tiles of a large flat image, unpacked once to the user's cache: a picture of 196 Mpx is 590 MB when it is unpacked.

It is unpacked row by row where its format allows it, only as far down as was asked for; a JPEG goes to the disk while
it is unpacked. So memory stays small whatever the size of the picture.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import numpy as np

from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.slides._flat_image import FlatHeader, as_rgb, bits_of, decode, jpeg_into
from napari_cyto.slides._flat_rows import bands
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.fingerprint import fingerprint

TILE_PX = 1024
KEPT = 4
"""How many images' pixels stay in the cache, those last used."""
KEPT_BYTES = 8 * 2**30
"""And how much room they may take together, besides the one that is open."""

_ENDING = ".rgb"
_LEFT_FREE_BYTES = 64 * 2**20
_DROPPED_EVERY_S = 0.02


class FlatTiles:
    """The pixels of one image in a file, uint8 RGB, row after row."""

    def __init__(self, path: Path, header: FlatHeader, file: IO[bytes], place: Path | None, rows: int) -> None:
        self._path, self._header, self._file, self._place = path, header, file, place
        self._rows = rows
        self._parts: Iterator[RGB] | None = None
        self._damage = ""
        self._lock = threading.Lock()

    @classmethod
    def of(cls, path: Path, header: FlatHeader) -> Self:
        """Return the tiles of an image, from the cache where it has them.

        Raises
        ------
        TileError
            When there is no room for them.
        """
        folder = user_cache_dir() / "flat-images"
        # The size and time of the file are in the name: what was edited in place is made anew.
        known = path.stat()
        place = folder / f"{fingerprint(path)}-{known.st_size}-{known.st_mtime_ns}{_ENDING}"
        size = _bytes_of(header)
        with contextlib.suppress(OSError):
            if place.stat().st_size == size:
                os.utime(place)
                return cls(path, header, place.open("rb"), None, header.size_hw[0])
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            _forget_old(folder)
            return cls(path, header, _with_room(_part_of(place), size, header.format == "JPEG"), place, 0)
        try:
            # The cache cannot be written, or is full: elsewhere for as long as the image is open.
            return cls(path, header, _elsewhere(size, header.format == "JPEG"), None, 0)
        except OSError as error:
            raise TileError(
                f"it is unpacked to {size / 1e6:,.0f} MB on the disk, for which there is no room in {folder} "
                f"({error.strerror or error})"
            ) from error

    def tile(self, row: int, column: int) -> RGB:
        """Return one tile, cut at the border, uint8 RGB.

        Raises
        ------
        TileError
            When the image is damaged above its lower edge, or was closed.
        """
        height, width = self._header.size_hw
        y0, x0 = row * TILE_PX, column * TILE_PX
        y1, x1 = min(y0 + TILE_PX, height), min(x0 + TILE_PX, width)
        with self._lock:
            self._unpack(y1)
            out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
            for y in range(y0, y1):
                self._file.seek((y * width + x0) * 3)
                if self._file.readinto(memoryview(out[y - y0]).cast("B")) < 3 * (x1 - x0):  # type: ignore[attr-defined]
                    raise TileError("the pixels that were unpacked to the cache are gone; open the image again")
            return out

    def close(self) -> None:
        """Let go of the pixels; those that are not complete are thrown away."""
        with self._lock:
            self._damage = self._damage or "the image is closed"
            self._parts = None
            self._file.close()
            if self._place is not None:
                _part_of(self._place).unlink(missing_ok=True)

    def _unpack(self, upto: int) -> None:
        """Have the rows above ``upto`` in the file."""
        if self._file.closed:
            raise TileError("the image is closed")
        while self._rows < upto:
            if self._damage:
                raise TileError(self._damage)
            try:
                self._next()
            except TileError as error:
                self._damage = str(error)
                raise
            except OSError as error:
                self._damage = f"its pixels cannot be written to the cache ({error.strerror or error})"
                raise TileError(self._damage) from error

    def _next(self) -> None:
        height, width = self._header.size_hw
        if self._parts is None:
            self._parts = self._unpacked()
        part = next(self._parts, None)
        if part is None:
            raise TileError(f"its pixels end after {self._rows:,} of {height:,} rows")
        if part.shape[1:] != (width, 3) or self._rows + len(part) > height:
            raise TileError(f"expected rows of {width:,} px, got an array {part.shape}")
        if not isinstance(part, np.memmap):
            self._file.seek(self._rows * width * 3)
            self._file.write(np.ascontiguousarray(part).data)
        self._rows += len(part)
        if self._rows == height:
            self._file.flush()
            self._keep()

    def _unpacked(self) -> Iterator[RGB]:
        header = self._header
        if header.image_header.in_rows:
            bits = bits_of(bands(self._path, header.image_header)) if header.is_deep else 8
            for part in bands(self._path, header.image_header):
                yield as_rgb(part, bits)
        elif header.format == "JPEG":
            yield self._unpacked_jpeg()
        else:
            yield decode(self._path, header)

    def _unpacked_jpeg(self) -> RGB:
        """Return the pixels as they lie in the file."""
        pixels: RGB = np.memmap(self._file, np.uint8, "r+", shape=(*self._header.size_hw, 3))
        done = threading.Event()
        dropping = threading.Thread(target=_drop_pages, args=(pixels, done), daemon=True)
        dropping.start()
        try:
            jpeg_into(self._path, self._header, pixels)
        finally:
            done.set()
            dropping.join()
        return pixels

    def _keep(self) -> None:
        """Give the complete file its name, so that it is found the next time."""
        if self._place is None:
            return
        place, self._place = self._place, None
        # On Windows an open file keeps its name: there it goes when the image is closed.
        try:
            _part_of(place).replace(place)
        except OSError:
            self._place = place


def _drop_pages(pixels: np.memmap, done: threading.Event) -> None:
    """Have pages of a file that were written leave the memory of this process; they stay in the file."""
    mapped = pixels._mmap  # type: ignore[attr-defined]
    if not hasattr(mapped, "madvise") or not hasattr(mmap, "MADV_DONTNEED"):
        return
    while not done.wait(_DROPPED_EVERY_S):
        mapped.madvise(mmap.MADV_DONTNEED)


def _bytes_of(header: FlatHeader) -> int:
    return header.size_hw[0] * header.size_hw[1] * 3


def _part_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.{os.getpid()}.part")


def _with_room(path: Path, size: int, at_once: bool) -> IO[bytes]:
    """Return a new file with room for that many bytes, or none at all.

    Raises
    ------
    OSError
        When the disk has no room for it.
    """
    file = path.open("w+b", buffering=0)
    try:
        _make_room(file, path.parent, size, at_once)
    except OSError:
        file.close()
        path.unlink(missing_ok=True)
        raise
    return file


def _elsewhere(size: int, at_once: bool) -> IO[bytes]:
    """Return a file without a name, with room for that many bytes, among the system's temporary ones.

    Raises
    ------
    OSError
        When there is no room for it there, either.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the image
    try:
        _make_room(file, Path(tempfile.gettempdir()), size, at_once)
    except OSError:
        file.close()
        raise
    return file


def _make_room(file: IO[bytes], folder: Path, size: int, at_once: bool) -> None:
    """See that there is room for a file, and reserve it where the file is mapped into memory.

    Writing to a mapped file that the disk has no room for would end the process.
    """
    free = shutil.disk_usage(folder).free
    if free < size + _LEFT_FREE_BYTES:
        raise OSError(f"{free / 1e6:,.0f} MB are free")
    if not at_once:
        return
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    block = bytes(2**20)
    for first in range(0, size, len(block)):
        file.write(block[: size - first])


def _forget_old(folder: Path) -> None:
    """Make room for one more image; what a program left that was ended is swept after a day."""
    with contextlib.suppress(OSError):
        for part in folder.glob(".*.part"):
            if part.stat().st_mtime < time.time() - 86_400:
                part.unlink()
    total = 0
    newest_first = sorted(folder.glob(f"*{_ENDING}"), key=lambda p: p.stat().st_mtime, reverse=True)
    for count, path in enumerate(newest_first, 1):
        total += path.stat().st_size
        if count > KEPT - 1 or total > KEPT_BYTES:
            with contextlib.suppress(OSError):
                path.unlink()
    for path in folder.glob("*.tif"):  # as they were kept before
        with contextlib.suppress(OSError):
            path.unlink()
