"""The handles by which a selected box or region is reshaped, and what dragging one does."""

from __future__ import annotations

import math
from dataclasses import replace

from napari_cyto.domain.geometry import YX, Box, CellOutline, Geometry, Point, Polygon

# Corners and middles of the sides, as fractions of height and width; the middle itself moves the box.
_OF_BOX = tuple((fy, fx) for fy in (0.0, 0.5, 1.0) for fx in (0.0, 0.5, 1.0) if (fy, fx) != (0.5, 0.5))
SMALLEST_PX = 1.0


def handles_yx(geometry: Geometry) -> tuple[YX, ...]:
    """Return where the handles of a shape are, level-0 px: of a box eight, of a region its corners.

    The outline of a cell has none: it has many corners, and is corrected with the brush of the Outline tool.
    """
    if isinstance(geometry, Point | CellOutline):
        return ()
    if isinstance(geometry, Polygon):
        return geometry.vertices_yx
    height, width = geometry.size_hw
    return tuple((geometry.y0 + fy * height, geometry.x0 + fx * width) for fy, fx in _OF_BOX)


def handle_at(geometry: Geometry, yx: YX, radius_px: float) -> int | None:
    """Return the number of the handle nearest to ``yx`` within ``radius_px`` (level-0 px), if there is one."""
    distances = [math.dist(handle, yx) for handle in handles_yx(geometry)]
    if not distances or min(distances) > radius_px:
        return None
    return distances.index(min(distances))


def dragged(geometry: Geometry, handle: int, yx: YX) -> Geometry:
    """Return the shape after its handle number ``handle`` went to ``yx``, level-0 px; a box stays a box."""
    if isinstance(geometry, Polygon):
        vertices = list(geometry.vertices_yx)
        vertices[handle] = yx
        return replace(geometry, vertices_yx=tuple(vertices))
    if isinstance(geometry, Point):
        return Point(*yx)
    fy, fx = _OF_BOX[handle]
    y0, y1 = _side(geometry.y0, geometry.y1, fy, yx[0])
    x0, x1 = _side(geometry.x0, geometry.x1, fx, yx[1])
    return Box(y0, x0, y1, x1)


def _side(low: float, high: float, fraction: float, value: float) -> tuple[float, float]:
    """Move the end that ``fraction`` names to ``value``; dragged past the other end, the two change places."""
    if fraction == 0.5:
        return low, high
    fixed = high if fraction == 0.0 else low
    if abs(value - fixed) < SMALLEST_PX:
        value = fixed + math.copysign(SMALLEST_PX, value - fixed)
    return min(fixed, value), max(fixed, value)


def box_between(a_yx: YX, b_yx: YX) -> Box | None:
    """Return the box with two opposite corners, level-0 px; None when it is thinner than a pixel."""
    (y0, y1), (x0, x1) = sorted((a_yx[0], b_yx[0])), sorted((a_yx[1], b_yx[1]))
    return Box(y0, x0, y1, x1) if y1 - y0 >= SMALLEST_PX and x1 - x0 >= SMALLEST_PX else None
