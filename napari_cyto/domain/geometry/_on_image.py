"""What of a shape lies on its image, and what lies beyond its border; images begin at (0, 0)."""

from __future__ import annotations

from napari_cyto.domain.geometry._box_overlap import boxes_overlap, intersection
from napari_cyto.domain.geometry._containment import box_contains_box, box_contains_point
from napari_cyto.domain.geometry._shapes import YX, YXYX, Geometry, Point

SizeHW = tuple[float, float]


def is_on_image(yx: YX, size_hw: SizeHW) -> bool:
    """Whether a point lies on an image of this height and width."""
    return box_contains_point((0.0, 0.0, *size_hw), yx)


def clipped(box_yxyx: YXYX, size_hw: SizeHW) -> YXYX | None:
    """Return the part of a box that lies on an image of this height and width, None where none does."""
    return intersection(box_yxyx, (0.0, 0.0, float(size_hw[0]), float(size_hw[1])))


def lies_outside(geometry: Geometry, size_hw: SizeHW) -> bool:
    """Whether nothing of a shape lies on an image of ``size_hw``. A point on its border does."""
    return bounds_outside(geometry.bounds_yxyx, isinstance(geometry, Point), size_hw)


def bounds_outside(bounds_yxyx: YXYX, is_point: bool, size_hw: SizeHW) -> bool:
    """Whether nothing of a shape with these bounds lies on an image of ``size_hw``."""
    image_yxyx = (0.0, 0.0, *size_hw)
    if is_point:
        return not box_contains_point(image_yxyx, bounds_yxyx[:2], closed=True)
    return not boxes_overlap(bounds_yxyx, image_yxyx)


def reaches_out(geometry: Geometry, size_hw: SizeHW) -> bool:
    """Whether something of a shape lies beyond the border of an image of ``size_hw``."""
    return bounds_reach_out(geometry.bounds_yxyx, size_hw)


def bounds_reach_out(bounds_yxyx: YXYX, size_hw: SizeHW) -> bool:
    """Whether something of a shape with these bounds lies beyond the border of an image of ``size_hw``."""
    return not box_contains_box((0.0, 0.0, *size_hw), bounds_yxyx)
