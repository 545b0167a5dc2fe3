"""Reading YOLO folders in the layouts that are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_cyto.domain.annotation import Annotation, imported_from
from napari_cyto.domain.geometry import Box, Geometry, Polygon
from napari_cyto.domain.image_names import READ_SUFFIXES, bare_name
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats.atomic import EXPORT_RECORD
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.disk_files import files_below
from napari_cyto.formats.image_headers import ImageFinder, image_size_hw
from napari_cyto.formats.outside import check_inside
from napari_cyto.formats.slide_json import slide_from_dict
from napari_cyto.formats.text import Fault, class_name, number, read_json, read_text, read_yaml, shown, whole_number

_SIDES = {"train": "train", "test": "test", "val": "val", "valid": "val"}
_LISTS = ("data.yaml", "data.yml", "dataset.yaml")
_DIGITS = 4  # of a px; rounds off the noise of fraction x size


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
        The folder, or its ``data.yaml``.
    bad : BadRows
        Takes the lines and files that cannot be read.
    size_hw : tuple of int, optional
        Size of images that are not there and whose size is not recorded, px.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    root, names = _root_and_names(source)
    recorded = _recorded(root)
    found = _found(root)
    if not found:
        raise FormatError("no label files (labels/*.txt, or beside their images) are in this folder.", root)
    has_test = any(item.side == "test" for item in found)
    slides: list[SlideRecord] = []
    cells: list[Annotation] = []
    for item in found:
        with bad:
            slide = _slide(item, recorded, size_hw, has_test)
            slides.append(slide)
            if item.labels is not None:
                cells.extend(_cells(item.labels, slide, names, bad))
    remarks = _remarks(found, has_test) + bad.remarks(len(cells))
    return LabelSet(tuple(slides), tuple(cells), tuple(dict.fromkeys(names.values())), (), remarks)


def _remarks(found: list[_Found], has_test: bool) -> tuple[str, ...]:
    if not any(item.side == "val" for item in found):
        return ()
    side = "train, since there is a test side of its own" if has_test else "test"
    return (f"Images of the validation side count as {side}.",)


def _root_and_names(source: Path) -> tuple[Path, dict[int, str]]:
    listing = source
    if source.is_dir():
        present = [source / name for name in _LISTS if (source / name).is_file()]
        if not present:
            raise FormatError("a data.yaml with the names of the classes is needed in this folder.", source)
        listing = present[0]
    data, fault = read_yaml(listing), Fault(listing)
    if not isinstance(data, Mapping) or not isinstance(data.get("names"), (list, dict)):
        raise fault(f"expected a mapping with names (a list or mapping of classes), but {shown(data)} came.")
    rows = data["names"].items() if isinstance(data["names"], dict) else enumerate(data["names"])
    names: dict[int, str] = {}
    for key, value in rows:
        text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        names[whole_number(key, "the number of a class", fault)] = class_name(text, fault)
    return listing.parent, dict(sorted(names.items()))


def _recorded(root: Path) -> Mapping[str, Any]:
    record = root / EXPORT_RECORD
    data = read_json(record) if record.is_file() else {}
    slides = data.get("slides") if isinstance(data, dict) else None
    return slides if isinstance(slides, dict) else {}


def _found(root: Path) -> list[_Found]:
    items: dict[tuple[str, str], _Found] = {}
    finder = ImageFinder()
    for folder, labels in _label_files(root, finder):
        images = _image_folder(root, folder)
        side = next((_SIDES[p] for p in reversed(folder.relative_to(root).parts) if p in _SIDES), "")
        key = (str(folder), labels.stem)
        items[key] = _Found(labels.stem, labels, finder.of(images, labels.stem), side)
    known = {item.image for item in items.values()}
    for image in files_below(root, READ_SUFFIXES):
        folder = image.parent
        if "images" in folder.relative_to(root).parts and image not in known:
            side = next((_SIDES[p] for p in reversed(folder.relative_to(root).parts) if p in _SIDES), "")
            items[str(folder), image.name] = _Found(bare_name(image.name), None, image, side)
    return [items[key] for key in sorted(items)]


def _label_files(root: Path, finder: ImageFinder) -> Iterator[tuple[Path, Path]]:
    for path in files_below(root, (".txt",)):
        folder = path.parent
        if "labels" in folder.relative_to(root).parts or finder.of(folder, path.stem) is not None:
            yield folder, path


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
        raise fault("the image is not there and its size is not known; put it beside the labels or give its size.")
    side = {"val": "train" if has_test else "test"}.get(item.side, item.side)
    path = "" if item.image is None else str(item.image.absolute())
    return replace(known, size_hw=size, side=side or known.side, path=path)


def _cells(path: Path, slide: SlideRecord, names: Mapping[int, str], bad: BadRows) -> list[Annotation]:
    cells: list[Annotation] = []
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        tokens = text.split()
        if tokens:
            with bad:
                cells.append(_cell(tokens, slide, names, Fault(path, line=line)))
    return cells


def _cell(tokens: list[str], slide: SlideRecord, names: Mapping[int, str], fault: Fault) -> Annotation:
    assert slide.size_hw is not None
    key = whole_number(tokens[0], "the class", fault)
    if key not in names:
        raise fault(f"the class {key} is not among the {len(names)} names of the data.yaml.")
    values = [number(token, "a value", fault, 1000) for token in tokens[1:]]
    score: tuple[tuple[str, float], ...] = ()
    if len(values) == 5:  # a detector's output has its confidence at the end
        if not 0 <= values[4] <= 1:
            raise fault(f"the confidence must be 0 to 1, but {values[4]:g} came.")
        score = ((names[key], values.pop()),)
    geometry = _geometry(values, slide.size_hw, fault)
    check_inside(geometry, slide.size_hw, slide.name, fault)
    return Annotation(
        slide_id=slide.id,
        geometry=geometry,
        class_id=names[key],
        scores=score,
        origin=imported_from(Path(str(fault.path)).name),
    )


def _geometry(values: list[float], size_hw: tuple[int, int], fault: Fault) -> Geometry:
    height, width = size_hw
    if len(values) >= 6 and len(values) % 2 == 0:
        ys, xs = values[1::2], values[0::2]
        return Polygon(
            tuple((round(y * height, _DIGITS), round(x * width, _DIGITS)) for y, x in zip(ys, xs, strict=True))
        )
    if len(values) != 4:
        raise fault(f"expected a class and x, y, width, height, but {len(values) + 1} values came.")
    x, y, w, h = values
    edges = ((y - h / 2) * height, (x - w / 2) * width, (y + h / 2) * height, (x + w / 2) * width)
    y0, x0, y1, x1 = (round(edge, _DIGITS) for edge in edges)
    if y1 <= y0 or x1 <= x0:
        raise fault(f"a box needs width and height above 0, but {w:g} x {h:g} came.")
    return Box(y0, x0, y1, x1)
