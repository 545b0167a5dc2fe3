"""An open slide: regions of any level through the shared tile cache, damaged tiles hatched."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import cast

import numpy as np

from napari_cyto.domain.geometry import YXYX, Box
from napari_cyto.errors import SlideError
from napari_cyto.slides._hatch_pattern import hatched
from napari_cyto.slides._tile_cache import TileCache, shared_cache
from napari_cyto.slides.backend import RGB, Backend, StackedBackend, TileError
from napari_cyto.slides.colour import SrgbTransform, usable_profile
from napari_cyto.slides.slide_info import SlideInfo

LISTED_ONE_BY_ONE = 20
"""A slide may be damaged all over: of so many tiles each is told, of more their number."""

DECODING_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class UnreadableTile:
    """A tile whose bytes are damaged or gone.

    Parameters
    ----------
    slide_name : str
        The file.
    level : int
        Its level.
    bounds_yxyx : tuple of float
        What it covers, level-0 px.
    reason : str
        What the decoder said.
    """

    slide_name: str
    level: int
    bounds_yxyx: YXYX
    reason: str

    def __str__(self) -> str:
        y0, x0, y1, x1 = (round(v) for v in self.bounds_yxyx)
        return (
            f"{self.slide_name}: the tile at y {y0} to {y1}, x {x0} to {x1} (level {self.level}) cannot be read "
            f"and is drawn hatched: {self.reason}"
        )


def said_of_unreadable(tiles: Sequence[UnreadableTile]) -> list[str]:
    """Return what to say of damaged tiles: of the first ones each, of the others how many."""
    said = [str(tile) for tile in tiles[:LISTED_ONE_BY_ONE]]
    if len(tiles) > LISTED_ONE_BY_ONE:
        said.append(f"{len(tiles) - LISTED_ONE_BY_ONE:,} further tiles cannot be read and are drawn hatched.")
    return said


class Slide:
    """A slide or image, open for reading from any thread.

    Pickling it passes the path on; the other process opens it again.
    """

    def __init__(self, backend: Backend, cache: TileCache | None = None) -> None:
        self.info: SlideInfo = _with_usable_profile(backend.info)
        self._backend = backend
        self._cache = shared_cache() if cache is None else cache
        self._identity = _identity(self.info)
        self._unreadable: dict[tuple[int, int, int], UnreadableTile] = {}
        self._met: list[UnreadableTile] = []
        self._callbacks: list[Callable[[UnreadableTile], None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self.zoomable: Slide | None = None
        self._root = self
        self._planes: dict[int, Slide] = {}

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Slide {self.info.name} {self.info.width} x {self.info.height} px, {self.info.levels} level(s)>"

    def close(self) -> None:
        """Let go of the file; tiles already in the cache age out."""
        if not self._closed:
            self._closed = True
            for plane in tuple(self._planes.values()):
                plane.close()
            if self.zoomable is not None:
                self.zoomable.close()
            if self._root is self:
                self._backend.close()

    @property
    def closed(self) -> bool:
        """Whether the file was let go of."""
        return self._closed

    def at_plane(self, plane: int | None) -> Slide:
        """Return the slide as one of its focal planes shows it, with the same levels and frame.

        It shares the open file and lives as long as the slide; asked for again, it is the same one.

        Parameters
        ----------
        plane : int or None
            From 0; None is the default plane.

        Raises
        ------
        SlideError
            When the slide has no such plane, or is closed.
        """
        planes, root = self.info.planes, self._root
        number = planes.default if plane is None else plane
        if not 0 <= number < planes.count:
            raise SlideError(
                f"Expected a focal plane from 1 to {planes.count} of {self.info.name}, got {number + 1}; the "
                "annotation may have been made on another file."
            )
        if number == root.info.planes.shown:
            return root
        with root._lock:
            if root.closed:
                raise SlideError(f"{self.info.name} is closed; open it again to read from it.")
            if number not in root._planes:
                root._planes[number] = _plane_of(root, number)
            return root._planes[number]

    @property
    def unreadable(self) -> tuple[UnreadableTile, ...]:
        """Every tile found damaged so far."""
        return tuple(self._unreadable.values())

    def unreadable_after(self, known: int) -> tuple[UnreadableTile, ...]:
        """Return the tiles found damaged since there were ``known`` of them, at no cost for those."""
        return tuple(self._met[known:])

    def unreadable_in(self, bounds_yxyx: YXYX, level: int | None = None) -> tuple[UnreadableTile, ...]:
        """Return the tiles found damaged so far that touch a box, at the cost of the box's tiles.

        Parameters
        ----------
        bounds_yxyx : tuple of float
            Half-open, level-0 px.
        level : int, optional
            Only tiles of this level; of all levels when not given.
        """
        found: list[UnreadableTile] = []
        if not self._unreadable:
            return ()
        for each in range(self.info.levels) if level is None else (level,):
            (y0, x0, y1, x1), (fy, fx) = bounds_yxyx, self.info.factors_yx[each]
            top, left = math.floor(y0 / fy), math.floor(x0 / fx)
            places = self.tiles_in(each, top, left, math.ceil(y1 / fy) - top, math.ceil(x1 / fx) - left)
            found += [tile for place in places if (tile := self._unreadable.get((each, *place))) is not None]
        return tuple(found)

    def on_unreadable(self, callback: Callable[[UnreadableTile], None]) -> Callable[[], None]:
        """Have ``callback`` told of each damaged tile once, in the thread that met it; return how to stop that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of a level's tiles, in its own px."""
        return self._backend.tile_shape_hw(level)

    def read_tile(self, level: int, row: int, column: int, icc: bool = False, keep: bool = True) -> RGB:
        """Return one tile, uint8 RGB ``(h, w, 3)``, read-only; hatched when it is damaged.

        Parameters
        ----------
        level, row, column : int
            Which tile; it starts at ``row * tile height, column * tile width`` px of that level.
        icc : bool
            Whether to bring its colours to sRGB by the slide's ICC profile.
        keep : bool
            Whether the cache shall keep it; not for who passes over the whole slide once.
        """
        if (level, row, column) not in self._unreadable:
            srgb = self._srgb() if icc else None
            try:
                return self._cache.get(
                    self._key(level, row, column, icc),
                    lambda: (
                        self._decode(level, row, column)
                        if srgb is None
                        else srgb(
                            self._cache.get(
                                self._key(level, row, column), lambda: self._decode(level, row, column), keep
                            )
                        )
                    ),
                    keep,
                )
            except TileError as error:
                # A thread may still decode while another closes the slide; that is no damage.
                if not self.closed:
                    self._report(level, row, column, str(error))
        # Never kept: whoever opens the file next shall be told of its damage as well.
        return hatched(*self._tile_size_hw(level, row, column))

    def is_at_hand(self, level: int, row: int, column: int, icc: bool = False) -> bool:
        """Whether a tile can be had without decoding it."""
        return (level, row, column) in self._unreadable or (
            self._cache.peek(self._key(level, row, column, icc)) is not None
        )

    def tiles_in(self, level: int, y0: int, x0: int, height: int, width: int) -> list[tuple[int, int]]:
        """Return row and column of every tile that a box of a level (px of that level) touches."""
        (level_h, level_w), (th, tw) = self.info.level_sizes_hw[level], self.tile_shape_hw(level)
        y1, x1 = min(y0 + height, level_h), min(x0 + width, level_w)
        return [(r, c) for r in range(max(y0, 0) // th, -(-y1 // th)) for c in range(max(x0, 0) // tw, -(-x1 // tw))]

    def read_region(self, level: int, y0: int, x0: int, height: int, width: int, icc: bool = False) -> RGB:
        """Return a box of a level; beyond the slide it is the slide's background (white).

        Parameters
        ----------
        level : int
            Which level.
        y0, x0 : int
            Top-left corner in px of that level; may be negative.
        height, width : int
            Size in px of that level.
        icc : bool
            Whether to bring its colours to sRGB by the slide's ICC profile.

        Returns
        -------
        ndarray
            uint8 RGB, ``(height, width, 3)``, a fresh array.

        Raises
        ------
        SlideError
            When the level does not exist or the slide is closed.
        """
        self._check(level, height, width)
        out = np.empty((height, width, 3), np.uint8)
        level_h, level_w = self.info.level_sizes_hw[level]
        if y0 < 0 or x0 < 0 or y0 + height > level_h or x0 + width > level_w:
            out[:] = self.info.background_rgb
        self._each(
            lambda place: self.paste_tile(out, (y0, x0), level, place, icc),
            self.tiles_in(level, y0, x0, height, width),
            level,
            icc,
        )
        return out

    def paste_tile(
        self, out: RGB, origin_yx: tuple[int, int], level: int, place: tuple[int, int], icc: bool = False
    ) -> None:
        """Copy what a tile shares with a picture of its level whose top-left px is ``origin_yx`` into that picture."""
        tile = self.read_tile(level, *place, icc)
        th, tw = self.tile_shape_hw(level)
        y, x = place[0] * th - origin_yx[0], place[1] * tw - origin_yx[1]
        ty, tx = max(y, 0), max(x, 0)
        by, bx = min(y + tile.shape[0], out.shape[0]), min(x + tile.shape[1], out.shape[1])
        if by > ty and bx > tx:
            out[ty:by, tx:bx] = tile[ty - y : by - y, tx - x : bx - x]

    def read_level0(self, box: Box | YXYX) -> RGB:
        """Return the pixels of a level-0 box, rounded to whole px, padded with background beyond the slide.

        Returns
        -------
        ndarray
            uint8 RGB, ``(round(y1) - round(y0), round(x1) - round(x0), 3)``.
        """
        bounds = box.bounds_yxyx if isinstance(box, Box) else box
        y0, x0, y1, x1 = (round(v) for v in bounds)
        return self.read_region(0, y0, x0, y1 - y0, x1 - x0)

    def associated(self, name: str) -> RGB:
        """Return an extra image (``label``, ``macro``, ``thumbnail``), uint8 RGB ``(h, w, 3)``.

        Raises
        ------
        SlideError
            When the slide has no such image, or it is damaged.
        """
        if name not in self.info.associated:
            has = ", ".join(self.info.associated) or "none"
            raise SlideError(f"{self.info.name} has no image called {name!r}; it has {has}.")
        try:
            return self._backend.associated(name)
        except TileError as error:
            raise SlideError(f"The image {name!r} of {self.info.name} cannot be read: {error}") from error

    def _check(self, level: int, height: int, width: int) -> None:
        if self.closed:
            raise SlideError(f"{self.info.name} is closed; open it again to read from it.")
        if not 0 <= level < self.info.levels:
            raise SlideError(f"Expected a level from 0 to {self.info.levels - 1} of {self.info.name}, got {level}.")
        if height < 0 or width < 0:
            raise SlideError(f"Expected a region of 0 px or more, got {height} x {width} px.")

    def _each(
        self, paste: Callable[[tuple[int, int]], None], places: list[tuple[int, int]], level: int, icc: bool
    ) -> None:
        missing: deque[tuple[int, int]] = deque()
        kept: list[tuple[int, int]] = []
        for place in places:
            (kept if self.is_at_hand(level, *place, icc) else missing).append(place)

        def paste_missing() -> None:
            # Whoever is free takes the next tile: handing each over on its own costs as much as decoding it.
            while missing:
                try:
                    place = missing.popleft()
                except IndexError:
                    return
                paste(place)

        # Decoders release the interpreter, so tiles decode side by side.
        helpers = [decoding_pool().submit(paste_missing) for _ in range(min(DECODING_THREADS, len(missing)) - 1)]
        for place in kept:
            paste(place)
        paste_missing()
        for helper in helpers:
            # One that has not begun, because others keep the threads busy, is not needed any more.
            if not helper.cancel():
                helper.result()

    def _srgb(self) -> SrgbTransform | None:
        return None if self.info.icc is None else _srgb_transform(self.info.icc)

    def _key(self, level: int, row: int, column: int, icc: bool = False) -> Hashable:
        key = (self._identity, level, row, column)
        return (*key, "srgb") if icc and self.info.icc is not None else key

    def _tile_size_hw(self, level: int, row: int, column: int) -> tuple[int, int]:
        (th, tw), (level_h, level_w) = self.tile_shape_hw(level), self.info.level_sizes_hw[level]
        return (min(th, level_h - row * th), min(tw, level_w - column * tw))

    def _decode(self, level: int, row: int, column: int) -> RGB:
        try:
            tile = self._backend.decode_tile(level, row, column)
        except TileError:
            raise
        except Exception as error:
            # A decoder may raise anything on damaged bytes, and no view may fail by it.
            raise TileError(f"{type(error).__name__}: {error}") from error
        size = self._tile_size_hw(level, row, column)
        if tile.shape != (*size, 3):
            raise TileError(f"expected {size[0]} x {size[1]} px RGB, got {tile.shape}")
        return tile

    def _report(self, level: int, row: int, column: int, reason: str) -> None:
        (th, tw), (height, width) = self.tile_shape_hw(level), self._tile_size_hw(level, row, column)
        fy, fx = self.info.factors_yx[level]
        y0, x0 = row * th * fy, column * tw * fx
        box = (y0, x0, min(y0 + height * fy, self.info.height), min(x0 + width * fx, self.info.width))
        tile = UnreadableTile(self.info.name, level, box, reason)
        with self._lock:
            if (level, row, column) in self._unreadable:
                return
            # Before any thread can draw it hatched without reading it.
            self._met.append(tile)
            self._unreadable[level, row, column] = tile
        for callback in tuple(self._callbacks):
            callback(tile)


def _with_usable_profile(info: SlideInfo) -> SlideInfo:
    icc, remark = usable_profile(info.icc)
    return replace(info, icc=icc, remarks=(*info.remarks, remark)) if remark else info


def _plane_of(root: Slide, plane: int) -> Slide:
    slide = Slide(cast("StackedBackend", root._backend).at_plane(plane), root._cache)
    slide._root, slide._callbacks = root, root._callbacks
    return slide


def _identity(info: SlideInfo) -> Hashable:
    plane = info.planes.shown
    try:
        stat = info.path.stat()
    except OSError:
        return (str(info.path), 0, 0, plane)
    return (str(info.path), stat.st_size, stat.st_mtime_ns, plane)


@lru_cache(maxsize=1)
def decoding_pool() -> ThreadPoolExecutor:
    """Return the threads that decode tiles for all slides."""
    return ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="tiles")


@lru_cache(maxsize=8)
def _srgb_transform(icc: bytes) -> SrgbTransform:
    return SrgbTransform(icc)
