"""Reading YOLO folders in the layouts that are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_cyto.domain.annotation import Annotation, imported_from
from napari_cyto.domain.image_names import READ_SUFFIXES, bare_name
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.files.disk_files import files_below
from napari_cyto.formats._losses import count
from napari_cyto.formats._non_cell_classes import only_cells
from napari_cyto.formats._slide_json import slide_from_dict
from napari_cyto.formats._yolo_lines import read_line
from napari_cyto.formats._yolo_set import NO_LABELS, SETS, YoloSet, describe
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.bad_rows import BadRows, LeftOut
from napari_cyto.formats.image_size import ImageFinder, image_size_hw
from napari_cyto.formats.image_table import read_image_table
from napari_cyto.formats.labels_outside import check_inside
from napari_cyto.formats.text import Fault, read_json, read_text


@dataclass(frozen=True, slots=True)
class _Found:
    """An image's stem with its label file, image and side, as far as they are there."""

    stem: str
    labels: Path | None
    image: Path | None
    side: str


def read_yolo(source: Path, bad: BadRows, size_hw: tuple[int, int] | None = None) -> LabelSet:
    """Return every image of a YOLO folder with its boxes (and outlines, where lines are such).

    Labels lie in folders called ``labels`` beside ``images``, or right beside their image. Folders called
    train, test, val (or valid) give the side; val counts as test where there is no test, else as train.

    Parameters
    ----------
    source : Path
        The folder, or its ``data.yaml`` or list of classes.
    bad : BadRows
        Takes the lines and files that cannot be read.
    size_hw : tuple of int, optional
        Size of images that are not there and whose size is not recorded, px.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    described = describe(source)
    root, left_out = described.root, LeftOut()
    recorded = _recorded(root)
    found = _found(described, left_out)
    if not found:
        raise FormatError("there are no label files (labels/*.txt, or beside their images) in this folder.", root)
    has_test = any(item.side == "test" for item in found)
    slides: list[SlideRecord] = []
    cells = AnnotationSpool()
    for item in found:
        with bad:
            slide = _slide(item, recorded, size_hw, has_test)
            slides.append(slide)
            if item.labels is not None:
                cells.extend(_cells(item.labels, slide, described, left_out, bad))
    remarks = _remarks(found, has_test) + _list_remarks(described, found) + left_out.remarks() + bad.remarks(len(cells))
    if not described.names and cells:
        remarks += ("the classes have only numbers here; give them names with a map (--map).",)
    classes = tuple(dict.fromkeys(described.names.values())) or tuple(sorted(cells.class_ids))
    return only_cells(LabelSet(tuple(slides), cells.settled(), classes, (), remarks), source.name)


def _remarks(found: list[_Found], has_test: bool) -> tuple[str, ...]:
    if not any(item.side == "val" for item in found):
        return ()
    side = "train, since there is a separate test set" if has_test else "test"
    return (f"Images of the validation set count as {side}.",)


def _list_remarks(described: YoloSet, found: list[_Found]) -> tuple[str, ...]:
    """Return what of the lists of images and of the images does not fit together."""
    if not described.listed:
        return ()
    said = []
    if missing := described.of_no_image(item.image for item in found if item.image is not None):
        lines = count(len(missing), "line")
        said.append(
            f"{lines} in the lists of images left out, since the image does not exist: first {missing[0]:.200}."
        )
    if described.in_two_sets:
        images = count(described.in_two_sets, "image")
        said.append(f"{images} in the train list and in another one; the later list counts.")
    if unlisted := sum(item.image is not None and not item.side for item in found):
        said.append(f"{count(unlisted, 'image')} in no list read without a set.")
    return tuple(said)


def _recorded(root: Path) -> Mapping[str, Any]:
    """Return what an export of ours says of its slides, or of the images that it made of them, by their stems."""
    if images := read_image_table(root):
        return {Path(name).stem: facts for name, facts in images.items()}
    record = root / EXPORT_RECORD
    data = read_json(record) if record.is_file() else {}
    slides = data.get("slides") if isinstance(data, dict) else None
    return slides if isinstance(slides, dict) else {}


def _found(described: YoloSet, left_out: LeftOut) -> list[_Found]:
    root = described.root
    items: dict[tuple[str, str], _Found] = {}
    finder = ImageFinder()
    for folder, labels in _label_files(root, finder, left_out):
        image = finder.of(_image_folder(root, folder), labels.stem)
        key = (str(folder), labels.stem)
        items[key] = _Found(labels.stem, labels, image, _side(described, folder, image or labels))
    known = {item.image for item in items.values()}
    for image in files_below(root, READ_SUFFIXES):
        folder = image.parent
        if "images" in folder.relative_to(root).parts and image not in known:
            side = _side(described, folder, image)
            items[str(folder), image.name] = _Found(bare_name(image.name), None, image, side)
    return [items[key] for key in sorted(items)]


def _side(described: YoloSet, folder: Path, image: Path) -> str:
    if described.listed:
        return described.side_of(image)
    parts = folder.relative_to(described.root).parts
    return next((SETS[p.lower()] for p in reversed(parts) if p.lower() in SETS), "")


def _label_files(root: Path, finder: ImageFinder, left_out: LeftOut) -> list[tuple[Path, Path]]:
    """Return label files with their folders: those in folders called labels, else those beside their images."""
    texts = [path for path in files_below(root, (".txt",)) if path.name.lower() not in NO_LABELS]
    within = [path for path in texts if "labels" in path.parent.relative_to(root).parts]
    beside = [path for path in texts if path not in set(within) and finder.of(path.parent, path.stem) is not None]
    if within:
        left_out.add("label file", "beside its image left out, since there are folders named labels.", len(beside))
    return [(path.parent, path) for path in within or beside]


def _image_folder(root: Path, labels: Path) -> Path:
    parts = list(labels.relative_to(root).parts)
    if "labels" in parts:
        last = len(parts) - 1 - parts[::-1].index("labels")
        parts[last] = "images"
    return root.joinpath(*parts)


def _slide(item: _Found, recorded: Mapping[str, Any], size_hw: tuple[int, int] | None, has_test: bool) -> SlideRecord:
    fault = Fault(item.labels or item.image)
    known = slide_from_dict(recorded.get(item.stem), item.stem if item.image is None else item.image.name, fault)
    size = image_size_hw(item.image) if item.image is not None else known.size_hw or size_hw
    if size is None:
        raise fault("the image is missing and its size is unknown; put it beside the labels, or give its size.")
    side = {"val": "train" if has_test else "test"}.get(item.side, item.side)
    path = "" if item.image is None else str(item.image.absolute())
    return replace(known, size_hw=size, side=side or known.side, path=path)


def _cells(path: Path, slide: SlideRecord, described: YoloSet, left_out: LeftOut, bad: BadRows) -> list[Annotation]:
    assert slide.size_hw is not None
    cells: list[Annotation] = []
    for place, text in enumerate(read_text(path).split("\n"), start=1):
        tokens = text.split()
        if not tokens:
            continue
        fault = Fault(path, line=place)
        with bad:
            line = read_line(tokens, slide.size_hw, described.pose_values, left_out, fault)
            if described.names and line.class_number not in described.names:
                raise fault(f"the class {line.class_number} is not among the {len(described.names)} classes.")
            class_id = described.names.get(line.class_number, str(line.class_number))
            check_inside(line.geometry, slide.size_hw, slide.name, fault)
            cells.append(
                Annotation(
                    slide_id=slide.id,
                    geometry=line.geometry,
                    class_id=class_id,
                    scores=() if line.score is None else ((class_id, line.score),),
                    origin=imported_from(path.name),
                )
            )
    return cells
