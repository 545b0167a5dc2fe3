"""COCO detection JSON: images, annotations with ``bbox`` x, y, width, height, categories.

Source: Lin et al. 2014 and the data format page of cocodataset.org.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from napari_cyto.domain.annotation import Annotation, imported_from, now_utc
from napari_cyto.domain.annotation_rows import (
    CLASS,
    CORNERS,
    KIND,
    NO_CLASS,
    SCORES,
    Y0,
    Row,
    geometry_of,
    score_text,
)
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.geometry import YXYX, Box, Geometry, Polygon, area, rectangle
from napari_cyto.domain.image_names import without_common_folders
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_file
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._coco_images import ANNOTATIONS, HEAD, MIDDLE, CocoImages, coco_tail, instance_files
from napari_cyto.formats._coco_shapes import areas_of, check_mask_size, is_set, mask_of, shape_of
from napari_cyto.formats._json_pieces import json_number, json_text
from napari_cyto.formats._large_json import FarList, read_json_with
from napari_cyto.formats._non_cell_classes import is_region, only_cells
from napari_cyto.formats._per_slide import merged
from napari_cyto.formats._slide_json import KEY, slide_from_dict, slide_to_dict
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.bad_rows import BadRows, LeftOut
from napari_cyto.formats.boxes import box_round, by_slide, class_order
from napari_cyto.formats.image_sets import TEST, TRAIN, VAL, LabelledCell
from napari_cyto.formats.image_size import ImageFinder
from napari_cyto.formats.label_format import (
    ON_WRITING,
    BoxOptions,
    Capabilities,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.text import Fault, class_name, free_text, number, shown, whole_number


class CocoOptions(BoxOptions):
    """What is made of outlines."""

    outlines: bool = Field(
        default=True,
        title="Outlines",
        description="Read and write outlines (segmentation) where there are any, not only boxes.",
    )
    segmentation: Literal["polygons", "masks"] = Field(
        json_schema_extra=ON_WRITING,
        default="polygons",
        title="Outlines as",
        description="How outlines are written: as polygons, or as masks of runs (RLE) as pycocotools packs them; one "
        "that covers no pixel stays a polygon.",
    )


class CocoFormat:
    """COCO detection JSON, one file for all images."""

    name = "coco"
    title = "COCO"
    description = "One JSON file with images, boxes and categories, for detectors."
    target_kind: TargetKind = "file"
    suffix = ".json"
    options_type = CocoOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a mapping with a list of images, or of annotations that name image and category by number.

        A folder is one when it has ``annotations/instances_train.json`` or its like.
        """
        seen = Glimpse.of(source)
        if seen.is_dir:
            return bool(instance_files(seen.path))
        annotated = {("annotations", "[]", "image_id"), ("annotations", "[]", "category_id")} <= seen.keys
        return (("images", "[]") in seen.keys or annotated) and ("shapes", "[]") not in seen.keys

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the images and annotations of a COCO file, or of ``annotations/instances_*.json`` in a folder.

        Of a folder, these names give the set; validation counts as test where there is no test set, else as train.

        Raises
        ------
        FormatError
            Naming file, line or entry, and reason.
        """
        chosen = checked_options(CocoOptions, options)
        if Path(source).is_dir():
            return _read_folder(Path(source), chosen)
        return _read_file(Path(source), chosen)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what COCO cannot carry."""
        chosen = checked_options(CocoOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        partial = losses.how_many(cells, losses.has_other_scores)
        kept: losses.Shapes = "boxes and outlines" if chosen.outlines else "boxes"
        sentences = losses.plain_losses(labels, chosen, kept, "author", "note", "time")
        flat = losses.how_many(cells, lambda a: isinstance(a.geometry, Polygon) and rectangle(a.geometry) is not None)
        if chosen.outlines and chosen.segmentation == "masks":
            outlined = losses.how_many(cells, lambda a: isinstance(a.geometry, Polygon))
            if outlined:
                sentences.append(f"{losses.count(outlined, 'outline')} written as masks will be read back as boxes.")
        elif flat and chosen.outlines:
            sentences.append(f"{losses.count(flat, 'rectangular outline')} will be read back as a box.")
        if partial:
            sentences.append(f"Of the scores of {losses.count(partial)} only that of its own class is written.")
        return (*sentences, *losses.colour_losses(labels))

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one JSON file.

        Raises
        ------
        FormatError
            When an image's size is unknown, a point lacks a box size, or the place cannot be written.
        """
        chosen = checked_options(CocoOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        names = class_order(labels, cells)
        numbers = {name: place for place, name in enumerate(names, start=1)}
        groups = _parts(labels, cells)
        images = [_image(image_id, slide) for image_id, (slide, _) in enumerate(groups, start=1)]
        with atomic_file(target) as path, path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(HEAD)
            stream.writelines(_rows(map(json_text, images)))
            stream.write(MIDDLE)
            stream.writelines(_rows(_annotations(groups, numbers, chosen)))
            stream.write(coco_tail(numbers))

    def unreadable_names(self, classes: Iterable[str]) -> tuple[str, ...]:  # noqa: ARG002  any name is quoted
        """Return none: every name can be written."""
        return ()

    def image_set(self, folder: Path, classes: Sequence[str], **options: Any) -> CocoImages:
        """Return the writer of a data set with images."""
        chosen = checked_options(CocoOptions, options)

        def row(ids: str, cell: LabelledCell, image: SlideRecord) -> str:
            # The references of torchvision, and more, take a segmentation of every cell for granted.
            outline = cell.outline if chosen.outlines else None
            shape = outline or _edges(cell.bounds_yxyx)
            return _written(ids, cell.bounds_yxyx, shape, "", _mask_size(image, chosen) if outline else None)

        return CocoImages(folder, classes, _image, row)


def _read_folder(folder: Path, chosen: CocoOptions) -> LabelSet:
    files = instance_files(folder)
    if not files:
        raise FormatError("expected annotations/instances_*.json in this folder, got none.", folder)
    parts = []
    for split, path in files.items():
        side = {VAL: TRAIN if TEST in files else TEST}.get(split, split)
        part = _read_file(path, chosen)
        parts.append(replace(part, slides=tuple(replace(slide, side=side) for slide in part.slides)))
    read = merged(parts)
    if VAL not in files:
        return read
    words = "train, since there is a separate test set" if TEST in files else "test"
    return replace(read, remarks=(*read.remarks, f"Images of the validation set count as {words}."))


def _read_file(path: Path, chosen: CocoOptions) -> LabelSet:
    bad = BadRows(path, chosen.skip_bad)
    data, fault = read_json_with(path, "annotations", needed=("images", "categories")), Fault(path)
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        raise fault(f"expected a mapping with images, annotations and categories, got {shown(data)}.")
    classes = _categories(data, fault, bad)
    slides = _images(data, path, fault, bad)
    origin, now = imported_from(path.name), now_utc()
    cells, left_out = AnnotationSpool(), LeftOut()
    for entry, place in _entries(data, "annotations", fault, bad):
        with bad:
            if flag := next((key for key in ("iscrowd", "ignore") if is_set(entry.get(key))), ""):
                left_out.add("entry", f"with {flag} set left out, since crowds and ignored objects are not cells.")
                continue
            slide = _named(slides, entry, "image_id", place)
            check_mask_size(entry, slide.size_hw, place)
            class_id = _named(classes, entry, "category_id", place)
            scores = _scores(entry, class_id, place)
            for geometry in _shapes(entry, class_id, chosen.outlines, left_out, place):
                cells.append(
                    Annotation(
                        slide_id=slide.id,
                        geometry=geometry,
                        class_id=class_id,
                        scores=scores,
                        origin=origin,
                        created_utc=now,
                    )
                )
    said = left_out.remarks() + bad.remarks(len(cells))
    read = LabelSet(tuple(slides.values()), cells.settled(), tuple(dict.fromkeys(classes.values())), (), said)
    return only_cells(read, path.name)


def _rows(entries: Iterable[str]) -> Iterator[str]:
    for place, entry in enumerate(entries):
        yield (",\n" if place else "\n") + entry


def _image(image_id: int, slide: SlideRecord) -> dict[str, Any]:
    if slide.size_hw is None:
        raise FormatError(
            f"The size of {slide.name!r} is unknown, and COCO requires it; open the image once, then export."
        )
    height, width = slide.size_hw
    facts = {k: v for k, v in slide_to_dict(slide).items() if k not in ("name", "width", "height")}
    ours = {KEY: facts} if facts else {}
    return {"id": image_id, "file_name": slide.name, "width": width, "height": height, **ours}


_Part = tuple[str, YXYX, Geometry | None, str]
"""What an entry is made of: class, the box of a box (level-0 px), any other shape, its own score as JSON."""


def _parts(labels: LabelSet, cells: Collection[Annotation]) -> list[tuple[SlideRecord, Iterator[_Part]]]:
    if isinstance(cells, AnnotationSource):
        return [(slide, map(_part_of_row, cells.rows_of_slide(slide.id))) for slide in labels.slides]
    return [(slide, map(_part_of, rows)) for slide, rows in by_slide(labels, cells)]


def _part_of_row(row: Row) -> _Part:
    bounds, class_id = row[Y0:CORNERS], row[CLASS]
    geometry = None if row[KIND] == "box" else geometry_of(row[KIND], bounds, row[CORNERS])
    return class_id, bounds, geometry, score_text(row[SCORES], class_id, json_number)


def _part_of(a: Annotation) -> _Part:
    class_id, geometry = a.class_id or NO_CLASS, a.geometry
    own = dict(a.scores).get(class_id)
    shape = None if isinstance(geometry, Box) else geometry
    return class_id, geometry.bounds_yxyx, shape, "" if own is None else json_number(own)


def _annotations(
    groups: Iterable[tuple[SlideRecord, Iterable[_Part]]], numbers: Mapping[str, int], options: CocoOptions
) -> Iterator[str]:
    number = count(1)
    for image_id, (slide, parts) in enumerate(groups, start=1):
        for part in parts:
            ids = f'"id": {next(number)}, "image_id": {image_id}, "category_id": {numbers[part[0]]}'
            yield _entry(ids, part, slide, options)


def _entry(ids: str, part: _Part, slide: SlideRecord, options: CocoOptions) -> str:
    """Return an annotation as ``json.dumps`` would write it; put together here, since that takes twice as long."""
    class_id, bounds, geometry, score = part
    if geometry is None:
        return _written(ids, bounds, None, score)
    outline = geometry if options.outlines and isinstance(geometry, Polygon) else None
    if outline is not None:
        # The box of what is written, which of a cell's two outlines is that of the nucleus.
        geometry = Polygon(outline.vertices_yx)
    bounds = box_round(geometry, class_id, slide, options).bounds_yxyx
    return _written(ids, bounds, outline, score, _mask_size(slide, options))


def _mask_size(slide: SlideRecord, options: CocoOptions) -> tuple[int, int] | None:
    """Return the size of the masks on an image; None where polygons are written."""
    return slide.size_hw if options.segmentation == "masks" else None


def _written(
    ids: str, bounds_yxyx: YXYX, shape: Polygon | None, score: str, mask_hw: tuple[int, int] | None = None
) -> str:
    (y0, x0, y1, x1), outline, covered_px2 = bounds_yxyx, "", None
    if shape is not None:
        covered_px2 = area(shape)
        corners = ", ".join([f"{json_number(x)}, {json_number(y)}" for y, x in shape.vertices_yx])
        outline = f', "segmentation": [[{corners}]]'
        mask, pixels = ("", 0) if mask_hw is None else mask_of(shape, mask_hw)
        if pixels:
            covered_px2, outline = float(pixels), f', "segmentation": {mask}'
    width, height = x1 - x0, y1 - y0
    box = ", ".join([json_number(value) for value in (x0, y0, width, height)])
    covered = json_number(width * height if covered_px2 is None else covered_px2)
    said = f', "score": {score}' if score else ""
    return f'{{{ids}, "bbox": [{box}], "area": {covered}, "iscrowd": 0{outline}{said}}}'


def _edges(bounds_yxyx: YXYX) -> Polygon:
    y0, x0, y1, x1 = bounds_yxyx
    return Polygon(((y0, x0), (y0, x1), (y1, x1), (y1, x0)))


def _entries(
    data: Mapping[str, Any], key: str, fault: Fault, bad: BadRows
) -> Iterator[tuple[Mapping[str, Any], Fault]]:
    rows = data.get(key, [])
    if not isinstance(rows, (list, FarList)):
        raise fault(f"expected a list of {key}, got {shown(rows)}.")
    for place, row in enumerate(rows, start=1):
        here = fault.at(f"{key}, entry {place}")
        if isinstance(row, Mapping):
            yield row, here
        else:
            bad.add(here(f"expected a mapping, got {shown(row)}."))


def _shapes(
    entry: Mapping[str, Any], class_id: str, outlines: bool, left_out: LeftOut, fault: Fault
) -> Sequence[Geometry]:
    """Return the one shape of a cell, or each part of a region; none where there is no shape."""
    if is_region(class_id):
        return areas_of(entry, left_out, fault)
    shape = shape_of(entry, outlines, left_out, fault)
    if shape is None:
        left_out.add("entry", "without a shape left out.")
        return ()
    return (shape,)


def _categories(data: Mapping[str, Any], fault: Fault, bad: BadRows) -> dict[int | str, str]:
    classes: dict[int | str, str] = {}
    for entry, place in _entries(data, "categories", fault, bad):
        with bad:
            key = _identity(entry.get("id"), "id", place)
            if key in classes:
                raise place(f"the id {shown(key)} is that of an earlier category.")
            classes[key] = class_name(entry.get("name"), place)
    return classes


def _images(data: Mapping[str, Any], path: Path, fault: Fault, bad: BadRows) -> dict[int | str, SlideRecord]:
    slides: dict[int | str, SlideRecord] = {}
    finder, split = ImageFinder(), path.stem.removeprefix("instances_")
    # Bad entries are counted below.
    listed = [entry for entry, _ in _entries(data, "images", fault, BadRows(path))]
    short = without_common_folders(free_text(entry.get("file_name"), 500).strip() for entry in listed)
    for entry, place in _entries(data, "images", fault, bad):
        with bad:
            key = _identity(entry.get("id"), "id", place)
            if key in slides:
                raise place(f"the id {shown(key)} is that of an earlier image.")
            slide = slides[key] = _slide(entry, place)
            image = _image_of(finder, path.parent, split, slide.name, short.get(slide.name, slide.name))
            if image is not None:
                slides[key] = replace(slide, path=str(image.absolute()))
    return slides


def _slide(entry: Mapping[str, Any], fault: Fault) -> SlideRecord:
    name = free_text(entry.get("file_name"), 500).strip()
    if not name:
        raise fault(f"expected a file_name for the image, got {shown(entry.get('file_name'))}.")
    size = {k: entry.get(k) for k in ("width", "height")}
    ours = entry.get(KEY)
    return slide_from_dict({**(ours if isinstance(ours, dict) else {}), **size, "name": name}, name, fault)


def _image_of(finder: ImageFinder, folder: Path, split: str, name: str, short: str) -> Path | None:
    """Return the image of a name, whose leading folders may be missing where all images share them."""
    places = [folder, folder / "images"]
    if folder.name == ANNOTATIONS:
        places += [folder.parent / "images" / split, folder.parent / split, folder.parent / "images"]
    tries = dict.fromkeys((place, each) for each in (name, short) for place in places)
    return next((image for place, each in tries if (image := finder.of(place, each)) is not None), None)


def _identity(value: object, what: str, fault: Fault) -> int | str:
    if isinstance(value, str) and 0 < len(value.strip()) <= 200:
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else text
    return whole_number(value, what, fault, 10**15)


def _named(table: Mapping[int | str, Any], entry: Mapping[str, Any], key: str, fault: Fault) -> Any:
    identity = _identity(entry.get(key), key, fault)
    if identity not in table:
        raise fault(f"the {key} {shown(identity)} is not in the file.")
    return table[identity]


def _scores(entry: Mapping[str, Any], class_id: str, fault: Fault) -> tuple[tuple[str, float], ...]:
    if entry.get("score") is None:
        return ()
    score = number(entry["score"], "the score", fault, 1.0)
    if score < 0:
        raise fault(f"expected a score from 0 to 1, got {score:g}.")
    return ((class_id, score),)
