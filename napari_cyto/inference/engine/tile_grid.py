"""The tiles of a run: as few and as even as possible for what is asked, each with a halo, on the network's own grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError
from napari_cyto.slides.stain import Stain

_SLACK_PX = 4.0
"""A detection lies this near to the cell that it is of, px of the model."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile, px of the model.

    Parameters
    ----------
    y0, x0, height, width : int
        What the network sees.
    core_yxyx : tuple of float
        The half-open part whose cells are this tile's to tell.
    """

    y0: int
    x0: int
    height: int
    width: int
    core_yxyx: YXYX


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
        Where the second row and column begin, multiples of ``multiple``; 0 for even ones. Which cells
        are told of depends on it only as far as a network sees beyond the halo.

    Raises
    ------
    CytoError
        When nothing is left of a tile between its halos.
    """
    core = (tile_px - 2 * halo) // multiple * multiple
    if core < multiple:
        raise CytoError(f"Expected tiles of at least {2 * halo + multiple} px for this model, got {tile_px} px.")
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


def stained_tiles(tiles: Iterable[Tile], stain: Stain, scale: float) -> list[Tile]:
    """Return the tiles in whose cores something may be; ``scale`` is level-0 px per px of the model."""
    known = list(tiles)
    cores = np.array([tile.core_yxyx for tile in known], dtype=np.float64).reshape(-1, 4)
    with_stain = stain.each_within((cores + np.array([-_SLACK_PX, -_SLACK_PX, _SLACK_PX, _SLACK_PX])) * scale)
    return [tile for tile, near in zip(known, with_stain.tolist(), strict=True) if near]
