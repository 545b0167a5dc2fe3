"""Tiles that a detector walks over: anchored to the slide, each with a halo, every place in exactly one core."""

from __future__ import annotations

from dataclasses import dataclass

from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError


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


def detection_tiles(
    size_hw: tuple[int, int], tile_px: int, halo: int, multiple: int, region_yxyx: YXYX | None = None
) -> list[Tile]:
    """Return the tiles that cover a picture, or those that touch a region of it, row by row.

    Parameters
    ----------
    size_hw : tuple of int
        The whole picture, px of the model.
    tile_px : int
        Side of a tile with its halo, px of the model, at most.
    halo : int
        Surroundings of a core on each side; a multiple of ``multiple``.
    multiple : int
        Tiles start at multiples of this.
    region_yxyx : tuple of float, optional
        Px of the model.

    Raises
    ------
    CytoError
        When the tiles are so small that nothing is left between the halos.
    """
    core = (tile_px - 2 * halo) // multiple * multiple
    if core < multiple:
        raise CytoError(f"Tiles need at least {2 * halo + multiple} px for this model, but {tile_px} px was asked.")
    y0, x0, y1, x1 = (0.0, 0.0, float(size_hw[0]), float(size_hw[1])) if region_yxyx is None else region_yxyx
    spans_y = _spans(max(y0, 0.0), min(y1, float(size_hw[0])), size_hw[0], core, multiple)
    spans_x = _spans(max(x0, 0.0), min(x1, float(size_hw[1])), size_hw[1], core, multiple)
    return [
        Tile(top - halo, left - halo, bottom - top + 2 * halo, right - left + 2 * halo, _core(top, left, bottom, right))
        for top, bottom in spans_y
        for left, right in spans_x
    ]


def _core(top: int, left: int, bottom: int, right: int) -> YXYX:
    return (float(top), float(left), float(bottom), float(right))


def _spans(start: float, stop: float, length: int, core: int, multiple: int) -> list[tuple[int, int]]:
    """Return half-open spans that cover ``start`` to ``stop``, on the grid of ``core``, cut at the picture's end."""
    if stop <= start:
        return []
    end = -(-length // multiple) * multiple
    first = int(start // core) * core
    return [(top, min(top + core, end)) for top in range(first, int(-(-stop // 1)), core)]
