"""Promise: files as other tools write them are read for what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.geometry import Box, CellOutline, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import FORMATS, get_format


def cells(labels: LabelSet) -> list[tuple[Any, ...]]:
    return [(a.geometry, a.class_id) for a in labels.annotations]


def test_every_annotation_says_which_file_it_came_from(golden: Path) -> None:
    for name in FORMATS:
        options = OPTIONS.get(name, lambda _: {})(golden)
        labels = get_format(name).read(golden / name / ONE_FILE.get(name, ""), **options)
        assert labels.annotations
        assert all(a.origin.startswith("imported:") and "/" not in a.origin for a in labels.annotations)


ONE_FILE = {
    "coco": "instances.json",
    "csv": "everything.csv",
    "labelstudio": "export.json",
    "via": "project.json",
    "coco-results": "results.json",
}
OPTIONS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "yolo": lambda _: {"image_width": 1000, "image_height": 400},
    "coco-results": lambda golden: {"truth": golden / "coco-results" / "truth.json"},
}


def test_qupath_today(golden: Path) -> None:
    labels = get_format("geojson").read(golden / "geojson" / "qupath_0.5.geojson")
    kept = labels.annotations
    assert labels.slides[0].name == "qupath_0.5"
    assert kept[0].geometry == Box(80, 120, 130, 160)
    assert (kept[0].id, kept[0].note) == ("0b3c1d5e8a4b4f7a9a556c1a0f3f2d11", "koilocyte?")
    assert [(a.geometry, a.note) for a in kept[1:3]] == [
        (Point(20.5, 10.5), "two cells"),
        (Point(40.5, 30.5), "two cells"),
    ]
    assert kept[3].geometry == CellOutline(((2, 2), (2, 5), (5, 4)), ((0, 0), (1, 8), (9, 9), (7, 0)))
    assert kept[3].scores == (("LSIL", 0.75),)
    assert kept[4].class_id == "unclassified"
    assert kept[4].scores == (("LSIL", 0.5),)
    assert [a.is_region for a in kept[5:]] == [True, True]
    assert labels.classes == ("HSIL", "NILM", "LSIL", "unclassified")
    assert dict(labels.colours) == {"HSIL": "#d55e00", "NILM": "#009e73", "LSIL": "#e69f00"}
    assert {r.partition(": ")[2] for r in labels.remarks} == {
        "1 line left out, since lines are not cells.",
        "1 hole of outlines filled, since outlines have no holes here.",
    }


@pytest.mark.parametrize(
    ("chosen", "geometry", "lost"),
    [
        ("nucleus", CellOutline(((2, 2), (2, 5), (5, 4))), "outline of the nucleus, without that of the cell"),
        ("cell", Polygon(((0, 0), (1, 8), (9, 9), (7, 0))), "outline of the cell, without that of the nucleus"),
    ],
)
def test_one_outline_of_qupaths_cells_on_request(golden: Path, chosen: str, geometry: Polygon, lost: str) -> None:
    labels = get_format("geojson").read(golden / "geojson" / "qupath_0.5.geojson", cell_outline=chosen)
    assert labels.annotations[3].geometry == geometry
    assert any(f"1 cell read with the {lost}." in remark for remark in labels.remarks)


def test_qupath_of_old_with_one_id_for_all(golden: Path) -> None:
    labels = get_format("geojson").read(golden / "geojson" / "qupath_0.2.json")
    assert cells(labels) == [
        (Point(9, 7), "ASC-US"),
        (Point(2, 1), "SCC"),
        (Polygon(((0, 0), (0, 4), (3, 0))), "SCC"),
    ]
    assert len({a.id for a in labels.annotations}) == 3
    assert dict(labels.colours)["ASC-US"] == "#f1c442"


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}},
        [{"geometry": {"type": "Point", "coordinates": [1, 2, 0]}, "properties": None}],
        {"type": "GeometryCollection", "geometries": [{"type": "MultiPoint", "coordinates": [[1, 2]]}]},
        {"features": [{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1.0, 2.0]}}]},
    ],
)
def test_any_outer_shape_of_geojson(document: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document))
    labels = get_format("geojson").read(tmp_path / "a.json", unclassified="cell")
    assert cells(labels) == [(Point(2, 1), "cell")]


def test_bounds_move_what_is_read_and_must_be_known(golden: Path) -> None:
    source = golden / "geojson" / "qupath_0.2.json"
    shifted = get_format("geojson").read(source, origin="bounds", bounds_offset_yx={"qupath_0.2": (100, 1000)})
    assert shifted.annotations[0].geometry == Point(109, 1007)
    with pytest.raises(FormatError, match="corner of the scanned area"):
        get_format("geojson").read(source, origin="bounds")
    with pytest.raises(FormatError, match="corner of the scanned area"):
        get_format("geojson").read(source, origin="bounds", bounds_offset_yx={"other": (1, 2)})


def test_coco(golden: Path) -> None:
    labels = get_format("coco").read(golden / "coco" / "instances.json")
    assert [(s.name, s.size_hw) for s in labels.slides] == [
        ("a/field_1.png", (1020, 1376)),
        ("field_2.png", (480, 640)),
    ]
    assert cells(labels) == [
        (Box(20, 10.5, 60, 40.5), "HSIL"),
        (Polygon(((0, 0), (0, 10), (10, 0))), "NILM"),
    ]
    assert labels.annotations[1].scores == (("NILM", 0.25),)
    assert labels.remarks == ("1 entry with iscrowd set left out, since crowds and ignored objects are not cells.",)
    assert cells(get_format("coco").read(golden / "coco" / "instances.json", outlines=False))[1][0] == Box(0, 0, 10, 10)


def test_yolo_with_given_and_with_real_image_sizes(golden: Path, tmp_path: Path) -> None:
    labels = get_format("yolo").read(golden / "yolo", image_width=1000, image_height=400)
    assert [(s.name, s.side) for s in labels.slides] == [("field_2", "test"), ("field_1", "train")]
    assert cells(labels)[1:] == [(Box(100, 375, 300, 625), "healthy"), (Box(60, 50, 100, 150), "unhealthy")]
    assert cells(labels)[0] == (Polygon(((0, 0), (0, 500), (200, 500))), "rubbish")
    assert labels.annotations[2].scores == (("unhealthy", 0.875),)
    with pytest.raises(FormatError, match="size is unknown"):
        get_format("yolo").read(golden / "yolo")


def test_yolo_finds_images_and_takes_those_without_labels_along(golden: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: {0: a, 1: b}\n")
    for part in ("images/valid", "labels/valid"):
        (tmp_path / part).mkdir(parents=True)
    for name in ("one", "two"):
        Image.fromarray(np.zeros((40, 100, 3), np.uint8)).save(tmp_path / "images" / "valid" / f"{name}.png")
    (tmp_path / "labels" / "valid" / "one.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    labels = get_format("yolo").read(tmp_path / "data.yaml")
    assert {(s.name, s.size_hw, s.side) for s in labels.slides} == {
        ("one.png", (40, 100), "test"),
        ("two.png", (40, 100), "test"),
    }
    assert cells(labels) == [(Box(10, 25, 30, 75), "b")]
    assert "validation" in labels.remarks[0]


def test_cric_as_published(golden: Path) -> None:
    labels = get_format("cric").read(golden / "cric" / "classifications.csv")
    assert [(a.geometry, a.class_id) for a in labels.annotations] == [
        (Point(190, 119), "NILM"),
        (Point(741, 500), "ASC-H"),
        (Point(0, 1375), "SCC"),
    ]
    assert [(s.mpp, s.mpp_source) for s in labels.slides] == [(0.228, "format")] * 2


def test_cric_warns_that_readers_would_assume_its_own_scale(golden: Path) -> None:
    labels = get_format("cric").read(golden / "cric" / "cells.csv")
    assert "of 1 image is not 0.228" in " ".join(get_format("cric").losses(labels))
    assert "0.228" not in " ".join(get_format("cric").losses(labels, layout="scaled"))


def test_cric_scaled(golden: Path) -> None:
    labels = get_format("cric").read(golden / "cric" / "cells.csv")
    assert [(s.name, s.size_hw) for s in labels.slides] == [("one.jpg", (959, 1280)), ("two.jpg", (1020, 1376))]
    assert [s.mpp for s in labels.slides] == [0.228 / 0.912, 0.228]


@pytest.mark.shared
def test_cric_collection(shared: Path) -> None:
    labels = get_format("cric").read(shared / "cric")
    assert (len(labels.slides), len(labels.annotations)) == (175, 4276)
    assert all(Path(s.path).is_file() and s.mpp is not None and 0.228 <= s.mpp < 0.25 for s in labels.slides)


def test_cric_folder_brings_images_that_have_no_cells(golden: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "cells.csv").write_bytes((golden / "cric" / "cells.csv").read_bytes())
    for name in ("one.jpg", "empty.png"):
        Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / "images" / name)
    labels = get_format("cric").read(tmp_path)
    assert [(s.name, s.size_hw) for s in labels.slides][2:] == [("empty.png", (10, 20))]
    assert labels.slides[0].path == str(tmp_path / "images" / "one.jpg")


def test_asap(golden: Path) -> None:
    labels = get_format("asap").read(golden / "asap" / "smear_4.xml")
    assert cells(labels) == [
        (Point(678.25, 12345.5), "HSIL"),
        (Box(20, 10, 80, 50), "NILM"),
        (Polygon(((0, 0), (0, 100), (100, 0))), None),
        (Point(2, 1), "unclassified"),
    ]
    assert [a.note for a in labels.annotations] == ["", "large nucleus", "", ""]
    assert labels.classes[:2] == ("NILM", "HSIL")
    assert dict(labels.colours)["HSIL"] == "#d55e00"
    assert labels.remarks == ("smear_4.xml: 1 annotation of type Measurement left out.",)


def test_csv_dialects(golden: Path) -> None:
    semicolons = get_format("csv").read(golden / "csv" / "semicolons.csv")
    assert [s.name for s in semicolons.slides] == ["smear 1.svs", "smear 2.svs"]
    assert cells(semicolons) == [(Point(20, 10.5), "HSIL"), (Point(2, 1), "NILM")]
    tabs = get_format("csv").read(golden / "csv" / "tabs.tsv")
    assert (tabs.slides[0].name, cells(tabs)) == ("tabs", [(Point(4, 3), "LSIL")])
    (cell,) = get_format("csv").read(golden / "csv" / "everything.csv").annotations
    assert (cell.geometry, cell.status, cell.author) == (Box(55, 40, 65, 60), Status.UNREVIEWED, "Dr. A")
    assert (cell.scores, cell.note) == ((("SCC", 0.5),), "two, lines\nof note")


def test_a_table_that_calls_its_labels_bethesda(tmp_path: Path) -> None:
    (tmp_path / "fields.cells.csv").write_text("cell_id,bethesda,x,y\n3024,ASC-US,627,198\n")
    assert cells(get_format("csv").read(tmp_path / "fields.cells.csv")) == [(Point(198, 627), "ASC-US")]


def test_utf16_from_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("x\ty\tlabel\r\n1\t2\tPlattenepithel ü\r\n".encode("utf-16"))
    assert cells(get_format("csv").read(tmp_path / "a.csv")) == [(Point(2, 1), "Plattenepithel ü")]


def test_a_slide_written_in_bounds_is_the_same_slide_again(sample: LabelSet, tmp_path: Path) -> None:
    one = replace(sample, slides=sample.slides[:1], annotations=sample.of_slide(sample.slides[0].id))
    options: dict[str, Any] = {"origin": "bounds", "bounds_offset_yx": {"smear 1.svs": (7, 9)}}
    get_format("geojson").write(one, tmp_path / "a.geojson", **options)
    text = json.loads((tmp_path / "a.geojson").read_text())
    assert text["features"][0]["geometry"]["coordinates"][0][0] == [191, 93]
    assert get_format("geojson").read(tmp_path / "a.geojson", **options).annotations[0].geometry == Box(
        100, 200, 150, 260
    )


def test_what_is_no_image_of_cric_is_named_and_costs_no_other(tmp_path: Path) -> None:
    rows = ["x", {"image_name": "a.png"}, {"image_name": "b.png", "classifications": ["x"]}]
    cell = {"cell_id": 1, "bethesda_system": "HSIL", "nucleus_x": 20, "nucleus_y": 10}
    rows += [{"image_name": "c.png", "classifications": [cell]}, {"image_name": "d.png", "classifications": []}]
    path = tmp_path / "classifications.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(FormatError, match="image 1: expected an image with classifications"):
        get_format("cric").read(path)
    labels = get_format("cric").read(path, skip_bad=True)
    assert [slide.name for slide in labels.slides] == ["c.png", "d.png"]
    assert len(labels.annotations) == 1
    said = " ".join(labels.remarks)
    for named in ("image 1:", "image 2:", "image 3, cell 1:"):
        assert named in said


def test_what_an_image_of_ours_knows_is_read_back_from_coco_whatever_another_program_put_there(tmp_path: Path) -> None:
    slide = SlideRecord(name="a.png", size_hw=(40, 50), mpp=0.5, mpp_source="file", smear="s", patient="p")
    path = tmp_path / "a.json"
    get_format("coco").write(LabelSet((slide,), ()), path)
    [read] = get_format("coco").read(path).slides
    assert (read.mpp, read.smear, read.patient, read.size_hw) == (0.5, "s", "p", (40, 50))
    data = json.loads(path.read_text(encoding="utf-8"))
    data["images"][0]["napari_cyto"] = "of somebody else"
    path.write_text(json.dumps(data), encoding="utf-8")
    [read] = get_format("coco").read(path).slides
    assert (read.name, read.size_hw, read.mpp) == ("a.png", (40, 50), None)


@pytest.mark.parametrize(
    ("score", "said"), [(-0.5, "expected a score from 0 to 1, got -0.5"), (1.5, "up to 1, got 1.5")]
)
def test_a_score_of_labelme_is_a_share(tmp_path: Path, score: float, said: str) -> None:
    shape = {"label": "HSIL", "shape_type": "point", "points": [[3, 4]], "score": score}
    data = {"version": "5.4.1", "flags": {}, "shapes": [shape], "imagePath": "a.png", "imageHeight": 9, "imageWidth": 9}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FormatError, match=said):
        get_format("labelme").read(path)
