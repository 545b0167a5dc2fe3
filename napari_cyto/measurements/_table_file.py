"""The measured cells as a file: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import beside
from napari_cyto.files.csv_table import write_csv
from napari_cyto.files.replacement import replacing
from napari_cyto.measurements._cell_table import FACTS, HEADINGS, CellTable
from napari_cyto.measurements._columns import TABLE_COLUMNS

SUFFIXES = (".csv", ".parquet")


def check_table_file(target: Path) -> None:
    """Refuse a file that could not be written in the end, before anything is measured for it.

    Raises
    ------
    CytoError
        When its name ends in neither .csv nor .parquet, or pyarrow is missing for the latter.
    """
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise CytoError(f"Expected a file that ends in .csv or .parquet, got {target.name}.")
    if suffix == ".parquet":
        _pyarrow()


def write_table(target: Path, table: CellTable, rows: npt.NDArray[np.intp] | None = None) -> None:
    """Write measured cells, whole or not at all.

    Parameters
    ----------
    target : Path
        ``.csv``: texts, flags as yes or no, six digits, nothing where there is no number. ``.parquet``: the same
        columns with their types, the formula of each with it.
    table : CellTable
        The cells.
    rows : ndarray, intp, optional
        Which, and in which order; all without.

    Raises
    ------
    CytoError
        When the name ends otherwise, the place cannot be written, or pyarrow is missing.
    """
    check_table_file(target)
    if target.suffix.lower() == ".csv":
        write_csv(target, HEADINGS, _csv_rows(table, rows))
    else:
        _write_parquet(target, table, rows)


def _csv_rows(table: CellTable, rows: npt.NDArray[np.intp] | None) -> Iterator[list[object]]:
    for row in table.rows(rows):
        yield [_csv_value(value) for value in row]


def _csv_value(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return value


def _write_parquet(target: Path, table: CellTable, rows: npt.NDArray[np.intp] | None) -> None:
    arrow, parquet = _pyarrow()
    said = {column.name: f"{column.title}: {column.formula}" for column in TABLE_COLUMNS}
    said["outline_accepted"] = "Whether a person drew or accepted the outline; what is measured on others is uncertain."
    types = [*(arrow.string() for _ in range(4)), *(arrow.bool_() for _ in FACTS[4:])]
    types += [arrow.float64() for _ in TABLE_COLUMNS]
    fields = [
        arrow.field(name, kind, metadata={"description": said[name]} if name in said else None)
        for name, kind in zip(HEADINGS, types, strict=True)
    ]
    columns = list(zip(*table.rows(rows), strict=True)) or [()] * len(HEADINGS)
    arrays = [
        # A number that there is not is null in Parquet, as it is empty in CSV.
        arrow.array(column, type=kind, from_pandas=True)
        for column, kind in zip(columns, types, strict=True)
    ]
    content = io.BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=arrow.schema(fields)), content)
    with replacing(target):
        temporary = beside(target, "partial")
        temporary.write_bytes(content.getvalue())
        temporary.replace(target)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CytoError(
            'A Parquet file needs pyarrow, which is not here; install it with: pip install "napari-cyto[parquet]", or '
            "write a .csv file."
        ) from error
    return pyarrow, pyarrow.parquet
