"""Geometry on a slide: shapes, and what lies in, on, over and near what.

One frame everywhere: level-0 pixels of the slide file, ``(y, x)``, float64, pixel centres at integers + 0.5,
boxes half-open ``(y0, x0, y1, x1)``.
"""

from napari_cyto.domain.geometry._area import area, covered_area
from napari_cyto.domain.geometry._box_overlap import (
    bounds_of,
    box_area,
    boxes_overlap,
    boxes_touch,
    grown,
    intersection,
    iou,
    overlapping,
    touching,
)
from napari_cyto.domain.geometry._brush import CellRing, Painted, painted
from napari_cyto.domain.geometry._containment import (
    box_contains_box,
    box_contains_point,
    count_in_outlines,
    pixels_in_outline,
    points_in_box,
    points_in_outline,
)
from napari_cyto.domain.geometry._distance import (
    distance,
    distance_to_outline,
    distances,
    outlines_within,
    pairs_within,
)
from napari_cyto.domain.geometry._hit_test import click_rank
from napari_cyto.domain.geometry._on_image import (
    bounds_outside,
    bounds_reach_out,
    clipped,
    is_on_image,
    lies_outside,
    reaches_out,
)
from napari_cyto.domain.geometry._outlines import closed_outline
from napari_cyto.domain.geometry._parts import boxes_inside, covered_outline, outline_within
from napari_cyto.domain.geometry._shapes import YX, YXYX, Box, CellOutline, Geometry, Point, Polygon, rectangle

__all__ = [
    "YX",
    "YXYX",
    "Box",
    "CellOutline",
    "CellRing",
    "Geometry",
    "Painted",
    "Point",
    "Polygon",
    "area",
    "bounds_of",
    "bounds_outside",
    "bounds_reach_out",
    "box_area",
    "box_contains_box",
    "box_contains_point",
    "boxes_inside",
    "boxes_overlap",
    "boxes_touch",
    "click_rank",
    "clipped",
    "closed_outline",
    "count_in_outlines",
    "covered_area",
    "covered_outline",
    "distance",
    "distance_to_outline",
    "distances",
    "grown",
    "intersection",
    "iou",
    "is_on_image",
    "lies_outside",
    "outline_within",
    "outlines_within",
    "overlapping",
    "painted",
    "pairs_within",
    "pixels_in_outline",
    "points_in_box",
    "points_in_outline",
    "reaches_out",
    "rectangle",
    "touching",
]
