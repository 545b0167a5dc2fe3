"""Plain CSV of points: ``x, y, label`` and a header, further columns welcome."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.annotation import Annotation, Status, imported_from, new_id, now_utc
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats import losses
from napari_cyto.formats.atomic import atomic_file
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.boxes import by_slide
from napari_cyto.formats.label_format import ON_WRITING, StatusOptions, TargetKind, checked_options
from napari_cyto.formats.tables import picked, plain_number, read_table, table_line
from napari_cyto.formats.text import Fault, class_name, free_text, number

_X, _Y = ("x", "x_center", "x_px", "center_x"), ("y", "y_center", "y_px", "center_y")
_LABEL = ("label", "class", "class_id", "category", "bethesda", "bethesda_system")
_IMAGE = ("image", "slide", "file", "filename", "file_name", "image_filename")
_PLAIN = ("x", "y", "label")
_MORE = ("image", "width", "height", "score", "status", "author", "note", "id")


class CsvOptions(StatusOptions):
    """Which columns are written."""

    more_columns: bool = Field(
        json_schema_extra=ON_WRITING,
        default=True,
        title="All columns",
        description=f"Also write {', '.join(_MORE)}; else only x, y and label (and image, when there are several).",
    )

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that are written; without a column for them, proposals only when asked for by name."""
        if self.more_columns or "include_proposed" in self.model_fields_set:
            return super().statuses
        return super().statuses - {Status.PROPOSED}


class CsvFormat:
    """One table for all slides; x and y in level-0 px, a box by its centre and size."""

    name = "csv"
    title = "CSV of points"
    description = "A table with x, y and label, for spreadsheets and scripts."
    target_kind: TargetKind = "file"
    suffix = ".csv"
    options_type = CsvOptions

    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the points (and boxes, where width and height are given) of a table.

        Rows without an image belong to a slide that is called like the file.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        path = Path(source)
        bad = BadRows(path, checked_options(CsvOptions, options).skip_bad)
        slides: dict[str, SlideRecord] = {}
        cells: list[Annotation] = []
        ids: set[str] = set()
        origin, now = imported_from(path.name), now_utc()
        for row, fault in read_table(path, (_X, _Y, _LABEL), bad):
            name = free_text(picked(row, _IMAGE), 500) or path.stem
            slide = slides.setdefault(name, SlideRecord(name=name))
            with bad:
                class_id = class_name(picked(row, _LABEL), fault)
                cells.append(
                    Annotation(
                        slide_id=slide.id,
                        geometry=_geometry(row, fault),
                        class_id=class_id,
                        status=_status(row, fault),
                        author=free_text(row.get("author", "").strip()),
                        origin=origin,
                        scores=_scores(row, class_id, fault),
                        created_utc=now,
                        note=free_text(row.get("note", "")),
                        id=_identity(row.get("id", ""), ids),
                    )
                )
        if not slides:
            slides[path.stem] = SlideRecord(name=path.stem)
        classes = tuple(sorted({a.class_id or "" for a in cells}))
        return LabelSet(tuple(slides.values()), tuple(cells), classes, (), bad.remarks(len(cells)))

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what a table cannot carry."""
        chosen = checked_options(CsvOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        sentences = losses.status_losses(labels, chosen, carries_status=chosen.more_columns)
        sentences += losses.region_losses(labels, chosen)
        sentences += losses.shape_losses(cells, "boxes and points" if chosen.more_columns else "points")
        if not chosen.more_columns:
            sentences += losses.feature_losses(cells, "author", "note", "score")
        partial = sum(any(name != a.class_id for name, _ in a.scores) for a in cells)
        if partial and chosen.more_columns:
            sentences.append(f"Of the scores of {losses.count(partial)} only that of its own class is written.")
        sentences += losses.empty_slide_losses(labels, cells)
        sentences += losses.slide_losses(labels, size_hw="size", mpp="µm per px", smear="smear", side="side")
        return tuple(sentences)

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one table, a row a cell.

        Raises
        ------
        FormatError
            When the place cannot be written.
        """
        chosen = checked_options(CsvOptions, options)
        groups = by_slide(labels, losses.written(labels, chosen, regions=False))
        columns = (*_PLAIN, *(_MORE if chosen.more_columns else ("image",) if len(labels.slides) > 1 else ()))
        with atomic_file(target) as path, path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(table_line(columns))
            for slide, cells in groups:
                for a in cells:
                    row = _row(a, slide)
                    stream.write(table_line(row.get(column, "") for column in columns))


def _row(a: Annotation, slide: SlideRecord) -> dict[str, str]:
    y, x = a.geometry.centre_yx
    row = {"x": plain_number(x), "y": plain_number(y), "label": a.class_id or "", "image": slide.name}
    if not isinstance(a.geometry, Point):
        y0, x0, y1, x1 = a.geometry.bounds_yxyx
        row |= {"width": plain_number(x1 - x0), "height": plain_number(y1 - y0)}
    own = dict(a.scores).get(a.class_id or "")
    score = "" if own is None else plain_number(own)
    return {**row, "score": score, "status": str(a.status), "author": a.author, "note": a.note, "id": a.id}


def _geometry(row: Mapping[str, str], fault: Fault) -> Point | Box:
    y, x = number(picked(row, _Y), "y", fault), number(picked(row, _X), "x", fault)
    width, height = picked(row, ("width", "w")), picked(row, ("height", "h"))
    if not width and not height:
        return Point(y, x)
    w, h = number(width, "width", fault), number(height, "height", fault)
    if w == 0 and h == 0:
        return Point(y, x)
    box = (y - h / 2, x - w / 2, y + h / 2, x + w / 2)
    if box[2] <= box[0] or box[3] <= box[1]:
        raise fault(f"a box needs width and height above 0, but {w:g} x {h:g} came.")
    return Box(*box)


def _status(row: Mapping[str, str], fault: Fault) -> Status:
    value = row.get("status", "").strip().lower()
    if value and value not in set(Status):
        raise fault(f"the status must be {', '.join(Status)} or empty, but {value!r:.40} came.")
    return Status(value) if value else Status.ACCEPTED


def _scores(row: Mapping[str, str], class_id: str, fault: Fault) -> tuple[tuple[str, float], ...]:
    value = picked(row, ("score", "probability"))
    if not value:
        return ()
    score = number(value, "the score", fault, 1.0)
    if score < 0:
        raise fault(f"the score must be 0 to 1, but {score:g} came.")
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
