"""Write a pyramidal, tiled JPEG TIFF of any size in bounded memory; OpenSlide, QuPath and we read it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from napari_cyto.errors import SlideError

RGB: TypeAlias = npt.NDArray[np.uint8]
Draw: TypeAlias = Callable[[int, int, int, int], RGB]

_BLOCK_TILES = 4
_BIGTIFF_FROM_PX = 1_000_000_000
_BIGTIFF_FROM_BYTES = 3_000_000_000


def write_pyramid(
    path: str | os.PathLike[str],
    size_hw: tuple[int, int],
    draw: Draw,
    *,
    mpp: float | None,
    tile: int = 256,
    quality: int = 85,
    background: tuple[int, int, int] = (255, 255, 255),
    min_level_px: int = 512,
) -> None:
    """Write a slide that ``draw`` paints block by block; each level halves the one above.

    Parameters
    ----------
    path : path-like
        The file to write; it appears, whole, when all is written (temporary name, fsync, rename).
    size_hw : tuple of int
        Height and width of level 0, px.
    draw : callable
        ``draw(y0, x0, h, w)`` returns the uint8 RGB pixels ``(h, w, 3)`` of that box, level-0 px. Called once for
        each block of about 4 x 4 tiles, row by row, in the calling thread; what it raises ends the job and leaves
        nothing behind.
    mpp : float or None
        µm per level-0 px, stored as the TIFF resolution.
    tile : int
        Side of the tiles, px, a multiple of 16.
    quality : int
        JPEG quality, 1 to 100.
    background : tuple of int
        RGB that fills border tiles beyond the image.
    min_level_px : int
        Levels are added until the longer side is no larger than this.

    Raises
    ------
    SlideError
        When the size is empty, the tile no multiple of 16, or ``draw`` gives another shape than asked for.
    """
    target = Path(path)
    if min(size_hw) < 1 or tile < 16 or tile % 16:
        raise SlideError(
            f"{target.name} cannot be written: expected at least 1 x 1 px and tiles of a multiple of 16 px, "
            f"got {size_hw} px and tiles of {tile} px."
        )
    sizes = _level_sizes(size_hw, min_level_px)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    encode = _TileEncoder(tile, quality, background)
    try:
        with ExitStack() as stack:
            spills = [stack.enter_context(closing(_Spill(target.parent))) for _ in sizes[1:]]
            with tifffile.TiffWriter(temporary, bigtiff=size_hw[0] * size_hw[1] > _BIGTIFF_FROM_PX) as writer:
                level0 = _level0_tiles(size_hw, draw, encode, _Reducer.chain(sizes[1:], encode, spills))
                streams: list[Iterator[bytes]] = [level0, *(spill.tiles() for spill in spills)]
                for level, (size, tiles) in enumerate(zip(sizes, streams, strict=True)):
                    _write_level(writer, tiles, size, level, tile, mpp)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        encode.close()
        temporary.unlink(missing_ok=True)


def write_label_image(path: Path, labels: npt.NDArray[np.unsignedinteger[Any]], mpp: float | None) -> None:
    """Write a label image ``(h, w)`` of 16 or 32 bits as a tiled, packed TIFF of one level.

    Parameters
    ----------
    path : Path
        The file to write, in a folder that appears only when all of it is written.
    labels : ndarray, uint16 or uint32 (h, w)
        The number of the object that covers each pixel; 0 where there is none.
    mpp : float or None
        µm per px, stored as the TIFF resolution.
    """
    tifffile.imwrite(
        path,
        labels,
        bigtiff=labels.nbytes > _BIGTIFF_FROM_BYTES,
        photometric="minisblack",
        tile=(256, 256),
        compression="zlib",
        resolution=None if mpp is None else (1e4 / mpp, 1e4 / mpp),
        resolutionunit=None if mpp is None else "CENTIMETER",
    )


def _level_sizes(size_hw: tuple[int, int], min_level_px: int) -> list[tuple[int, int]]:
    sizes = [size_hw]
    while max(sizes[-1]) > min_level_px and min(sizes[-1]) > 1:
        h, w = sizes[-1]
        sizes.append((h // 2, w // 2))
    return sizes


def _write_level(
    writer: tifffile.TiffWriter,
    tiles: Iterator[bytes],
    size_hw: tuple[int, int],
    level: int,
    tile: int,
    mpp: float | None,
) -> None:
    per_cm = None if mpp is None else (1e4 / (mpp * 2**level),) * 2
    writer.write(
        tiles,
        shape=(*size_hw, 3),
        dtype=np.uint8,
        tile=(tile, tile),
        photometric="ycbcr",
        subsampling=(2, 2),
        compression="jpeg",
        # OpenSlide takes a further page for a level only when it is flagged as a reduced image.
        subfiletype=1 if level else 0,
        resolution=per_cm,
        resolutionunit="CENTIMETER" if per_cm else None,
        metadata=None,
        software="napari-cyto",
    )


def _level0_tiles(
    size_hw: tuple[int, int], draw: Draw, encode: _TileEncoder, below: _Reducer | None
) -> Iterator[bytes]:
    height, width = size_hw
    block = encode.tile * _BLOCK_TILES
    for y in range(0, height, block):
        h = min(block, height - y)
        band = np.empty((h, width, 3), np.uint8)
        for x in range(0, width, block):
            w = min(block, width - x)
            pixels = np.asarray(draw(y, x, h, w))
            if pixels.shape != (h, w, 3) or pixels.dtype != np.uint8:
                raise SlideError(
                    f"Expected uint8 pixels of shape {(h, w, 3)} for the block at y {y}, x {x}, "
                    f"got {pixels.dtype} of shape {pixels.shape}."
                )
            band[:, x : x + w] = pixels
        tiles = encode.band(band)
        # The TIFF writer never asks again after the last tile, so the levels below come first.
        if below is not None:
            below.push(band)
            if y + h == height:
                below.finish()
        yield from tiles


class _TileEncoder:
    """Cut bands into tiles and compress these on a few threads (the codec releases the GIL)."""

    def __init__(self, tile: int, quality: int, background: tuple[int, int, int]) -> None:
        self.tile = tile
        self._quality = quality
        self._background = np.array(background, np.uint8)
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))

    def band(self, band: RGB) -> Iterator[bytes]:
        """Start to compress a full-width band, and give the JPEG bytes of its tiles row by row."""
        tile = self.tile
        corners = [(y, x) for y in range(0, band.shape[0], tile) for x in range(0, band.shape[1], tile)]
        return self._pool.map(lambda corner: self._encode(band, *corner), corners)

    def _encode(self, band: RGB, y: int, x: int) -> bytes:
        piece = band[y : y + self.tile, x : x + self.tile]
        if piece.shape[:2] != (self.tile, self.tile):
            full = np.empty((self.tile, self.tile, 3), np.uint8)
            full[:] = self._background
            full[: piece.shape[0], : piece.shape[1]] = piece
            piece = full
        return bytes(
            imagecodecs.jpeg8_encode(
                np.ascontiguousarray(piece),
                level=self._quality,
                colorspace="rgb",
                outcolorspace="ycbcr",
                subsampling="420",
            )
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


class _Spill:
    """Compressed tiles of a lower level, kept in a file until it is that level's turn in the TIFF."""

    def __init__(self, folder: Path) -> None:
        self._sizes: list[int] = []
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the spill

    def add(self, tile: bytes) -> None:
        """Keep one tile."""
        self._file.write(tile)
        self._sizes.append(len(tile))

    def tiles(self) -> Iterator[bytes]:
        """Give all tiles back, in order."""
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size)

    def close(self) -> None:
        """Forget the tiles."""
        self._file.close()


class _Reducer:
    """Halve bands as they pass (mean of 2 x 2 px) and hand the result down the pyramid."""

    def __init__(self, size_hw: tuple[int, int], encode: _TileEncoder, spill: _Spill, below: _Reducer | None) -> None:
        self._size_hw = size_hw
        self._encode = encode
        self._spill = spill
        self._below = below
        self._rows: list[RGB] = []

    @classmethod
    def chain(cls, sizes: list[tuple[int, int]], encode: _TileEncoder, spills: list[_Spill]) -> _Reducer | None:
        """Return the reducer into the first of ``sizes``, linked to those below it."""
        below: _Reducer | None = None
        for size, spill in zip(reversed(sizes), reversed(spills), strict=True):
            below = cls(size, encode, spill, below)
        return below

    def push(self, band: RGB) -> None:
        """Take the next full-width band of the level above; all but the last have an even height."""
        h, w = band.shape[0] // 2, self._size_hw[1]
        quads = band[: 2 * h, : 2 * w].astype(np.uint16)
        mean = (quads[::2, ::2] + quads[1::2, ::2] + quads[::2, 1::2] + quads[1::2, 1::2] + 2) >> 2
        self._rows.append(mean.astype(np.uint8))
        if sum(rows.shape[0] for rows in self._rows) >= self._encode.tile * _BLOCK_TILES:
            self._flush()

    def _flush(self) -> None:
        band = np.concatenate(self._rows)
        self._rows = []
        if band.shape[0] == 0:
            return
        for tile in self._encode.band(band):
            self._spill.add(tile)
        if self._below is not None:
            self._below.push(band)

    def finish(self) -> None:
        """Write what is left, here and below."""
        if self._rows:
            self._flush()
        if self._below is not None:
            self._below.finish()
