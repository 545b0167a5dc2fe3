"""Aperio ImageScope XML, one file a slide: layers of outlines, rectangles, ellipses and counted points.

Source: the annotation files of ImageScope 12 (Leica Biosystems), which lie beside their slide under its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.geometry import YX, Geometry, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats._label_set_builder import LabelSetBuilder
from napari_cyto.formats._per_slide import source_files
from napari_cyto.formats._shapes import box_of_corners, ellipse, outline
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats._xml_tree import Element, read_xml
from napari_cyto.formats.bad_rows import LeftOut
from napari_cyto.formats.colours import hex_colour
from napari_cyto.formats.label_files import label_stem
from napari_cyto.formats.label_format import (
    ON_READING,
    Capabilities,
    FormatOptions,
    ReadOnly,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.text import Fault, class_name, free_text, number

_OUTLINE, _RECTANGLE, _ELLIPSE, _POINTS = "0", "1", "2", "5"
_OTHERS = {"3": "arrow", "4": "ruler"}
_NAMING = ("Name", "Description", "Class", "Label")


class ImageScopeOptions(FormatOptions):
    """What becomes of shapes in layers without a name."""

    unclassified: str = Field(
        json_schema_extra=ON_READING,
        default="unclassified",
        min_length=1,
        max_length=200,
        title="Class for unnamed layers",
        description="The class for shapes that have no text and lie in a layer without a name.",
    )


class ImageScopeFormat(ReadOnly):
    """Aperio ImageScope XML: a file for a slide, a folder of them for more."""

    name = "imagescope"
    title = "Aperio ImageScope XML"
    description = "One XML file per slide with layers of outlines, boxes, ellipses and counted points; import only."
    target_kind: TargetKind = "folder"
    suffix = ".xml"
    options_type = ImageScopeOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is XML of Annotations, or a folder of such files."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files((".xml",)))
        return seen.xml_root == "Annotations"

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the shapes of a file, or of every ``.xml`` file of a folder; a layer is a class.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(ImageScopeOptions, options)
        builder = LabelSetBuilder(Path(source), chosen.skip_bad)
        for path in source_files(Path(source), (".xml",), "ImageScope"):
            with builder.one_of_many():
                _File(path, chosen.unclassified, builder).read()
        return builder.labels()


class _File:
    def __init__(self, path: Path, unclassified: str, builder: LabelSetBuilder) -> None:
        self._path, self._unclassified, self._builder = path, unclassified, builder

    def read(self) -> None:
        document = read_xml(self._path)
        fault = Fault(self._path, line=document.line)
        if document.tag != "Annotations":
            raise FormatError(
                f"expected ImageScope XML (an element Annotations), got {document.tag!r:.60}.", self._path
            )
        mpp = number(document.get("MicronsPerPixel") or "0", "MicronsPerPixel", fault, 1000)
        known = mpp if mpp >= 0.001 else None
        record = SlideRecord(name=label_stem(self._path), mpp=known, mpp_source="format" if known else "")
        slide = self._builder.new_slide(record, (self._path.parent,), fault)
        for layer in document.all("Annotation"):
            self._layer(layer, slide)

    def _layer(self, layer: Element, slide: SlideRecord) -> None:
        named = layer.get("Name") or _name_of(layer)
        name = class_name(named, Fault(self._path, line=layer.line)) if named else ""
        colour = _colour(layer.get("LineColor"))
        regions = layer.first("Regions")
        if name and regions is not None:
            self._builder.classes[name] = self._builder.classes.get(name) or colour
        for region in regions.all("Region") if regions is not None else ():
            with self._builder.bad:
                self._region(region, name, slide)

    def _region(self, region: Element, layer: str, slide: SlideRecord) -> None:
        left_out, fault = self._builder.left_out, Fault(self._path, line=region.line)
        if region.get("NegativeROA") == "1":
            left_out.add("negative region", "(cut out of others) left out.")
            return
        if number(region.get("ImageFocus") or "0", "ImageFocus", fault) > 0:
            left_out.add("region", "on another focal plane than the first left out.")
            return
        text = free_text(region.get("Text") or _name_of(region), 500)
        class_id = layer or (class_name(text, fault) if text else self._unclassified)
        if not layer and not text:
            left_out.add("shape", f"in layers without a name read as {self._unclassified}.")
        for geometry in _geometries(region, left_out, fault):
            note = text if layer else ""
            self._builder.cell(slide, geometry, class_id, fault, file_name=self._path.name, note=note)


def _geometries(region: Element, left_out: LeftOut, fault: Fault) -> list[Geometry]:
    kind = region.get("Type") or _OUTLINE
    if kind in _OTHERS:
        left_out.add(_OTHERS[kind], "left out, since open lines enclose no cell.")
        return []
    corners = list(_vertices(region, fault))
    if kind == _POINTS or (kind == _OUTLINE and len(corners) == 1):
        return [Point(*corner) for corner in corners]
    if kind == _ELLIPSE:
        if len(corners) < 2:
            raise fault(f"expected 2 vertices for an ellipse, got {len(corners)}.")
        left_out.add("ellipse", "read as an outline.")
        box = box_of_corners(corners[0], corners[2 if len(corners) == 4 else 1], fault)
        height, width = box.size_hw
        return [ellipse(box.centre_yx, (height / 2, width / 2), 0, fault)]
    if kind == _RECTANGLE:
        return [_rectangle(corners, left_out, fault)]
    if kind != _OUTLINE:
        raise fault(f"expected the Type 0 (outline), 1 (rectangle), 2 (ellipse) or 5 (points), got {kind!r:.40}.")
    return [outline(corners, fault)]


def _rectangle(corners: list[YX], left_out: LeftOut, fault: Fault) -> Geometry:
    if len(corners) == 2:
        return box_of_corners(corners[0], corners[1], fault)
    turned = outline(corners, fault)
    y0, x0, y1, x1 = turned.bounds_yxyx
    if set(turned.vertices_yx) == {(y0, x0), (y0, x1), (y1, x1), (y1, x0)}:
        return box_of_corners((y0, x0), (y1, x1), fault)
    left_out.add("turned box", "read as an outline of its corners.")
    return turned


def _vertices(region: Element, fault: Fault) -> Iterator[YX]:
    listed = region.first("Vertices")
    if listed is None or listed.first("Vertex") is None:
        raise fault("expected a region with vertices, got none.")
    for vertex in listed.all("Vertex"):
        yield number(vertex.get("Y"), "Y", fault), number(vertex.get("X"), "X", fault)


def _name_of(element: Element) -> str:
    """Return what a layer's or region's attributes call it."""
    attributes = element.first("Attributes")
    rows = list(attributes.all("Attribute")) if attributes is not None else []
    for name in _NAMING:
        for row in rows:
            if row.get("Name").lower() == name.lower() and row.get("Value"):
                return row.get("Value")
    return ""


def _colour(text: str) -> str | None:
    """Return ImageScope's whole number 0xBBGGRR as ``#rrggbb``."""
    if not text.isascii() or not text.isdigit() or len(text) > 8:
        return None
    value = int(text)
    return hex_colour(value, value >> 8, value >> 16)
