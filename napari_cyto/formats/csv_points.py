"""Plain CSV of points: ``x, y, label`` and a header, further columns welcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.annotation_rows import KIND, Row, bounds_of, score_text
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.quantities import UmPerPx
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.atomic import atomic_file
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._csv_columns import ColumnValues, find_columns
from napari_cyto.formats._csv_read import Choices, read_points
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats._tables_napari import is_napari, read_napari
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.boxes import rows_by_slide
from napari_cyto.formats.csv_sizes import Position, SizeFinder, SizeOf
from napari_cyto.formats.label_format import (
    ON_READING,
    ON_WRITING,
    Capabilities,
    StatusOptions,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.tables import Table, plain_number, table_field, table_line
from napari_cyto.formats.tables_qupath import MppFinder, is_qupath, read_qupath

_PLAIN = ("x", "y", "label")
_MORE = ("image", "width", "height", "score", "status", "author", "note", "id")


class CsvOptions(StatusOptions):
    """Which columns are written, and what those of others mean."""

    position: Position = Field(
        json_schema_extra=ON_READING,
        default="auto",
        title="Position of boxes",
        description="Which point of a box x and y are: its centre or its top-left corner. auto: as the column names "
        "say, otherwise the centre, unless boxes would then extend beyond the image.",
    )
    size_of: SizeOf = Field(
        json_schema_extra=ON_READING,
        default="auto",
        title="Width and height of",
        description="What width and height measure: the cell, or the image (cells are then points). auto: found out "
        "from the images.",
    )
    unclassified: str = Field(
        json_schema_extra=ON_READING,
        default="unclassified",
        min_length=1,
        max_length=200,
        title="Class of unclassified points",
        description="The class that points get if their table has no classes.",
    )
    mpp: UmPerPx | None = Field(
        json_schema_extra=ON_READING,
        default=None,
        title="µm per px",
        description="For QuPath tables with centroids in µm, if the image does not state it.",
    )
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
        return super().statuses - {Status.UNREVIEWED}


class CsvFormat:
    """One table for all slides; x and y in level-0 px, a box by its centre and size."""

    name = "csv"
    title = "CSV of points"
    description = "A table with x, y and label, for spreadsheets and scripts."
    target_kind: TargetKind = "file"
    suffix = ".csv"
    options_type = CsvOptions
    capabilities = Capabilities(may_be_um=True)

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a table with columns for x and y that is not one of another format."""
        seen = Glimpse.of(source)
        names_images = any(name in seen.columns for name in ("image_filename", "image"))
        is_cric = names_images and any(name in seen.columns for name in ("bethesda_system", "bethesda"))
        found = find_columns(() if is_cric else seen.columns, ColumnValues())
        return bool(found.x and found.y) or is_napari(seen.columns) or is_qupath(seen.columns)

    @names_what_came
    def read(
        self,
        source: Path,
        *,
        size_finder: SizeFinder | None = None,
        mpp_finder: MppFinder | None = None,
        **options: Any,
    ) -> LabelSet:
        """Return the points (and boxes, where cells have a width and height) of a table; see ``read_points``.

        napari's own tables of points and shapes and QuPath's of measurements are read as what they are.

        Parameters
        ----------
        source : Path
            The table.
        size_finder : callable, optional
            Gives the size of an image, to tell whether width and height are its own.
        mpp_finder : callable, optional
            Gives the µm per px of an image, for the centroids in µm of QuPath's tables.
        **options
            Those of ``CsvOptions``.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(CsvOptions, options)
        columns = Table(Path(source)).columns
        if is_napari(columns):
            return read_napari(Path(source), chosen.unclassified, chosen.skip_bad)
        if is_qupath(columns):
            find = mpp_finder or (lambda _name: chosen.mpp)
            return read_qupath(Path(source), chosen.unclassified, find, chosen.skip_bad)
        bad = BadRows(Path(source), chosen.skip_bad)
        choices = Choices(chosen.position, chosen.size_of, chosen.unclassified)
        return read_points(Path(source), choices, bad, size_finder or (lambda _name: None))

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what a table cannot carry."""
        chosen = checked_options(CsvOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        sentences = losses.status_losses(labels, chosen, carries_status=chosen.more_columns)
        sentences += losses.region_losses(labels, chosen)
        sentences += losses.shape_losses(cells, "boxes and points" if chosen.more_columns else "points")
        if not chosen.more_columns:
            sentences += losses.feature_losses(cells, "author", "note", "score")
        partial = losses.how_many(cells, losses.has_other_scores)
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
        groups = rows_by_slide(labels, losses.written(labels, chosen, regions=False))
        columns = (*_PLAIN, *(_MORE if chosen.more_columns else ("image",) if len(labels.slides) > 1 else ()))
        if chosen.more_columns and any(slide.fingerprint for slide in labels.slides):
            columns = (*columns, "image_fingerprint")
        with atomic_file(target) as path, path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(table_line(columns))
            for slide, rows in groups:
                stream.writelines(_lines(rows, slide, columns))


def _lines(rows: Iterable[Row], slide: SlideRecord, columns: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one slide; what is the same in most of them is made ready once."""
    text = lru_cache(maxsize=4096)(table_field)
    image, digest = table_field(slide.name), table_field(slide.fingerprint)
    end = {"image_fingerprint": f",{digest}\n"}.get(columns[-1], "\n")
    more, with_image = "status" in columns, "image" in columns
    for row in rows:
        y0, x0, y1, x1 = bounds_of(row)
        (annotation_id, *_, class_id, status, author, _origin, scores, _created, note) = row
        if row[KIND] == "point":
            place, size = f"{plain_number(x0)},{plain_number(y0)}", ","
        else:
            place = f"{plain_number((x0 + x1) / 2)},{plain_number((y0 + y1) / 2)}"
            size = f"{plain_number(x1 - x0)},{plain_number(y1 - y0)}" if more else ""
        if more:
            score = score_text(scores, class_id, plain_number).removesuffix(".0")
            name = annotation_id if annotation_id.isalnum() else table_field(annotation_id)
            yield (
                f"{place},{text(class_id)},{image},{size},{score},{status},{text(author)},"
                f"{table_field(note) if note else ''},{name}{end}"
            )
        else:
            yield f"{place},{text(class_id)}{f',{image}' if with_image else ''}{end}"
