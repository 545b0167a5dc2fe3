"""A folder tree of APACC slices as a label set.

Source: Kupas et al. 2024, doi 10.1038/s41597-024-03596-3; slices lie in ``train/`` and ``test/``.
"""

from __future__ import annotations

from pathlib import Path

from napari_cyto.domain.annotation import Annotation, imported_from, now_utc
from napari_cyto.domain.geometry import lies_outside
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import folder_files
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.apacc.label_lines import CLASSES, COLOURS, parse_label_text
from napari_cyto.formats.apacc.names import SLICE_SIDE, match_stem
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.image_size import ImageFinder
from napari_cyto.formats.labels_outside import outside_sentence
from napari_cyto.formats.text import read_text

SETS = ("train", "test")
_VALIDATION = ("val", "valid", "validation")
_MAX_LABEL_BYTES = 1 << 24


def read_tree(root: Path, skip_bad: bool = False) -> LabelSet:
    """Return every slice of a tree, each an image of its smear at its offset, with its labels.

    Parameters
    ----------
    root : Path
        A folder with ``train/`` and ``test/``, one with slices and label files right in it (both are read),
        or a single label file. Folders of class crops beside the slices are left alone.
    skip_bad : bool
        Whether lines that cannot be read are left out with a remark; else they are refused.

    Returns
    -------
    LabelSet
        Slides keep stem, smear, offset, side, and the path of their image where it is there; boxes are
        in px of the slice.

    Raises
    ------
    FormatError
        When no label file is there, or one of them is wrong (file, line, reason).
    """
    root = Path(root)
    bad = BadRows(root, skip_bad)
    slides: list[SlideRecord] = []
    annotations = AnnotationSpool()
    remarks: list[str] = []
    finder = ImageFinder()
    files = _label_files(root)
    has_test = any(side == "test" for side, _, _ in files)
    for said, folder, labels in files:
        side = said if said not in _VALIDATION else "train" if has_test else "test"
        image = finder.of(folder, labels.stem)
        if image is None and match_stem(labels.stem) is None and root.is_dir():
            remarks.append(
                f"{labels.name} was left out: its name is not that of a slice, and there is no image beside it."
            )
            continue
        with bad:
            slide, cells = read_slice(labels, side, image, bad)
            slides.append(slide)
            annotations.extend(cells)
    if any(side in _VALIDATION for side, _, _ in files):
        remarks.append(f"Slices of the validation set count as {'train' if has_test else 'test'}.")
    remarks += bad.remarks(len(annotations))
    if not slides:
        raise FormatError(
            "there are no APACC label files (like 10030_18_18000_136000.txt) in this folder or its train and test "
            "folders.",
            root,
        )
    return LabelSet(tuple(slides), annotations.settled(), CLASSES, tuple(COLOURS.items()), tuple(remarks))


def read_slice(labels: Path, side: str, image: Path | None, bad: BadRows) -> tuple[SlideRecord, tuple[Annotation, ...]]:
    """Return one slice and its cells.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    name = match_stem(labels.stem)
    slide = SlideRecord(
        name=labels.stem,
        path="" if image is None else str(image.absolute()),
        size_hw=(SLICE_SIDE, SLICE_SIDE),
        smear="" if name is None else name.smear,
        stem=labels.stem,
        offset_yx=None if name is None else (name.y0, name.x0),
        side=side,
    )
    origin, now = imported_from(labels.name), now_utc()
    cells = []
    for line in parse_label_text(read_text(labels, _MAX_LABEL_BYTES), labels, bad):
        if line.class_id is None:
            known = f"from 0 to {len(CLASSES) - 1} ({', '.join(CLASSES)})"
            bad.add(FormatError(f"expected a class {known}, got {line.class_number}.", labels, line.line))
            continue
        size = (SLICE_SIDE, SLICE_SIDE)
        if lies_outside(line.box, size):
            bad.add(FormatError(outside_sentence(line.box, size, labels.stem), labels, line.line))
            continue
        cells.append(
            Annotation(slide_id=slide.id, geometry=line.box, class_id=line.class_id, origin=origin, created_utc=now)
        )
    return slide, tuple(cells)


def _label_files(root: Path) -> list[tuple[str, Path, Path]]:
    if not root.is_dir():
        side = root.parent.name if root.parent.name in SETS else ""
        return [(side, root.parent, root)]
    places = [("", root), *((side, root / side) for side in (*SETS, *_VALIDATION))]
    return [
        (side, folder, path) for side, folder in places if folder.is_dir() for path in folder_files(folder, (".txt",))
    ]
