"""Where a slide may hold a cell, decided from pixels of 2 µm or finer: what spares work, and never discards a cell.

A slide is read once at its level of 2 µm per px or finer, block by block, in bounded memory. A block is *plain* when
nothing in it or right beside it stands out: over some 100 µm no channel varies by as much as the palest nucleus differs
from what surrounds it. Only such blocks may be left out. It is decided from these pixels alone, by no colour of the
slide as a whole, so the answer for a region is that for the whole slide.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_cyto.domain.geometry import YXYX
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.pixel_source import Pixels

COARSEST_UM = 2.0
"""Cells are looked for at this many µm per px or fewer: the smallest nuclei, of 6 µm, are three px wide there."""

UNKNOWN_PX = 4
"""Level-0 px per px that is looked at where the µm are unknown: 1 µm at 40x, 2 µm at 20x, 4 µm at 10x."""

CONTRAST = 10
"""Grey levels, 0 to 255, that something differs by, in any channel, to count as more than glass.

Of 4,276 labelled cells of CRIC at 2 µm per px the palest differs by 9 from what lies 8 µm around it (it lies on another
cell, and its surroundings by more), the next by 52; the noise of blank glass stays under 6.
"""

BLOCK_PX = 16
"""Side of a block, px that are looked at: at most 32 µm."""

_READ_PX = 2048
_AT_ONCE = max(2, min(4, os.cpu_count() or 1))

Extremes = npt.NDArray[np.uint8]
Blocks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LowView:
    """Pixels at the scale at which cells are looked for.

    Parameters
    ----------
    pixels : Pixels
        Where they come from.
    level : int
        The level that is read.
    reduction : int
        Px of the level, down and across, that are averaged to one.
    """

    pixels: Pixels
    level: int
    reduction: int

    @classmethod
    def of(cls, pixels: Pixels, mpp: float | None) -> LowView:
        """Return the coarsest view of at most `COARSEST_UM`, of `UNKNOWN_PX` where ``mpp`` is unknown."""
        step_px = float(UNKNOWN_PX) if mpp is None else max(COARSEST_UM / mpp, 1.0)
        fits = [n for n, factors in enumerate(pixels.factors_yx) if max(factors) <= step_px * 1.001]
        level = max(fits, key=lambda n: max(pixels.factors_yx[n]), default=0)
        return cls(pixels, level, max(1, int(step_px * 1.001 / max(pixels.factors_yx[level]))))

    @property
    def step_yx(self) -> tuple[float, float]:
        """Level-0 px per px that is looked at."""
        fy, fx = self.pixels.factors_yx[self.level]
        return (fy * self.reduction, fx * self.reduction)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width, the last begun px counted."""
        height, width = self.pixels.level_sizes_hw[self.level]
        return (-(-height // self.reduction), -(-width // self.reduction))

    def read(self, y0: int, x0: int, height: int, width: int) -> RGB:
        """Return a box, uint8 RGB, clipped to the picture; ``y0`` and ``x0`` may not lie before it."""
        high, wide = self.pixels.level_sizes_hw[self.level]
        r = self.reduction
        rows, columns = min((y0 + height) * r, high) - y0 * r, min((x0 + width) * r, wide) - x0 * r
        read = self.pixels.read(self.level, y0 * r, x0 * r, max(rows, 0), max(columns, 0))
        return read if r == 1 or not read.size else np.asarray(Image.fromarray(read).reduce(r))


class Stain:
    """Where a slide may hold a cell, asked box by box in constant time.

    Parameters
    ----------
    blocks : ndarray, bool (rows, columns)
        Over the whole slide, whether each block may hold something.
    step_yx : tuple of float
        Side of a block, level-0 px.

    Source: F. Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984.
    """

    def __init__(self, blocks: Blocks, step_yx: tuple[float, float]) -> None:
        self.blocks, self.step_yx = blocks, step_yx
        self._sums = np.zeros((blocks.shape[0] + 1, blocks.shape[1] + 1), dtype=np.int32)
        inside = self._sums[1:, 1:]
        np.cumsum(blocks, axis=0, dtype=np.int32, out=inside)
        np.cumsum(inside, axis=1, out=inside)

    @property
    def share(self) -> float:
        """Share of the blocks, 0 to 1, that may hold something."""
        return float(self.blocks.mean()) if self.blocks.size else 0.0

    def within(self, box_yxyx: YXYX) -> bool:
        """Whether a half-open box, level-0 px, may hold something."""
        return bool(self.each_within(np.array([box_yxyx]))[0])

    def each_within(self, boxes_yxyx: npt.NDArray[np.float64]) -> Blocks:
        """Return the same of many half-open boxes ``(n, 4)``, level-0 px."""
        ends, step = np.array(self._sums.shape) - 1, np.array(self.step_yx)
        starts = np.clip(np.floor(boxes_yxyx[:, :2] / step).astype(np.intp), 0, ends)
        stops = np.clip(np.ceil(boxes_yxyx[:, 2:] / step).astype(np.intp), starts, ends)
        (top, left), (bottom, right) = starts.T, stops.T
        s = self._sums
        found: Blocks = s[bottom, right] - s[top, right] - s[bottom, left] + s[top, left] > 0
        return found

    def over(self, shape_hw: tuple[int, int], size_hw: tuple[int, int]) -> Blocks:
        """Return a mask, bool ``shape_hw``, over a slide of ``size_hw`` level-0 px: whether each px may hold something.

        Of a px that is larger than a block, any block counts: a lone cell stays in however small a mask.
        """
        ys, xs = (np.arange(n + 1) * length / n for n, length in zip(shape_hw, size_hw, strict=True))
        boxes = np.stack(np.broadcast_arrays(ys[:-1, None], xs[None, :-1], ys[1:, None], xs[None, 1:]), axis=-1)
        return self.each_within(boxes.reshape(-1, 4)).reshape(shape_hw)


def look_over(pixels: Pixels, mpp: float | None, region_yxyx: YXYX | None = None) -> Iterator[tuple[int, int] | Stain]:
    """Find where a slide may hold a cell; yield (done, total) after each part that was read, and last the result.

    Parameters
    ----------
    pixels : Pixels
        Of a slide or a picture.
    mpp : float or None
        µm per level-0 px; where None, `UNKNOWN_PX` says how fine is fine enough.
    region_yxyx : tuple of float, optional
        Only blocks that touch it are judged, level-0 px; the others count as plain.

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    view = LowView.of(pixels, mpp)
    shape = (-(-view.size_hw[0] // BLOCK_PX), -(-view.size_hw[1] // BLOCK_PX))
    step_yx = (view.step_yx[0] * BLOCK_PX, view.step_yx[1] * BLOCK_PX)
    top, left, bottom, right = _blocks_to_read(region_yxyx, shape, step_yx)
    low = np.full((*shape, 3), 255, np.uint8)
    high = np.zeros((*shape, 3), np.uint8)
    side = max(1, _READ_PX // (BLOCK_PX * view.reduction))
    parts = [(y, x) for y in range(top, bottom, side) for x in range(left, right, side)]
    coming: deque[tuple[tuple[int, int], Future[tuple[Extremes, Extremes]]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stain") as pool:
        try:
            left_over = deque(parts)
            while left_over or coming:
                while left_over and len(coming) <= _AT_ONCE:
                    y, x = left_over.popleft()
                    hw = (min(side, bottom - y), min(side, right - x))
                    coming.append(((y, x), pool.submit(_extremes, view, (y, x), hw)))
                (y, x), future = coming.popleft()
                least, most = future.result()
                low[y : y + len(least), x : x + least.shape[1]] = least
                high[y : y + len(most), x : x + most.shape[1]] = most
                yield (len(parts) - len(left_over) - len(coming), len(parts))
        finally:
            for _, future in coming:
                future.cancel()
    most, least = _with_ring(high, np.maximum), _with_ring(low, np.minimum)
    blocks = np.asarray(np.subtract(most, least, dtype=np.int16).max(-1) >= CONTRAST, dtype=np.bool_)
    full_yxyx = (top * step_yx[0], left * step_yx[1], bottom * step_yx[0], right * step_yx[1])
    for box in pixels.damage(view.level, full_yxyx):
        _set_blocks(blocks, box, step_yx)
    yield Stain(blocks, step_yx)


def stain_of(pixels: Pixels, mpp: float | None, region_yxyx: YXYX | None = None) -> Stain:
    """Return what `look_over` comes to.

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    *_, found = look_over(pixels, mpp, region_yxyx)
    assert isinstance(found, Stain)
    return found


def _blocks_to_read(
    region_yxyx: YXYX | None, shape: tuple[int, int], step_yx: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Return the half-open blocks to read: those of a region, and those right beside it."""
    if region_yxyx is None:
        return (0, 0, *shape)
    y0, x0, y1, x1 = region_yxyx
    starts = [max(0, int(low // step) - 1) for low, step in zip((y0, x0), step_yx, strict=True)]
    stops = [min(count, int(-(-high // step)) + 1) for high, step, count in zip((y1, x1), step_yx, shape, strict=True)]
    return (starts[0], starts[1], max(stops[0], starts[0]), max(stops[1], starts[1]))


def _extremes(view: LowView, at: tuple[int, int], shape: tuple[int, int]) -> tuple[Extremes, Extremes]:
    """Return the least and the largest of each channel in some blocks, uint8 ``(rows, columns, 3)``.

    Where a block stands out it is smoothed first, which noise does not outlive and a nucleus does.
    """
    y0, x0 = max(at[0] * BLOCK_PX - 1, 0), max(at[1] * BLOCK_PX - 1, 0)
    y1, x1 = (at[0] + shape[0]) * BLOCK_PX + 1, (at[1] + shape[1]) * BLOCK_PX + 1
    read = view.read(y0, x0, y1 - y0, x1 - x0)
    before = (at[0] * BLOCK_PX - y0, at[1] * BLOCK_PX - x0)
    extents = (shape[0] * BLOCK_PX, shape[1] * BLOCK_PX)
    pads = [(1 - b, max(0, s + 1 + b - n)) for b, s, n in zip(before, extents, read.shape, strict=False)]
    framed = np.pad(read, (*pads, (0, 0)), mode="edge") if any(map(any, pads)) else read
    framed = framed[: extents[0] + 2, : extents[1] + 2]
    low, high = (_of_blocks(framed[1:-1, 1:-1], choose) for choose in (np.minimum, np.maximum))
    rough = np.nonzero((high - low).max(-1) >= CONTRAST)
    if len(rough[0]):
        around = np.lib.stride_tricks.sliding_window_view(framed, (BLOCK_PX + 2, BLOCK_PX + 2), (0, 1))
        smooth = _smoothed(around[::BLOCK_PX, ::BLOCK_PX][rough])
        low[rough], high[rough] = smooth.min((2, 3)), smooth.max((2, 3))
    return low, high


def _of_blocks(pixels: RGB, choose: np.ufunc) -> Extremes:
    """Return the chosen of each block, by channel; halved again and again, so that the rows in one step are long."""
    rows, columns = pixels.shape[0] // BLOCK_PX, pixels.shape[1] // BLOCK_PX
    left = choose.reduce(pixels.reshape(rows, BLOCK_PX, -1), axis=1).reshape(rows * columns, -1)
    while left.shape[1] > 3:
        half = left.shape[1] // 2
        left = choose(left[:, :half], left[:, half:])
    return np.asarray(left.reshape(rows, columns, 3), dtype=np.uint8)


def _smoothed(parts: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Return parts ``(n, 3, h, w)`` without their frames of a px, weighed 1, 2, 1 down and across."""
    wide = parts.astype(np.uint16)
    down = wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]
    both: npt.NDArray[np.uint16] = (down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:] + 8) >> 4
    return both


def _with_ring(values: Extremes, choose: np.ufunc) -> Extremes:
    """Return the chosen of each block and its eight neighbours."""
    for axis in (0, 1):
        moved = np.moveaxis(values, axis, 0)
        wide = moved.copy()
        choose(wide[1:], moved[:-1], out=wide[1:])
        choose(wide[:-1], moved[1:], out=wide[:-1])
        values = np.moveaxis(wide, 0, axis)
    return values


def _set_blocks(blocks: Blocks, box_yxyx: YXYX, step_yx: tuple[float, float]) -> None:
    """Have blocks that could not be read looked at."""
    y0, x0, y1, x1 = box_yxyx
    rows = slice(int(y0 // step_yx[0]), int(-(-y1 // step_yx[0])))
    blocks[rows, int(x0 // step_yx[1]) : int(-(-x1 // step_yx[1]))] = True
