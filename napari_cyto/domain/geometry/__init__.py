"""Geometry on a slide: shapes, and what lies in, on, over and near what.

One frame everywhere: level-0 pixels of the slide file, ``(y, x)``, float64, pixel centres at integers + 0.5,
boxes half-open ``(y0, x0, y1, x1)``.
"""

from napari_cyto.domain.geometry.area import area, covered_area
from napari_cyto.domain.geometry.boxes import (
    bounds_of,
    box_area,
    boxes_overlap,
    boxes_touch,
    grown,
    intersection,
    iou,
    on_image,
    overlapping,
    touching,
)
from napari_cyto.domain.geometry.containment import (
    box_contains_box,
    box_contains_point,
    points_in_box,
    points_in_outline,
)
from napari_cyto.domain.geometry.distance import distance, distance_to_outline, distances, pairs_within
from napari_cyto.domain.geometry.hit_test import click_rank
from napari_cyto.domain.geometry.outlines import closed_outline
from napari_cyto.domain.geometry.shapes import YX, YXYX, Box, Geometry, Point, Polygon, rectangle

__all__ = [
    "YX",
    "YXYX",
    "Box",
    "Geometry",
    "Point",
    "Polygon",
    "area",
    "bounds_of",
    "box_area",
    "box_contains_box",
    "box_contains_point",
    "boxes_overlap",
    "boxes_touch",
    "click_rank",
    "closed_outline",
    "covered_area",
    "distance",
    "distance_to_outline",
    "distances",
    "grown",
    "intersection",
    "iou",
    "on_image",
    "overlapping",
    "pairs_within",
    "points_in_box",
    "points_in_outline",
    "rectangle",
    "touching",
]
