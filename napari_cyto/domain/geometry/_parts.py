"""Parts of outlines: boxes that lie wholly inside some, what of one lies in a box, and what several cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_cyto.domain.geometry._shapes import YX, YXYX, Polygon


def boxes_inside(
    boxes_yxyx: npt.NDArray[np.float64], outlines: Sequence[Polygon], slack_px: float = 0.0
) -> npt.NDArray[np.bool_]:
    """Return which boxes lie wholly in what some outlines cover together, bool (n,).

    Parameters
    ----------
    boxes_yxyx : ndarray, float64 (n, 4)
        The boxes, in the frame of the outlines.
    outlines : sequence of Polygon
        May overlap and cross themselves; none cover nothing.
    slack_px : float
        So much of a box, on each side, need not be covered.
    """
    if not outlines or not len(boxes_yxyx):
        return np.zeros(len(boxes_yxyx), np.bool_)
    covered = shapely.union_all([shapely.make_valid(shapely.Polygon(each.vertices_yx)) for each in outlines])
    shapely.prepare(covered)
    y0, x0, y1, x1 = boxes_yxyx.T
    shrunk = shapely.box(y0 + slack_px, x0 + slack_px, y1 - slack_px, x1 - slack_px)
    return np.asarray(shapely.covers(covered, shrunk), dtype=np.bool_)


def outline_within(outline: Polygon, box_yxyx: YXYX) -> Polygon | None:
    """Return what of an outline lies in a box; None where that is not one plain outline, or it crosses itself."""
    y0, x0, y1, x1 = box_yxyx
    if all(y0 <= y <= y1 and x0 <= x <= x1 for y, x in outline.vertices_yx):
        return outline
    shape = shapely.Polygon(outline.vertices_yx)
    if not shape.is_valid:
        return None
    part = shapely.intersection(shape, shapely.box(y0, x0, y1, x1))
    if part.geom_type != "Polygon" or part.is_empty or len(part.interiors):
        return None
    return Polygon(tuple((y, x) for y, x in list(part.exterior.coords)[:-1]))


def covered_outline(outlines_yx: Sequence[Sequence[YX]], box_yxyx: YXYX) -> tuple[YX, ...]:
    """Return the outer line of what outlines cover together within a box, of its largest part; empty of nothing.

    Parameters
    ----------
    outlines_yx : sequence of sequences of (y, x)
        Of each at least three corners; they may overlap and cross themselves.
    box_yxyx : tuple of float
        In their frame.
    """
    y0, x0, y1, x1 = box_yxyx
    covered = shapely.union_all([shapely.make_valid(shapely.Polygon(each)) for each in outlines_yx])
    # Twice: what is left of a line that crosses itself can be a collection of collections.
    parts = shapely.get_parts(shapely.get_parts(shapely.intersection(covered, shapely.box(y0, x0, y1, x1))))
    areas = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    if not areas:
        return ()
    largest = max(areas, key=lambda part: float(part.area))
    return tuple((float(y), float(x)) for y, x in largest.exterior.coords[:-1])
