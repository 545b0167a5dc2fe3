"""Promise: what may be stored ends where it is said to end, and a sentence shows what was there instead."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from napari_cyto.errors import StoreError
from napari_cyto.store import _validity as validity
from napari_cyto.store._kept_values import check_kept
from napari_cyto.store._validity import RowFault

NEITHER = ["1", b"1", [], math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(
    ("fits", "good", "bad"),
    [
        (validity.is_text, ["", "a" * 32_767], ["a" * 32_768, b"a", 1, None]),
        (validity.is_name, ["a", "a" * 32_767], ["", "a" * 32_768, None, b"a"]),
        (validity.is_path, ["", "/a b"], ["a\0b", None, b"a"]),
        (validity.is_note, ["", "a" * 1_000_000], ["a" * 1_000_001, None]),
        (validity.is_number, [0, 2**62 - 1], [-1, 2**62, 1.0, True, None, *NEITHER]),
        (
            validity.is_moment,
            [-62_135_000_000_000_000, 253_402_000_000_000_000],
            [-62_135_000_000_000_001, 253_402_000_000_000_001, 1.0, True, None, *NEITHER],
        ),
        (validity.is_px, [0, -(2.0**40), 2.0**40, 0.5], [2.0**40 + 1, -(2.0**40) - 1, True, None, *NEITHER]),
        (validity.is_size, [None, 1, 2**31 - 1], [0, 2**31, 1.0, True, *NEITHER]),
        (validity.is_offset, [None, 0, 2**40, -(2**40)], [2**40 + 1, -(2**40) - 1, 1.0, True, *NEITHER]),
        (validity.is_mpp, [None, 1e-6, 1, 1e6], [0, 9e-7, 1.1e6, True, *NEITHER]),
        (validity.is_score, [0, 1, 1 + 1e-6, -1e-6, 0.5], [1.1, -0.1, 1 + 2e-6, True, None, *NEITHER]),
    ],
)
def test_a_value_is_ours_up_to_its_limits_and_no_further(fits: Any, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not fits(value)] == []
    assert [value for value in bad if fits(value)] == []


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("[]", ()),
        ('[["HSIL", 1.0]]', (("HSIL", 1.0),)),
        ('[["HSIL", 0.5], ["LSIL", 0]]', (("HSIL", 0.5), ("LSIL", 0))),
        *[(text, None) for text in ('[["HSIL", 2]]', "[[1, 0.5]]", '[["HSIL", 0.5]] 1', '[["HSIL"]]', "x", '{"a": 1}')],
    ],
)
def test_scores_are_class_ids_with_shares(text: str, scores: Any) -> None:
    if scores is None:
        with pytest.raises((ValueError, TypeError), match=r"."):
            validity.scores_of(text)
    else:
        assert validity.scores_of(text) == scores


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**30 - 1, "9" * 30),
        (-(10**30), "a huge number"),
        (True, "True"),
        ("a" * 60, "'" + "a" * 60 + "'"),
        ("é" * 61, "'" + "\\xe9" * 40 + "'... (61 long)"),
        (b"x" * 1000, "b'" + "x" * 40 + "'... (1,000 long)"),
        ([1] * 90, str([1] * 90)[:80]),
    ],
)
def test_what_is_there_instead_is_shown_briefly(value: object, shown: str) -> None:
    with pytest.raises(RowFault) as refused:
        validity.need(False, "slide", "s1", "name", value, "text")
    assert refused.value.words == f"in the table 'slide', row 's1', the field 'name' is {shown}, expected text"
    with pytest.raises(StoreError, match="was not stored: expected text") as kept_out:
        validity.check_new("The slide", {"name": value}, {"name": (lambda _: False, "text")})
    assert str(kept_out.value) == f"The slide was not stored: expected text for its name, got {shown}."


def test_a_reader_names_the_place_and_what_is_due() -> None:
    at, where = ("history", 3, "field"), "in the table 'history', row 3, the field 'field'"
    assert validity.number_of(7, *at) == 7
    assert validity.text_of("a", *at) == "a"
    assert validity.json_of('{"a": [1]}', *at) == {"a": [1]}
    assert validity.moment_of(1_000_000, *at) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    validity.need(True, *at, 1, "all")
    for read, value, due in (
        (validity.number_of, -1, "a whole number from 0"),
        (validity.text_of, 1, "text"),
        (validity.json_of, "{", "JSON"),
        (validity.moment_of, "1", "a moment in µs since 1970"),
    ):
        with pytest.raises(RowFault) as refused:
            read(value, *at)
        assert refused.value.words == f"{where} is {value!r}, expected {due}"
    with (
        pytest.raises(RowFault, match=r"row 3, the field 'field' is 'bad', expected a shape"),
        validity.row_of(*at, "a shape"),
    ):
        raise ValueError("bad")
    rows = {"a": 1, "b": "x"}
    validity.check_row("t", 1, rows, {"a": validity.NUMBER, "b": validity.TEXT})
    with pytest.raises(RowFault, match="table 't', row 1, the field 'b' is 'x', expected a whole number from 0"):
        validity.check_row("t", 1, rows, {"a": validity.NUMBER, "b": validity.NUMBER})


NOW = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("session.slide", ["", "a"], [1, None]),
        ("slides.removed", [[], ["a"]], [[1], "a", {"a": "b"}]),
        (
            "slide.mpp_history.1",
            [[], [{"by": "A", "at": NOW, "from": None, "to": 0.25}]],
            [
                {},
                [{"by": "A", "at": "2026-01-01T00:00:00", "from": None, "to": 0.25}],
                [{"by": "A", "at": "x", "from": None, "to": 0.25}],
                [{"by": "A", "at": NOW + " " * 40, "from": None, "to": 0.25}],
                [{"by": "A", "at": NOW, "from": None, "to": 0}],
                [{"by": "A", "at": NOW, "from": None}],
                ["A"],
            ],
        ),
        ("predictions.miss_costs", [{}, {"a": {"b": 0}}, {"a": {"b": 2.5}}], [{"a": {"b": -1}}, {"a": 1}, []]),
        (
            "predictions.miss_costs",
            [{"a": {}}],
            [{"a": {"b": math.inf}}, {"a": {"b": math.nan}}, {"a": {"b": True}}, {"a": {"b": "1"}}],
        ),
        (
            "result.preparations",
            [{}, {"s": {"preparation": "conventional", "by": "A"}}],
            [{"s": {"preparation": "conventional"}}, {"s": {"preparation": 1, "by": "A"}}, {"s": []}],
        ),
        ("result.magnification", [40, 20.5], ["40", True, math.nan, None]),
        ("review.limit", [0.5, 0.001], [0, 0.51, "0.1", True]),
        (
            "model.false_rates",
            [{"m": {"called": 0, "cells": 5}}],
            [
                {"m": {"called": -1, "cells": 5}},
                {"m": {"called": 0.5, "cells": 5}},
                {"m": {"called": True, "cells": 5}},
            ],
        ),
        ("import.class_map", [{}, {"a": "b"}], [{"a": 1}, ["a"]]),
        ("of nobody", [object()], []),
    ],
)
def test_what_is_kept_has_the_form_that_its_readers_take(key: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        check_kept(key, value)
    for value in bad:
        with pytest.raises(RowFault, match=rf"table 'setting', row '{key}', the field 'value' is "):
            check_kept(key, value)
