"""Which tiles of a slide are written, and which cells lie on each; arithmetic only, no pixel is read.

The frame is that of the image that is written: px of it, ``(y, x)``, from the corner of level 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.export.image_sets.image_options import KeepRule
from napari_cyto.domain.geometry import Polygon, bounds_of, boxes_inside

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_HALF = 0.5
_ROUNDING = 1e-9
"""Of a box's area: what division by a scale may take away from a box that is divided in the middle."""


@dataclass(frozen=True, eq=False)
class TilePlan:
    """Tiles with their cells.

    Parameters
    ----------
    origins_yx : ndarray, (t, 2), intp
        Top-left corner of each tile, row by row.
    size_hw : tuple of int
        Height and width of every tile.
    members : tuple of ndarray, intp
        For each tile, the cells that are labelled on it, in their order.
    boxes : tuple of ndarray, (m, 4), float64
        Their boxes clipped to the tile, px of the tile.
    outside : int
        Cells that lie wholly outside the slide.
    dropped : int
        Cells that no tile holds, by the rule.
    clipped : int
        Boxes that a border cut.
    repeated : int
        Boxes of cells that another tile holds, too.
    unlabelled : int
        Parts of cells that reach into a tile which does not hold them by the rule.
    empty, empty_possible : int
        Tiles without a cell, and how many there are to choose from.
    beyond_regions : int
        Tiles with cells that do not lie wholly inside regions.
    """

    origins_yx: Indices
    size_hw: tuple[int, int]
    members: tuple[Indices, ...]
    boxes: tuple[Floats, ...]
    outside: int = 0
    dropped: int = 0
    clipped: int = 0
    repeated: int = 0
    unlabelled: int = 0
    empty: int = 0
    empty_possible: int = 0
    beyond_regions: int = 0


def plan_tiles(
    size_hw: tuple[int, int],
    tile_px: int,
    boxes_yxyx: Floats,
    *,
    keep: KeepRule = "half",
    regions: Sequence[Polygon] = (),
    doubtful_yx: Floats | None = None,
    empty_share: float = 0.0,
    seed: int = 0,
    name: str = "",
) -> TilePlan:
    """Return the tiles to be written: those with cells, and a share of those that are known to hold none.

    Tiles stand side by side from the top left; the last ones of a row or column are moved in so that they end with
    the slide, and overlap their neighbours. A slide that is smaller than a tile is one tile of its own size.

    Parameters
    ----------
    size_hw : tuple of int
        Of the slide.
    tile_px : int
        Side of a tile.
    boxes_yxyx : ndarray, (n, 4), float64
        The cells.
    keep : str
        Which tile holds a cell that a border cuts; see ``ImageExportOptions.keep``.
    regions : sequence of Polygon
        Inside them every cell is annotated.
    doubtful_yx : ndarray, (m, 2), float64, optional
        Where there may be a cell that nobody confirmed; such a tile is not taken for empty.
    empty_share : float
        At most this share of the tiles shows no cell, 0 to 1.
    seed, name : int, str
        With the slide's name, what makes the choice of empty tiles repeatable.
    """
    starts = (_starts(size_hw[0], tile_px), _starts(size_hw[1], tile_px))
    tile_hw = (min(tile_px, size_hw[0]), min(tile_px, size_hw[1]))
    pairs = _pairs(boxes_yxyx, size_hw, starts, tile_hw, keep)
    with_cells = np.unique(pairs.tile[pairs.kept])
    inside = _inside(regions, with_cells, starts, tile_hw)
    taken = np.union1d(np.unique(pairs.tile), _tiles_of(doubtful_yx, starts, tile_hw))
    possible = _empty(regions, taken, starts, tile_hw)
    wanted = min(len(possible), int(empty_share / (1 - empty_share) * len(with_cells) + _ROUNDING))
    chosen = _rng(seed, name).choice(possible, wanted, replace=False) if wanted else possible[:0]
    tiles = np.union1d(with_cells, chosen).astype(np.intp)
    corner_yx = np.column_stack([starts[0][tiles // len(starts[1])], starts[1][tiles % len(starts[1])]])
    order = np.flatnonzero(pairs.kept)
    order = order[np.argsort(pairs.tile[order], kind="stable")]
    edges = np.searchsorted(pairs.tile[order], tiles, "left"), np.searchsorted(pairs.tile[order], tiles, "right")
    groups = [order[low:high] for low, high in zip(*edges, strict=True)]
    held = np.unique(pairs.cell[pairs.kept])
    return TilePlan(
        corner_yx,
        tile_hw,
        tuple(pairs.cell[group] for group in groups),
        tuple(pairs.parts[group] - np.tile(c, 2) for group, c in zip(groups, corner_yx, strict=True)),
        outside=pairs.outside,
        dropped=len(boxes_yxyx) - pairs.outside - len(held),
        clipped=int((pairs.kept & pairs.cut).sum()),
        repeated=int(pairs.kept.sum()) - len(held),
        unlabelled=int((~pairs.kept).sum()),
        empty=len(chosen),
        empty_possible=len(possible),
        beyond_regions=int((~inside).sum()),
    )


def _starts(side: int, tile_px: int) -> Indices:
    """Return where tiles begin along a side, the last one such that it ends with the slide."""
    if side <= tile_px:
        return np.zeros(1, np.intp)
    return np.append(np.arange(0, side - tile_px, tile_px, dtype=np.intp), side - tile_px)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Every cell with every tile that it reaches into."""

    cell: Indices
    tile: Indices
    parts: Floats
    kept: npt.NDArray[np.bool_]
    cut: npt.NDArray[np.bool_]
    outside: int


def _pairs(
    boxes: Floats, size_hw: tuple[int, int], starts: tuple[Indices, Indices], tile_hw: tuple[int, int], keep: KeepRule
) -> _Pairs:
    limits = np.array([*size_hw, *size_hw], dtype=np.float64)
    on_slide = np.clip(boxes.reshape(-1, 4), 0, limits)
    there = np.flatnonzero((on_slide[:, 2:] > on_slide[:, :2]).all(axis=1))
    first, count = np.empty((len(there), 2), np.intp), np.empty((len(there), 2), np.intp)
    for axis in (0, 1):
        low, high = on_slide[there, axis], on_slide[there, axis + 2]
        first[:, axis] = np.searchsorted(starts[axis] + tile_hw[axis], low, "right")
        count[:, axis] = np.searchsorted(starts[axis], high, "left") - first[:, axis]
    repeats = count.prod(axis=1)
    number = np.repeat(np.arange(len(there)), repeats)
    step = np.arange(len(number)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    row = first[number, 0] + step // count[number, 1]
    column = first[number, 1] + step % count[number, 1]
    corner = np.column_stack([starts[0][row], starts[1][column]]).astype(np.float64)
    end = corner + np.array(tile_hw, dtype=np.float64)
    cell = there[number]
    whole, parts = on_slide[cell], on_slide[cell].copy()
    parts[:, :2], parts[:, 2:] = np.maximum(whole[:, :2], corner), np.minimum(whole[:, 2:], end)
    area, part = _area(whole), _area(parts)
    cut = (parts != boxes.reshape(-1, 4)[cell]).any(axis=1)
    middle = (whole[:, :2] + whole[:, 2:]) / 2
    # A tile ends where the next one begins; the slide's own end belongs to its last tile.
    within = ((middle >= corner) & ((middle < end) | (end == limits[:2]))).all(axis=1)
    if keep == "whole":
        kept = (parts == whole).all(axis=1)
    else:
        kept = within | ((part >= (_HALF - _ROUNDING) * area) if keep == "half" else False)
    return _Pairs(cell, row * len(starts[1]) + column, parts, kept, cut, len(boxes) - len(there))


def _area(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _tiles_of(points: Floats | None, starts: tuple[Indices, Indices], tile_hw: tuple[int, int]) -> Indices:
    """Return the tiles in which points lie."""
    if points is None or not len(points):
        return np.empty(0, np.intp)
    spots = np.hstack([points, points + _ROUNDING])
    size = (int(starts[0][-1]) + tile_hw[0], int(starts[1][-1]) + tile_hw[1])
    return np.unique(_pairs(spots, size, starts, tile_hw, "centre").tile)


def _empty(
    regions: Sequence[Polygon], taken: Indices, starts: tuple[Indices, Indices], tile_hw: tuple[int, int]
) -> Indices:
    """Return the tiles that lie wholly inside regions and show nothing."""
    if not regions:
        return np.empty(0, np.intp)
    y0, x0, y1, x1 = bounds_of(region.bounds_yxyx for region in regions)
    rows = np.flatnonzero((starts[0] >= y0 - 1) & (starts[0] + tile_hw[0] <= y1 + 1))
    columns = np.flatnonzero((starts[1] >= x0 - 1) & (starts[1] + tile_hw[1] <= x1 + 1))
    tiles = (rows[:, None] * len(starts[1]) + columns[None]).ravel().astype(np.intp)
    tiles = np.setdiff1d(tiles, taken)
    return tiles[_inside(regions, tiles, starts, tile_hw)]


def _inside(
    regions: Sequence[Polygon], tiles: Indices, starts: tuple[Indices, Indices], tile_hw: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return which tiles lie wholly inside regions, less a px that rounding may take."""
    corner = np.column_stack([starts[0][tiles // len(starts[1])], starts[1][tiles % len(starts[1])]])
    return boxes_inside(np.hstack([corner, corner + tile_hw]).astype(np.float64), regions, slack_px=1.0)


def _rng(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
