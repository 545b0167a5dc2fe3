"""A folder of an APACC dataset as an audit sees it: ours, as published, flat, slices or crops alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_cyto.datasets._crops import RGB, cut_window
from napari_cyto.datasets.audit.report import Finding, Row, Severity
from napari_cyto.datasets.audit.subject import Audited, AuditedCell, NamedCrop, Tick, no_tick
from napari_cyto.datasets.export.export_manifest import read_manifest, slides_by_stem
from napari_cyto.datasets.export.slice_writer import OVERVIEW
from napari_cyto.datasets.splits.split import TEST, TRAIN
from napari_cyto.domain.counts import counted
from napari_cyto.domain.image_names import READ_SUFFIXES, bare_name, reads_as_image
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, FormatError
from napari_cyto.files.disk_files import folder_files, subfolders
from napari_cyto.formats import FORMATS
from napari_cyto.formats.apacc.apacc_format import SETS
from napari_cyto.formats.apacc.label_lines import CLASSES, LabelLine, parse_label_text
from napari_cyto.formats.apacc.names import SLICE_SIDE, match_crop_name, match_stem
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.format_guess import fitting_formats
from napari_cyto.formats.image_size import image_size_hw
from napari_cyto.formats.text import read_text


def audited_tree(root: Path, tick: Tick = no_tick) -> Audited:
    """Return what the folder ``root`` holds; ``tick`` is called for each image, and may end it.

    Raises
    ------
    CytoError
        When it holds neither label files nor crops.
    """
    tree = _Tree(root, tick)
    for side, folder in _side_folders(root):
        tree.add_side(side, folder)
    other = _another_format(root)
    if other and not tree.audited.slides:
        raise CytoError(
            f"Expected a project, an APACC data set or crops to audit, got {other} in {root}; import it into a "
            "project and audit the project."
        )
    if other:
        detail = f"The folder also holds {other}, which was not audited; import it and audit the project."
        tree.audited.findings.append(Finding("not_audited", Severity.WARNING, detail, ()))
    if not tree.audited.slides and not tree.crop_files:
        raise CytoError(
            f"Expected APACC label files or crops, got neither in {root}; give the folder that holds train and test, "
            "a folder of slices with their label files, or a project."
        )
    tree.finish()
    return tree.audited


def _another_format(root: Path) -> str:
    """Return the titles of the formats that a folder looks like besides APACC; trees of crops are no labels."""
    found = [FORMATS[name] for name in fitting_formats(root)]
    return " and ".join(each.title for each in found if not (each.capabilities.slices or each.capabilities.crops))


def _side_folders(root: Path) -> list[tuple[str, Path]]:
    """Return each folder of slices or crops with its side; at the root, or one folder further down."""
    bases = [root, *(p for p in subfolders(root) if p.name not in (*SETS, OVERVIEW))]
    found = [(side, base / side) for base in bases for side in SETS if (base / side).is_dir()]
    return found or [("", base) for base in bases]


class _Tree:
    """Collects what lies in the folders of a dataset."""

    def __init__(self, root: Path, tick: Tick) -> None:
        self._root = root
        self._tick = tick
        self._manifest = slides_by_stem(read_manifest(root))
        self._problems: dict[str, list[Row]] = defaultdict(list)
        self._images: dict[str, Path] = {}
        self.crop_files: list[tuple[str, Path]] = []
        self.audited = Audited(str(root))

    def add_side(self, side: str, folder: Path) -> None:
        files = folder_files(folder)
        images = {bare_name(p.name): p for p in files if reads_as_image(p.name) and match_crop_name(p.name) is None}
        labels = {p.stem: p for p in files if p.suffix.lower() == ".txt"}
        labels = {stem: p for stem, p in labels.items() if stem in images or match_stem(stem)}
        for stem in sorted(labels.keys() | {stem for stem in images if match_stem(stem)}):
            self._add_slice(side, stem, images.get(stem), labels.get(stem))
        for below in (p for p in subfolders(folder) if p.name not in SETS):
            crops = folder_files(below, READ_SUFFIXES)
            self.crop_files += [(side, path) for path in crops]
            if below.name not in CLASSES and any(match_crop_name(p.name) for p in crops):
                self._problems["crop_class"].append({"folder": self._name(below), "crops": len(crops)})
        self.crop_files += [(side, p) for p in files if match_crop_name(p.name)]

    def _add_slice(self, side: str, stem: str, image: Path | None, labels: Path | None) -> None:
        self._tick()
        name, facts = match_stem(stem), self._manifest.get(stem, {})
        slide = SlideRecord(
            name=stem,
            stem=stem,
            side=side,
            path="" if image is None else str(image),
            size_hw=(SLICE_SIDE, SLICE_SIDE),
            smear=_text(facts, "smear") or ("" if name is None else name.smear),
            patient=_text(facts, "patient"),
            offset_yx=None if name is None else (name.y0, name.x0),
        )
        self.audited.slides.append(slide)
        if image is None:
            self._problems["missing_image"].append({"slice": stem, "side": side})
        else:
            self._images[slide.id] = image
            self._check_image(slide, image)
        if labels is None:
            self._problems["missing_label"].append({"slice": stem, "side": side})
            return
        lines: tuple[LabelLine, ...] = ()
        bad = BadRows(labels, skip=True)
        with bad:
            lines = parse_label_text(read_text(labels), self._name(labels), bad)
        self._problems["bad_label"] += [{"slice": stem, "side": side, "reason": str(error)} for error in bad.first]
        self.audited.cells += [
            AuditedCell(slide.id, line.class_id, line.class_id or str(line.class_number), line.box, line.line)
            for line in lines
        ]

    def _check_image(self, slide: SlideRecord, image: Path) -> None:
        try:
            size_hw = image_size_hw(image)
        except FormatError as error:
            self._problems["bad_image"].append({"slice": slide.stem, "side": slide.side, "reason": str(error)})
            self._images.pop(slide.id)
            return
        if size_hw != (SLICE_SIDE, SLICE_SIDE):
            row = {"slice": slide.stem, "side": slide.side, "width": size_hw[1], "height": size_hw[0]}
            self._problems["slice_size"].append(row)

    def finish(self) -> None:
        problems = self._problems
        if len(problems["missing_image"]) == len(self.audited.slides):
            # Label files are published without their images too; that is no fault of theirs.
            problems["labels_only"] = [{"slices": len(self.audited.slides)}] if self.audited.slides else []
            problems["missing_image"] = []
        for kind, (severity, one, many, rest) in _SENTENCES.items():
            if rows := problems[kind]:
                number = f"{counted(len(rows), one, many)} " if one else ""
                detail = number + rest.format(first=next(iter(rows[0].values())))
                self.audited.findings.append(Finding(kind, severity, detail, tuple(rows)))
        self.audited.findings += same_files(self.audited.slides, self._images, self._tick)
        # Crops say by their names of which smear they are; a folder of crops alone is judged by that.
        smears = {(s.smear, s.side) for s in self.audited.slides}
        for side, path in self.crop_files:
            crop = match_crop_name(path.name)
            if crop is not None and not self.audited.cells and (crop.smear, side) not in smears:
                smears.add((crop.smear, side))
                self.audited.slides.append(SlideRecord(name=crop.smear, smear=crop.smear, side=side))
        self.audited.crops = self._crops

    def _crops(self) -> Iterator[NamedCrop]:
        if self.crop_files:
            yield from ((side, self._name(path), partial(read_rgb, path)) for side, path in self.crop_files)
            return
        slides = {slide.id: slide for slide in self.audited.slides}
        # Cells come slice by slice. Each reads for itself, so that a broken image costs its own crops only.
        pixels = lru_cache(maxsize=1)(read_rgb)
        for cell in self.audited.cells:
            slide = slides[cell.slide_id]
            if slide.id in self._images:
                y0, x0, y1, x1 = (round(v) for v in cell.box.bounds_yxyx)
                path = self._images[slide.id]
                yield slide.side, f"{slide.stem} line {cell.line}", _cutter(pixels, path, (y0, x0, y1, x1))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


_SENTENCES = {
    "bad_label": (
        Severity.ERROR,
        "label file or line",
        "label files or lines",
        "cannot be read, the first of slice {first}.",
    ),
    "missing_label": (
        Severity.ERROR,
        "slice has",
        "slices have",
        "no label file, the first is {first}; a slice without cells needs an empty label file.",
    ),
    "missing_image": (Severity.ERROR, "label file has", "label files have", "no image, the first is {first}."),
    "bad_image": (Severity.ERROR, "image", "images", "cannot be read, the first of slice {first}."),
    "crop_class": (
        Severity.ERROR,
        "folder of crops is",
        "folders of crops are",
        "not named after a class, the first is {first}.",
    ),
    "slice_size": (
        Severity.WARNING,
        "slice image is",
        "slice images are",
        "not of 2000 x 2000 px, the first is {first}.",
    ),
    "labels_only": (Severity.INFO, "", "", "There are label files but no images; crops were not compared."),
}


def same_files(slides: list[SlideRecord], images: dict[str, Path], tick: Tick = no_tick) -> list[Finding]:
    """Return a leak when images with something in them are byte for byte the same in training and test set."""
    by_size: dict[int, list[SlideRecord]] = defaultdict(list)
    for slide in slides:
        if slide.id in images:
            by_size[images[slide.id].stat().st_size].append(slide)
    rows: list[Row] = []
    for group in by_size.values():
        if {s.side for s in group} >= set(SETS):
            first: dict[bytes, dict[str, str]] = defaultdict(dict)
            for slide in group:
                tick()
                digest = blake2b(images[slide.id].read_bytes(), digest_size=16).digest()
                first[digest].setdefault(slide.side, slide.id)
            by_id = {s.id: s for s in group}
            rows += [
                {TRAIN: by_id[on[TRAIN]].stem, TEST: by_id[on[TEST]].stem}
                for on in first.values()
                if TRAIN in on and TEST in on and not _is_plain(images[on[TRAIN]])
            ]
    if not rows:
        return []
    same = counted(len(rows), "image is", "images are")
    detail = f"{same} in the training and the test set, byte for byte: {rows[0][TRAIN]} and {rows[0][TEST]}."
    return [Finding("same_image", Severity.ERROR, detail, tuple(rows), leak=True)]


def _is_plain(path: Path) -> bool:
    # Blank glass is blank glass on any smear.
    try:
        return bool(read_rgb(path).std() < 2)
    except FormatError:
        return False


def read_rgb(path: Path) -> RGB:
    """Return an image file as (h, w, 3), uint8, RGB.

    Raises
    ------
    FormatError
        When its pixels cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise FormatError(f"the image cannot be read ({error}).", path) from error


def _cutter(pixels: Callable[[Path], RGB], path: Path, box_yxyx: tuple[int, int, int, int]) -> Callable[[], RGB]:
    return lambda: cut_window(pixels(path), box_yxyx)


def _text(row: Any, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
