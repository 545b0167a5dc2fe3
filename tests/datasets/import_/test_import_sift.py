"""Promise: what is doubled, contradictory or outside its slide is told by an import and never taken in silently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets import ImportOptions, import_labels
from napari_cyto.datasets.import_._sift import places_of
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_rows import row_of
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.store import Project

LINES = "0 0.5 0.5 0.1 0.1\n"


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """A YOLO folder of one image of 200 x 100 px with a cell in its middle."""
    for part in ("images", "labels"):
        (tmp_path / "yolo" / part).mkdir(parents=True)
    (tmp_path / "yolo/data.yaml").write_text("names: [HSIL, NILM]\n")
    Image.fromarray(np.zeros((100, 200, 3), np.uint8)).save(tmp_path / "yolo/images/a.png")
    (tmp_path / "yolo/labels/a.txt").write_text(LINES)
    return tmp_path / "yolo"


def write(yolo: Path, lines: str) -> Path:
    (yolo / "labels/a.txt").write_text(lines)
    return yolo


def test_a_cell_that_a_source_has_twice_is_taken_once_and_reported(yolo: Path, run, tmp_path: Path) -> None:
    ended = run(import_labels("yolo", write(yolo, 3 * LINES), tmp_path / "p"))
    assert (ended.result["annotations_added"], ended.result["doubled_in_source"]) == (1, 2)
    assert "2 annotations of yolo are in it more than once and imported once." in ended.notes


def test_one_shape_with_two_classes_is_kept_and_reported_as_a_contradiction(yolo: Path, run, tmp_path: Path) -> None:
    ended = run(import_labels("yolo", write(yolo, LINES + "1" + LINES[1:]), tmp_path / "p"))
    assert (ended.result["annotations_added"], ended.result["contradicting"]) == (2, 1)
    assert any("HSIL and NILM at x 100, y 50 of a.png" in note for note in ended.notes)


def test_what_another_format_rounds_otherwise_is_not_doubled(yolo: Path, run, tmp_path: Path) -> None:
    run(import_labels("yolo", yolo, tmp_path / "p"))
    (tmp_path / "a.csv").write_text("x_min,y_min,width,height,label\n90.0001,45,20,9.9999,HSIL\n")
    options = ImportOptions(slide=yolo / "images/a.png")
    result = run(import_labels("csv", tmp_path / "a.csv", tmp_path / "p", options)).result
    assert (result["annotations_added"], result["already_there"]) == (0, 1)


@pytest.mark.parametrize("line", ["0 5 0.5 0.1 0.1", "0 -0.5 0.5 0.1 0.1", "0 0.5 1.06 0.1 0.1"])
def test_a_box_wholly_outside_is_refused_with_its_line_or_left_out(yolo: Path, line: str, run, tmp_path: Path) -> None:
    write(yolo, LINES + line + "\n")
    refused = run(import_labels("yolo", yolo, tmp_path / "p")).refusal
    assert "line 2: it lies entirely outside a.png" in refused
    ended = run(import_labels("yolo", yolo, tmp_path / "p", ImportOptions(skip_bad=True)))
    assert ended.result["annotations_added"] == 1
    assert any("1 entry could not be read, left out" in note for note in ended.notes)


def test_a_box_partly_outside_is_kept_as_it_is_and_reported(yolo: Path, run, tmp_path: Path) -> None:
    ended = run(import_labels("yolo", write(yolo, "0 0.01 0.5 0.1 0.1\n"), tmp_path / "p"))
    assert "1 annotation of yolo is partly outside the slide, and kept unchanged." in ended.notes
    with Project.open(tmp_path / "p") as project:
        (cell,) = project.annotations()
    assert cell.geometry == Box(45, -8, 55, 12)


def test_formats_that_do_not_know_the_slide_are_checked_against_it_all_the_same(make_project, run, tmp_path) -> None:
    made = make_project(slides=1, cells=2)
    table = tmp_path / "points.csv"
    table.write_text("x,y,label\n30.5,40.5,healthy\n5000,60,rubbish\n-3,60,rubbish\n")
    options = ImportOptions(slide=Path(made.slides[0].path))
    refused = run(import_labels("csv", table, made.folder, options)).refusal
    assert "2 entries cannot be read" in refused
    assert "rubbish: it lies entirely outside made-0.png, at x 5000, y 60 of 520 x 420 px." in refused
    ended = run(import_labels("csv", table, made.folder, options.model_copy(update={"skip_bad": True})))
    assert ended.result["annotations_added"] == 1


def test_a_refused_import_changes_nothing(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=1, cells=2)
    table = tmp_path / "other.csv"
    table.write_text("image,x,y,label\nmade-0.png,5000,60,rubbish\nnew.png,1,1,rubbish\n")
    assert "entirely outside" in run(import_labels("csv", table, made.folder)).refusal
    with Project.open(made.folder) as project:
        assert len(project.slides()) == 1
        assert len(list(project.annotations())) == 2


def test_shapes_of_different_kinds_at_one_place_are_not_the_same() -> None:
    box, point = Box(0, 0, 10, 10), Point(5, 5)
    outline = Polygon(((0, 0), (0, 10), (10, 10), (10, 0)))
    near = Box(0.001, -0.0, 10, 10)
    rows = [row_of(Annotation(slide_id="s", geometry=g, class_id="a")) for g in (box, point, outline, near, box)]
    places = places_of(rows, [1, 1, 1, 1, 2])
    assert len(set(places)) == 4
    assert places[3] == places[0] != places[4]
