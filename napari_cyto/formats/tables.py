"""Tables of text with a header, whatever separates their columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cyto.errors import FormatError
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.text import FARTHEST_PX, Fault, number, read_text

if TYPE_CHECKING:
    from _csv import Reader as _Reader

_SEPARATORS = (",", ";", "\t", "|")
# Excel's own line before the header; where the file was saved again, separators may follow it.
_STATED = re.compile(r'"?sep=([^"\r\n])"?[,;\t|]*', re.IGNORECASE)
_WITH_COMMA = re.compile(r"[-+]?\d*(,\d+)+(e[-+]?\d+)?", re.IGNORECASE)
_WITH_POINT = re.compile(r"[-+]?\d*\.\d+(e[-+]?\d+)?", re.IGNORECASE)
_THOUSANDS, _LARGE = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+"), re.compile(r"[-+]?\d{4,}")
# Source: OWASP, "CSV Injection": = + - @, tab, carriage return, line feed and the wide forms begin a formula. What
# already has apostrophes before such a sign gets one more, so that one can be taken off whatever it was.
_MAY_BE_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]").match
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII).fullmatch
_NEEDS_QUOTES = re.compile('[,"\r\n]').search
_MAX_FIELD = 1 << 20
_MOST_NAMES = 3


class Row(dict[str, str]):
    """A row of a table by its lower-case column names.

    Parameters
    ----------
    values : mapping
        The texts, as they stand.
    decimal_comma : bool
        Whether its numbers may have a comma before their decimals, since something else separates the columns.
    """

    __slots__ = ("decimal_comma",)

    def __init__(self, values: Mapping[str, str], decimal_comma: bool = False) -> None:
        super().__init__(values)
        self.decimal_comma = decimal_comma


class Table:
    """A table that may be gone through more than once.

    The separator is what a line ``sep=;`` before the header says, else the one of ``, ; tab |`` that the header holds
    most of. Blank lines are passed over.

    Parameters
    ----------
    path : Path
        The file.
    needed : sequence of sequences of str
        Columns that must be there, each given by all its accepted names.

    Attributes
    ----------
    columns : list of str
        The names of the header, in lower case.
    header : Fault
        The header's place.

    Raises
    ------
    FormatError
        When a needed column is missing, a column doubled, or the file no text.
    """

    def __init__(self, path: Path, needed: Sequence[Sequence[str]] = ()) -> None:
        self._path, self._text = path, read_text(path)
        self._separator, self._skipped = _separator(self._text)
        first = next(self._lines(), None)
        if first is None:
            raise FormatError(f"expected a header{_with(needed)}, but the file is empty.", path)
        self.header = Fault(path, line=first[0])
        self.columns = [name.strip().lower() for name in first[1]]
        self.check(needed)

    def check(self, needed: Sequence[Sequence[str]]) -> None:
        """Refuse a table that lacks a column or has one doubled.

        Raises
        ------
        FormatError
            Naming the column.
        """
        missing = [names[0] for names in needed if not set(names) & set(self.columns)]
        if missing:
            found = ", ".join(c for c in self.columns if c)[:120]
            reason = f"expected a header{_with(needed)}, but {', '.join(missing)} is missing; found: {found}."
            raise self.header(reason)
        doubled = sorted({c for c in self.columns if c and self.columns.count(c) > 1})
        if doubled:
            raise self.header(f"the column {doubled[0]!r:.60} occurs more than once.")

    def rows(self, bad: BadRows | None = None) -> Iterator[tuple[Row, Fault]]:
        """Yield each row with its place in the file.

        Parameters
        ----------
        bad : BadRows, optional
            Takes the rows that are too long or whose quotes are not right; without it the first of them is refused.

        Raises
        ------
        FormatError
            When a row is too long, or its quotes are not right.
        """
        lines = self._lines(bad)
        next(lines)
        width = len(self.columns)
        for line, values in lines:
            if any(v.strip() for v in values[width:]):
                error = FormatError(f"expected {width} values, got {len(values)}.", self._path, line)
                if bad is None:
                    raise error
                bad.add(error)
                continue
            padded = [unguarded(v) for v in values] + [""] * (width - len(values))
            named = dict(zip(self.columns, padded, strict=False))
            yield Row(named, self._separator != ","), Fault(self._path, line=line)

    def check_numbers(self, names: Iterable[str]) -> None:
        """Refuse a table in which a comma in one of these columns may be more than one thing.

        That is where a column has decimal commas and decimal points, and where each of its commas may as well part
        thousands. Nothing is checked where commas separate the columns.

        Raises
        ------
        FormatError
            Naming column, values and lines.
        """
        kept_names = [name for name in names if name in self.columns]
        if self._separator == "," or not kept_names:
            return
        seen = {name: _Separators() for name in kept_names}
        for row, fault in self.rows(BadRows(self._path)):
            for name, separators in seen.items():
                separators.add(row[name].strip(), fault)
        for name, separators in seen.items():
            if said := separators.doubt():
                raise self.header(f"the column {name!r:.60} has {said}")

    def _lines(self, bad: BadRows | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield each row that is not blank with its line.

        After a row whose quotes are not right the next line is the next row: a quote that is never closed would else
        take all that follows with it. The header must be right.
        """
        first, has_header, previous = 0, False, csv.field_size_limit()
        texts = list(io.StringIO(self._text, newline=""))
        reader = self._reader(texts, first)
        while True:
            line = first + reader.line_num + 1
            csv.field_size_limit(_MAX_FIELD)
            try:
                values = next(reader)
                if has_header and self._are_rows(texts[line : first + reader.line_num]):
                    raise csv.Error("a quotation mark in it turns the following rows into text")
            except StopIteration:
                return
            except csv.Error as error:
                refused = FormatError(f"the row cannot be read ({error}).", self._path, line)
                if bad is None or not has_header:
                    raise refused from error
                bad.add(refused)
                first = line
                reader = self._reader(texts, first)
                continue
            finally:
                csv.field_size_limit(previous)
            if line > self._skipped and any(value.strip() for value in values):
                has_header = True
                yield line, values

    def _are_rows(self, inside: list[str]) -> bool:
        """Whether a line within a quoted text has as many values as a row: two stray quotes enclose such lines."""
        rows = csv.reader(inside, delimiter=self._separator, quoting=csv.QUOTE_NONE)
        return len(self.columns) > 2 and any(len(values) == len(self.columns) for values in rows)

    def _reader(self, texts: list[str], first: int) -> _Reader:
        rest = (texts[place] for place in range(first, len(texts)))
        return csv.reader(rest, delimiter=self._separator, strict=True)


@dataclass(slots=True)
class _Separators:
    """What the numbers of a column have before their decimals, with the first value of each kind."""

    comma: str = ""
    point: str = ""
    may_part_thousands: bool = True

    def add(self, value: str, fault: Fault) -> None:
        if _WITH_COMMA.fullmatch(value):
            self.comma = self.comma or f"{value!r:.40} in line {fault.line}"
            self.may_part_thousands = self.may_part_thousands and _THOUSANDS.fullmatch(value) is not None
        elif _WITH_POINT.fullmatch(value):
            self.point = self.point or f"{value!r:.40} in line {fault.line}"
        elif _LARGE.fullmatch(value):
            self.may_part_thousands = False

    def doubt(self) -> str:
        """Return why a comma may be more than one thing, empty where it is not so."""
        if self.comma and self.point:
            return f"commas ({self.comma}) and points ({self.point}) before decimals; use one of them throughout."
        if self.comma and self.may_part_thousands:
            return (
                f"commas that may separate decimals or thousands ({self.comma}); write thousands without a comma, "
                "or decimals with a point."
            )
        return ""


def read_table(path: Path, needed: Sequence[Sequence[str]], bad: BadRows | None = None) -> Iterator[tuple[Row, Fault]]:
    """Yield each row of a table, which is gone through once; see ``Table``.

    Raises
    ------
    FormatError
        When a needed column is missing, a column doubled, a comma more than one thing, or the file no text.
    """
    table = Table(path, needed)
    table.check_numbers(name for names in needed for name in names)
    yield from table.rows(bad)


def _separator(text: str) -> tuple[str, int]:
    """Return what separates the columns, and how many lines stand before the header for that alone."""
    filled = ((place, line) for place, line in enumerate(io.StringIO(text, newline=None)) if line.strip())
    place, header = next(filled, (0, ""))
    stated = _STATED.fullmatch(header.rstrip("\n"))
    if stated is not None:
        return stated[1], place + 1
    return max(_SEPARATORS, key=header.count), 0


def _with(needed: Sequence[Sequence[str]]) -> str:
    if not needed:
        return ""
    return " with " + ", ".join(" or ".join(names[:_MOST_NAMES]) for names in needed)


def picked(row: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the value of the first of ``names`` that is a column and not empty, without blanks round it."""
    for name in names:
        value = row.get(name, "").strip() if name else ""
        if value:
            return value
    return ""


def picked_number(
    row: Mapping[str, str], names: Sequence[str], what: str, fault: Fault, farthest: float = FARTHEST_PX
) -> float:
    """Return the number in the first of ``names`` that is a column and not empty, with a decimal comma if it may.

    Raises
    ------
    FormatError
        When it is none; made by ``fault``.
    """
    text = picked(row, names)
    if getattr(row, "decimal_comma", False) and _WITH_COMMA.fullmatch(text) and text.count(",") == 1:
        text = text.replace(",", ".")
    return number(text, what, fault, farthest)


def table_line(values: Iterable[object]) -> str:
    """Return one line of a comma-separated table, with its line end.

    Quotes also what holds a carriage return, which ``csv.writer`` leaves bare when lines end in LF. What a spreadsheet
    would take for a formula gets an apostrophe before it, which `Table` takes off again.
    """
    return ",".join(map(table_field, map(str, values))) + "\n"


def table_field(text: str) -> str:
    """Return a value as it stands in a line of a table; see `table_line`."""
    if _MAY_BE_FORMULA(text) and not _NUMBER(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES(text) else text


def unguarded(text: str) -> str:
    """Return a value as it was before `table_field` made it harmless for spreadsheets."""
    return text[1:] if text.startswith("'") and _MAY_BE_FORMULA(text) and not _NUMBER(text) else text


def plain_number(value: float) -> str:
    """Return the shortest text that reads back as ``value``: ``12``, not ``12.0``."""
    text = repr(float(value))
    if text[-2:] != ".0":
        return text
    if text == "-0.0":
        return "0"
    return text[:-2] if -1e15 < value < 1e15 else text
