"""Promise: each check names exactly the cells that are at fault, with the rows by which a person finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.datasets.audit._checks import (
    class_shares,
    empty_slides,
    labels_outside,
    same_boxes,
    shared_boxes,
    unknown_classes,
)
from napari_cyto.datasets.audit.report import Finding, Severity, report
from napari_cyto.datasets.audit.subject import Audited, AuditedCell
from napari_cyto.domain.geometry import Box, iou
from napari_cyto.domain.slide_record import SlideRecord

Check = Callable[[Audited], Iterator[Finding]]


def cell(slide: SlideRecord, box: tuple[float, float, float, float], said: str = "a", **more: Any) -> AuditedCell:
    return AuditedCell(slide.id, more.pop("class_id", said), said, Box(*box), **more)


def found(check: Check, slides: list[SlideRecord], cells: list[AuditedCell], **more: Any) -> list[dict[str, Any]]:
    return [finding.to_json() for finding in check(Audited("it", slides, cells, **more))]


def slice_of(stem: str, side: str = "train", at: tuple[int, int] | None = (0, 0), **more: Any) -> SlideRecord:
    return SlideRecord(name=f"{stem}.png", stem=stem, smear="s", side=side, size_hw=(200, 200), offset_yx=at, **more)


def test_class_shares_count_each_side_and_name_the_classes_of_one_side_only() -> None:
    slides = [slice_of("r"), slice_of("e", "test"), slice_of("n", "")]
    said = [(0, "a"), (0, "a"), (0, "b"), (1, "a"), (1, "c"), (1, "c"), (2, "d")]
    cells = [cell(slides[i], (0, 0, 9, 9), name, class_id=None if name == "c" else name) for i, name in said]
    a = {"class": "a", "train": 2, "train_share": 0.6667, "test": 1, "test_share": 0.3333}
    b = {"class": "b", "train": 1, "train_share": 0.3333, "test": 0, "test_share": 0.0}
    c = {"class": "c", "train": 0, "train_share": 0.0, "test": 2, "test_share": 0.6667}
    d = {"class": "d", "train": 0, "train_share": 0.0, "test": 0, "test_share": 0.0}
    nobody = {"no side": 0, "no side_share": 0.0}
    table, alone = found(class_shares, slides, cells)
    assert (table["kind"], table["severity"], table["leak"]) == ("class_shares", "info", False)
    assert table["rows"] == [a | nobody, b | nobody, c | nobody, d | {"no side": 1, "no side_share": 1.0}]
    assert table["detail"] == "Cells: 3 in train, 3 in test, 1 in no set."
    assert (alone["kind"], alone["severity"]) == ("class_on_one_side", "warning")
    assert alone["detail"] == "Only one set has cells of b, c, d."
    assert alone["rows"] == table["rows"][1:]


def test_a_class_is_on_one_side_only_where_there_are_two() -> None:
    slides = [slice_of("r"), slice_of("e", "test")]
    assert [f["kind"] for f in found(class_shares, slides, [cell(slides[0], (0, 0, 9, 9))])] == ["class_shares"]
    assert [f["kind"] for f in found(class_shares, slides, [cell(slides[1], (0, 0, 9, 9))])] == ["class_shares"]
    both = [cell(each, (0, 0, 9, 9)) for each in slides]
    assert [f["kind"] for f in found(class_shares, slides, both)] == ["class_shares"]
    assert found(class_shares, slides, []) == []


def test_slides_without_cells_are_listed() -> None:
    slides = [slice_of("r"), slice_of("e", "test"), SlideRecord(name="plain.svs")]
    [empty] = found(empty_slides, slides, [cell(slides[0], (0, 0, 9, 9))])
    assert (empty["kind"], empty["severity"]) == ("empty_slices", "info")
    assert empty["rows"] == [{"slice": "e", "side": "test"}, {"slice": "plain.svs", "side": ""}]
    assert empty["detail"].startswith("2 ")
    assert found(empty_slides, slides[:1], [cell(slides[0], (0, 0, 9, 9))]) == []


def test_a_label_is_outside_from_the_first_part_of_a_pixel_on() -> None:
    slides = [slice_of("r"), SlideRecord(name="unknown size")]
    inside = [cell(slides[0], (0, 0, 200, 200)), cell(slides[1], (-9, -9, 5, 5))]
    assert found(labels_outside, slides, inside) == []
    out = cell(slides[0], (0, 190, 9, 200.5), "b", class_id=None, line=3)
    [finding] = found(labels_outside, slides, [*inside, out, cell(slides[0], (300, 0, 310, 9))])
    assert finding["severity"] == "error"
    assert finding["detail"] == "2 labels reach beyond the image, the first in r."
    assert finding["rows"] == [
        {"slice": "r", "side": "train", "class": "b", "line": 3, "box_yxyx": [0, 190, 9, 200.5]},
        {"slice": "r", "side": "train", "class": "a", "box_yxyx": [300, 0, 310, 9]},
    ]
    assert found(labels_outside, slides, [out], sets_came=False)[0]["severity"] == "warning"


def test_unknown_classes_are_named_once_each() -> None:
    slide = slice_of("r")
    known = [cell(slide, (0, 0, 9, 9))]
    assert found(unknown_classes, [slide], known) == []
    strange = [cell(slide, (0, 0, 9, 9), name, class_id=None) for name in ("9", "7", "9")]
    [finding] = found(unknown_classes, [slide], known + strange)
    assert (finding["kind"], finding["severity"]) == ("unknown_class", "error")
    assert finding["detail"] == "3 labels have an unknown class: 7, 9."
    assert [row["class"] for row in finding["rows"]] == ["9", "7", "9"]


near = st.builds(
    lambda y, x, h, w: (y, x, y + h, x + w),
    *[st.integers(0, 7).map(lambda n: 5 * n)] * 2,
    *[st.sampled_from([16, 18, 20])] * 2,
)
labels = st.lists(st.tuples(near, st.sampled_from("ab"), st.booleans()), max_size=14)
mpps = st.sampled_from([None, 0.25, 0.2, 1.0])


def one_place(one: AuditedCell, other: AuditedCell, mpp: float | None) -> bool:
    """Boxes that overlap by four fifths; points, or a point and a box, whose centres are 2 µm apart or less."""
    if not (one.is_point or other.is_point):
        return iou(one.box.bounds_yxyx, other.box.bounds_yxyx) >= 0.8
    (y, x), (v, u) = one.box.centre_yx, other.box.centre_yx
    return (y - v) ** 2 + (x - u) ** 2 <= (2 / (mpp or 0.25)) ** 2 + 1e-9


@settings(max_examples=80)
@given(labels=labels, mpp=mpps)
def test_a_cell_labelled_twice_is_reported_with_the_first_of_its_class_and_of_another(labels: list, mpp: Any) -> None:
    slide, other = slice_of("r", mpp=mpp), slice_of("e", mpp=mpp)
    cells = [cell(slide, box, said, is_point=point, line=n) for n, (box, said, point) in enumerate(labels, start=1)]
    expected: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for n, one in enumerate(cells):
        for same in (True, False):
            before = [c for c in cells[:n] if (c.said == one.said) is same and one_place(one, c, mpp)]
            if before:
                expected[same].append((before[0].line, one.line))
    elsewhere = [cell(other, (300 + 40 * n, 0, 310 + 40 * n, 9)) for n in range(2)]
    result = {f["kind"]: f for f in found(same_boxes, [slide, other], cells + elsewhere)}
    for kind, same, severity in (("same_box", True, "warning"), ("two_classes", False, "error")):
        assert (kind in result) == bool(expected[same])
        if kind in result:
            rows = result[kind]["rows"]
            assert sorted((r["line"], r["other_line"]) for r in rows) == sorted(expected[same])
            assert all((r["class"] == r["other_class"]) is same for r in rows)
            assert result[kind]["severity"] == severity
            assert result[kind]["detail"].startswith(f"{len(rows)} label")


def halves_of_one(a: AuditedCell, b: AuditedCell, slides: dict[str, SlideRecord]) -> bool:
    """Two boxes that meet along a whole edge, each cut off at the border of its slice."""
    (ay, ax), (by, bx) = slides[a.slide_id].offset_yx, slides[b.slide_id].offset_yx
    one, other = a.box.translated(ay, ax), b.box.translated(by, bx)
    beside = (one.y0, one.y1) == (other.y0, other.y1) and (one.x1 == other.x0 or other.x1 == one.x0)
    above = (one.x0, one.x1) == (other.x0, other.x1) and (one.y1 == other.y0 or other.y1 == one.y0)
    cut = [c.box.y0 <= 0 or c.box.x0 <= 0 or c.box.y1 >= 200 or c.box.x1 >= 200 for c in (a, b)]
    return (beside or above) and all(cut)


OFFSETS = [(0, 0), (0, 200), (200, 0), (0, 180)]
placed = st.tuples(
    st.integers(0, 3),
    st.sampled_from([0, 20, 180, 184]),
    st.sampled_from([0, 20, 180, 184]),
    st.sampled_from([16, 20]),
    st.sampled_from([16, 20]),
    st.sampled_from("aab"),
)


@settings(max_examples=80)
@given(labels=st.lists(placed, max_size=12), sides=st.lists(st.sampled_from(["train", "test"]), min_size=4, max_size=4))
def test_a_cell_in_two_slices_is_reported_once_for_each_and_leaks_across_the_split(
    labels: list, sides: list[str]
) -> None:
    slides = [slice_of(f"s{i}", side, at) for i, (side, at) in enumerate(zip(sides, OFFSETS, strict=True))]
    of = {slide.id: slide for slide in slides}
    cells = [
        cell(slides[i], (y, x, y + h, x + w), said, line=n) for n, (i, y, x, h, w, said) in enumerate(labels, start=1)
    ]
    expected = set()
    for n, one in enumerate(cells):
        for number, slide in enumerate(slides):
            boxes = {c.line: c.box.translated(*of[c.slide_id].offset_yx) for c in cells}
            before = [
                c.line
                for c in cells[:n]
                if c.slide_id == slide.id != one.slide_id
                and c.said == one.said
                and (iou(boxes[one.line].bounds_yxyx, boxes[c.line].bounds_yxyx) >= 0.8 or halves_of_one(one, c, of))
            ]
            if before:
                own = slides.index(of[one.slide_id])
                expected.add((sides[number] != sides[own], f"s{number}", before[0], f"s{own}", one.line))
    result = set()
    for finding in found(shared_boxes, slides, cells):
        assert finding["severity"] == ("error" if finding["leak"] else "warning")
        assert finding["detail"].startswith(f"{len(finding['rows'])} cell")
        for row in finding["rows"]:
            assert row["smear"] == "s"
            assert (row["side"] != row["other_side"]) is finding["leak"]
            result.add((finding["leak"], row["slice"], row["line"], row["other_slice"], row["other_line"]))
    assert result == expected


@pytest.mark.parametrize("change", [{"smear": ""}, {"offset_yx": None}, {"smear": "another"}])
def test_slices_of_an_unknown_place_or_of_two_smears_share_no_cell(change: dict[str, Any]) -> None:
    facts = {"stem": "e", "smear": "s", "size_hw": (200, 200), "offset_yx": (0, 0), "side": "test"} | change
    slides = [slice_of("r"), SlideRecord(name="e.png", **facts)]
    assert found(shared_boxes, slides, [cell(slide, (20, 20, 40, 40)) for slide in slides]) == []
    slides[1] = slice_of("e", "test")
    assert found(shared_boxes, slides, [cell(slide, (20, 20, 40, 40)) for slide in slides])


@pytest.mark.parametrize(
    ("severities", "ok", "summary"),
    [
        ((), True, "No leak and no error was found."),
        ((Severity.INFO,), True, "No leak and no error was found."),
        ((Severity.WARNING, Severity.WARNING), True, "No leak and no error was found, but 2 kinds of warning."),
        ((Severity.WARNING, Severity.ERROR), False, "No leak was found, but 1 kind of error."),
    ],
)
def test_the_summary_says_the_worst(severities: tuple[Severity, ...], ok: bool, summary: str) -> None:
    made = report("it", [Finding(f"k{i}", each, "One.") for i, each in enumerate(severities)])
    assert (made.ok, made.summary, made.leaks) == (ok, summary, ())


def test_errors_come_first_and_a_leak_is_the_summary() -> None:
    given = [
        Finding("i", Severity.INFO, "I."),
        Finding("w", Severity.WARNING, "W.", leak=True),
        Finding("e", Severity.ERROR, "E.", ({"a": 1},), leak=True),
        Finding("f", Severity.ERROR, "F."),
    ]
    made = report("it", given)
    assert [f.kind for f in made.findings] == ["e", "f", "w", "i"]
    assert made.summary == "Training and test set share data: E. W."
    assert made.to_json() == {
        "ok": False,
        "source": "it",
        "verdict": made.summary,
        "findings": [f.to_json() for f in made.findings],
    }
    assert given[2].to_json() == {"kind": "e", "severity": "error", "leak": True, "detail": "E.", "rows": [{"a": 1}]}
