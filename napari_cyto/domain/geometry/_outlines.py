"""From corners that a hand drew to an outline that encloses something."""

from __future__ import annotations

from collections.abc import Sequence

import shapely

from napari_cyto.domain.geometry._shapes import YX
from napari_cyto.errors import CytoError

DECIMALS = 6


def closed_outline(vertices_yx: Sequence[YX], tolerance_px: float) -> tuple[YX, ...]:
    """Return the corners of a simple outline near the drawn one.

    Corners that change nothing by more than ``tolerance_px`` go; where the line crosses itself, the largest of
    the areas it encloses stays.

    Parameters
    ----------
    vertices_yx : sequence of (y, x)
        As drawn, level-0 px.
    tolerance_px : float
        How far the outline may stray from the drawn one, level-0 px.

    Raises
    ------
    CytoError
        When the corners enclose nothing.

    Source
    ------
    Simplification: Douglas and Peucker 1973, as in GEOS.
    """
    # No mouse is that exact, and GEOS divides by zero on corners that differ by next to nothing.
    vertices_yx = [(round(y, DECIMALS), round(x, DECIMALS)) for y, x in vertices_yx]
    if len(set(vertices_yx)) >= 3:
        # Twice: what is left of a line that crosses itself can be a collection of collections.
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapely.Polygon(vertices_yx))))
        areas = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
        if areas:
            largest = shapely.Polygon(max(areas, key=lambda part: part.area).exterior)
            simple = largest.simplify(tolerance_px)
            outline = simple if simple.geom_type == "Polygon" and simple.area > 0 else largest
            return tuple((float(y), float(x)) for y, x in outline.exterior.coords[:-1])
    raise CytoError("A region needs at least three corners that enclose some of the slide; draw it again, larger.")
