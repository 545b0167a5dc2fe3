"""Reading tables of points and boxes as spreadsheets, scripts and other programs write them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from napari_cyto.domain.annotation import Annotation, Status, imported_from, new_id, now_utc
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats._csv_columns import CLASS, X_CORNER, Y_CORNER, Columns, ColumnValues, X, Y, find_columns
from napari_cyto.formats._non_cell_classes import only_cells
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.bad_rows import BadRows, LeftOut
from napari_cyto.formats.csv_sizes import Position, SizeFinder, SizeOf, SizeSurvey, box_at
from napari_cyto.formats.label_files import label_stem
from napari_cyto.formats.tables import Row, Table, picked, picked_number
from napari_cyto.formats.text import Fault, class_name, free_text, shown, whole_number

_NEEDED = ((*X, *X_CORNER), (*Y, *Y_CORNER))
SCORE = ("score", "probability", "confidence")
_Z = ("z", "plane", "z_index", "focal_plane")


@dataclass(frozen=True)
class Choices:
    """What a person chose where a table does not say it; see ``CsvOptions``."""

    position: Position
    size_of: SizeOf
    unclassified: str


def read_points(path: Path, choices: Choices, bad: BadRows, size_finder: SizeFinder) -> LabelSet:
    """Return the points and boxes of a table.

    Rows without an image belong to a slide that is called like the file; rows with nothing but an image are images
    without cells.

    Parameters
    ----------
    path : Path
        The table.
    choices : Choices
        What a person says of it.
    bad : BadRows
        Takes the rows that cannot be read.
    size_finder : callable
        Gives the size of an image, where it is known.

    Raises
    ------
    FormatError
        Naming file, line and reason, or what must be chosen.
    """
    table = Table(path, _NEEDED)
    values = ColumnValues()
    for row, _ in table.rows(BadRows(path)):
        values.add(row)
    columns = find_columns(table.columns, values)
    if not columns.class_name and not columns.is_imagej:
        table.check((*_NEEDED, ("label", *CLASS)))
        if values.images:
            raise table.header(f"the column {columns.image} names images, and no column names the class.")
    table.check_numbers((*columns.numbers, *SCORE))
    reading = _Reading(path, columns, choices)
    if not columns.is_own:
        reading.survey(table, size_finder)
    for row, fault in table.rows(bad):
        with bad:
            reading.take(row, fault)
    slides = reading.slides or {label_stem(path): SlideRecord(name=label_stem(path))}
    classes = tuple(sorted(reading.cells.class_ids))
    remarks = (*reading.remarks(values), *bad.remarks(len(reading.cells)))
    read = LabelSet(tuple(slides.values()), reading.cells.settled(), classes, (), remarks)
    return only_cells(read, path.name)


@dataclass
class _Reading:
    """One table on its way to a label set."""

    path: Path
    columns: Columns
    choices: Choices
    slides: dict[str, SlideRecord] = field(default_factory=dict)
    cells: AnnotationSpool = field(default_factory=AnnotationSpool)
    boxes: int = 0
    is_corner: bool = False
    is_of_image: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)
    _ids: set[str] = field(default_factory=set)
    _now: datetime = field(default_factory=now_utc)

    def survey(self, table: Table, size_finder: SizeFinder) -> None:
        """Find out from all rows what positions and sizes mean.

        Raises
        ------
        FormatError
            When that must be chosen.
        """
        self.is_corner, self.is_of_image = self.columns.is_corner, self.choices.size_of == "image"
        found, farthest, whole = SizeSurvey(size_finder), 0.0, True
        for row, fault in table.rows(BadRows(self.path)):
            try:
                y, x = self._position(row, fault)
                size = self._size(row, fault)
            except FormatError:
                continue  # told when the row is read
            farthest, whole = max(farthest, abs(x), abs(y)), whole and x == int(x) and y == int(y)
            if size is not None:
                found.add(self._image(row), x, y, *size)
        if farthest <= 1 and not whole:
            raise table.header("expected positions in pixels, got only values from 0 to 1, fractions of the image.")
        if self.columns.is_corner or not found.images:
            return
        if self.choices.size_of == "auto" and not self.columns.image_width:
            self.is_of_image = found.is_of_image(table.header)
        if not self.is_of_image:
            self.is_corner = found.is_corner(self.choices.position, table.header)

    def take(self, row: Row, fault: Fault) -> None:
        """Make a cell of a row, or note an image without cells.

        Raises
        ------
        FormatError
            When something of it cannot be read.
        """
        name = self._image(row)
        digest = free_text(row.get("image_fingerprint", "").strip(), 100)
        slide = self.slides.setdefault(name, SlideRecord(name=name, fingerprint=digest))
        if digest != slide.fingerprint:
            raise fault(f"the fingerprint of {shown(name)} differs from that in an earlier row.")
        size_hw = self._image_size(row, fault)
        if size_hw is not None and slide.size_hw != size_hw:
            if slide.size_hw is not None:
                raise fault(f"the image's size differs from that in an earlier row of {shown(name)}.")
            slide = self.slides[name] = replace(slide, size_hw=size_hw)
        if picked(row, (self.columns.image,)) and not picked(row, (*X, *X_CORNER, *Y, *Y_CORNER, *CLASS[:-2])):
            return
        class_id = self._class(row, fault)
        if picked(row, _Z) not in ("", "0", "0.0"):
            self.left_out.add(
                "annotation", "of other focal planes (z) than 0; they are imported, but their plane is not kept."
            )
        geometry = self._geometry(row, fault)
        self.cells.append(
            Annotation(
                slide_id=slide.id,
                geometry=geometry,
                class_id=class_id,
                status=_status(row, fault),
                author=free_text(row.get("author", "").strip()),
                origin=imported_from(self.path.name),
                scores=_scores(row, class_id, fault),
                created_utc=self._now,
                note=free_text(row.get("note", "")),
                id=_identity(row.get("id", ""), self._ids),
            )
        )
        self.boxes += isinstance(geometry, Box)

    def _image(self, row: Row) -> str:
        name = free_text(picked(row, (self.columns.image,)), 500)
        return (name.partition(":")[0] if self.columns.is_imagej else name) or label_stem(self.path)

    def _class(self, row: Row, fault: Fault) -> str:
        if not self.columns.class_name and self.columns.is_imagej:
            return self.choices.unclassified
        return class_name(picked(row, (self.columns.class_name,)), fault)

    def _position(self, row: Row, fault: Fault) -> tuple[float, float]:
        columns = self.columns
        return picked_number(row, (columns.y,), "y", fault), picked_number(row, (columns.x,), "x", fault)

    def _size(self, row: Row, fault: Fault) -> tuple[float, float] | None:
        """Return width and height as a row has them, None where it has none or both are 0."""
        columns = self.columns
        if not picked(row, (columns.width,)) and not picked(row, (columns.height,)):
            return None
        width = picked_number(row, (columns.width,), "width", fault)
        height = picked_number(row, (columns.height,), "height", fault)
        return (width, height) if width or height else None

    def _image_size(self, row: Row, fault: Fault) -> tuple[int, int] | None:
        columns = self.columns
        names = (columns.width, columns.height) if self.is_of_image else (columns.image_width, columns.image_height)
        width, height = picked(row, names[:1]), picked(row, names[1:])
        if not width or not height:
            return None
        wide = whole_number(picked_number(row, names[:1], "the image's width", fault), "the image's width", fault)
        high = whole_number(picked_number(row, names[1:], "the image's height", fault), "the image's height", fault)
        return (high, wide)

    def _geometry(self, row: Row, fault: Fault) -> Point | Box:
        y, x = self._position(row, fault)
        if self.columns.x_far:
            far = picked_number(row, (self.columns.x_far,), "x", fault)
            low = picked_number(row, (self.columns.y_far,), "y", fault)
            return box_at(x, y, far - x, low - y, True, fault)
        size = None if self.is_of_image else self._size(row, fault)
        return Point(y, x) if size is None else box_at(x, y, *size, self.is_corner, fault)

    def remarks(self, values: ColumnValues) -> tuple[str, ...]:
        """Return what a person should know of how the table was understood."""
        columns, said = self.columns, []
        if self.is_of_image:
            said.append("width and height are those of the images, so cells were imported as points.")
        if self.boxes and not columns.is_own and not columns.is_corner and self.choices.position == "auto":
            said.append("x and y were taken as the centre of each box (--position corner if they are its top left).")
        if columns.is_imagej:
            said.append("ImageJ's results have no classes, and their positions were read as pixels.")
        if values.numeric.get(columns.class_name):
            said.append(f"the classes in the column {columns.class_name} are numbers; a map gives them names (--map).")
        names = [name for name in columns.unused_classes if not values.numeric[name]]
        if names:
            said.append(f"classes are from the column {columns.class_name}, not from {', '.join(names)}.")
        return (*(f"{self.path.name}: {words}" for words in said), *self.left_out.remarks(self.path.name))


def _status(row: Mapping[str, str], fault: Fault) -> Status:
    value = row.get("status", "").strip().lower()
    if value and value not in set(Status):
        raise fault(f"expected one of the statuses {', '.join(Status)}, or none, got {value!r:.40}.")
    return Status(value) if value else Status.ACCEPTED


def _scores(row: Row, class_id: str, fault: Fault) -> tuple[tuple[str, float], ...]:
    if not picked(row, SCORE):
        return ()
    score = picked_number(row, SCORE, "the score", fault, 1.0)
    if score < 0:
        raise fault(f"expected a score from 0 to 1, got {score:g}.")
    return ((class_id, score),)


def _identity(value: str, taken: set[str]) -> str:
    try:
        result = uuid.UUID(value.strip()).hex if 0 < len(value) <= 64 else new_id()
    except ValueError:
        result = new_id()
    if result in taken:
        return new_id()
    taken.add(result)
    return result
