"""Promise: rows that are read without making annotations of them are refused as annotations are, word for word."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation_rows import utc_text
from napari_cyto.store._rows import VERSION_COLUMNS, annotation_of, checked, good_outlines
from napari_cyto.store._validity import RowFault, _shown
from napari_cyto.store.recovery.damage_message import ALREADY_SAID

SLIDES = {1: "slide"}
TRIANGLE = struct.pack("<6d", 0, 0, 0, 4, 4, 4)
BOX: tuple[Any, ...] = (
    *("c" * 32, 1, "box", 1.0, 2.0, 3.0, 4.5, None, "HSIL", "accepted", "Ann", "drawn"),
    *('[["HSIL", 0.5]]', 1_700_000_000_000_001, ""),
)
POINT = (*BOX[:2], "point", 1.0, 2.0, 1.0, 2.0, *BOX[7:])
OUTLINE = (*BOX[:2], "polygon", 0.0, 0.0, 4.0, 4.0, TRIANGLE, *BOX[8:])
NUCLEUS, CELL, UNACCEPTED = (
    (*OUTLINE[:2], kind, *OUTLINE[3:7], corners + struct.pack("<2d", math.nan, count), *OUTLINE[8:])
    for kind, corners, count in (("nucleus", TRIANGLE, 3), ("cell", TRIANGLE * 2, 3), ("cell", TRIANGLE * 2, -3))
)
GOOD = [BOX, POINT, OUTLINE, NUCLEUS, CELL, UNACCEPTED]
NUMBERS = [math.nan, math.inf, -math.inf, 2.0**41, -(2.0**41), -5.0, 0.0, 10, True, None, "1.0", b"1"]
TEXTS = [None, "", 5, b"box", "x" * 32_768, "accepted", "point", "box", "polygon"]
COUNTS = (0, 2, 3, -3, 3.5, 4, 5, 6, 7, 1e308, math.inf, math.nan)
CORNERS = [
    b"",
    b"x",
    TRIANGLE[:32],
    "a" * 48,
    *(struct.pack("<6d", 0, 0, 0, x, 4, 4) for x in (math.nan, math.inf, 1e300)),
    *(TRIANGLE * rings + struct.pack("<2d", math.nan, count) for rings in (1, 2) for count in COUNTS),
    *(TRIANGLE * 2 + struct.pack("<2d", *last) for last in ((1.0, 3.0), (math.inf, 3.0))),
    struct.pack("<2d", math.nan, 4.0) + TRIANGLE + struct.pack("<2d", math.nan, 4.0),
]
SCORES = [
    *('[["HSIL", 1.5]]', '[["HSIL", NaN]]', '[["HSIL", -0.5]]', '[["HSIL", "0.5"]]', '[["HSIL", 0.5]] ', "[[1, 0.5]]"),
    *('[["HSIL", 1.0]]', '[["HSIL", 0.5], ["LSIL", 0.5]]', '[["HSIL", 0.5], ["LSIL", 7]]', '[["\\u00e9", 1e-05]]'),
    *("own", "null", "[]", '[["HSIL", 0.]]', '[["HSIL", 0.5', 0, None),
]
FIELDS = [*NUMBERS, *TEXTS, *CORNERS, *SCORES, 10**30, -(10**18), "n" * 1_000_001]


def outcome(row: tuple[Any, ...], slide_ids: dict[int, str]) -> str:
    try:
        annotation_of(row, slide_ids)
    except RowFault as fault:
        return str(fault)
    return ""


def outcome_of_last(rows: list[tuple[Any, ...]]) -> str:
    found = checked([rows], SLIDES)
    for _ in rows[:-1]:
        next(found)
    try:
        assert next(found) == rows[-1]
    except RowFault as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize("good", GOOD, ids=lambda row: row[2])
@pytest.mark.parametrize("place", range(15))
def test_a_field_of_a_stranger(good: tuple[Any, ...], place: int) -> None:
    assert outcome(good, SLIDES) == ""
    for value in FIELDS:
        row = (*good[:place], value, *good[place + 1 :])
        # Also after rows that are like it in all that is looked at once.
        said = outcome(row, SLIDES)
        assert outcome_of_last([row]) == outcome_of_last([*GOOD, row]) == said, row
        assert not said or names_the_fault(said, row, place), said


def names_the_fault(said: str, row: tuple[Any, ...], place: int) -> bool:
    """Whether a sentence names the table, the row, the field and its value; a shape may be told as one."""
    where = f"{ALREADY_SAID}in the table 'version', row {_shown(row[0])}, the field"
    name = VERSION_COLUMNS[place].name
    if said.startswith(f"{where} '{name}' is {_shown(row[place])}, expected "):
        return True
    # A box turned round, a polygon without corners, a slide that is not there.
    bounds = ("y0, x0, y1, x1",)
    shape = {"kind": (*bounds, "vertices")} | dict.fromkeys(("slide_pk", "y0", "x0", "y1", "x1"), bounds)
    return any(said.startswith(f"{where} '{each}' is ") for each in shape.get(name, ()))


def test_good_outlines_are_found_for_a_batch_without_a_look_at_each() -> None:
    assert good_outlines([*GOOD, (*CELL[:7], CELL[7][:-16], *CELL[8:])]) == {2, 3, 4, 5}
    assert good_outlines([BOX, POINT]) == good_outlines([]) == frozenset()


@given(st.integers(-62_135_000_000_000_000, 253_402_000_000_000_000))
def test_a_moment_as_text(us: int) -> None:
    assert utc_text(us) == (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()
    whole = us - us % 1_000_000
    assert utc_text(whole) == (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=whole)).isoformat()
