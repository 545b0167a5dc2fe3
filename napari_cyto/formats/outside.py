"""Labels that do not lie on their image: those that miss it wholly, and those that reach over its border."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_cyto.domain.geometry import Geometry, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError
from napari_cyto.formats.text import Fault


def lies_outside(geometry: Geometry, size_hw: tuple[int, int]) -> bool:
    """Whether nothing of a shape lies on an image of ``size_hw``; level-0 px. A point on its border does."""
    y0, x0, y1, x1 = geometry.bounds_yxyx
    height, width = size_hw
    if isinstance(geometry, Point):
        return not (0 <= y0 <= height and 0 <= x0 <= width)
    return y1 <= 0 or x1 <= 0 or y0 >= height or x0 >= width


def reaches_out(geometry: Geometry, size_hw: tuple[int, int]) -> bool:
    """Whether something of a shape lies beyond the border of an image of ``size_hw``; level-0 px."""
    y0, x0, y1, x1 = geometry.bounds_yxyx
    return y0 < 0 or x0 < 0 or y1 > size_hw[0] or x1 > size_hw[1]


def outside_sentence(geometry: Geometry, size_hw: tuple[int, int], name: str) -> str:
    """Return the sentence on a shape that lies wholly outside the image ``name``; level-0 px."""
    y, x = geometry.centre_yx
    return f"it lies wholly outside {name}, at x {x:g}, y {y:g} of {size_hw[1]} x {size_hw[0]} px."


def check_inside(geometry: Geometry, size_hw: tuple[int, int], name: str, fault: Fault) -> None:
    """Refuse a shape that lies wholly outside its image.

    Raises
    ------
    FormatError
        Made by ``fault``.
    """
    if lies_outside(geometry, size_hw):
        raise fault(outside_sentence(geometry, size_hw, name))


def refuse_fractions(labels: LabelSet, path: Path) -> None:
    """Refuse labels of an image that all lie within its first px: their numbers are fractions of the image.

    Raises
    ------
    FormatError
        Naming the image.
    """
    shapes: dict[str, list[Geometry]] = {}
    for annotation in labels.annotations:
        shapes.setdefault(annotation.slide_id, []).append(annotation.geometry)
    for slide in labels.slides:
        if _are_fractions(shapes.get(slide.id, ())):
            raise FormatError(
                f"all positions on {slide.name!r:.200} are 0 to 1, fractions of the image; expected pixels of it.", path
            )


def _are_fractions(shapes: Iterable[Geometry]) -> bool:
    points = areas = 0
    whole = True
    for shape in shapes:
        bounds = shape.bounds_yxyx
        if min(bounds) < 0 or max(bounds) > 1:
            return False
        areas += not isinstance(shape, Point)
        points += isinstance(shape, Point)
        whole = whole and all(value == int(value) for value in bounds)
    # One point may lie there; two, or anything with an area, would be smaller than what can be seen.
    return not whole and (areas > 0 or points > 1)
