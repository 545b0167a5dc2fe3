"""The tables that napari saves of Points and Shapes layers.

Source: ``napari_builtins.io`` of napari: ``index, axis-0, axis-1`` for points, ``index, shape-type, vertex-index,
axis-0, axis-1`` for shapes, in px of the layer's data, counted from the middle of the first pixel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_cyto.domain.geometry import YX, Geometry, Point, Polygon, rectangle
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._csv_columns import CLASS
from napari_cyto.formats._label_set_builder import LabelSetBuilder
from napari_cyto.formats._shapes import ELLIPSE_CORNERS, outline
from napari_cyto.formats.label_files import label_stem
from napari_cyto.formats.tables import Row, Table, picked, picked_number
from napari_cyto.formats.text import Fault, class_name, shown

_AXIS = re.compile(r"axis-(\d{1,2})")
_PIXEL_CENTRE = 0.5  # napari's 0, 0 is the middle of the first pixel, which here is 0.5, 0.5
_KIND = "shape-type"
_LINES = ("line", "path")


@dataclass
class _Shape:
    kind: str
    class_id: str
    fault: Fault
    corners_yx: list[YX] = field(default_factory=list)
    plane: tuple[float, ...] = ()


def is_napari(columns: Sequence[str]) -> bool:
    """Whether a table has the columns that napari writes."""
    return "axis-0" in columns and "axis-1" in columns


def read_napari(path: Path, unclassified: str, skip_bad: bool) -> LabelSet:
    """Return the points or shapes of a table; axes before the last two are planes, of which the first is read.

    Parameters
    ----------
    path : Path
        The table; its slide is called like it.
    unclassified : str
        The class where no column names one.
    skip_bad : bool
        Whether rows that cannot be read are left out.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    builder = LabelSetBuilder(path, skip_bad)
    slide = builder.slide(SlideRecord(name=label_stem(path)), (path.parent,))
    shapes = _shapes(path, builder)
    first = min((shape.plane for shape in shapes), default=())
    for shape in shapes:
        if shape.plane != first:
            builder.left_out.add("shape", "on other planes than the first left out.")
        elif shape.kind in _LINES:
            builder.left_out.add("line", "left out, since lines are not cells.")
        else:
            with builder.bad:
                builder.cell(slide, _geometry(shape), shape.class_id or unclassified, shape.fault)
                words = f"without a class read as {unclassified}."
                builder.left_out.add("shape", words, int(not shape.class_id))
    return builder.labels()


def _shapes(path: Path, builder: LabelSetBuilder) -> list[_Shape]:
    table = Table(path, (("axis-0",), ("axis-1",)))
    axes = sorted((name for name in table.columns if _AXIS.fullmatch(name)), key=lambda name: int(name[5:]))
    table.check_numbers(axes)
    shapes: dict[object, _Shape] = {}
    for row, fault in table.rows(builder.bad):
        with builder.bad:
            place = tuple(picked_number(row, (axis,), axis, fault) for axis in axes)
            kind = row.get(_KIND, "").strip().lower() or "point"
            # A row is a point, and a corner of a shape.
            key = (row.get("index"), kind) if _KIND in table.columns else len(shapes)
            shape = shapes.setdefault(key, _Shape(kind, _class(row, fault), fault, plane=place[:-2]))
            shape.corners_yx.append((place[-2] + _PIXEL_CENTRE, place[-1] + _PIXEL_CENTRE))
    return list(shapes.values())


def _class(row: Row, fault: Fault) -> str:
    name = picked(row, CLASS)
    return class_name(name, fault) if name else ""


def _geometry(shape: _Shape) -> Geometry:
    corners = shape.corners_yx
    if shape.kind == "point":
        return Point(*corners[0])
    if shape.kind == "polygon":
        return outline(corners, shape.fault)
    if shape.kind not in ("rectangle", "ellipse"):
        raise shape.fault(f"expected the shape-type rectangle, ellipse or polygon, got {shown(shape.kind)}.")
    if len(corners) != 4:
        raise shape.fault(f"expected 4 corners for a shape of type {shape.kind}, got {len(corners)}.")
    around = outline(corners, shape.fault)
    return (rectangle(around) or around) if shape.kind == "rectangle" else _ellipse(corners)


def _ellipse(corners_yx: Sequence[YX]) -> Polygon:
    """Return the ellipse inside a (turned) rectangle as an outline."""
    (ay, ax), (by, bx), (cy, cx), (dy, dx) = corners_yx
    y, x = (ay + by + cy + dy) / 4, (ax + bx + cx + dx) / 4
    angles = [2 * math.pi * i / ELLIPSE_CORNERS for i in range(ELLIPSE_CORNERS)]
    return Polygon(
        tuple(
            (
                y + (by - ay) / 2 * math.cos(t) + (dy - ay) / 2 * math.sin(t),
                x + (bx - ax) / 2 * math.cos(t) + (dx - ax) / 2 * math.sin(t),
            )
            for t in angles
        )
    )
