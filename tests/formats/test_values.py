"""Promise: a value of a stranger's file is taken up to its limit, no further, and a refusal says what came."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError, ScaleUnknownError
from napari_cyto.formats._yolo_lines import box_line, read_line
from napari_cyto.formats.apacc.label_lines import label_line, parse_label_text, slice_labels, whole_box
from napari_cyto.formats.bad_rows import BadRows, LeftOut
from napari_cyto.formats.boxes import box_round
from napari_cyto.formats.label_format import BoxOptions
from napari_cyto.formats.text import Fault, class_name, free_text, number, shown, whole_number

FAULT = Fault("a.txt", "row 3", 7)


@pytest.mark.parametrize(
    ("value", "result"),
    [(1, 1.0), ("1e3", 1000.0), (" -2.5 ", -2.5), (1e9, 1e9), (-1e9, -1e9), ("1" + " " * 59, 1.0)]
    + [(value, None) for value in (True, None, "", "x", "1_0", "٣", "1" + " " * 60, 1.1e9, -1.1e9, 10**400, "nan")]
    + [(value, None) for value in ("inf", math.nan, [1], b"1")],
)
def test_a_number_is_finite_and_no_farther_than_any_slide(value: object, result: float | None) -> None:
    if result is None:
        with pytest.raises(FormatError, match=r"row 3: expected x to be a number up to 1e\+09, got ") as refused:
            number(value, "x", FAULT)
        assert shown(value) in str(refused.value)
    else:
        assert number(value, "x", FAULT) == result


@pytest.mark.parametrize(
    ("value", "largest", "result"),
    [(0, 10, 0), ("10", 10, 10), (3.0, 10, 3), (10**9, 10**9, 10**9)]
    + [(value, 10, None) for value in (-1, 11, 0.5, "x", True, None)],
)
def test_a_whole_number_is_from_0_to_its_largest(value: object, largest: int, result: int | None) -> None:
    if result is None:
        with pytest.raises(FormatError, match="expected n to be a"):
            whole_number(value, "n", FAULT, largest)
    else:
        found = whole_number(value, "n", FAULT, largest)
        assert (found, type(found)) == (result, int)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        (1.5, "1.5"),
        (None, "None"),
        (True, "True"),
        (10**30 - 1, "9" * 30),
        (-(10**30), "a huge number"),
        ([1, 2], "a list of 2"),
        ((1,), "a list of 1"),
        ({"a": 1}, "a mapping of 1"),
        (b"x", "b'x'"),
        ("a" * 78, "'" + "a" * 78 + "'"),
        ("a" * 79, "'" + "a" * 76 + "..."),
    ],
)
def test_any_value_is_shown_in_eighty_characters(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_class_has_a_printable_name_and_a_note_has_a_length() -> None:
    assert class_name("  HSIL ", FAULT) == "HSIL"
    assert class_name("a" * 500, FAULT) == "a" * 500
    for bad in ("", "  ", "a" * 501, "a\nb", None, 3):
        with pytest.raises(FormatError, match="a printable class name of 1 to 500 characters, got"):
            class_name(bad, FAULT)
    assert free_text("a\x00b\ud800") == "ab?"
    assert free_text("abc", 2) == "ab"
    assert free_text(3) == ""


def yolo(line: str, pose_values: int = 0, size_hw: tuple[int, int] = (100, 200)) -> tuple[Any, ...]:
    left_out = LeftOut()
    found = read_line(line.split(), size_hw, pose_values, left_out, FAULT)
    shape = found.geometry
    return (
        found.class_number,
        shape.bounds_yxyx if isinstance(shape, Box) else shape.vertices_yx,
        found.score,
    )


BOX = (40.0, 80.0, 60.0, 120.0)
CORNERS = ((10.0, 20.0), (10.0, 60.0), (50.0, 60.0))


@pytest.mark.parametrize(
    ("line", "pose_values", "found"),
    [
        ("3 0.5 0.5 0.2 0.2", 0, (3, BOX, None)),
        ("0 0.5 0.5 0.2 0.2 0.25", 0, (0, BOX, 0.25)),
        ("0 0.5 0.5 0.2 0.2 1", 0, (0, BOX, 1)),
        ("0 0.5 0.5 0.2 0.2 2", 0, (0, BOX, None)),
        ("0 0.5 0.5 0.2 0.2 0.75 17", 0, (0, BOX, 0.75)),
        ("0 0.5 0.5 0.2 0.2 0.75 1", 0, (0, BOX, 0.75)),
        ("0 0.1 0.1 0.3 0.1 0.3 0.5", 0, (0, CORNERS, None)),
        ("0 0.1 0.1 0.3 0.1 0.3 0.5 0.9", 0, (0, CORNERS, 0.9)),
        ("0 0.5 0.5 0.2 0.2 0.1 0.1 2 0.3 0.3 1", 6, (0, BOX, None)),
        ("0 0.5 0.5 0.2 0.2 0.1 0.1 2 0.3 0.3 1 0.5", 6, (0, BOX, 0.5)),
        ("0 -0.5 0.5 1000 0.2", 0, (0, (40.0, -100100.0, 60.0, 99900.0), None)),
    ],
)
def test_a_yolo_line_is_a_box_or_an_outline_with_what_stands_behind_it(line, pose_values, found) -> None:
    assert yolo(line, pose_values) == found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.5 0.5 0.2", "expected five values .*, got 4"),
        ("0.5 0.5 0.5 0.2 0.2", "expected the class to be a whole number"),
        ("0 x 0.5 0.2 0.2", "expected a value to be a number"),
        ("0 0.5 0.5 0 0.2", "width and height above 0, got 0 x 0.2"),
        ("0 0.5 0.5 0.2 -0.2", "width and height above 0, got 0.2 x -0.2"),
        ("0 0.5 0.5 0.2 0.2 -0.1", "a confidence from 0 to 1, got -0.1"),
        ("0 0.5 0.5 0.2 0.2 1.5", "a confidence from 0 to 1, got 1.5"),
        ("0 0.5 0.5 1001 0.2", "got a value above 1000"),
        ("0 0.1 0.1 0.3 0.1 0.5 0.1", "the outline has no area"),
        ("0 0.5 0.5 0.2 0.2 0.1 0.1 2 0.3 0.3 1", "look like a pose"),
        ("0 0.5 0.5 0.2 0.2 0.1 0.1 2.0", "look like a pose"),
    ],
)
def test_what_is_no_yolo_label_is_refused_with_what_came(line: str, said: str) -> None:
    with pytest.raises(FormatError, match=f"row 3: .*{said}"):
        yolo(line)


spans = st.tuples(st.integers(0, 1999), st.integers(1, 2000)).map(lambda t: (t[0], min(t[0] + t[1], 2000)))


@given(y=spans, x=spans, number_of_class=st.integers(0, 3))
def test_the_line_of_a_whole_box_reads_back_in_yolo_and_apacc(y, x, number_of_class) -> None:
    box = Box(y[0], x[0], y[1], x[1])
    line = box_line(number_of_class, box.bounds_yxyx, (2000, 2000))
    assert "e" not in line
    assert yolo(line, size_hw=(2000, 2000)) == (number_of_class, box.bounds_yxyx, None)
    class_id = ("healthy", "rubbish", "unhealthy", "bothcells")[number_of_class]
    [read] = parse_label_text(label_line(class_id, box))
    assert (read.class_id, read.box, read.line) == (class_id, box, 1)


@pytest.mark.parametrize(
    ("bounds", "whole"),
    [
        ((0.4, 0.6, 10.4, 10.6), (0, 1, 10, 11)),
        ((-5, -5, 3, 3), (0, 0, 3, 3)),
        ((1990, 1995, 2010, 2003), (1990, 1995, 2000, 2000)),
        ((3.2, 3.2, 3.4, 3.4), (3, 3, 4, 4)),
        ((-9, 1999.6, 0.1, 2010), (0, 1999, 1, 2000)),
        ((-5, 0, 0, 9), None),
        ((2000, 0, 2005, 9), None),
        ((0, 2000, 9, 2001), None),
        ((0, -1, 9, 0), None),
    ],
)
def test_a_box_is_clipped_to_its_slice_and_never_thinner_than_a_pixel(bounds: Any, whole: Any) -> None:
    found = whole_box(Box(*bounds))
    assert (None if found is None else found.bounds_yxyx) == whole
    if whole is None:
        with pytest.raises(FormatError, match=r"A box of class healthy at y, x .* lies outside its slice of 2000 px"):
            label_line("healthy", Box(*bounds))


def test_lines_of_a_slice_are_grouped_by_class_and_a_bad_one_costs_no_other() -> None:
    boxes = [Box(0, 0, 20, 20), Box(20, 20, 40, 40), Box(40, 40, 60, 60)]
    text = slice_labels(boxes, ["unhealthy", "healthy", "unhealthy"])
    assert text == "0 0.015 0.015 0.01 0.01\n2 0.005 0.005 0.01 0.01\n2 0.025 0.025 0.01 0.01\n"
    with pytest.raises(FormatError, match=r"Expected a class of APACC \(healthy, .*\), got 'HSIL'"):
        label_line("HSIL", boxes[0])
    [cell] = parse_label_text("\r\n  \n7 0.005 0.005 .01 1e-2\r\n")
    assert (cell.class_id, cell.class_number, cell.line, cell.box) == (None, 7, 3, boxes[0])
    assert parse_label_text("0 -1000 0.5 1 1")[0].box.x0 == -2_001_000
    for line, said in (
        ("0 0.5 0.5 0.1", "expected five values .* got 4: '0 0.5 0.5 0.1'"),
        ("x 0.5 0.5 0.1 0.1", "expected a whole number as the class, got 'x'"),
        ("0 0.5 1000.1 0.1 0.1", "a fraction of the slice from 0 to 1, got '1000.1'"),
        ("0 0.5 nan 0.1 0.1", "got 'nan'"),
        ("0 0.5 0.5 0.0001 0.1", "a width and height of at least one pixel"),
        ("0 0.5 0.5 0.1 0.0001", "a width and height of at least one pixel"),
    ):
        with pytest.raises(FormatError, match=said) as refused:
            parse_label_text("\n" + line, "a.txt")
        assert "line 2" in str(refused.value)
        bad = BadRows(Path("a.txt"), skip=True)
        assert len(parse_label_text(f"0 0.5 0.5 0.1 0.1\n{line}\n1 0.5 0.5 0.1 0.1", "a.txt", bad)) == 2
        assert len(bad.first) == 1


def test_a_box_stands_for_any_shape() -> None:
    slide, unknown = SlideRecord(name="s", mpp=0.5), SlideRecord(name="u")
    options = BoxOptions(box_um={"a": 10.0}, default_box_um=20.0)
    assert box_round(Box(1, 2, 3, 4), "a", unknown, options) == Box(1, 2, 3, 4)
    assert box_round(Point(100, 200), "a", slide, options) == Box(90, 190, 110, 210)
    assert box_round(Point(100, 200), "b", slide, options) == Box(80, 180, 120, 220)
    triangle = Polygon(((0.0, 0.0), (0.0, 8.0), (4.0, 8.0)))
    assert box_round(triangle, "a", unknown, options) == Box(0, 0, 4, 8)
    with pytest.raises(ScaleUnknownError, match="The points on 'u' need boxes of their class's size in µm"):
        box_round(Point(1, 1), "a", unknown, options)
    assumed = BoxOptions(box_um={}, default_box_um=20.0, assumed_mpp=1.0)
    assert box_round(Point(100, 200), "a", unknown, assumed) == Box(90, 190, 110, 210)
    assert box_round(Point(100, 200), "a", slide, assumed) == Box(80, 180, 120, 220), "what the slide says goes first"
