"""VIA 2 (VGG Image Annotator): its project, its annotations as JSON, and as CSV.

Source: Dutta & Zisserman 2019, doi 10.1145/3343031.3350535; the files of VIA 1 and 2, https://www.robots.ox.ac.uk/~vgg/software/via/.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.geometry import Geometry, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._label_set_builder import LabelSetBuilder, image_name
from napari_cyto.formats._shapes import box_of_edges, ellipse, outline
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.label_files import inner_suffix
from napari_cyto.formats.label_format import (
    ON_READING,
    Capabilities,
    FormatOptions,
    ReadOnly,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.tables import read_table
from napari_cyto.formats.text import Fault, class_name, number, read_json, shown

IMAGES = "_via_img_metadata"
TABLE_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_TABLES = (".csv", ".tsv", ".txt")
# What people call the attribute that holds the class, the most telling first.
_NAMING = ("class", "class_name", "label", "category", "classification", "bethesda", "type", "name")
_NO_CELLS = ("polyline", "line")


class ViaOptions(FormatOptions):
    """Which attribute is the class."""

    attribute: str = Field(
        json_schema_extra=ON_READING,
        default="",
        max_length=200,
        title="Class attribute",
        description="The region attribute that holds the class; if empty, the only attribute, or one called class, "
        "label, category, type or name.",
    )
    unclassified: str = Field(
        json_schema_extra=ON_READING,
        default="unclassified",
        min_length=1,
        max_length=200,
        title="Class of unclassified regions",
        description="The class that regions without a value for that attribute get on import.",
    )


@dataclass(frozen=True, slots=True)
class _Region:
    image: str
    shape: Mapping[str, Any]
    attributes: Mapping[str, Any]
    fault: Fault


class ViaFormat(ReadOnly):
    """VIA 2's project or annotations, one file for all images."""

    name = "via"
    title = "VIA 2"
    description = (
        "One JSON or CSV file of the VGG Image Annotator with points, boxes, circles and outlines; import only."
    )
    target_kind: TargetKind = "file"
    suffix = ".json"
    options_type = ViaOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a project, images with regions, or their table."""
        seen = Glimpse.of(source)
        if set(TABLE_COLUMNS) <= set(seen.columns) or (IMAGES,) in seen.keys:
            return True
        images = {key[:-1] for key in seen.keys if key[-1:] == ("regions",) and len(key) == 2}
        return any((*image, "filename") in seen.keys for image in images)

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the images and regions of a project or of exported annotations.

        Raises
        ------
        FormatError
            Naming file, image or line, and reason.
        """
        chosen = checked_options(ViaOptions, options)
        path = Path(source)
        builder = LabelSetBuilder(path, chosen.skip_bad)
        read = _of_table if inner_suffix(path) in _TABLES else _of_json
        regions = list(read(path, builder))
        attribute = chosen.attribute or _class_attribute(regions, Fault(path))
        for region in regions:
            with builder.bad:
                _add(region, attribute, chosen.unclassified, builder)
        return builder.labels()


def _of_json(path: Path, builder: LabelSetBuilder) -> Iterator[_Region]:
    data, fault = read_json(path), Fault(path)
    if isinstance(data, Mapping) and IMAGES in data:
        data = data[IMAGES]
    entries = list(data.values()) if isinstance(data, Mapping) else data
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) and "regions" in e for e in entries):
        raise fault(f"expected VIA annotations (images with filename and regions), got {shown(data)}.")
    for place, entry in enumerate(entries, start=1):
        here = fault.at(f"image {place}")
        with builder.bad:
            name = image_name(entry.get("filename"), here)
            builder.new_slide(SlideRecord(name=name), (path.parent,), here)
            listed = entry["regions"]
            rows = list(listed.values()) if isinstance(listed, Mapping) else listed
            if not isinstance(rows, list):
                raise here(f"expected a list of regions, got {shown(rows)}.")
            for number_of, row in enumerate(rows, start=1):
                inner = fault.at(f"image {place} ({name[:80]}), region {number_of}")
                if isinstance(row, Mapping):
                    yield _Region(name, _mapping(row, "shape_attributes"), _mapping(row, "region_attributes"), inner)
                else:
                    builder.bad.add(inner(f"expected a mapping, got {shown(row)}."))


def _of_table(path: Path, builder: LabelSetBuilder) -> Iterator[_Region]:
    for row, fault in read_table(path, [(name,) for name in TABLE_COLUMNS], builder.bad):
        with builder.bad:
            name = image_name(row["filename"], fault)
            builder.slide(SlideRecord(name=name), (path.parent,))
            shape = _parsed(row["region_shape_attributes"], fault)
            if shape:  # an image without regions has a row too
                yield _Region(name, shape, _parsed(row["region_attributes"], fault), fault)


def _parsed(text: str, fault: Fault) -> Mapping[str, Any]:
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise fault(f"expected attributes in JSON, got {text!r:.80}.") from error
    if not isinstance(value, Mapping):
        raise fault(f"expected a mapping of attributes, got {shown(value)}.")
    return value


def _mapping(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def _class_attribute(regions: list[_Region], fault: Fault) -> str:
    """Return the attribute that tells the class, empty where regions have none.

    Raises
    ------
    FormatError
        When there are several and none is called like a class.
    """
    every = (pair for region in regions for pair in region.attributes.items())
    used = Counter(name for name, value in every if value not in ("", {}, None))
    if len(used) <= 1:
        return next(iter(used), "")
    named = {name.strip().lower(): name for name in used}
    found = next((named[word] for word in _NAMING if word in named), None)
    if found is None:
        names = ", ".join(f"{name} ({n})" for name, n in used.most_common(20))
        raise fault(f"regions have several attributes: {names:.400}; choose the class attribute with --attribute.")
    return found


def _add(region: _Region, attribute: str, unclassified: str, builder: LabelSetBuilder) -> None:
    kind = region.shape.get("name")
    if kind in _NO_CELLS:
        builder.left_out.add("line", "left out, since lines are not cells.")
        return
    geometry = _geometry(region.shape, region.fault, builder)
    class_id = _class(region.attributes.get(attribute), region.fault)
    if class_id is None:
        builder.left_out.add("region", f"without a class read as {unclassified}.")
    slide = builder.slide(SlideRecord(name=region.image))
    builder.cell(slide, geometry, class_id or unclassified, region.fault)


def _class(value: object, fault: Fault) -> str | None:
    if isinstance(value, Mapping):  # boxes that are ticked
        ticked = [name for name, on in value.items() if on]
        if len(ticked) > 1:
            raise fault(f"several classes are ticked ({', '.join(ticked)[:200]}), but a cell has one class.")
        value = ticked[0] if ticked else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "undefined")):
        return None
    return class_name(value, fault)


def _geometry(shape: Mapping[str, Any], fault: Fault, builder: LabelSetBuilder) -> Geometry:
    def value(name: str) -> float:
        return number(shape.get(name), name, fault)

    kind = shape.get("name")
    if kind == "rect":
        y, x = value("y"), value("x")
        return box_of_edges(y, x, y + value("height"), x + value("width"), fault)
    if kind == "point":
        return Point(value("cy"), value("cx"))
    if kind in ("circle", "ellipse"):
        radii = (value("ry"), value("rx")) if kind == "ellipse" else (value("r"), value("r"))
        degrees = math.degrees(number(shape.get("theta") or 0, "theta", fault)) if kind == "ellipse" else 0.0
        builder.left_out.add(kind, "read as an outline.")
        return ellipse((value("cy"), value("cx")), radii, degrees, fault)
    if kind != "polygon":
        raise fault(f"expected the shape rect, circle, ellipse, point or polygon, got {shown(kind)}.")
    ys, xs = shape.get("all_points_y"), shape.get("all_points_x")
    if not isinstance(ys, list) or not isinstance(xs, list) or len(ys) != len(xs):
        raise fault("expected as many all_points_x as all_points_y for a polygon, got different numbers.")
    return outline([(number(y, "y", fault), number(x, "x", fault)) for y, x in zip(ys, xs, strict=True)], fault)
