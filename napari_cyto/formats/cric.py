"""CRIC Cervix: nucleus centres in six Bethesda classes, as one table.

Source: Rezende et al. 2021, doi 10.1038/s41597-021-00933-8; images of 1376 x 1020 px, 0.228 µm per px.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from napari_cyto.domain.annotation import Annotation, imported_from, now_utc
from napari_cyto.domain.annotation_source import tally
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.image_names import READ_SUFFIXES
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.quantities import UmPerPx
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_file
from napari_cyto.files.disk_files import folder_files
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._cric_files import cric_files, image_folder, json_rows
from napari_cyto.formats._non_cell_classes import only_cells
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.boxes import by_slide
from napari_cyto.formats.image_size import ImageFinder, image_size_hw
from napari_cyto.formats.label_format import (
    ON_READING,
    ON_WRITING,
    Capabilities,
    FormatOptions,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.tables import picked, picked_number, plain_number, read_table, table_line
from napari_cyto.formats.text import Fault, class_name, free_text, number, shown, whole_number

CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
NEGATIVE = "Negative for intraepithelial lesion"
MPP = 0.228

_PUBLISHED = ("image_id", "image_filename", "image_doi", "cell_id", "bethesda_system", "nucleus_x", "nucleus_y")
_STORED = ("image", "width", "height", "px_per_cric_px", "image_id", "cell_id", "bethesda", "x", "y")
_IMAGE, _CLASS = ("image_filename", "image"), ("bethesda_system", "bethesda")
_X, _Y = ("nucleus_x", "x"), ("nucleus_y", "y")
_NEEDED = (_IMAGE, _CLASS, _X, _Y)


class CricOptions(FormatOptions):
    """Scale of images whose table does not state it, and which table is written."""

    mpp: UmPerPx | None = Field(
        json_schema_extra=ON_READING,
        default=MPP,
        title="µm per px",
        description="Of images in a table without px_per_cric_px; 0.228 for CRIC's own images, None if unknown.",
    )
    layout: Literal["published", "scaled"] = Field(
        json_schema_extra=ON_WRITING,
        default="published",
        title="Columns",
        description="'published' as in CRIC's classifications.csv; 'scaled' adds width, height and px_per_cric_px, "
        "for images of any size and scale.",
    )


@dataclass(slots=True)
class _Reading:
    path: Path
    folder: Path
    mpp: float | None
    now: datetime = field(default_factory=now_utc)
    slides: dict[str, SlideRecord] = field(default_factory=dict)
    cells: list[Annotation] = field(default_factory=list)
    images: ImageFinder = field(default_factory=ImageFinder)

    def row(self, row: Mapping[str, str], fault: Fault) -> None:
        name = free_text(picked(row, _IMAGE), 500).strip()
        if not name:
            raise fault("expected the name of the image in each row, got none.")
        stated = _stated(row, fault)
        slide = self.slides.get(name)
        if slide is None:
            slide = self.slides[name] = self._slide(name, *stated)
        elif stated[0] is not None and (slide.size_hw, slide.mpp) != stated:
            raise fault(f"size or scale of {name!r:.80} differ from those in an earlier row.")
        if not any(picked(row, names) for names in (_CLASS, _X, _Y)):
            return  # an image without cells
        point = Point(picked_number(row, _Y, "y", fault), picked_number(row, _X, "x", fault))
        self.cells.append(
            Annotation(
                slide_id=slide.id,
                geometry=point,
                class_id=_class(picked(row, _CLASS), fault),
                origin=imported_from(self.path.name),
                created_utc=self.now,
            )
        )

    def _slide(self, name: str, size_hw: tuple[int, int] | None, mpp: float | None) -> SlideRecord:
        image = self.images.of(self.folder, name)
        mpp = mpp if size_hw is not None else self.mpp
        return SlideRecord(
            name=name,
            path="" if image is None else str(image.absolute()),
            size_hw=size_hw if size_hw is not None or image is None else image_size_hw(image),
            mpp=mpp,
            mpp_source="" if mpp is None else "format",
        )

    def images_without_cells(self) -> None:
        """Add the images of an ``images/`` folder that the table does not speak of."""
        if self.folder.name != "images":
            return
        known = {slide.path for slide in self.slides.values()}
        for path in folder_files(self.folder, READ_SUFFIXES):
            absolute = path.absolute()
            if str(absolute) not in known:
                self.slides[path.name] = replace(self._slide(path.name, None, None), path=str(absolute))


class CricFormat:
    """CRIC's table of nuclei, with the images beside it or in ``images/``."""

    name = "cric"
    title = "CRIC classifications"
    description = "One table of nucleus centres with six Bethesda classes."
    target_kind: TargetKind = "file"
    suffix = ".csv"
    options_type = CricOptions
    capabilities = Capabilities(scheme="bethesda")

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a table with CRIC's columns, a list of its images, or a folder with either."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files((".csv", ".json")))
        if {("[]", "image_name"), ("[]", "classifications")} <= seen.keys:
            return True
        return any(name in seen.columns for name in _CLASS) and any(name in seen.columns for name in _IMAGE)

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the points of a table or ``classifications.json``, or of a folder of them; see ``cric_files``.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(CricOptions, options)
        bad = BadRows(Path(source), chosen.skip_bad)
        paths = cric_files(Path(source))
        reading = _Reading(paths[0], image_folder(paths[0]), chosen.mpp)
        for path in paths:
            reading.path = path
            rows = json_rows(path, bad) if path.suffix.lower() == ".json" else read_table(path, _NEEDED, bad)
            for row, fault in rows:
                with bad:
                    reading.row(row, fault)
        reading.images_without_cells()
        said = bad.remarks(len(reading.cells))
        used = dict.fromkeys(a.class_id or "" for a in reading.cells)
        foreign = [name for name in used if name not in CLASSES]
        if foreign:
            said += (f"classes that CRIC does not have: {', '.join(foreign)}; a map renames them (--map).",)
        classes = tuple(used) if foreign else CLASSES
        read = LabelSet(tuple(reading.slides.values()), tuple(reading.cells), classes, (), said)
        return only_cells(read, Path(source).name)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what the table cannot carry."""
        chosen = checked_options(CricOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        found = tally(cells, lambda a: a.class_id)
        sentences = [
            f"{losses.count(number)} of class {name!r} cannot be written: CRIC knows {', '.join(CLASSES)} only; "
            "choose a map to these classes."
            for name, number in sorted(found.items(), key=str)
            if name not in CLASSES
        ]
        sentences += losses.plain_losses(labels, chosen, "points", "author", "note", "score", "time")
        if chosen.layout == "published":
            sentences += losses.empty_slide_losses(labels, cells)
            sentences += losses.slide_losses(labels, size_hw="size") + _scale_losses(labels)
        return tuple(sentences + losses.slide_losses(labels, smear="smear", patient="patient", side="side"))

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one table, a row a nucleus; ids are counted from 1.

        Raises
        ------
        FormatError
            When a class is not one of CRIC's six, or (layout ``scaled``) an image's size or scale is unknown.
        """
        chosen = checked_options(CricOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        foreign = sorted({a.class_id or "" for a in cells} - set(CLASSES))
        if foreign:
            raise FormatError(
                f"CRIC knows the classes {', '.join(CLASSES)}, but {', '.join(foreign)} also occur; choose a map to "
                "these classes."
            )
        rows = _rows(labels, cells, chosen)
        with atomic_file(target) as path, path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(table_line(_PUBLISHED if chosen.layout == "published" else _STORED))
            stream.writelines(map(table_line, rows))


def _rows(labels: LabelSet, cells: Iterable[Annotation], options: CricOptions) -> Iterator[tuple[object, ...]]:
    cell_id = 0
    for image_id, (slide, rows) in enumerate(by_slide(labels, cells), start=1):
        head = _scaled_head(slide) if options.layout == "scaled" else ()
        if head and not rows:
            yield (*head, image_id, "", "", "", "")
        for a in rows:
            cell_id += 1
            y, x = map(plain_number, a.geometry.centre_yx)
            if head:
                yield (*head, image_id, cell_id, a.class_id, x, y)
            else:
                words = NEGATIVE if a.class_id == "NILM" else a.class_id
                yield (image_id, slide.name, "", cell_id, words, x, y)


def _scale_losses(labels: LabelSet) -> list[str]:
    other = sum(slide.mpp is not None and abs(slide.mpp - MPP) > 1e-6 for slide in labels.slides)
    if not other:
        return []
    return [
        f"The µm per px of {losses.count(other, 'image')} is not {MPP}, which readers of this layout assume; use "
        "the layout 'scaled', which states it."
    ]


def _scaled_head(slide: SlideRecord) -> tuple[object, ...]:
    if slide.size_hw is None or slide.mpp is None:
        raise FormatError(
            f"Size and µm per px of {slide.name!r} must be known for this layout; set them or choose 'published'."
        )
    return (slide.name, slide.size_hw[1], slide.size_hw[0], plain_number(MPP / slide.mpp))


def _stated(row: Mapping[str, str], fault: Fault) -> tuple[tuple[int, int] | None, float | None]:
    """Return size and µm per px as a row states them."""
    height, width = row.get("height", "").strip(), row.get("width", "").strip()
    if not height or not width:
        return None, None
    size = (whole_number(height, "height", fault, 10**7), whole_number(width, "width", fault, 10**7))
    scale = row.get("px_per_cric_px", "").strip()
    if not scale:
        return size, None
    px_per_cric_px = number(scale, "px_per_cric_px", fault, 100)
    if px_per_cric_px < 0.001:
        raise fault(f"expected a px_per_cric_px from 0.001 to 100, got {shown(scale)}.")
    return size, MPP / px_per_cric_px


def _class(name: str, fault: Fault) -> str:
    """Return a class; those of other collections in CRIC's layout stay as they are, for a map to rename."""
    return "NILM" if name == NEGATIVE else class_name(name, fault)
