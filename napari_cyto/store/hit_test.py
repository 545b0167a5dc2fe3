"""Which annotation a click means: distances to shapes, and who wins where several lie under the cursor."""

from __future__ import annotations

import math

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YX, Geometry, Polygon


def distance_px(geometry: Geometry, yx: YX) -> float:
    """Return the distance from a place to a shape, level-0 px; 0 inside it."""
    if isinstance(geometry, Polygon):
        return _distance_to_polygon(geometry, yx)
    y0, x0, y1, x1 = geometry.bounds_yxyx
    return math.hypot(max(y0 - yx[0], 0.0, yx[0] - y1), max(x0 - yx[1], 0.0, yx[1] - x1))


def preference(annotation: Annotation, yx: YX) -> tuple[bool, float, float, float]:
    """Return what to sort by when several are near: cells before regions, then distance, size, and the centre.

    A region lies under every click into it, and would otherwise hide the cells that it holds.
    """
    y0, x0, y1, x1 = annotation.geometry.bounds_yxyx
    centre_y, centre_x = annotation.geometry.centre_yx
    return (
        annotation.is_region,
        distance_px(annotation.geometry, yx),
        (y1 - y0) * (x1 - x0),
        math.hypot(centre_y - yx[0], centre_x - yx[1]),
    )


def _distance_to_polygon(polygon: Polygon, yx: YX) -> float:
    """Source: W. R. Franklin, "PNPOLY", the crossing test with half-open edges."""
    y, x = yx
    inside = False
    nearest = math.inf
    ay, ax = polygon.vertices_yx[-1]
    for by, bx in polygon.vertices_yx:
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
        nearest = min(nearest, _distance_to_segment(yx, (ay, ax), (by, bx)))
        ay, ax = by, bx
    return 0.0 if inside else nearest


def _distance_to_segment(yx: YX, start: YX, end: YX) -> float:
    dy, dx = end[0] - start[0], end[1] - start[1]
    length2 = dy * dy + dx * dx
    along = 0.0 if length2 == 0 else ((yx[0] - start[0]) * dy + (yx[1] - start[1]) * dx) / length2
    along = min(1.0, max(0.0, along))
    return math.hypot(yx[0] - start[0] - along * dy, yx[1] - start[1] - along * dx)
