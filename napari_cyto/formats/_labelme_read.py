"""Reading LabelMe's files and those of the programs that share their form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, Box, Geometry, Point, rectangle
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.files.disk_files import files_below
from napari_cyto.formats._label_set_builder import LabelSetBuilder, image_name
from napari_cyto.formats._non_cell_classes import is_region
from napari_cyto.formats._shapes import box_of_corners, ellipse, enclosing, outline
from napari_cyto.formats._slide_json import KEY, slide_from_dict
from napari_cyto.formats.text import Fault, class_name, free_text, number, read_json, shown, whole_number

_TURNED = ("rotation", "oriented_rectangle")
_NO_CELLS = {
    "line": "lines are not cells.",
    "linestrip": "lines are not cells.",
    "points": "points of one shape are landmarks, not cells.",
    "mask": "masks are not cells.",
}
# What LabelMe's own examples and converters call that which is no object.
_NO_CLASSES: tuple[object, ...] = ("__ignore__", "_background_")


def read_labelme(source: Path, skip_bad: bool) -> LabelSet:
    """Return every image of a LabelMe file or folder with its shapes.

    Images are called as ``imagePath`` says, after the folder of the label file where that is not the source itself.
    Outlines of one ``group_id`` and label are parts of one cell, which becomes the box around them.

    Parameters
    ----------
    source : Path
        A ``.json`` file or a folder.
    skip_bad : bool
        Whether shapes that cannot be read are left out.

    Raises
    ------
    FormatError
        Naming file, shape and reason.
    """
    files = [source]
    if source.is_dir():
        files = [path for path in files_below(source, (".json",)) if path.name != EXPORT_RECORD]
    if not files:
        raise FormatError("there is no LabelMe file (.json) in this folder.", source)
    builder = LabelSetBuilder(source, skip_bad)
    root = source if source.is_dir() else source.parent
    for path in files:
        with builder.one_of_many():
            _read_file(path, root, builder)
    return builder.labels()


def _read_file(path: Path, root: Path, builder: LabelSetBuilder) -> None:
    data, fault = read_json(path), Fault(path)
    if not isinstance(data, Mapping) or not isinstance(data.get("shapes"), list):
        raise fault(f"expected LabelMe JSON (a mapping with shapes and imagePath), got {shown(data)}.")
    slide = _slide(data, path, root, builder, fault)
    groups: dict[Any, list[tuple[Mapping[str, Any], Fault]]] = {}
    for place, shape in enumerate(data["shapes"], start=1):
        here = fault.at(f"shape {place}")
        if not isinstance(shape, Mapping):
            builder.bad.add(here(f"expected a mapping, got {shown(shape)}."))
            continue
        groups.setdefault(_group(shape, place), []).append((shape, here))
    for shapes in groups.values():
        with builder.bad:
            _add(shapes, slide, path, builder)


def _slide(data: Mapping[str, Any], path: Path, root: Path, builder: LabelSetBuilder, fault: Fault) -> SlideRecord:
    name = image_name(data.get("imagePath") or path.stem, fault)
    below = path.relative_to(root).parent.parts
    up = str(data.get("imagePath") or "").replace("\\", "/").startswith("..")
    if below and "/" not in name and not up:
        name = "/".join([*below, name])
    size = {"height": data.get("imageHeight"), "width": data.get("imageWidth")}
    for side, value in size.items():
        if value is not None:
            whole_number(value, f"image{side.title()}", fault, 10**7)
    ours = data.get(KEY)
    facts = {**(ours if isinstance(ours, Mapping) else {}), **(size if all(size.values()) else {}), "name": name}
    return builder.new_slide(slide_from_dict(facts, name, fault), (root, path.parent, path.parent.parent), fault)


def _group(shape: Mapping[str, Any], place: int) -> object:
    """Return a key that parts of one cell share."""
    group, label = shape.get("group_id"), shape.get("label")
    whole = isinstance(group, int) and isinstance(label, str) and shape.get("shape_type", "polygon") == "polygon"
    return (group, label) if whole else place


def _add(
    shapes: list[tuple[Mapping[str, Any], Fault]], slide: SlideRecord, path: Path, builder: LabelSetBuilder
) -> None:
    first, here = shapes[0]
    kind = _kind(first, here)
    if first.get("label") in _NO_CLASSES:
        builder.left_out.add("shape", "labelled as background or to be ignored left out.", len(shapes))
        return
    if kind in _NO_CELLS:
        builder.left_out.add(f"{kind}", f"left out, since {_NO_CELLS[kind]}")
        return
    class_id = class_name(first.get("label"), here)
    parts = [_geometry(shape, place, builder) for shape, place in shapes]
    if len(parts) > 1 and not is_region(class_id):
        builder.left_out.add("cell", "of several outlines (one group_id) read as the box around them.")
        parts = [enclosing(parts, here)]
    for geometry in parts:
        builder.cell(
            slide,
            geometry,
            class_id,
            here,
            file_name=path.name,
            score=_score(first.get("score"), here),
            note=free_text(first.get("description")),
        )


def _geometry(shape: Mapping[str, Any], here: Fault, builder: LabelSetBuilder) -> Geometry:
    kind, corners = _kind(shape, here), list(_corners(shape, here))
    if kind == "point":
        if len(corners) != 1:
            raise here(f"expected one position for a point, got {len(corners)}.")
        return Point(*corners[0])
    if kind == "circle":
        if len(corners) != 2:
            raise here(f"expected a circle's centre and a point on it, got {counted(len(corners), 'position')}.")
        radius = math.dist(*corners)
        builder.left_out.add("circle", "read as an outline.")
        return ellipse(corners[0], (radius, radius), 0, here)
    if kind == "rectangle" and len(corners) == 2:
        return box_of_corners(corners[0], corners[1], here)
    if kind == "rectangle" or kind in _TURNED:
        turned = outline(corners, here)
        box: Box | None = rectangle(turned)
        if box is None:
            builder.left_out.add("turned box", "read as an outline of four corners.")
        return box or turned
    if kind != "polygon":
        raise here(f"expected the shape_type polygon, rectangle, circle or point, got {shown(kind)}.")
    return outline(corners, here)


def _kind(shape: Mapping[str, Any], here: Fault) -> str:
    kind = shape.get("shape_type") or "polygon"  # LabelMe 3 wrote none
    if not isinstance(kind, str):
        raise here(f"expected the shape_type polygon, rectangle, circle or point, got {shown(kind)}.")
    return kind


def _corners(shape: Mapping[str, Any], here: Fault) -> Iterator[YX]:
    points = shape.get("points")
    if not isinstance(points, list):
        raise here(f"expected a list of points, got {shown(points)}.")
    for pair in points:
        if not isinstance(pair, list) or len(pair) != 2:
            raise here(f"expected a position [x, y], got {shown(pair)}.")
        yield number(pair[1], "y", here), number(pair[0], "x", here)


def _score(value: object, here: Fault) -> float | None:
    if value is None:
        return None
    score = number(value, "the score", here, 1.0)
    if score < 0:
        raise here(f"expected a score from 0 to 1, got {score:g}.")
    return score
