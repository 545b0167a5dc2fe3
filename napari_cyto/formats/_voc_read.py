"""Reading Pascal VOC files: a single one, a folder, or a tree with its lists of sides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cyto.domain.geometry import Geometry
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import files_below, folder_files
from napari_cyto.formats._label_set_builder import LabelSetBuilder, image_name
from napari_cyto.formats._shapes import box_of_edges, outline
from napari_cyto.formats._slide_json import slide_from_dict
from napari_cyto.formats._xml_tree import Element, read_xml
from napari_cyto.formats.image_table import read_image_table
from napari_cyto.formats.text import Fault, class_name, number, read_text, whole_number

_FOLDER = "Annotations"
_SETS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}


def read_voc(source: Path, *, counted_from_1: bool, skip_bad: bool) -> LabelSet:
    """Return every image of a VOC file or folder with its boxes.

    Images are called as their files say, after the folder of the label file where that is not the source itself.
    Folders called train, test, val (or valid), and lists of those names in ``ImageSets/Main``, give the side; val
    counts as test where there is no test, else as train.

    Parameters
    ----------
    source : Path
        A ``.xml`` file or a folder.
    counted_from_1 : bool
        Whether pixels are counted from 1 and ``xmax``, ``ymax`` belong to the box.
    skip_bad : bool
        Whether objects that cannot be read are left out.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    root = source if source.is_dir() else source.parent
    files = list(files_below(source, (".xml",))) if source.is_dir() else [source]
    if not files:
        raise FormatError("there is no Pascal VOC file (.xml) in this folder.", source)
    listed = _listed_sets(root)
    said = {path: _side_of(path, root, listed) for path in files}
    has_test = "test" in said.values()
    builder, recorded = LabelSetBuilder(source, skip_bad), read_image_table(root)
    for path in files:
        side = {"val": "train" if has_test else "test"}.get(said[path], said[path])
        with builder.one_of_many():
            _File(path, root, side, 1 if counted_from_1 else 0, recorded).read_into(builder)
    if "val" not in said.values():
        return builder.labels()
    words = "train, since there is a separate test set" if has_test else "test"
    return builder.labels([f"Images of the validation set count as {words}."])


class _File:
    def __init__(self, path: Path, root: Path, side: str, first: int, recorded: Mapping[str, Any]) -> None:
        self._path, self._root, self._side, self._first, self._recorded = path, root, side, first, recorded

    def read_into(self, builder: LabelSetBuilder) -> None:
        document = read_xml(self._path)
        if document.tag != "annotation":
            raise FormatError(f"expected Pascal VOC (an element annotation), got {document.tag!r:.60}.", self._path)
        slide = self._slide(document, builder)
        for element in document.all("object"):
            with builder.bad:
                self._object(element, slide, builder)

    def _slide(self, document: Element, builder: LabelSetBuilder) -> SlideRecord:
        fault = Fault(self._path, line=document.line)
        name = image_name(document.text_of("filename") or self._path.stem, fault)
        below = [part for part in self._path.relative_to(self._root).parent.parts if part != _FOLDER]
        if below and "/" not in name:
            name = "/".join([*below, name])
        size = None
        height, width = document.text_of("size", "height"), document.text_of("size", "width")
        if height or width:
            size = (whole_number(height, "height", fault, 10**7), whole_number(width, "width", fault, 10**7))
        # LabelMe's and other converters write 0 for a size that they do not know.
        known = slide_from_dict(self._recorded.get(name), name, fault)
        record = replace(known, size_hw=size if size and all(size) else None, side=self._side)
        return builder.new_slide(record, (self._root, self._path.parent, self._root.parent), fault)

    def _object(self, element: Element, slide: SlideRecord, builder: LabelSetBuilder) -> None:
        fault = Fault(self._path, line=element.line)
        class_id = class_name(element.text_of("name"), fault)
        geometry = self._geometry(element, fault, builder)
        difficult = element.text_of("difficult") == "1"
        note = "difficult" if difficult else ""
        builder.cell(slide, geometry, class_id, fault, file_name=self._path.name, note=note)
        builder.left_out.add("object", "flagged as difficult read like the others, with a note.", int(difficult))
        parts = sum(1 for _ in element.all("part"))
        builder.left_out.add("part", "of objects left out, since cells are annotated as a whole.", parts)

    def _geometry(self, element: Element, fault: Fault, builder: LabelSetBuilder) -> Geometry:
        polygon, turned, box = element.first("polygon"), element.first("robndbox"), element.first("bndbox")
        if polygon is not None and polygon.children:
            return outline(list(_corners(polygon, fault)), fault)
        if turned is not None:
            cy, cx, h, w, angle = (_value(turned, name, fault) for name in ("cy", "cx", "h", "w", "angle"))
            upright = box_of_edges(cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2, fault)
            return builder.turned(upright, math.degrees(angle))
        if sum(1 for _ in element.all("bndbox")) > 1:
            raise fault("expected one bndbox for an object, got several.")
        if box is None:
            raise fault("expected a bndbox with xmin, ymin, xmax and ymax for an object, got none.")
        y0, x0, y1, x1 = (_value(box, name, fault) for name in ("ymin", "xmin", "ymax", "xmax"))
        upright = box_of_edges(y0 - self._first, x0 - self._first, y1, x1, fault)
        return builder.turned(upright, _rotation(element, fault))


def _rotation(element: Element, fault: Fault) -> float:
    """Return the degrees, clockwise, that CVAT writes among an object's attributes."""
    attributes = element.first("attributes")
    for attribute in attributes.all("attribute") if attributes is not None else ():
        if attribute.text_of("name") == "rotation":
            return number(attribute.text_of("value"), "the rotation", fault)
    return 0.0


def _corners(polygon: Element, fault: Fault) -> Iterator[tuple[float, float]]:
    """Yield the corners of ``<x1><y1><x2><y2>...``, or of ``<pt><x><y></pt>...``."""
    points = list(polygon.all("pt"))
    if points:
        yield from ((_value(point, "y", fault), _value(point, "x", fault)) for point in points)
        return
    for place in range(1, len(polygon.children) // 2 + 1):
        yield _value(polygon, f"y{place}", fault), _value(polygon, f"x{place}", fault)


def _value(element: Element, name: str, fault: Fault) -> float:
    return number(element.text_of(name), name, fault)


def _side_of(path: Path, root: Path, listed: dict[str, str]) -> str:
    if path.stem in listed:
        return listed[path.stem]
    folders = path.relative_to(root).parent.parts or ()
    return next((_SETS[part.lower()] for part in reversed(folders) if part.lower() in _SETS), "")


def _listed_sets(root: Path) -> dict[str, str]:
    """Return the side by stem, as the lists in ``ImageSets/Main`` give it; those of test before those of train."""
    above = root.parent if root.name == _FOLDER else root
    folder = above / "ImageSets" / "Main"
    sets: dict[str, str] = {}
    for path in folder_files(folder, (".txt",)) if folder.is_dir() else ():
        if path.stem in _SETS:
            for stem in filter(None, map(str.strip, read_text(path).split("\n"))):
                if stem not in sets or _SETS[path.stem] == "test":
                    sets[stem] = _SETS[path.stem]
    return sets
