"""Coarser levels for a slide whose file has none: made in the background, so that any slide can be seen whole.

A file of one level, 30,000 px a side, holds 2.7 GB of pixels; no window can draw that. Here such a slide gets levels
of a quarter of the size, again and again until one is small. Those that fit in memory are kept and made block by
block, what is on screen first; the tiles of larger ones are made when they are looked at.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from PIL import Image

from napari_cyto.domain.geometry import YXYX
from napari_cyto.slides._hatch_pattern import hatched
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.slide import DECODING_THREADS, Slide, decoding_pool
from napari_cyto.slides.slide_info import SlideInfo

# Darker than glass, lighter than tissue, and without a hue that a stain could have.
NOT_MADE_RGB = (200, 200, 200)
_STEP = 4
_NEWS_S = 0.3
# A block is read whole by one thread: a band across a wide slide is large enough without others beside it.
_BLOCK_MAX_PX = 2**22

Block: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sizes:
    """When a slide needs coarser levels, and how they are cut.

    Parameters
    ----------
    too_large_px : int
        Longest side of a coarsest level that needs no coarser one, px.
    small_px : int
        Levels are added until the longest side is at most this, px.
    kept_max_bytes : int
        Largest level that is kept in memory as a whole.
    block_px : int
        Side of what is made at once, about, px of the file's coarsest level.
    """

    too_large_px: int = 4096
    small_px: int = 2048
    kept_max_bytes: int = 64 * 2**20
    block_px: int = 1024


def zoomable(slide: Slide, sizes: Sizes = Sizes()) -> Slide:
    """Return a slide that can be shown at any zoom: itself, or one with coarser levels that lives as long as it does.

    Parameters
    ----------
    slide : Slide
        An open slide; asked for again, it gives the same levels.
    sizes : Sizes
        When levels are added, and which.
    """
    if slide.zoomable is None and max(slide.info.level_sizes_hw[-1]) > sizes.too_large_px:
        slide.zoomable = ZoomableSlide(slide, sizes)
    return slide.zoomable or slide


class ZoomableSlide(Slide):
    """A slide with levels coarser than its file has; its tiles, damage and closing are those of the slide.

    A level that is kept is always at hand: `NOT_MADE_RGB` where it is not made yet.
    """

    def __init__(self, slide: Slide, sizes: Sizes) -> None:
        super().__init__(slide._backend, slide._cache)
        self._root = slide._root
        # One file, one account of its damage.
        self._unreadable, self._callbacks, self._lock = slide._unreadable, slide._callbacks, slide._lock
        self._source = slide.info.levels - 1
        self._factors = _factors(slide.info, sizes)
        self.info = _with_levels(slide.info, tuple(self._factors.values()))
        self._kept_levels = [k for k in self._factors if math.prod(self._hw(k)) * 3 <= sizes.kept_max_bytes]
        self._block_hw = _block_hw(slide.tile_shape_hw(self._source), sizes.block_px, max(self._factors.values()))
        self._kept: dict[bool, _Kept] = {}
        self._icc = False
        self._view: YXYX = (0.0, 0.0, float(self.info.height), float(self.info.width))
        self._listeners: list[Callable[[], None]] = []
        self._reported_s = 0.0
        self._state = threading.Lock()

    def close(self) -> None:
        """Stop making levels and let go of them; the slide itself stays as it is."""
        self._closed = True
        self._kept = {}
        self._cache.forget(lambda key: isinstance(key, tuple) and key[0] is self._state)

    @property
    def complete(self) -> bool:
        """Whether the kept levels are made, in the colours last asked for; so they are for a closed slide."""
        kept = self._kept.get(self._icc)
        return self.closed or (kept is not None and not kept.missing)

    def is_kept(self, level: int) -> bool:
        """Whether a level is in memory as a whole: always at hand, but made little by little."""
        return level in self._kept_levels

    def on_news(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` told, now and then and in a thread of its own, that more is made; return how to stop."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def look_at(self, view_yxyx: YXYX) -> None:
        """Make first what lies in a box, level-0 px, and then what lies near it."""
        with self._state:
            if view_yxyx != self._view:
                self._view = view_yxyx
                for kept in self._kept.values():
                    kept.queue.clear()

    def live(self, level: int, icc: bool = False) -> RGB:
        """Return a kept level itself, read-only: it fills in while one looks."""
        pixels = self._kept_in(icc).pixels[level].view()
        pixels.flags.writeable = False
        return pixels

    def glimpse(self, max_px: int) -> RGB | None:
        """Return the slide as far as it is made, at most about ``max_px`` px, by leaving out px; None when closed."""
        if self.closed:
            return None
        pixels = self.live(self._kept_levels[-1], self._icc)
        step = -(-max(pixels.shape) // max_px)
        return np.ascontiguousarray(pixels[::step, ::step])

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of a level's tiles, in its own px; a kept level is one tile."""
        if level <= self._source:
            return super().tile_shape_hw(level)
        if level in self._kept_levels:
            return self._hw(level)
        return (self._block_hw[0] // self._factors[level], self._block_hw[1] // self._factors[level])

    def is_at_hand(self, level: int, row: int, column: int, icc: bool = False) -> bool:
        """Whether a tile can be had without decoding it."""
        return level in self._kept_levels or super().is_at_hand(level, row, column, icc)

    def read_tile(self, level: int, row: int, column: int, icc: bool = False, keep: bool = True) -> RGB:
        """Return one tile, as `Slide.read_tile` does; a kept level comes as far as it is made."""
        if level <= self._source:
            return super().read_tile(level, row, column, icc, keep)
        if level in self._kept_levels:
            return self.live(level, icc)
        try:
            return self._cache.get(
                self._key(level, row, column, icc), lambda: self._make((row, column), icc, level), keep
            )
        except TileError:
            # Closed on the way.
            return np.full((*self._tile_size_hw(level, row, column), 3), np.array(NOT_MADE_RGB, np.uint8))

    def _hw(self, level: int) -> tuple[int, int]:
        return self.info.level_sizes_hw[level]

    def _key(self, level: int, row: int, column: int, icc: bool = False) -> Hashable:
        if level <= self._source:
            return super()._key(level, row, column, icc)
        # Not the file's name: damage is hatched in these, and who opens the file next must be told of it.
        return (self._state, level, row, column, icc)

    def _kept_in(self, icc: bool) -> _Kept:
        """Return the kept levels in the colours asked for, and see to it that they are being made."""
        with self._state:
            self._icc = icc
            kept = self._kept.get(icc)
            if kept is None:
                kept = _Kept({k: self._hw(k) for k in self._kept_levels}, self._blocks())
                if not self.closed:
                    self._kept[icc] = kept
            # One thread stays free for what is on screen.
            while kept.makers < max(1, DECODING_THREADS - 1) and kept.missing and not self.closed:
                kept.makers += 1
                decoding_pool().submit(self._go_on, kept, icc)
        return kept

    def _blocks(self) -> set[Block]:
        (height, width), (bh, bw) = self._hw(self._source), self._block_hw
        return {(row, column) for row in range(-(-height // bh)) for column in range(-(-width // bw))}

    def _go_on(self, kept: _Kept, icc: bool) -> None:
        """Make one block, then queue for the next: who waits for a view comes in between."""
        going_on = False
        try:
            block = None if self.closed or icc != self._icc else self._next(kept)
            if block is not None:
                self._make(block, icc)
                self._report_kept(kept)
                decoding_pool().submit(self._go_on, kept, icc)
                going_on = True
        except TileError:
            # Closed on the way.
            return
        finally:
            if not going_on:
                with self._state:
                    kept.makers -= 1

    def _next(self, kept: _Kept) -> Block | None:
        with self._state:
            if not kept.queue:
                kept.queue.extend(self._nearest_first(kept.missing - kept.under_way))
            while kept.queue:
                block = kept.queue.popleft()
                if block in kept.missing and block not in kept.under_way:
                    kept.under_way.add(block)
                    return block
        return None

    def _nearest_first(self, blocks: set[Block]) -> list[Block]:
        if not blocks:
            return []
        y0, x0, y1, x1 = self._view
        (fy, fx), (bh, bw) = self.info.factors_yx[self._source], self._block_hw
        places = np.array(sorted(blocks))
        middles = (places + 0.5) * (bh * fy, bw * fx)
        half = (max(y1 - y0, 1.0) / 2, max(x1 - x0, 1.0) / 2)
        # Counted in views: up to 1 is on screen.
        away = np.abs((middles - ((y0 + y1) / 2, (x0 + x1) / 2)) / half).max(axis=1)
        return [(int(row), int(column)) for row, column in places[np.argsort(away, kind="stable")]]

    def _make(self, block: Block, icc: bool, level: int | None = None) -> RGB:
        """Fill a block of the kept levels in, and return that of another level when one is asked for."""
        kept = self._kept.get(icc)
        levels = list(self._kept_levels) if kept is not None and block in kept.missing else []
        made = self._reduced(block, levels if level is None else [*levels, level], icc)
        if kept is not None and levels:
            for k in levels:
                y, x = (block[i] * self._block_hw[i] // self._factors[k] for i in (0, 1))
                height, width = made[k].shape[:2]
                kept.pixels[k][y : y + height, x : x + width] = made[k]
            with self._state:
                kept.missing.discard(block)
                kept.under_way.discard(block)
        return np.empty((0, 0, 3), np.uint8) if level is None else made[level]

    def _reduced(self, block: Block, levels: list[int], icc: bool) -> dict[int, RGB]:
        """Return the area mean of a block of the file's coarsest level for other levels, damage hatched.

        Raises
        ------
        TileError
            When the slide is closed on the way.
        """
        (th, tw), (level_h, level_w) = self.tile_shape_hw(self._source), self._hw(self._source)
        top, left = (block[i] * self._block_hw[i] for i in (0, 1))
        height, width = min(self._block_hw[0], level_h - top), min(self._block_hw[1], level_w - left)
        places = self.tiles_in(self._source, top, left, height, width)
        largest = max(self._factors.values())
        aligned = th % largest == 0 and tw % largest == 0
        out = {k: np.empty((-(-height // f), -(-width // f), 3), np.uint8) for k, f in self._factors.items()}
        whole = np.empty((0 if aligned else height, width, 3), np.uint8)
        for place in places:
            if self.closed:
                raise TileError("the slide was closed")
            if aligned:
                tile = self.read_tile(self._source, *place, icc, keep=False)
                self._paste_mean(out, levels, tile, (place[0] * th - top, place[1] * tw - left))
            else:
                self.paste_tile(whole, (top, left), self._source, place, icc)
        if not aligned:
            self._paste_mean(out, levels, whole, (0, 0))
        if self.closed:
            raise TileError("the slide was closed")
        for row, column in places:
            if (self._source, row, column) in self._unreadable:
                self._hatch(out, levels, (row * th - top, column * tw - left))
        return out

    def _paste_mean(self, out: dict[int, RGB], levels: list[int], pixels: RGB, at_yx: tuple[int, int]) -> None:
        image = Image.fromarray(pixels)
        for k in levels:
            mean = np.asarray(image.reduce(self._factors[k]))
            y, x = at_yx[0] // self._factors[k], at_yx[1] // self._factors[k]
            out[k][y : y + mean.shape[0], x : x + mean.shape[1]] = mean

    def _hatch(self, out: dict[int, RGB], levels: list[int], at_yx: tuple[int, int]) -> None:
        """Draw the hatching of a damaged tile anew: the mean of its stripes would look like stained tissue."""
        th, tw = self.tile_shape_hw(self._source)
        for k in levels:
            f = self._factors[k]
            y0, x0 = max(at_yx[0], 0) // f, max(at_yx[1], 0) // f
            place = out[k][y0 : -(-(at_yx[0] + th) // f), x0 : -(-(at_yx[1] + tw) // f)]
            place[:] = hatched(*place.shape[:2])

    def _report_kept(self, kept: _Kept) -> None:
        with self._state:
            now_s = time.monotonic()
            if kept.missing and now_s - self._reported_s < _NEWS_S:
                return
            self._reported_s = now_s
        for callback in tuple(self._listeners):
            callback()


class _Kept:
    """Levels that are in memory as a whole, and which of their blocks are still to be made."""

    def __init__(self, sizes_hw: dict[int, tuple[int, int]], blocks: set[Block]) -> None:
        self.pixels = {k: np.full((*hw, 3), np.array(NOT_MADE_RGB, np.uint8)) for k, hw in sizes_hw.items()}
        self.missing = blocks
        self.under_way: set[Block] = set()
        self.queue: deque[Block] = deque()
        self.makers = 0


def _factors(info: SlideInfo, sizes: Sizes) -> dict[int, int]:
    """Return how many px of the file's coarsest level one px of each further level covers."""
    longest, factors = max(info.level_sizes_hw[-1]), [_STEP]
    while -(-longest // factors[-1]) > sizes.small_px:
        factors.append(factors[-1] * _STEP)
    return {info.levels + k: factor for k, factor in enumerate(factors)}


def _with_levels(info: SlideInfo, factors: tuple[int, ...]) -> SlideInfo:
    (h, w), (fy, fx) = info.level_sizes_hw[-1], info.factors_yx[-1]
    sizes = tuple((-(-h // f), -(-w // f)) for f in factors)
    return replace(
        info,
        level_sizes_hw=(*info.level_sizes_hw, *sizes),
        downsamples=(*info.downsamples, *((info.height / a + info.width / b) / 2 for a, b in sizes)),
        factors_yx=(*info.factors_yx, *((fy * f, fx * f) for f in factors)),
    )


def _block_hw(tile_hw: tuple[int, int], block_px: int, multiple: int) -> tuple[int, int]:
    """Return whole tiles, about ``block_px`` a side, rounded up to what the coarsest level can divide."""
    block = [tile * -(-block_px // tile) for tile in tile_hw]
    if math.prod(block) > _BLOCK_MAX_PX:
        block = list(tile_hw)
    return (-(-block[0] // multiple) * multiple, -(-block[1] // multiple) * multiple)
