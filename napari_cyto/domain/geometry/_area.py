"""How much a shape covers, px² of its frame."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import shapely

from napari_cyto.domain.geometry._box_overlap import box_area
from napari_cyto.domain.geometry._shapes import YXYX, Geometry, Polygon


def area(geometry: Geometry) -> float:
    """Return what a shape covers; a point covers nothing, and of an outline that crosses itself loops may cancel."""
    if isinstance(geometry, Polygon):
        return float(shapely.Polygon(geometry.vertices_yx).area)
    return box_area(geometry.bounds_yxyx)


def covered_area(
    outlines: Iterable[Polygon], spots_yx: npt.NDArray[np.float64], reach_px: float, box_yxyx: YXYX
) -> float:
    """Return how much of a box lies in any of some outlines or near any of some spots.

    Parameters
    ----------
    outlines : iterable of Polygon
        May overlap and cross themselves.
    spots_yx : ndarray, float64 (n, 2)
        Centres of circles, which are counted as polygons of 32 corners.
    reach_px : float
        Their radius; 0 for none.
    box_yxyx : tuple of float
        What is counted of all that.
    """
    y0, x0, y1, x1 = box_yxyx
    shapes = [shapely.make_valid(shapely.Polygon(outline.vertices_yx)) for outline in outlines]
    if reach_px:
        shapes += list(shapely.buffer(shapely.points(spots_yx), reach_px, quad_segs=8))
    return float(shapely.intersection(shapely.union_all(shapes), shapely.box(y0, x0, y1, x1)).area)
