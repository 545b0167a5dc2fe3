"""CVAT for images 1.1: one XML file with all images, their boxes, outlines, points and ellipses.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_cyto.domain.geometry import YX, Geometry, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._label_set_builder import LabelSetBuilder, image_name
from napari_cyto.formats._non_cell_classes import is_region
from napari_cyto.formats._shapes import box_of_edges, ellipse, enclosing, outline
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats._xml_tree import Element, read_xml
from napari_cyto.formats.label_format import (
    Capabilities,
    FormatOptions,
    ReadOnly,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.text import Fault, class_name, number, whole_number

_FILE = "annotations.xml"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SETS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
_NO_CELLS = {
    "tag": "left out, since they describe the whole image.",
    "polyline": "left out, since lines are not cells.",
    "mask": "left out, since masks are not cells; export outlines.",
    "cuboid": "left out, since cells have no depth here.",
    "skeleton": "left out, since poses are not cells.",
}


class CvatOptions(FormatOptions):
    """CVAT needs no options of its own."""


class CvatFormat(ReadOnly):
    """CVAT for images 1.1, one file for all images."""

    name = "cvat"
    title = "CVAT for images 1.1"
    description = "One XML file with points, boxes (turned ones too), outlines and ellipses of all images; import only."
    target_kind: TargetKind = "file"
    suffix = ".xml"
    options_type = CvatOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is XML of annotations, or a folder that holds ``annotations.xml`` of that kind."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return seen.has(_FILE) and Glimpse(seen.path / _FILE).xml_root == "annotations"
        return seen.xml_root == "annotations"

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the images of ``annotations.xml``, or of the folder that holds it.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(CvatOptions, options)
        path = Path(source)
        path = path / _FILE if path.is_dir() else path
        document, fault = read_xml(path), Fault(path)
        images = list(document.all("image"))
        if document.tag != "annotations" or not (images or document.first("meta") is not None):
            raise fault(
                f"expected the format 'CVAT for images' (annotations with images in them), got {document.tag!r:.60}."
            )
        if document.first("track") is not None:
            raise fault(
                "this is CVAT for video, whose tracks cannot be imported; export from CVAT as 'CVAT for images 1.1'."
            )
        builder = LabelSetBuilder(path, chosen.skip_bad)
        for label in _labels(document):
            colour = label.text_of("color")
            name = class_name(label.text_of("name"), Fault(path, line=label.line))
            builder.classes[name] = colour.lower() if _COLOUR.fullmatch(colour) else None
        sets = [_SETS.get(image.get("subset").lower(), "") for image in images]
        has_test = "test" in sets
        for image, side in zip(images, sets, strict=True):
            with builder.bad:
                kept = {"val": "train" if has_test else "test"}.get(side, side)
                _Image(image, kept, path, builder).read()
        words = "train, since there is a separate test set" if has_test else "test"
        return builder.labels([f"Images of the validation set count as {words}."] if "val" in sets else [])


class _Image:
    def __init__(self, element: Element, side: str, path: Path, builder: LabelSetBuilder) -> None:
        self._element, self._side, self._path, self._builder = element, side, path, builder

    def read(self) -> None:
        slide = self._slide()
        groups: dict[object, list[Element]] = {}
        for place, shape in enumerate(self._element.children):
            # Outlines of one group and label are parts of one object, as in CVAT's own export to COCO.
            grouped = shape.tag == "polygon" and shape.get("group_id") not in ("", "0")
            groups.setdefault((shape.get("group_id"), shape.get("label")) if grouped else place, []).append(shape)
        for shapes in groups.values():
            with self._builder.bad:
                self._add(shapes, slide)

    def _slide(self) -> SlideRecord:
        fault = Fault(self._path, line=self._element.line)
        name = image_name(self._element.get("name"), fault)
        size = tuple(whole_number(self._element.get(side), side, fault, 10**7) for side in ("height", "width"))
        if 0 in size:
            raise fault(f"expected an image with width and height above 0, got {size[1]} x {size[0]}.")
        record = SlideRecord(name=name, size_hw=(size[0], size[1]), side=self._side)
        return self._builder.new_slide(record, (self._path.parent,), fault)

    def _add(self, shapes: list[Element], slide: SlideRecord) -> None:
        first, left_out = shapes[0], self._builder.left_out
        fault = Fault(self._path, line=first.line)
        if first.tag in _NO_CELLS:
            left_out.add(first.tag, _NO_CELLS[first.tag])
            return
        class_id = class_name(first.get("label"), fault)
        left_out.add("shape", "made by a model in CVAT read as accepted.", int(first.get("source") == "auto"))
        left_out.add("attribute", "of shapes not imported.", sum(1 for s in shapes for _ in s.all("attribute")))
        geometries = [g for shape in shapes for g in self._geometries(shape, Fault(self._path, line=shape.line))]
        if len(shapes) > 1 and not is_region(class_id):
            left_out.add("cell", "of several outlines (one group) read as the box around them.")
            geometries = [enclosing(geometries, fault)]
        for geometry in geometries:
            self._builder.cell(slide, geometry, class_id, fault)

    def _geometries(self, shape: Element, fault: Fault) -> list[Geometry]:
        degrees = number(shape.get("rotation") or "0", "rotation", fault)
        if shape.tag == "box":
            y0, x0, y1, x1 = (number(shape.get(name), name, fault) for name in ("ytl", "xtl", "ybr", "xbr"))
            return [self._builder.turned(box_of_edges(y0, x0, y1, x1, fault), degrees)]
        if shape.tag == "ellipse":
            cy, cx, ry, rx = (number(shape.get(name), name, fault) for name in ("cy", "cx", "ry", "rx"))
            self._builder.left_out.add("ellipse", "read as an outline.")
            return [ellipse((cy, cx), (ry, rx), degrees, fault)]
        if shape.tag not in ("polygon", "points"):
            raise fault(f"expected the shape box, polygon, points or ellipse, got {shape.tag!r:.60}.")
        corners = list(_positions(shape.get("points"), fault))
        if shape.tag == "polygon":
            return [outline(corners, fault)]
        if len(corners) > 1:
            self._builder.left_out.add("set", "of several points read as one cell per point.")
        return [Point(*corner) for corner in corners]


def _labels(document: Element) -> Iterator[Element]:
    """Yield the labels of the task, project or job that a file is of."""
    meta = document.first("meta")
    for kind in meta.children if meta is not None else ():
        labels = kind.first("labels")
        for label in labels.all("label") if labels is not None else ():
            if label.text_of("type") != "skeleton" and not label.text_of("parent"):
                yield label


def _positions(text: str, fault: Fault) -> Iterator[YX]:
    if not text:
        raise fault("expected points of a shape, got none.")
    for pair in text.split(";"):
        x, comma, y = pair.partition(",")
        if not comma:
            raise fault(f"expected points as 'x,y;x,y', got {pair!r:.60}.")
        yield number(y.strip(), "y", fault), number(x.strip(), "x", fault)
