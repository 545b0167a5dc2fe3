"""What a value in a project's database may be: checked when it is stored, and again when it is read.

The database may be a stranger's, or damaged: a value that this program never writes is named and refused.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from napari_cyto.domain.annotation_rows import from_us
from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.store.recovery.damage_message import ALREADY_SAID

# Without the search for white space round it, which takes longer than the rest.
_parse = json.JSONDecoder().raw_decode
LONGEST_NAME = 32_767
LONGEST_NOTE = 1_000_000
PX_MAX = 2.0**40
SIZE_MAX_PX = 2**31 - 1
# Far beyond what slides have (0.05 to 20), since label formats state it for other images too.
MPP_RANGE_UM = (1e-6, 1e6)
# Source: Python's datetime, 0001-01-01 to 9999-12-31, less a few days at each end for time zones.
US_RANGE = (-62_135_000_000_000_000, 253_402_000_000_000_000)
# Numbers of rows and revisions grow by one; far above them the next one would not fit into a row.
NUMBER_MAX = 2**62
# A model's shares are float32 and may round a hair beyond 1.
_SCORE_SLACK = 1e-6
# What reading a value that is not ours may raise.
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    struct.error,
)


class RowFault(DamagedError):
    """A row that this program never writes; the database that was asked adds its own name and what to do."""

    def __init__(self, table: str, row: object, column: str, value: object, due: str) -> None:
        where = f"in the table '{table}', row {_shown(row)}, the field '{column}'"
        self.words = f"{where} is {_shown(value)}, expected {due}"
        super().__init__(f"{ALREADY_SAID}{self.words}.")

    def __reduce__(self) -> tuple[object, ...]:
        return (DamagedError, (str(self),))


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**30 else "a huge number"
    if isinstance(value, str | bytes) and len(value) > 60:
        return f"{value[:40]!a}... ({len(value):,} long)"
    return f"{value!a:.80}"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_text(value: object, longest: int = LONGEST_NAME) -> bool:
    """Whether a value is text of a length that this program stores."""
    return isinstance(value, str) and len(value) <= longest


def is_name(value: object) -> bool:
    """Whether a value is text that is not empty."""
    return is_text(value) and value != ""


def is_path(value: object) -> bool:
    """Whether a value is text that can be a path, or empty."""
    return is_text(value) and "\0" not in str(value)


def is_note(value: object) -> bool:
    """Whether a value is text as long as a note may be."""
    return is_text(value, LONGEST_NOTE)


def is_number(value: object) -> bool:
    """Whether a value can be the number of a row, or count rows."""
    return _is_whole(value) and 0 <= value < NUMBER_MAX  # type: ignore[operator]


def is_moment(value: object) -> bool:
    """Whether a value is a moment, µs since 1970."""
    return _is_whole(value) and US_RANGE[0] <= value <= US_RANGE[1]  # type: ignore[operator]


def is_px(value: object) -> bool:
    """Whether a value is a finite place, level-0 px."""
    return _is_real(value) and abs(value) <= PX_MAX  # type: ignore[arg-type]


def is_size(value: object) -> bool:
    """Whether a value is a width or height, px, or unknown."""
    return value is None or (_is_whole(value) and 0 < value <= SIZE_MAX_PX)  # type: ignore[operator]


def is_offset(value: object) -> bool:
    """Whether a value is a whole place, px, or unknown."""
    return value is None or (_is_whole(value) and abs(value) <= PX_MAX)  # type: ignore[arg-type]


def is_mpp(value: object) -> bool:
    """Whether a value is µm per px, or unknown."""
    return value is None or (_is_real(value) and MPP_RANGE_UM[0] <= value <= MPP_RANGE_UM[1])  # type: ignore[operator]


def is_score(value: object) -> bool:
    """Whether a value is a score, 0 to 1."""
    return _is_real(value) and -_SCORE_SLACK <= value <= 1 + _SCORE_SLACK  # type: ignore[operator]


def scores_of(text: str) -> tuple[tuple[str, float], ...]:
    """Return the scores that a row's text holds.

    Raises
    ------
    ValueError
        When they are no list of class ids and scores 0 to 1.
    """
    found, end = _parse(text)
    if end != len(text):
        raise ValueError("something follows the scores")
    scores = tuple([(name, score) for name, score in found])
    for name, score in scores:
        if not isinstance(name, str) or not is_score(score):
            raise ValueError("scores are class ids and numbers 0 to 1")
    return scores


def json_of(text: object, table: str, row: object, column: str) -> Any:
    """Return the value that a text column holds as JSON.

    Raises
    ------
    RowFault
        When it is no JSON.
    """
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except UNREADABLE as error:
        raise RowFault(table, row, column, text, "JSON") from error


def number_of(value: object, table: str, row: object, column: str) -> int:
    """Return a value that must be a whole number from 0.

    Raises
    ------
    RowFault
        When it is none.
    """
    if not is_number(value):
        raise RowFault(table, row, column, value, NUMBER[1])
    return int(value)  # type: ignore[call-overload, no-any-return]


def moment_of(value: object, table: str, row: object, column: str) -> datetime:
    """Return the moment that µs since 1970 mean, aware, UTC.

    Raises
    ------
    RowFault
        When the value means none.
    """
    if not is_moment(value):
        raise RowFault(table, row, column, value, MOMENT[1])
    return from_us(value)  # type: ignore[arg-type]


def text_of(value: object, table: str, row: object, column: str) -> str:
    """Return a value that must be text.

    Raises
    ------
    RowFault
        When it is none.
    """
    if not isinstance(value, str):
        raise RowFault(table, row, column, value, "text")
    return value


def need(good: bool, table: str, row: object, column: str, value: object, due: str) -> None:
    """Refuse a value that is not good.

    Raises
    ------
    RowFault
        Naming the table, row and field.
    """
    if not good:
        raise RowFault(table, row, column, value, due)


@contextmanager
def row_of(table: str, row: object, column: str, due: str) -> Iterator[None]:
    """Turn what reading a foreign value raises into the sentence that names where it is."""
    try:
        yield
    except UNREADABLE as error:
        raise RowFault(table, row, column, str(error), due) from error


Check = tuple[Callable[[Any], bool], str]
NAME: Check = (is_name, "text that is not empty")
TEXT: Check = (is_text, f"text of at most {LONGEST_NAME:,} characters")
PATH: Check = (is_path, "the path of a file")
NOTE: Check = (is_note, f"text of at most {LONGEST_NOTE:,} characters")
NUMBER: Check = (is_number, "a whole number from 0")
MOMENT: Check = (is_moment, "a moment in µs since 1970")
PX: Check = (is_px, "a finite number of px")
SIZE: Check = (is_size, "a whole number of px above 0, or nothing")
OFFSET: Check = (is_offset, "a whole number of px, or nothing")
MPP: Check = (is_mpp, f"µm per px from {MPP_RANGE_UM[0]:g} to {MPP_RANGE_UM[1]:g}, or nothing")


def check_row(table: str, row: object, values: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Refuse a row with a value that this program never writes.

    Raises
    ------
    RowFault
        Naming the first such field.
    """
    for column, (good, due) in checks.items():
        if not good(values[column]):
            raise RowFault(table, row, column, values[column], due)


def check_new(what: str, values: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Refuse to store what could not be read again.

    Raises
    ------
    StoreError
        Naming the field.
    """
    for column, (good, due) in checks.items():
        if not good(values[column]):
            raise StoreError(f"{what} was not stored: expected {due} for its {column}, got {_shown(values[column])}.")
