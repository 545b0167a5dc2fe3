"""What lies inside what: points in outlines and boxes, boxes in boxes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely

from napari_cyto.domain.geometry._areas import areas_of
from napari_cyto.domain.geometry._shapes import YX, YXYX

Points = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_OUTLINES_AT_ONCE = 200
"""Outlines whose points are found in one go, so that many that each hold all points cannot fill the memory."""


def points_in_outline(points_yx: Points, outline_yx: Sequence[YX] | Points) -> Bools:
    """Return which points lie inside a closed outline, by the even-odd rule.

    A point on the line belongs to the side that the half-open rule of boxes gives it to: on an edge towards smaller
    coordinates it is inside, on one towards larger coordinates outside. Of two areas that share an edge one has it.

    Parameters
    ----------
    points_yx : ndarray, float64 (n, 2)
        In the frame of the outline.
    outline_yx : sequence of (y, x) or ndarray (k, 2)
        At least three corners; the last joins the first and is not repeated.

    Returns
    -------
    ndarray, bool (n,)

    Source: GEOS's point location (through shapely); on the line Shimrat 1962, Communications of the ACM 5(8),
    algorithm 112: an odd number of edges lies to one side.
    """
    corners = np.asarray(outline_yx, np.float64)
    points = np.asarray(points_yx, np.float64).reshape(-1, 2)
    area = shapely.Polygon(corners)
    if not area.is_valid:
        # GEOS promises nothing for outlines that cross or retrace themselves.
        return _odd_crossings(points, corners)
    shapely.prepare(area)
    inside: Bools = shapely.contains_xy(area, points[:, 0], points[:, 1])
    undecided = np.flatnonzero(shapely.intersects_xy(area, points[:, 0], points[:, 1]) & ~inside)
    if len(undecided):
        inside[undecided] = _odd_crossings(points[undecided], corners)
    return inside


def count_in_outlines(points_yx: Points, outlines_yx: Sequence[Sequence[YX] | Points]) -> npt.NDArray[np.intp]:
    """Return how many points lie inside each of many closed outlines, by the rule of `points_in_outline`.

    Parameters
    ----------
    points_yx : ndarray, float64 (n, 2)
        In the frame of the outlines.
    outlines_yx : sequence of sequences of (y, x) or of ndarrays (k, 2)
        Of each at least three corners; the last joins the first and is not repeated.

    Returns
    -------
    ndarray, intp (m,)
        One number an outline.

    Source: GEOS's STR-tree (through shapely) for the points near each outline.
    """
    points = np.asarray(points_yx, np.float64).reshape(-1, 2)
    tree = shapely.STRtree(shapely.points(points))
    counts = np.zeros(len(outlines_yx), np.intp)
    for start in range(0, len(outlines_yx), _OUTLINES_AT_ONCE):
        some = [np.asarray(outline, np.float64) for outline in outlines_yx[start : start + _OUTLINES_AT_ONCE]]
        areas = areas_of(some)
        shapely.prepare(areas)
        # Of the points in the bounds of each outline, GEOS decides all but those on the line.
        of, near = tree.query(areas)
        y, x = points[near].T
        inside = shapely.contains_xy(areas[of], y, x)
        undecided = shapely.intersects_xy(areas[of], y, x) & ~inside
        crossing = ~shapely.is_valid(areas)[of]
        left = np.flatnonzero(undecided | crossing)
        for pairs in np.split(left, np.flatnonzero(np.diff(of[left])) + 1) if len(left) else ():
            inside[pairs] = _odd_crossings(points[near[pairs]], some[of[pairs[0]]])
        counts[start : start + len(some)] = np.bincount(of[inside], minlength=len(some))
    return counts


def pixels_in_outline(
    outline_yx: Sequence[YX] | Points, top_left_yx: tuple[int, int], size_hw: tuple[int, int]
) -> Bools:
    """Return which pixels of a rectangle have their centre inside a closed outline, bool (h, w).

    On the line of the outline the rule is that of `points_in_outline`.

    Parameters
    ----------
    outline_yx : sequence of (y, x) or ndarray (k, 2)
        At least three corners, px; pixel centres lie at integers + 0.5.
    top_left_yx : (y, x)
        Where the rectangle begins, px.
    size_hw : (h, w)
        Of the rectangle, px.
    """
    y, x = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    centres = np.column_stack([y.ravel() + top_left_yx[0], x.ravel() + top_left_yx[1]])
    return points_in_outline(centres, outline_yx).reshape(size_hw)


def _odd_crossings(points_yx: Points, corners_yx: Points) -> Bools:
    inside = np.zeros(len(points_yx), dtype=bool)
    y, x = points_yx.T
    for (y0, x0), (y1, x1) in pairwise([*corners_yx, corners_yx[0]]):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def points_in_box(points_yx: Points, box_yxyx: YXYX, slack_px: float = 0.0) -> Bools:
    """Return which points, float64 (n, 2), lie in a half-open box grown by ``slack_px`` on all sides, bool (n,)."""
    y0, x0, y1, x1 = box_yxyx
    y, x = points_yx[:, 0], points_yx[:, 1]
    inside: Bools = (y >= y0 - slack_px) & (y < y1 + slack_px) & (x >= x0 - slack_px) & (x < x1 + slack_px)
    return inside


def box_contains_point(box_yxyx: YXYX, yx: YX, *, closed: bool = False) -> bool:
    """Whether a point lies in a half-open box; where ``closed``, its far edges count too.

    What a person sees or draws is closed: whoever points at the edge of a box means the box.
    """
    y0, x0, y1, x1 = box_yxyx
    y, x = yx
    if closed:
        return y0 <= y <= y1 and x0 <= x <= x1
    return y0 <= y < y1 and x0 <= x < x1


def box_contains_box(outer_yxyx: YXYX, inner_yxyx: YXYX) -> bool:
    """Whether all of one box lies in another; equal ones do."""
    y0, x0, y1, x1 = inner_yxyx
    return outer_yxyx[0] <= y0 and outer_yxyx[1] <= x0 and y1 <= outer_yxyx[2] and x1 <= outer_yxyx[3]
