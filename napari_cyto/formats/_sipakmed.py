"""SIPaKMeD: contours of cytoplasm and nucleus as ``.dat`` files beside each picture of a field, a folder a class.

Source: Plissiti et al. 2018, doi 10.1109/ICIP.2018.8451588, and the tree of its download: ``001.bmp`` with
``001_cyt01.dat`` and ``001_nuc01.dat`` (lines ``x,y``, px), and cells cut out in ``CROPPED``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.image_names import READ_SUFFIXES
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import files_below
from napari_cyto.formats._label_set_builder import LabelSetBuilder
from napari_cyto.formats._shapes import outline
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.image_size import ImageFinder, image_size_hw
from napari_cyto.formats.label_format import (
    Capabilities,
    FormatOptions,
    ReadOnly,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.text import Fault, class_name, number, read_text

_SUFFIX = ".dat"
_OF_FIELD = re.compile(r"(?P<field>.+)_(?P<part>cyt|nuc)(?P<cell>\d+)\.dat", re.IGNORECASE)
_OF_CROP = re.compile(r".+_\d+_(cyt|nuc)\.dat", re.IGNORECASE)
_FIRST_LINE = re.compile(r"\s*-?[\d.]+\s*,\s*-?[\d.]+\s*([\r\n]|$)")
_CYTOPLASM, _NUCLEUS = "cyt", "nuc"


class SipakmedOptions(FormatOptions):
    """SIPaKMeD needs no options of its own."""


@dataclass(slots=True)
class _Field:
    """The contours of one picture: files by part, by the number of the cell."""

    folder: Path
    name: str
    cells: dict[int, dict[str, Path]] = field(default_factory=dict)


class SipakmedFormat(ReadOnly):
    """SIPaKMeD's tree, or one of its class folders."""

    name = "sipakmed"
    title = "SIPaKMeD contours"
    description = "Class folders of fields with a contour file (.dat) for each cytoplasm and nucleus; import only."
    target_kind: TargetKind = "folder"
    suffix = _SUFFIX
    options_type = SipakmedOptions
    capabilities = Capabilities(brings_images=True, crops=True)

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a contour file of a field, or a folder with such files, at most two folders down."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files((_SUFFIX,), below=True))
        return bool(_OF_FIELD.fullmatch(seen.path.name) and _FIRST_LINE.match(seen.text))

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return an outline for each cell of each field; its class is the folder that it lies in.

        The cell is the outline of its cytoplasm; a nucleus for which there is none stands for itself. Nuclei within
        a cytoplasm, contours in ``CROPPED`` and pictures without contours are left out and counted.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(SipakmedOptions, options)
        root = Path(source)
        if not root.is_dir():
            raise FormatError(
                "expected a class folder or the folder of all classes; choose the one that contains this file.", root
            )
        builder = LabelSetBuilder(root, chosen.skip_bad)
        fields = _fields(root, builder)
        if not fields:
            said = " ".join(builder.left_out.remarks())
            raise FormatError(
                "there are no contours of fields (001_cyt01.dat, 001_nuc01.dat) in this folder or below it."
                + (f" {said}" if said else ""),
                root,
            )
        images = ImageFinder()
        seen = {image for each in fields if (image := _add(each, root, images, builder)) is not None}
        folders = {each.folder for each in fields}
        lone = sum(path.parent in folders and path not in seen for path in files_below(root, READ_SUFFIXES))
        builder.left_out.add("picture", "without contours left out.", lone)
        return builder.labels()


def _fields(root: Path, builder: LabelSetBuilder) -> list[_Field]:
    """Return the fields that have contours, in the order of their names, and count the contour files of others."""
    fields: dict[tuple[Path, str], _Field] = {}
    for path in files_below(root, (_SUFFIX,)):
        match = _OF_FIELD.fullmatch(path.name)
        if match is None or path.parent.name.upper() == "CROPPED":
            is_crop = match is not None or _OF_CROP.fullmatch(path.name) is not None
            kind = "of cropped cells" if is_crop else "of another name"
            builder.left_out.add("contour file", f"{kind} left out.")
            continue
        found = fields.setdefault((path.parent, match["field"]), _Field(path.parent, match["field"]))
        part, cell = match["part"].lower(), int(match["cell"])
        with builder.bad:
            if part in found.cells.setdefault(cell, {}):
                raise FormatError(
                    f"expected one contour of the {part} of cell {cell} of {found.name!r:.80}, got a second one.", path
                )
            found.cells[cell][part] = path
    return list(fields.values())


def _add(each: _Field, root: Path, images: ImageFinder, builder: LabelSetBuilder) -> Path | None:
    """Add a field with its cells; return its picture, where that is there."""
    image = images.of(each.folder, each.name)
    name = "/".join([*_folders(each.folder, root), f"{each.name}.bmp" if image is None else image.name])
    slide = None
    with builder.bad:
        size = None if image is None else image_size_hw(image)
        record = SlideRecord(name=name, size_hw=size, path="" if image is None else str(image.absolute()))
        slide = builder.new_slide(record, (), Fault(each.folder))
    if slide is None:
        return image
    builder.left_out.add("field", "without their image read without it.", int(image is None))
    class_id = class_name(each.folder.absolute().name, Fault(each.folder))
    for _, parts in sorted(each.cells.items()):
        with builder.bad:
            path = parts.get(_CYTOPLASM) or parts[_NUCLEUS]
            fault = Fault(path)
            builder.cell(slide, outline(list(_corners(path)), fault), class_id, fault, file_name=path.name)
            if len(parts) > 1:
                builder.left_out.add(
                    "nucleus outline", "left out, since the outline of the cytoplasm is used for the cell."
                )
            elif _NUCLEUS in parts:
                builder.left_out.add("nucleus outline", "without an outline of the cytoplasm read as the cell.")
    return image


def _folders(folder: Path, root: Path) -> list[str]:
    """Return the folders before a field's name: the class at least, and once what the download has twice."""
    parts = folder.relative_to(root).parts or (folder.absolute().name,)
    return [part for place, part in enumerate(parts) if place == 0 or part != parts[place - 1]]


def _corners(path: Path) -> Iterator[YX]:
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        fault = Fault(path, line=line)
        x, comma, y = text.partition(",")
        if not comma:
            raise fault(f"expected a line 'x,y', got {text.strip()!r:.60}.")
        yield number(y.strip(), "y", fault), number(x.strip(), "x", fault)
