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
Flags = npt.NDArray[np.bool_]

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
    padding_hw : ndarray, (t, 2), intp
        How many px of each tile lie beyond the bottom and the right of the slide.
    members : tuple of ndarray, intp
        For each tile, the cells that are labelled on it, in their order.
    boxes : tuple of ndarray, (m, 4), float64
        Their boxes clipped to the tile, px of the tile.
    cut : tuple of ndarray, (m,), bool
        Which of them a border cut.
    shared : tuple of ndarray, (m,), bool
        Which of them are of cells that another tile holds, too.
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

    Notes
    -----
    Boxes of cells that two tiles hold are counted in ``repeated`` once for each further tile.
    """

    origins_yx: Indices
    size_hw: tuple[int, int]
    padding_hw: Indices
    members: tuple[Indices, ...]
    boxes: tuple[Floats, ...]
    cut: tuple[Flags, ...]
    shared: tuple[Flags, ...]
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
    tile_hw: tuple[int, int],
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

    Tiles stand side by side from the top left and share no pixel. The last ones of a row or column reach beyond the
    slide: all tiles have one size and one scale, and trainers that enlarge small images would change both.

    Parameters
    ----------
    size_hw : tuple of int
        Of the slide.
    tile_hw : tuple of int
        Height and width of a tile.
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
    rows, columns = (np.arange(0, end, step, dtype=np.intp) for end, step in zip(size_hw, tile_hw, strict=True))
    starts = (rows, columns)
    pairs = _pairs(boxes_yxyx, size_hw, starts, tile_hw, keep)
    with_cells = np.unique(pairs.tile[pairs.kept])
    inside = _inside(regions, with_cells, starts, tile_hw, size_hw)
    taken = np.union1d(np.unique(pairs.tile), _tiles_of(doubtful_yx, starts, tile_hw))
    possible = _empty(regions, taken, starts, tile_hw, size_hw)
    n_empty = min(len(possible), int(empty_share / (1 - empty_share) * len(with_cells) + _ROUNDING))
    chosen = _rng(seed, name).choice(possible, n_empty, replace=False) if n_empty else possible[:0]
    tiles = np.union1d(with_cells, chosen).astype(np.intp)
    corner_yx = np.column_stack([starts[0][tiles // len(starts[1])], starts[1][tiles % len(starts[1])]])
    order = np.flatnonzero(pairs.kept)
    order = order[np.argsort(pairs.tile[order], kind="stable")]
    edges = np.searchsorted(pairs.tile[order], tiles, "left"), np.searchsorted(pairs.tile[order], tiles, "right")
    groups = [order[low:high] for low, high in zip(*edges, strict=True)]
    times = np.bincount(pairs.cell[pairs.kept], minlength=len(boxes_yxyx))
    held = int((times > 0).sum())
    return TilePlan(
        corner_yx,
        tile_hw,
        np.maximum(corner_yx + tile_hw - np.array(size_hw, np.intp), 0),
        tuple(pairs.cell[group] for group in groups),
        tuple(pairs.parts[group] - np.tile(c, 2) for group, c in zip(groups, corner_yx, strict=True)),
        tuple(pairs.cut[group] for group in groups),
        tuple(times[pairs.cell[group]] > 1 for group in groups),
        outside=pairs.outside,
        dropped=len(boxes_yxyx) - pairs.outside - held,
        clipped=int((pairs.kept & pairs.cut).sum()),
        repeated=int(pairs.kept.sum()) - held,
        unlabelled=int((~pairs.kept).sum()),
        empty=len(chosen),
        empty_possible=len(possible),
        beyond_regions=int((~inside).sum()),
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Every cell with every tile that it reaches into."""

    cell: Indices
    tile: Indices
    parts: Floats
    kept: Flags
    cut: Flags
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
    # A tile ends where the next one begins.
    within = ((middle >= corner) & (middle < end)).all(axis=1)
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
    regions: Sequence[Polygon],
    taken: Indices,
    starts: tuple[Indices, Indices],
    tile_hw: tuple[int, int],
    size_hw: tuple[int, int],
) -> Indices:
    """Return the tiles that lie wholly inside regions and show nothing; at least half of each shows the slide."""
    if not regions:
        return np.empty(0, np.intp)
    y0, x0, y1, x1 = bounds_of(region.bounds_yxyx for region in regions)
    ends = [np.minimum(start + side, whole) for start, side, whole in zip(starts, tile_hw, size_hw, strict=True)]
    rows = np.flatnonzero((starts[0] >= y0 - 1) & (ends[0] <= y1 + 1))
    columns = np.flatnonzero((starts[1] >= x0 - 1) & (ends[1] <= x1 + 1))
    shown = (ends[0] - starts[0])[rows, None] * (ends[1] - starts[1])[None, columns]
    tiles = (rows[:, None] * len(starts[1]) + columns[None])[shown >= _HALF * tile_hw[0] * tile_hw[1]]
    tiles = np.setdiff1d(tiles.astype(np.intp), taken)
    return tiles[_inside(regions, tiles, starts, tile_hw, size_hw)]


def _inside(
    regions: Sequence[Polygon],
    tiles: Indices,
    starts: tuple[Indices, Indices],
    tile_hw: tuple[int, int],
    size_hw: tuple[int, int],
) -> Flags:
    """Return which tiles, as far as they show the slide, lie inside regions, less a px that rounding may take."""
    corner = np.column_stack([starts[0][tiles // len(starts[1])], starts[1][tiles % len(starts[1])]])
    end = np.minimum(corner + tile_hw, size_hw)
    return boxes_inside(np.hstack([corner, end]).astype(np.float64), regions, slack_px=1.0)


def _rng(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
