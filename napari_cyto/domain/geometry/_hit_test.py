"""Which of several shapes under the cursor a click means."""

from __future__ import annotations

import math

from napari_cyto.domain.geometry._box_overlap import box_area
from napari_cyto.domain.geometry._distance import distance
from napari_cyto.domain.geometry._shapes import YX, Geometry


def click_rank(geometry: Geometry, yx: YX, *, is_region: bool) -> tuple[bool, float, float, float]:
    """Return what to sort by where several shapes are near: cells before regions, then distance, size, and the centre.

    A region lies under every click into it, and would otherwise hide the cells that it holds.

    Parameters
    ----------
    geometry : Geometry
        The shape.
    yx : tuple of float
        Where the click was, in the frame of the shape.
    is_region : bool
        Whether the shape is no cell but an area that holds cells.
    """
    return (is_region, distance(geometry, yx), box_area(geometry.bounds_yxyx), math.dist(geometry.centre_yx, yx))
