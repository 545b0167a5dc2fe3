"""Any napari Points and Shapes layers as annotations, for napari's own *Save layers*."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.widgets.canvas.frames import PIXEL_CENTRE

LayerTuple: TypeAlias = tuple[Any, Mapping[str, Any], str]

# Where people keep a class, the most telling first; a layer without any is a class of its own.
CLASS_COLUMNS = ("class_id", "class", "label", "classification", "category", "name")
ELLIPSE_CORNERS = 48


def label_set(layers: Sequence[LayerTuple], slide_name: str) -> LabelSet:
    """Return the annotations that points and shapes layers stand for.

    Parameters
    ----------
    layers : sequence of (data, attributes, kind)
        As napari hands them to writers; ``kind`` is ``points`` or ``shapes``. Their data coordinates are taken
        for level-0 px; only the last two axes count.
    slide_name : str
        What the slide is called in the file.

    Raises
    ------
    FormatError
        When a shape is no closed outline, or a layer holds nothing a cell can be.
    """
    slide = SlideRecord(name=slide_name)
    annotations: list[Annotation] = []
    for data, attributes, kind in layers:
        geometries = _points(data) if kind == "points" else _shapes(data, attributes)
        for geometry, class_id in zip(geometries, _classes(attributes, len(data)), strict=True):
            annotations.append(Annotation(slide_id=slide.id, geometry=geometry, class_id=class_id))
    classes = dict.fromkeys(a.class_id for a in annotations if a.class_id is not None)
    return LabelSet((slide,), tuple(annotations), tuple(classes))


def _classes(attributes: Mapping[str, Any], count: int) -> list[str]:
    features = attributes.get("features")
    if features is None:
        features = attributes.get("properties") or {}
    for column in CLASS_COLUMNS:
        if column in features:
            values = [str(value).strip() for value in features[column]]
            if all(values) and len(values) == count:
                return values
    return [str(attributes.get("name") or "cell").strip() or "cell"] * count


def _points(data: Any) -> Iterator[Geometry]:
    for row in np.asarray(data, dtype=np.float64):
        yield Point(float(row[-2]) + PIXEL_CENTRE, float(row[-1]) + PIXEL_CENTRE)


def _shapes(data: Sequence[Any], attributes: Mapping[str, Any]) -> Iterator[Geometry]:
    kinds = attributes.get("shape_type", "polygon")
    each = [kinds] * len(data) if isinstance(kinds, str) else kinds
    for number, (corners, kind) in enumerate(zip(data, each, strict=True), 1):
        yx = np.asarray(corners, dtype=np.float64)[:, -2:] + PIXEL_CENTRE
        if str(kind) in ("line", "path") or len(yx) < 3:
            raise FormatError(
                f"Shape {number} of layer {attributes.get('name', 'shapes')!r} is a {kind}, which encloses no cell; "
                "only rectangles, ellipses and polygons can be written, so delete or redraw it."
            )
        yield _ellipse(yx) if str(kind) == "ellipse" else _box_or_polygon(yx)


def _box_or_polygon(yx: Any) -> Geometry:
    low, high = yx.min(axis=0), yx.max(axis=0)
    in_corners = bool(np.all(np.isclose(yx, low) | np.isclose(yx, high)))
    if len(yx) == 4 and in_corners and np.all(high > low):
        return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Polygon(tuple((float(y), float(x)) for y, x in yx))


def _ellipse(corners_yx: Any) -> Polygon:
    """Return the ellipse inside a (turned) rectangle given by its four corners, as an outline."""
    centre = corners_yx.mean(axis=0)
    half_a, half_b = (corners_yx[1] - corners_yx[0]) / 2, (corners_yx[3] - corners_yx[0]) / 2
    angles = (2 * math.pi * i / ELLIPSE_CORNERS for i in range(ELLIPSE_CORNERS))
    points = (centre + half_a * math.cos(t) + half_b * math.sin(t) for t in angles)
    return Polygon(tuple((float(y), float(x)) for y, x in points))
