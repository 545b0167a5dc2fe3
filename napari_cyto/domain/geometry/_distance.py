"""How far things are from each other, px of their frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_cyto.domain.geometry._areas import areas_of
from napari_cyto.domain.geometry._containment import points_in_outline
from napari_cyto.domain.geometry._shapes import YX, Geometry, Polygon

Floats = npt.NDArray[np.float64]


def distance(geometry: Geometry, yx: YX) -> float:
    """Return the distance from a place to a shape; 0 inside it and on its edge."""
    if isinstance(geometry, Polygon):
        inside = points_in_outline(np.array([yx]), geometry.vertices_yx)[0]
        return 0.0 if inside else distance_to_outline(geometry.vertices_yx, yx)
    y0, x0, y1, x1 = geometry.bounds_yxyx
    return math.hypot(max(y0 - yx[0], 0.0, yx[0] - y1), max(x0 - yx[1], 0.0, yx[1] - x1))


def distance_to_outline(vertices_yx: Sequence[YX], yx: YX) -> float:
    """Return how far a place is from the line around an area, inside or outside of it."""
    return float(shapely.LinearRing(vertices_yx).distance(shapely.Point(yx)))


def distances(points_yx: Floats, others_yx: Floats | YX) -> Floats:
    """Return the distance of each point, float64 (n, 2), to its other, or to the one that is given, float64 (n,)."""
    apart: Floats = np.hypot(*(points_yx - np.asarray(others_yx)).T)
    return apart


def pairs_within(points_yx: Floats, apart: float, *, closed: bool = False) -> npt.NDArray[np.intp]:
    """Return the pairs of points that are nearer to each other than ``apart``.

    Parameters
    ----------
    points_yx : ndarray, float64 (n, 2)
        In any order.
    apart : float
        In the frame's unit.
    closed : bool
        Whether those exactly as far count too.

    Returns
    -------
    ndarray, intp (m, 2)
        Their numbers, the smaller first.
    """
    # A third of a second to import, and most who ask for a distance need no tree.
    from scipy.spatial import KDTree

    if len(points_yx) < 2:
        return np.empty((0, 2), np.intp)
    pairs = KDTree(points_yx).query_pairs(apart * (1 + 1e-9), output_type="ndarray")
    exact = distances(points_yx[pairs[:, 0]], points_yx[pairs[:, 1]])
    near: npt.NDArray[np.intp] = pairs[exact <= apart if closed else exact < apart]
    return near


def outlines_within(outlines_yx: Sequence[Sequence[YX] | Floats], apart: float) -> npt.NDArray[np.intp]:
    """Return the pairs of areas that overlap, hold one another, or are no farther from each other than ``apart``.

    Parameters
    ----------
    outlines_yx : sequence of sequences of (y, x) or of ndarrays (k, 2)
        Of each at least three corners.
    apart : float
        In the frame's unit.

    Returns
    -------
    ndarray, intp (m, 2)
        Their numbers, the smaller first; the pairs in any order.

    Source: GEOS's STR-tree (through shapely).
    """
    areas = areas_of(outlines_yx)
    found = shapely.STRtree(areas).query(areas, predicate="dwithin", distance=apart).T
    pairs: npt.NDArray[np.intp] = found[found[:, 0] < found[:, 1]].astype(np.intp)
    return pairs
