"""Promise: shapes of other programs become ours with their extent, and each loss is told with its number."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, CellOutline, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import _losses as losses
from napari_cyto.formats import get_format
from napari_cyto.formats._shapes import (
    box_of_corners,
    box_of_edges,
    ellipse,
    enclosing,
    is_flat,
    outline,
    turned_box,
)
from napari_cyto.formats.label_format import FormatOptions
from napari_cyto.formats.text import Fault

FAULT = Fault("a.json", "shape 1")
small = st.integers(-4, 4)


@given(corners=st.lists(st.tuples(small, small), max_size=6))
def test_corners_are_flat_where_nothing_lies_between_them(corners: list[tuple[int, int]]) -> None:
    flat = len(corners) < 3 or shapely.MultiPoint(corners).convex_hull.area == 0
    assert is_flat(corners) == flat


@given(
    y=small, x=small, height=st.integers(1, 9), width=st.integers(1, 9), degrees=st.sampled_from([0, 30, 90, 200, 360])
)
def test_a_turned_box_is_where_a_turn_about_its_centre_or_a_corner_brings_it(y, x, height, width, degrees) -> None:
    box = Box(y, x, y + height, x + width)
    # In a frame whose y points down, clockwise on the screen is shapely's way round.
    plain = shapely.box(x, y, x + width, y + height)
    for pivot in (None, (y, x)):
        centre = "center" if pivot is None else (x, y)
        expected = shapely.affinity.rotate(plain, degrees, origin=centre)
        found = turned_box(box, degrees, pivot)
        assert isinstance(found, Box) == (degrees % 90 == 0)
        corners = (
            shapely.box(found.x0, found.y0, found.x1, found.y1)
            if isinstance(found, Box)
            else shapely.Polygon([(x, y) for y, x in found.vertices_yx])
        )
        assert corners.symmetric_difference(expected).area == pytest.approx(0, abs=1e-2)


@given(ry=st.integers(1, 50), rx=st.integers(1, 50), degrees=st.sampled_from([0, 45, 90]))
def test_an_ellipse_has_its_corners_on_its_line_and_its_area(ry: int, rx: int, degrees: int) -> None:
    found = ellipse((10.0, 20.0), (ry, rx), degrees, FAULT)
    for y, x in found.vertices_yx:
        dy, dx, turn = y - 10, x - 20, math.radians(-degrees)
        v, u = dx * math.sin(turn) + dy * math.cos(turn), dx * math.cos(turn) - dy * math.sin(turn)
        assert (v / ry) ** 2 + (u / rx) ** 2 == pytest.approx(1, abs=1e-3)
    assert shapely.Polygon(found.vertices_yx).area == pytest.approx(math.pi * ry * rx, rel=0.01)
    assert (found.vertices_yx[0] == (10.0, 20.0 + rx)) == (degrees == 0)


def test_boxes_and_outlines_that_enclose_nothing_are_refused_with_their_size() -> None:
    assert box_of_edges(1.00004, 2, 3.00006, 5, FAULT) == Box(1.0, 2.0, 3.0001, 5.0)
    assert box_of_corners((9, 2), (1, 7), FAULT) == Box(1, 2, 9, 7)
    assert enclosing([Box(5, 6, 7, 8), Point(1, 10)], FAULT) == Box(1, 6, 7, 10)
    triangle = [(0, 0), (0, 4), (4, 4)]
    assert outline([*triangle, (0, 0)], FAULT) == outline(triangle, FAULT) == Polygon(tuple(triangle))
    for refused, said in (
        (lambda: box_of_edges(1, 2, 1, 5, FAULT), "box with width and height above 0, got 3 x 0"),
        (lambda: box_of_edges(1, 5, 2, 5, FAULT), "box with width and height above 0, got 0 x 1"),
        (lambda: box_of_edges(1, 5, 2, 3, FAULT), "got -2 x 1"),
        (lambda: outline([(0, 0), (1, 1)], FAULT), "at least 3 corners, got 2"),
        (lambda: outline([(0, 0), (0, 4), (0, 0)], FAULT), "outline with width and height above 0, got 4 x 0"),
        (lambda: outline([(0, 0), (4, 0), (2, 0)], FAULT), "outline with width and height above 0, got 0 x 4"),
        (lambda: ellipse((0, 0), (0, 3), 0, FAULT), "radii above 0, got 3 and 0"),
        (lambda: ellipse((0, 0), (3, -1), 0, FAULT), "radii above 0, got -1 and 3"),
    ):
        with pytest.raises(FormatError, match=f"shape 1: expected an? .*{said}"):
            refused()


SLIDE = SlideRecord(name="s.png", patient="p", size_hw=(4000, 4000))


POINT = Point(1, 1)


def cell(geometry: Any = POINT, **facts: Any) -> Annotation:
    return Annotation(slide_id=SLIDE.id, geometry=geometry, **({"class_id": "a"} | facts))


def test_each_loss_is_one_sentence_with_its_number() -> None:
    box, area = Box(0, 0, 4, 4), Polygon(((0, 0), (0, 9), (9, 9)))
    cells = [
        cell(status=Status.REJECTED),
        cell(box, status=Status.UNREVIEWED, author="A"),
        cell(box, status=Status.UNREVIEWED, note="n", scores=(("a", 0.5),)),
        cell(box, status=Status.ACCEPTED, author="A"),
        cell(),
        cell(area),
        cell(area, class_id=None),
    ]
    labels = LabelSet((SLIDE, replace(SLIDE, id="other", name="o", patient="")), tuple(cells), ("a",), (("a", "#fff"),))
    accepted = FormatOptions()
    both = FormatOptions(include_proposed=True)
    assert losses.status_losses(labels, accepted) == [
        "1 rejected annotation is left out.",
        "2 unreviewed predictions are left out.",
    ]
    assert losses.status_losses(labels, both)[1:] == [losses.status_losses(labels, both)[-1]]
    assert losses.status_losses(labels, both)[-1].startswith("2 ")
    assert losses.status_losses(labels, both, carries_status=True) == ["1 rejected annotation is left out."]
    assert losses.region_losses(labels, both) == ["1 region (inside which every cell is annotated) left out."]
    assert losses.region_losses(LabelSet((SLIDE,), tuple(cells[:-1])), both) == []
    kept = list(losses.written(labels, both, regions=False))
    assert kept == cells[1:-1]
    assert list(losses.written(labels, both)) == cells[1:]
    assert losses.shape_losses(kept, "boxes") == [
        "1 point becomes the box of its class's size around it.",
        "1 outline is written as its bounding box.",
    ]
    assert losses.shape_losses(kept, "points") == [
        "3 boxes are written as the point in the middle.",
        "1 outline is written as the point in its middle.",
    ]
    assert losses.shape_losses(cells, "boxes and points") == ["1 outline is written as its bounding box."]
    assert losses.shape_losses([cell(), cell()], "boxes") == [
        "2 points each become the box of its class's size around it."
    ]
    assert losses.feature_losses(kept, "author", "note", "score", "time") == [
        "The author of 2 annotations is not written.",
        "The note of 1 annotation is not written.",
        "The scores of 1 annotation are not written.",
        "Time, origin and identity of all 5 annotations are not written.",
    ]
    assert losses.feature_losses([cell()], "note") == []
    assert losses.plain_losses(labels, both, "boxes", "note") == [
        *losses.status_losses(labels, both),
        *losses.region_losses(labels, both),
        *losses.shape_losses(kept, "boxes"),
        "The note of 1 annotation is not written.",
    ]
    kept_outlines = losses.plain_losses(labels, both, "boxes and outlines")
    assert not any("outline" in sentence for sentence in kept_outlines)
    assert set(losses.plain_losses(labels, both, "boxes")) > set(kept_outlines)
    assert losses.colour_losses(labels) == ["The colours of the classes are not written."]
    assert losses.colour_losses(LabelSet((SLIDE,), ())) == []
    assert losses.empty_slide_losses(labels, kept) == ["1 image without annotations is not listed."]
    assert losses.empty_slide_losses(labels, []) == ["2 images without annotations are not listed."]
    assert losses.empty_slide_losses(LabelSet((SLIDE,), ()), kept) == []
    assert losses.slide_losses(labels, patient="patient", smear="smear") == ["The patient of 1 image is not written."]


def test_what_becomes_of_nuclei_and_cytoplasms_is_counted() -> None:
    ring, wide = ((1.0, 1.0), (1.0, 4.0), (4.0, 2.0)), ((0.0, 0.0), (0.0, 9.0), (9.0, 4.0))
    cells = [cell(CellOutline(ring)), cell(CellOutline(ring, wide)), cell(CellOutline(ring, wide))]
    assert losses.shape_losses(cells, "boxes") == [
        "1 outline is written as its bounding box.",
        "2 outlines of a cell are written as the bounding box of the cytoplasm.",
    ]
    assert losses.shape_losses(cells, "points")[1:] == [
        "2 outlines of a cell are written as the point in the middle of the nucleus."
    ]
    assert losses.shape_losses(cells, "boxes and outlines") == [
        "The cytoplasm of 2 outlines of a cell is not written.",
        "That 3 outlines are of a nucleus is not written.",
    ]


def test_what_label_files_of_slices_lose_is_counted_by_kind(tmp_path: Path) -> None:
    area = Polygon(((0.5, 0), (0, 9), (9, 9)))
    cells = [
        cell(status=Status.REJECTED, class_id="healthy"),
        cell(status=Status.REJECTED, class_id=None, geometry=area),
        cell(status=Status.UNREVIEWED, class_id="healthy"),
        cell(Box(0, 0, 4, 4), class_id="healthy", note="n"),
        cell(Box(0, 0, 4.5, 4), class_id="healthy"),
        cell(Box(1990, 0, 2010, 4), class_id="healthy"),
        cell(Box(-3, 0, 4, 4), class_id="healthy"),
        cell(area, class_id="healthy"),
        cell(area, class_id=None),
    ]
    apacc = get_format("apacc")
    slide = replace(SLIDE, mpp=0.5, side="train", stem="")
    labels = LabelSet((slide,), tuple(cells))
    assert apacc.losses(labels) == (
        "2 rejected annotations are left out.",
        "1 unreviewed prediction is left out unless you include it.",
        "1 region (inside which every cell is annotated) is left out.",
        "1 outline is written as its bounding box.",
        "1 box is rounded to whole pixels.",
        "2 boxes are clipped at the borders of slices.",
        "1 note is not written.",
        "Time, origin and identity of all 5 annotations are not written.",
    )
    said = apacc.losses(labels, include_proposed=True)
    assert "1 unreviewed prediction can no longer be distinguished from accepted ones." in said
    assert "1 point becomes the box of its class's size around it." in said
    strange = LabelSet((slide,), (cell(class_id="HSIL"), cell(class_id="HSIL"), cell(class_id="AIS")))
    assert [each.split(":")[0] for each in apacc.losses(strange)[:2]] == [
        "1 annotation of class 'AIS' cannot be written",
        "2 annotations of class 'HSIL' cannot be written",
    ]
    apacc.write(labels, tmp_path / "out")
    written = {path.relative_to(tmp_path / "out").as_posix(): path.read_text() for path in tmp_path.rglob("*_*.txt")}
    assert {path.split("/")[0] for path in written} == {"train"}
    assert sum(text.count("\n") for text in written.values()) == 5
    apacc.write(labels, tmp_path / "all", all_slices=True)
    files = sorted((tmp_path / "all" / "train").glob("*.txt"))
    assert len(files) == 4
    assert [path.read_text() == "" for path in files].count(True) == 4 - len(written) == 2
