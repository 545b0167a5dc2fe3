"""Shapes as other programs store them, as the points, boxes and outlines that are known here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from napari_cyto.domain.geometry import YX, Box, Geometry, Polygon, rectangle
from napari_cyto.errors import FormatError

ELLIPSE_CORNERS = 64
"""Corners of the outline that an ellipse becomes; it then lies within 0.13 % of the radius of the ellipse."""

_DIGITS = 4  # of a px; rounds off the noise of sines, percents and sums
_FULL_TURN = 360.0

Fault = Callable[[str], FormatError]


def box_of_edges(y0: float, x0: float, y1: float, x1: float, fault: Fault) -> Box:
    """Return the box between four edges, px.

    Raises
    ------
    FormatError
        When it encloses nothing; made by ``fault``.
    """
    y0, x0, y1, x1 = (_tidy(edge) for edge in (y0, x0, y1, x1))
    if y1 <= y0 or x1 <= x0:
        raise fault(f"expected a box with width and height above 0, got {x1 - x0:g} x {y1 - y0:g}.")
    return Box(y0, x0, y1, x1)


def box_of_corners(first_yx: YX, second_yx: YX, fault: Fault) -> Box:
    """Return the box between two opposite corners, px, in either order.

    Raises
    ------
    FormatError
        When it encloses nothing; made by ``fault``.
    """
    (ya, xa), (yb, xb) = first_yx, second_yx
    return box_of_edges(min(ya, yb), min(xa, xb), max(ya, yb), max(xa, xb), fault)


def outline(corners_yx: Sequence[YX], fault: Fault) -> Polygon:
    """Return an outline, px, without the first corner repeated at its end.

    Raises
    ------
    FormatError
        When fewer than three corners remain or they enclose nothing; made by ``fault``.
    """
    corners = [(_tidy(y), _tidy(x)) for y, x in corners_yx]
    if len(corners) > 3 and corners[0] == corners[-1]:
        corners.pop()
    if len(corners) < 3:
        raise fault(f"expected an outline with at least 3 corners, got {len(corners)}.")
    polygon = Polygon(tuple(corners))
    y0, x0, y1, x1 = polygon.bounds_yxyx
    if y1 <= y0 or x1 <= x0:
        raise fault(f"expected an outline with width and height above 0, got {x1 - x0:g} x {y1 - y0:g}.")
    return polygon


def is_flat(corners_yx: Sequence[YX]) -> bool:
    """Whether corners lie on one line, or are fewer than three, so that no outline through them has an area."""
    if len(corners_yx) > 2:
        (y0, x0), (y1, x1), (y2, x2) = corners_yx[:3]
        if (y2 - y0) * (x1 - x0) != (x2 - x0) * (y1 - y0):
            return False  # as with nearly all
    (y0, x0), *others = corners_yx or [(0.0, 0.0)]
    y1, x1 = next(((y, x) for y, x in others if (y, x) != (y0, x0)), (y0, x0))
    return not any((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0) for y, x in others)


def turned_box(box: Box, degrees: float, pivot_yx: YX | None = None) -> Box | Polygon:
    """Return a box turned clockwise as seen on the screen: an outline of four corners, or a box at right angles.

    Parameters
    ----------
    box : Box
        px, before it is turned.
    degrees : float
        Clockwise, since y points down.
    pivot_yx : tuple of float, optional
        What it is turned about, px; its centre by default.
    """
    if degrees % _FULL_TURN == 0:
        return box
    y0, x0, y1, x1 = box.bounds_yxyx
    corners = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    turned = Polygon(tuple(_turned(corner, degrees, pivot_yx or box.centre_yx) for corner in corners))
    return rectangle(turned) or turned


def ellipse(centre_yx: YX, radii_yx: YX, degrees: float, fault: Fault) -> Polygon:
    """Return the outline of an ellipse turned clockwise about its centre, px.

    Raises
    ------
    FormatError
        When a radius is not above 0; made by ``fault``.
    """
    (cy, cx), (ry, rx) = centre_yx, radii_yx
    if ry <= 0 or rx <= 0:
        raise fault(f"expected an ellipse with radii above 0, got {rx:g} and {ry:g}.")
    angles = (2 * math.pi * i / ELLIPSE_CORNERS for i in range(ELLIPSE_CORNERS))
    upright = ((cy + ry * math.sin(t), cx + rx * math.cos(t)) for t in angles)
    return Polygon(tuple(_turned(corner, degrees, centre_yx) for corner in upright))


def enclosing(shapes: Sequence[Geometry], fault: Fault) -> Box:
    """Return the box around several shapes, px.

    Raises
    ------
    FormatError
        When it encloses nothing; made by ``fault``.
    """
    bounds = [shape.bounds_yxyx for shape in shapes]
    y0, x0 = min(b[0] for b in bounds), min(b[1] for b in bounds)
    return box_of_edges(y0, x0, max(b[2] for b in bounds), max(b[3] for b in bounds), fault)


def _turned(corner_yx: YX, degrees: float, pivot_yx: YX) -> YX:
    (y, x), (cy, cx) = corner_yx, pivot_yx
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    dy, dx = y - cy, x - cx
    return (_tidy(cy + dx * sine + dy * cosine), _tidy(cx + dx * cosine - dy * sine))


def _tidy(value: float) -> float:
    return round(value, _DIGITS)
