"""Promise: write then read is identity on what a format can carry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, CellOutline, Point, Polygon, rectangle
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.formats import get_format
from napari_cyto.formats._shapes import is_flat
from napari_cyto.formats.apacc.apacc_format import (
    CLASSES,
    SLICE_SIDE,
    StemStyle,
    parse_label_text,
    slice_labels,
    slice_stem,
)
from napari_cyto.formats.cric import CLASSES as CRIC_CLASSES

SIDE = 4096


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with patch("napari_cyto.files.atomic.os.fsync"):
        yield


# Eighths of a px: what a person or a detector places, without the noise that only float sums see.
coordinate = st.integers(0, SIDE * 8).map(lambda v: v / 8)
plain = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
names = st.text(plain, min_size=1, max_size=20).map(str.strip).filter(lambda t: t and t.isprintable() and t != "None")
# Programs that take names for paths drop what leads nowhere, as the last / of "a/".
file_names = names.filter(lambda t: not set(t) & set("/\\:?") and t not in (".", ".."))
free = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
printable = st.text(plain, max_size=40)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda m: m.replace(tzinfo=UTC))
points = st.builds(Point, coordinate, coordinate)
corners = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8)
polygons = corners.filter(lambda v: not is_flat(v)).map(lambda v: Polygon(tuple(v)))
rings = polygons.map(lambda polygon: polygon.vertices_yx)
cell_outlines = st.builds(CellOutline, rings, st.just(()) | rings, st.booleans())
scores = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn, step: float = 0.125, side: int = SIDE) -> Box:
    def span() -> tuple[float, float]:
        low = draw(st.integers(0, int(side / step) - 1))
        return low * step, draw(st.integers(low + 1, int(side / step))) * step

    (y0, y1), (x0, x1) = span(), span()
    return Box(y0, x0, y1, x1)


@st.composite
def label_sets(
    draw: st.DrawFn,
    slide: Callable[[st.DrawFn, str], SlideRecord],
    cell: Callable[[st.DrawFn, str, tuple[str, ...]], Annotation],
    classes: tuple[str, ...] | None = None,
    most_slides: int = 3,
    named: st.SearchStrategy[str] = names,
) -> LabelSet:
    known = classes or tuple(draw(st.lists(names, min_size=1, max_size=4, unique=True)))
    titles = draw(st.lists(named, min_size=1, max_size=most_slides, unique=True))
    slides = tuple(slide(draw, title) for title in titles)
    cells = tuple(cell(draw, s.id, known) for s in slides for _ in range(draw(st.integers(0, 4))))
    palette = tuple((name, f"#{draw(st.integers(0, 0xFFFFFF)):06x}") for name in known)
    return LabelSet(slides, cells, known, palette)


def bare_slide(draw: st.DrawFn, name: str) -> SlideRecord:
    return SlideRecord(name=name)


def sized_slide(draw: st.DrawFn, name: str) -> SlideRecord:
    return SlideRecord(name=name, size_hw=(SIDE, SIDE))


def full_slide(draw: st.DrawFn, name: str) -> SlideRecord:
    return SlideRecord(
        name=name,
        size_hw=(draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))),
        mpp=draw(st.none() | st.floats(0.01, 10)),
        mpp_source=draw(st.sampled_from(["", "file", "user"])),
        smear=draw(names),
        patient=draw(printable),
        stem=draw(printable),
        offset_yx=draw(st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))),
        side=draw(st.sampled_from(["", "train", "test"])),
        progress=draw(st.sampled_from(list(Progress))),
    )


def run(labels: LabelSet, name: str, file_name: str, **options: Any) -> LabelSet:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, file_name)
        label_format = get_format(name)
        label_format.write(labels, target, **options)
        return label_format.read(target, **options)


def plain_rows(labels: LabelSet, *fields: str) -> list[tuple[Any, ...]]:
    """The annotations as plain values, grouped by slide name, so that fresh ids do not matter."""
    titles = {s.id: s.name for s in labels.slides}
    rows = [(titles[a.slide_id], *(getattr(a, field) for field in fields)) for a in labels.annotations]
    return sorted(rows, key=lambda row: str(row[0]))


def slide_facts(labels: LabelSet, *fields: str) -> set[tuple[Any, ...]]:
    return {tuple(getattr(s, field) for field in fields) for s in labels.slides}


def geojson_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    geometry = draw(points | boxes() | polygons | cell_outlines)
    class_id = draw(st.sampled_from(classes))
    return Annotation(
        slide_id=slide_id,
        geometry=geometry,
        class_id=None if type(geometry) is Polygon and draw(st.booleans()) else class_id,
        status=draw(st.sampled_from(list(Status))),
        author=draw(printable),
        scores=tuple((c, draw(scores)) for c in classes) if draw(st.booleans()) else (),
        created_utc=draw(moments),
        note=draw(free),
    )


SLIDE_FACTS = (
    "name", "size_hw", "mpp", "mpp_source", "smear", "patient", "stem", "offset_yx", "side", "progress"
)  # fmt: skip
ALL_FACTS = ("id", "geometry", "class_id", "status", "author", "scores", "created_utc", "note")


@given(label_sets(full_slide, geojson_cell), st.tuples(coordinate, coordinate))
def test_geojson_carries_everything(labels: LabelSet, corner_yx: tuple[float, float]) -> None:
    for options in ({}, {"origin": "bounds", "bounds_offset_yx": corner_yx}):
        back = run(labels, "geojson", "out", include_rejected=True, **options)
        assert plain_rows(back, *ALL_FACTS) == plain_rows(labels, *ALL_FACTS)
        assert slide_facts(back, *SLIDE_FACTS) == slide_facts(labels, *SLIDE_FACTS)
        assert (back.classes, back.colours) == (labels.classes, labels.colours)


def coco_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    class_id = draw(st.sampled_from(classes))
    return Annotation(
        slide_id=slide_id,
        geometry=draw(boxes() | polygons.filter(lambda p: rectangle(p) is None)),
        class_id=class_id,
        scores=((class_id, draw(scores)),) if draw(st.booleans()) else (),
    )


@given(label_sets(full_slide, coco_cell))
def test_coco_carries_boxes_outlines_scores_and_images(labels: LabelSet) -> None:
    back = run(labels, "coco", "out.json")
    assert plain_rows(back, "geometry", "class_id", "scores") == plain_rows(labels, "geometry", "class_id", "scores")
    assert slide_facts(back, *SLIDE_FACTS) == slide_facts(labels, *SLIDE_FACTS)
    assert back.classes == labels.classes


def box_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    return Annotation(slide_id=slide_id, geometry=draw(boxes()), class_id=draw(st.sampled_from(classes)))


@given(label_sets(lambda draw, name: sided(draw, sized_slide(draw, name)), box_cell))
def test_yolo_carries_boxes_sets_and_images_without_cells(labels: LabelSet) -> None:
    back = run(labels, "yolo", "out")
    assert plain_rows(back, "geometry", "class_id") == plain_rows(labels, "geometry", "class_id")
    assert slide_facts(back, "name", "size_hw", "side") == slide_facts(labels, "name", "size_hw", "side")
    assert back.classes == labels.classes


def sided(draw: st.DrawFn, slide: SlideRecord) -> SlideRecord:
    return SlideRecord(
        name=slide.name, size_hw=slide.size_hw, side=draw(st.sampled_from(["", "train", "test"])), id=slide.id
    )


def cric_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    return Annotation(slide_id=slide_id, geometry=draw(points), class_id=draw(st.sampled_from(classes)))


@given(label_sets(bare_slide, cric_cell, CRIC_CLASSES))
def test_cric_carries_points_of_its_classes(labels: LabelSet) -> None:
    back = run(labels, "cric", "classifications.csv")
    assert plain_rows(back, "geometry", "class_id") == plain_rows(labels, "geometry", "class_id")


@given(
    label_sets(
        lambda draw, name: SlideRecord(name=name, size_hw=(SIDE, SIDE), mpp=draw(st.floats(0.01, 10))),
        cric_cell,
        CRIC_CLASSES,
    )
)
def test_the_scaled_cric_table_carries_size_scale_and_images_without_cells(labels: LabelSet) -> None:
    back = run(labels, "cric", "cells.csv", layout="scaled")
    assert plain_rows(back, "geometry", "class_id") == plain_rows(labels, "geometry", "class_id")
    assert slide_facts(back, "name", "size_hw") == slide_facts(labels, "name", "size_hw")
    sizes = {s.name: s.mpp for s in labels.slides}
    assert all(s.mpp == pytest.approx(sizes[s.name], rel=1e-12) for s in back.slides)


def asap_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    geometry = draw(points | boxes() | polygons)
    class_id = draw(st.sampled_from(classes))
    region = isinstance(geometry, Polygon) and draw(st.booleans())
    note = draw(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"), include_characters="\n\t\r"))
    )
    return Annotation(slide_id=slide_id, geometry=geometry, class_id=None if region else class_id, note=note)


@given(label_sets(bare_slide, asap_cell, most_slides=1))
def test_asap_carries_every_shape_group_colour_and_note(labels: LabelSet) -> None:
    back = run(labels, "asap", "out.xml")
    facts = ("geometry", "class_id", "note")
    assert [row[1:] for row in plain_rows(back, *facts)] == [row[1:] for row in plain_rows(labels, *facts)]
    assert (back.classes, back.colours) == (labels.classes, labels.colours)


def csv_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    class_id = draw(st.sampled_from(classes))
    return Annotation(
        slide_id=slide_id,
        geometry=draw(points | boxes()),
        class_id=class_id,
        status=draw(st.sampled_from(list(Status))),
        author=draw(printable).strip(),
        scores=((class_id, draw(scores)),) if draw(st.booleans()) else (),
        note=draw(free),
    )


@given(label_sets(bare_slide, csv_cell))
def test_csv_carries_points_boxes_and_what_was_said_of_them(labels: LabelSet) -> None:
    back = run(labels, "csv", "out.csv", include_rejected=True)
    facts = ("id", "geometry", "class_id", "status", "author", "scores", "note")
    assert plain_rows(back, *facts) == plain_rows(labels, *facts)


def whole_box_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    return Annotation(slide_id=slide_id, geometry=draw(boxes(1.0)), class_id=draw(st.sampled_from(classes)))


@given(label_sets(lambda draw, name: sided(draw, sized_slide(draw, name)), whole_box_cell, named=file_names))
def test_voc_carries_whole_boxes_sets_and_images_without_cells(labels: LabelSet) -> None:
    for options in ({}, {"pixels": "devkit"}):
        back = run(labels, "voc", "out", **options)
        assert plain_rows(back, "geometry", "class_id") == plain_rows(labels, "geometry", "class_id")
        assert slide_facts(back, "name", "size_hw", "side") == slide_facts(labels, "name", "size_hw", "side")


def any_cell(draw: st.DrawFn, slide_id: str, classes: tuple[str, ...]) -> Annotation:
    outlines = polygons.filter(lambda p: p.bounds_yxyx[0] < p.bounds_yxyx[2] and p.bounds_yxyx[1] < p.bounds_yxyx[3])
    return Annotation(
        slide_id=slide_id,
        geometry=draw(points | boxes() | outlines.filter(lambda p: p.vertices_yx[0] != p.vertices_yx[-1])),
        class_id=draw(st.sampled_from(classes)),
        status=draw(st.sampled_from([Status.ACCEPTED, Status.UNREVIEWED])),
        note=draw(free),
    )


@given(label_sets(lambda draw, name: replace(full_slide(draw, name), size_hw=(SIDE, SIDE)), any_cell, named=file_names))
def test_label_studio_carries_every_shape_status_note_and_images(labels: LabelSet) -> None:
    # A task that people have annotated keeps their annotations only when read again.
    decided = {a.slide_id for a in labels.annotations if a.status is Status.ACCEPTED}
    rows = tuple(replace(a, status=Status.ACCEPTED) if a.slide_id in decided else a for a in labels.annotations)
    labels = replace(labels, annotations=rows)
    back = run(labels, "labelstudio", "out.json")
    assert plain_rows(back, "id", "geometry", "class_id", "status", "note") == plain_rows(
        labels, "id", "geometry", "class_id", "status", "note"
    )
    assert slide_facts(back, *SLIDE_FACTS) == slide_facts(labels, *SLIDE_FACTS)


@given(label_sets(lambda draw, name: replace(full_slide(draw, name), size_hw=(SIDE, SIDE)), any_cell, named=file_names))
def test_labelme_carries_every_shape_note_and_images(labels: LabelSet) -> None:
    back = run(labels, "labelme", "out", include_proposed=True)
    assert plain_rows(back, "geometry", "class_id", "note") == plain_rows(labels, "geometry", "class_id", "note")
    assert slide_facts(back, *SLIDE_FACTS) == slide_facts(labels, *SLIDE_FACTS)


@st.composite
def apacc_sets(draw: st.DrawFn) -> LabelSet:
    corners = draw(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=3, unique=True))
    slides = []
    for y, x in corners:
        style = draw(st.sampled_from(list(StemStyle)))
        y0, x0 = y * SLICE_SIDE, x * SLICE_SIDE
        stem = slice_stem(draw(st.sampled_from(["669-15", "10030_18", "a b"])), y0, x0, style)
        side = draw(st.sampled_from(["", "train", "test"]))
        size = (SLICE_SIDE, SLICE_SIDE)
        slides.append(SlideRecord(name=stem, stem=stem, size_hw=size, offset_yx=(y0, x0), side=side))
    cells = tuple(
        Annotation(slide_id=s.id, geometry=draw(boxes(1.0, SLICE_SIDE)), class_id=draw(st.sampled_from(CLASSES)))
        for s in slides
        for _ in range(draw(st.integers(0, 5)))
    )
    return LabelSet(tuple(slides), cells, CLASSES)


@given(apacc_sets())
def test_apacc_slices_come_back_with_stem_offset_side_and_cells(labels: LabelSet) -> None:
    back = run(labels, "apacc", "out")
    assert sorted(plain_rows(back, "geometry", "class_id"), key=str) == sorted(
        plain_rows(labels, "geometry", "class_id"), key=str
    )
    facts = ("name", "stem", "side", "offset_yx", "size_hw")
    assert slide_facts(back, *facts) == slide_facts(labels, *facts)


@given(st.lists(st.tuples(st.sampled_from(CLASSES), boxes(1.0, SLICE_SIDE)), max_size=20))
def test_apacc_text_is_a_fixed_point(cells: list[tuple[str, Box]]) -> None:
    text = slice_labels([box for _, box in cells], [name for name, _ in cells])
    lines = parse_label_text(text)
    assert slice_labels([line.box for line in lines], [line.class_id or "" for line in lines]) == text
    assert {(line.class_id, line.box) for line in lines} == set(cells)


@given(boxes(0.125, SLICE_SIDE), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_apacc_boxes_are_whole_pixels_inside_the_slice(box: Box, dy: int, dx: int) -> None:
    moved = box.translated(dy, dx)
    if moved.y1 <= 0 or moved.x1 <= 0 or moved.y0 >= SLICE_SIDE or moved.x0 >= SLICE_SIDE:
        return
    (line,) = parse_label_text(slice_labels([moved], ["healthy"]))
    y0, x0, y1, x1 = line.box.bounds_yxyx
    assert 0 <= y0 < y1 <= SLICE_SIDE
    assert 0 <= x0 < x1 <= SLICE_SIDE
    clipped = (max(moved.y0, 0), max(moved.x0, 0), min(moved.y1, SLICE_SIDE), min(moved.x1, SLICE_SIDE))
    assert all(abs(a - b) <= 1 for a, b in zip(line.box.bounds_yxyx, clipped, strict=True))
