"""The tiles in which a slide is looked through: without bare glass, and overlapping so that no edge loses a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide
from napari_cyto.slides.tissue import spread, tissue_mask

TILE_PX = 1024
"""Side of a tile, level-0 px. Source: Coskun et al., section 2.2, "systematic tiling (1024 x 1024)"."""

MARGIN_PX = 96
"""Half of what neighbouring tiles share, level-0 px: about 24 µm at 40x, more than a nucleus with its surroundings."""

_MASK_PX = 2048
_ALWAYS_PX = 4096**2

IntBox = tuple[int, int, int, int]
Span = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a slide.

    Parameters
    ----------
    bounds_yxyx : tuple of int
        What is looked at, level-0 px, never beyond the slide.
    core_yxyx : tuple of int
        The part whose cells count, half-open, level-0 px: the cores of all tiles touch and do not overlap, so a cell
        that two tiles show is taken from the one with its centre in the core, which lies at least the margin inside.
    """

    bounds_yxyx: IntBox
    core_yxyx: IntBox

    def owns(self, centres_yx: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which centres ((n, 2), float64, level-0 px) lie in the core."""
        y0, x0, y1, x1 = self.core_yxyx
        y, x = centres_yx[:, 0], centres_yx[:, 1]
        return np.asarray((y >= y0) & (y < y1) & (x >= x0) & (x < x1))


def tiles_of(
    slide: Slide,
    tile_px: int = TILE_PX,
    margin_px: int = MARGIN_PX,
    region_yxyx: tuple[float, float, float, float] | None = None,
    stained_only: bool = True,
) -> Iterator[Tile]:
    """Yield the tiles of a slide, row by row.

    Parameters
    ----------
    slide : Slide
        What is looked through.
    tile_px : int
        Side of a tile, level-0 px; at the far edges the last tile is shifted inwards, so that all are of one size
        unless the slide is smaller.
    margin_px : int
        Every point lies at least so far inside the tile whose core it is in, or at the slide's own border.
    region_yxyx : tuple of float, optional
        Only this part, level-0 px; tiles reach beyond it by the margin, cores do not.
    stained_only : bool
        Leave out tiles without stained material, judged at low power. Fields of a camera are looked at whole: there
        blank glass costs less than a pale cell that is lost.

    Raises
    ------
    CytoError
        When the margin leaves nothing of the tile.
    SlideError
        When the slide cannot be read.
    """
    height, width = slide.info.size_hw
    wanted = _whole(region_yxyx, (height, width))
    stained = stained_parts(slide) if stained_only else None
    for tile in grid((height, width), tile_px, margin_px, wanted):
        if stained is None or stained.within(tile.core_yxyx):
            yield tile


def stained_parts(slide: Slide) -> StainedParts | None:
    """Return where a slide has stained material; None for fields of a camera, which are looked at whole.

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    height, width = slide.info.size_hw
    return StainedParts(tissue_mask(slide, _MASK_PX), (height, width)) if height * width > _ALWAYS_PX else None


def grid(size_hw: tuple[int, int], tile_px: int, margin_px: int, wanted: IntBox | None = None) -> Iterator[Tile]:
    """Yield the tiles that cover ``wanted`` (all when None) of a slide of ``size_hw``, level-0 px, row by row.

    Raises
    ------
    CytoError
        When the margin leaves nothing of the tile.
    """
    if not 0 <= 2 * margin_px < tile_px:
        raise CytoError(
            f"Tiles of {tile_px} px cannot share a margin of {margin_px} px on each side; choose it smaller."
        )
    y0, x0, y1, x1 = (0, 0, *size_hw) if wanted is None else wanted
    if y0 >= y1 or x0 >= x1:
        return
    columns = _spans(x0, x1, size_hw[1], tile_px, margin_px)
    for top, bottom, core_top, core_bottom in _spans(y0, y1, size_hw[0], tile_px, margin_px):
        for left, right, core_left, core_right in columns:
            yield Tile((top, left, bottom, right), (core_top, core_left, core_bottom, core_right))


def _spans(low: int, high: int, length: int, tile_px: int, margin_px: int) -> list[Span]:
    """Return start, end, core's start and core's end of the tiles along one axis that cover ``low`` to ``high``."""
    first, last = max(0, low - margin_px), min(length, high + margin_px)
    if last - first < tile_px:
        # Room is taken where the slide has some, so that tiles keep their size.
        first = max(0, min(first, length - tile_px))
        last = min(length, max(last, first + tile_px))
    if last - first <= tile_px:
        return [(first, last, low, high)]
    stride = tile_px - 2 * margin_px
    steps = -(-(last - first - tile_px) // stride)
    starts = [first + n * stride for n in range(steps)] + [last - tile_px]
    borders = [low, *((a + b + tile_px) // 2 for a, b in pairwise(starts)), high]
    return [
        (start, start + tile_px, max(before, low), min(after, high))
        for start, (before, after) in zip(starts, pairwise(borders), strict=True)
        if max(before, low) < min(after, high)
    ]


def _whole(region_yxyx: tuple[float, float, float, float] | None, size_hw: tuple[int, int]) -> IntBox:
    if region_yxyx is None:
        return (0, 0, *size_hw)
    y0, x0, y1, x1 = region_yxyx
    return (
        max(0, int(np.floor(y0))),
        max(0, int(np.floor(x0))),
        min(size_hw[0], int(np.ceil(y1))),
        min(size_hw[1], int(np.ceil(x1))),
    )


class StainedParts:
    """Answers whether a box holds stained material, in constant time, by a summed-area table.

    Parameters
    ----------
    mask : ndarray, (h, w), bool
        Over the whole slide.
    size_hw : tuple of int
        The slide's height and width, level-0 px.

    Source: F. Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984.
    """

    def __init__(self, mask: npt.NDArray[np.bool_], size_hw: tuple[int, int]) -> None:
        # Grown by a px: a cell's edge may be paler than what the threshold takes.
        wide = spread(spread(mask, 0), 1)
        self._sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int32)
        inside = self._sums[1:, 1:]
        np.cumsum(wide, axis=0, dtype=np.int32, out=inside)
        np.cumsum(inside, axis=1, out=inside)
        self._scale = (mask.shape[0] / size_hw[0], mask.shape[1] / size_hw[1])

    def within(self, box_yxyx: tuple[float, float, float, float]) -> bool:
        """Whether a half-open box, level-0 px, has stained material in it or right beside it."""
        return bool(self.each_within(np.array([box_yxyx]))[0])

    def each_within(self, boxes_yxyx: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return the same of many half-open boxes ``(n, 4)``, level-0 px, none of them left of or above the slide."""
        ends = np.array(self._sums.shape) - 1
        starts = np.minimum((boxes_yxyx[:, :2] * self._scale).astype(np.intp), ends)
        stops = np.maximum(starts + 1, np.ceil(boxes_yxyx[:, 2:] * self._scale).astype(np.intp))
        (top, left), (bottom, right) = starts.T, np.minimum(stops, ends).T
        s = self._sums
        found: npt.NDArray[np.bool_] = s[bottom, right] - s[top, right] - s[bottom, left] + s[top, left] > 0
        return found
