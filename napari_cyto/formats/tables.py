"""Tables of text with a header, whatever separates their columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from napari_cyto.errors import FormatError
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.text import Fault, read_text

_SEPARATORS = (",", ";", "\t", "|")
_MAX_FIELD = 1 << 20


def read_table(
    path: Path, needed: Sequence[Sequence[str]], bad: BadRows | None = None
) -> Iterator[tuple[Mapping[str, str], Fault]]:
    """Yield each row of a table by its lower-case column names, with its place in the file.

    The separator is the one of ``, ; tab |`` that the header holds most of. Blank lines are passed over.

    Parameters
    ----------
    path : Path
        The file.
    needed : sequence of sequences of str
        Columns that must be there, each given by all its accepted names.
    bad : BadRows, optional
        Takes the rows that are too long; without it the first of them is refused.

    Raises
    ------
    FormatError
        When a needed column is missing, a column doubled, a row too long, or the file no text.
    """
    text = read_text(path)
    header_line = text.lstrip("\r\n").partition("\n")[0]
    separator = max(_SEPARATORS, key=header_line.count)
    rows = _rows(text, separator, path)
    first = next(rows, None)
    if first is None:
        raise FormatError(f"expected a header with {_names(needed)}, but the file is empty.", path)
    columns = [name.strip().lower() for name in first[1]]
    _check_columns(columns, needed, Fault(path, line=first[0]))
    for line, values in rows:
        if len(values) > len(columns) and any(v.strip() for v in values[len(columns) :]):
            error = FormatError(f"expected {len(columns)} values, but {len(values)} came.", path, line)
            if bad is None:
                raise error
            bad.add(error)
            continue
        padded = values + [""] * (len(columns) - len(values))
        yield dict(zip(columns, padded, strict=False)), Fault(path, line=line)


def _rows(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    previous = csv.field_size_limit()
    line = 0
    while True:
        csv.field_size_limit(_MAX_FIELD)
        try:
            line = reader.line_num + 1
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FormatError(f"the row cannot be read ({error}).", path, line) from error
        finally:
            csv.field_size_limit(previous)
        if any(value.strip() for value in values):
            yield line, values


def _check_columns(columns: Sequence[str], needed: Sequence[Sequence[str]], fault: Fault) -> None:
    missing = [names[0] for names in needed if not set(names) & set(columns)]
    if missing:
        found = ", ".join(c for c in columns if c)[:120]
        raise fault(f"expected a header with {_names(needed)}, but {', '.join(missing)} is missing; found: {found}.")
    doubled = sorted({c for c in columns if c and columns.count(c) > 1})
    if doubled:
        raise fault(f"the column {doubled[0]!r:.60} occurs more than once.")


def _names(needed: Sequence[Sequence[str]]) -> str:
    return ", ".join(" or ".join(names) for names in needed)


def picked(row: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the value of the first of ``names`` that is a column and not empty, without blanks round it."""
    for name in names:
        value = row.get(name, "").strip()
        if value:
            return value
    return ""


def table_line(values: Iterable[object]) -> str:
    """Return one line of a comma-separated table, with its line end.

    Quotes also what holds a carriage return, which ``csv.writer`` leaves bare when lines end in LF.
    """
    return ",".join(_field(str(value)) for value in values) + "\n"


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def plain_number(value: float) -> str:
    """Return the shortest text that reads back as ``value``: ``12``, not ``12.0``."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
