"""The tiles of a run: as few and as even as possible for what is asked, each with a halo, on the network's own grid."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from napari_cyto.datasets.tiles import StainedParts
from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError
from napari_cyto.inference.detection_tiles import Tile

NEAR_PX = 64.0
"""Cells this near to stained material are told of, px of the model: the low-power mask ends where a pale cell does."""


def plan_tiles(
    size_hw: tuple[float, float],
    tile_px: int,
    halo: int,
    multiple: int,
    region_yxyx: YXYX | None = None,
    offset_yx: tuple[int, int] = (0, 0),
) -> list[Tile]:
    """Return tiles whose cores cover a picture, or a region of it, each place once, row by row.

    Parameters
    ----------
    size_hw : tuple of float
        The whole picture, px of the model.
    tile_px : int
        Side of a tile with its halo, at most, px of the model.
    halo : int
        Surroundings of a core on each side; a multiple of ``multiple``.
    multiple : int
        Tiles start at multiples of it, so that every tile sees the same grid.
    region_yxyx : tuple of float, optional
        Px of the model; the cores end where it does, up to ``multiple``.
    offset_yx : tuple of int
        Where the second row and column begin, multiples of ``multiple``; 0 for even ones. Answers do not depend on it.

    Raises
    ------
    CytoError
        When nothing is left of a tile between its halos.
    """
    core = (tile_px - 2 * halo) // multiple * multiple
    if core < multiple:
        raise CytoError(f"Tiles need at least {2 * halo + multiple} px for this model, but {tile_px} px was asked.")
    y0, x0, y1, x1 = (0.0, 0.0, *size_hw) if region_yxyx is None else region_yxyx
    rows = _spans(max(y0, 0.0), min(y1, size_hw[0]), core, multiple, offset_yx[0])
    columns = _spans(max(x0, 0.0), min(x1, size_hw[1]), core, multiple, offset_yx[1])
    return [
        Tile(
            top - halo,
            left - halo,
            bottom - top + 2 * halo,
            right - left + 2 * halo,
            (float(top), float(left), float(bottom), float(right)),
        )
        for top, bottom in rows
        for left, right in columns
    ]


def _spans(start: float, stop: float, core: int, multiple: int, offset: int) -> list[tuple[int, int]]:
    if stop <= start:
        return []
    first, end = int(start // multiple) * multiple, int(-(-stop // multiple)) * multiple
    if offset % core:
        cuts = [first, *range(first + offset % core, end, core), end]
    else:
        count = -(-(end - first) // core)
        even = -(-(end - first) // count // multiple) * multiple
        cuts = [*range(first, end, even), end]
    return [(a, b) for a, b in pairwise(cuts) if b > a]


def stained_tiles(tiles: Iterable[Tile], stained: StainedParts | None, scale: float) -> list[Tile]:
    """Return the tiles that may hold a cell near stained material; ``scale`` is level-0 px per px of the model."""
    if stained is None:
        return list(tiles)
    known = list(tiles)
    near = stained.each_within(_grown(np.array([tile.core_yxyx for tile in known]).reshape(-1, 4), scale))
    return [tile for tile, wanted in zip(known, near.tolist(), strict=True) if wanted]


def near_stain(points_yx: np.ndarray, stained: StainedParts | None, scale: float) -> np.ndarray:
    """Return which cells ``(n, 2)``, px of the model, lie near stained material, bool ``(n,)``.

    Judged by the cell and not by its tile, so that the answer does not depend on how large tiles are.
    """
    if stained is None:
        return np.ones(len(points_yx), dtype=np.bool_)
    near: np.ndarray = stained.each_within(_grown(np.hstack([points_yx, points_yx]), scale))
    return near


def _grown(boxes_yxyx: np.ndarray, scale: float) -> np.ndarray:
    """Return boxes ``(n, 4)``, px of the model, with their surroundings, level-0 px."""
    grown: np.ndarray = np.maximum((boxes_yxyx + np.array([-NEAR_PX, -NEAR_PX, NEAR_PX, NEAR_PX])) * scale, 0.0)
    return grown
