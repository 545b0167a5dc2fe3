"""Tiles of a large flat image, made once in the user's cache: a JPEG of 196 Mpx is 590 MB when it is decoded.

They are stored without loss, so that a model sees the pixels of the file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import tifffile

from napari_cyto.domain.places import user_cache_dir
from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.fingerprint import fingerprint
from napari_cyto.slides.flat_image import FlatHeader, decode
from napari_cyto.slides.tiff_check import checked_tiff
from napari_cyto.slides.tiff_tiles import TiffTiles

TILE_PX = 1024
KEPT = 4
"""How many images' tiles stay in the cache, those last used."""


class FlatTiles:
    """The tiles of one image; where the cache cannot be written, its pixels in memory."""

    def __init__(self, tiles: TiffTiles | None, pixels: RGB | None = None) -> None:
        self._tiles, self._pixels = tiles, pixels

    @classmethod
    def of(cls, path: Path, header: FlatHeader) -> Self:
        """Return the tiles of an image, made if they are not in the cache.

        Raises
        ------
        TileError
            When the image is damaged.
        """
        folder = user_cache_dir() / "flat-images"
        # The size and time of the file are in the name: what was edited in place is made anew.
        known = path.stat()
        place = folder / f"{fingerprint(path)}-{known.st_size}-{known.st_mtime_ns}.tif"
        if place.exists():
            with contextlib.suppress(OSError, ValueError, IndexError, SlideError):
                return cls(_opened(place, header))
        pixels = decode(path, header)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(place, pixels)
            _forget_old(folder, place)
            return cls(_opened(place, header))
        except OSError:
            return cls(None, pixels)

    def tile(self, row: int, column: int) -> RGB | None:
        """Return one tile, cut at the border, uint8 RGB; None where it is not there."""
        if self._tiles is not None:
            return self._tiles.decode(0, row, column)
        if self._pixels is None:
            raise TileError("the image is closed")
        y, x = row * TILE_PX, column * TILE_PX
        return self._pixels[y : y + TILE_PX, x : x + TILE_PX].copy()

    def close(self) -> None:
        """Let go of file and pixels."""
        if self._tiles is not None:
            self._tiles.close()
        self._pixels = None


def _opened(place: Path, header: FlatHeader) -> TiffTiles:
    with checked_tiff(place) as tiff:
        page = tiff.pages[0]
        if page.size_hw != header.size_hw:
            raise ValueError("these are the tiles of another image")
        tiles = TiffTiles(place, [(page,)])
    os.utime(place)
    return tiles


def _write(place: Path, pixels: RGB) -> None:
    """Write the tiles under a temporary name first: two programs may open one image at a time."""
    temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        tifffile.imwrite(
            temporary,
            _tiles(pixels),
            shape=pixels.shape,
            dtype=np.uint8,
            tile=(TILE_PX, TILE_PX),
            photometric="rgb",
            compression="zlib",
            compressionargs={"level": 1},
            metadata=None,
            bigtiff=pixels.nbytes > 2**31,
        )
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _tiles(pixels: RGB) -> Iterator[RGB]:
    for y in range(0, pixels.shape[0], TILE_PX):
        for x in range(0, pixels.shape[1], TILE_PX):
            tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
            part = pixels[y : y + TILE_PX, x : x + TILE_PX]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _forget_old(folder: Path, newest: Path) -> None:
    others = [p for p in folder.glob("*.tif") if p != newest]
    for path in sorted(others, key=lambda p: p.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        with contextlib.suppress(OSError):
            path.unlink()
