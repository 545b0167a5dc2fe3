"""Guards what napari calls through the manifest: it opens slides and projects, saves layers, shows docks."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from npe2 import PluginManifest

import napari_cyto
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError, FormatError
from napari_cyto.slides.tiff_writer import write_pyramid
from napari_cyto.store import Project
from napari_cyto.widgets import npe2_hooks
from napari_cyto.widgets.layer_labels import label_set

pytestmark = pytest.mark.smoke


@pytest.fixture
def slide_path(tmp_path: Path) -> Path:
    path = tmp_path / "smear.tif"

    def draw(y0: int, x0: int, height: int, width: int) -> np.ndarray:
        return np.full((height, width, 3), 200, np.uint8)

    write_pyramid(path, (600, 5000), draw, mpp=0.25)
    return path


def test_every_command_of_the_manifest_imports() -> None:
    manifest = PluginManifest.from_file(Path(napari_cyto.__file__).parent / "napari.yaml")
    manifest.validate_imports()


def test_a_slide_becomes_one_multiscale_layer_in_um(slide_path: Path) -> None:
    reader = npe2_hooks.slide_reader(str(slide_path))
    assert reader is not None
    ((levels, attributes, kind),) = reader(str(slide_path))
    assert kind == "image"
    assert levels[0].shape == (600, 5000, 3)
    assert len(levels) > 1
    assert attributes["scale"] == pytest.approx((0.25, 0.25))


def test_plain_and_broken_tiffs_are_left_to_napari(tmp_path: Path) -> None:
    small = tmp_path / "small.tif"
    tifffile.imwrite(small, np.zeros((64, 64), np.uint16))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\x00 nothing")
    for path in (small, broken, tmp_path / "absent.tif"):
        assert npe2_hooks.slide_reader(str(path)) is None
    assert npe2_hooks.slide_reader([str(small), str(broken)]) is None


@pytest.mark.parametrize(
    "name", ["letter.svs", "void.png", "gone.ndpi", "cut.png", "half.mrxs", "pipe.svs", "a\x00.png"]
)
def test_what_cannot_be_opened_is_one_sentence_and_never_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    contents = {"letter.svs": b"Dear pathologist", "void.png": b"", "cut.png": b"\x89PNG\r\n", "half.mrxs": b""}
    path = tmp_path / name
    if name in contents:
        path.write_bytes(contents[name])
    elif name == "pipe.svs" and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    reader = npe2_hooks.slide_reader(str(path))
    assert reader is not None
    assert reader(str(path)) == npe2_hooks.NOTHING_TO_ADD
    assert len(said) == 1
    assert name.partition(".")[0].strip("\x00") in said[0]


def test_napari_opens_a_slide_by_itself(make_napari_viewer: Callable[[], Any], slide_path: Path) -> None:
    viewer = make_napari_viewer()
    (layer,) = viewer.open(str(slide_path), plugin="napari-cyto")
    assert layer.multiscale
    assert layer.scale[-2:] == pytest.approx((0.25, 0.25))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
def test_a_named_pipe_is_not_left_to_napari_which_would_wait_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "smear.tif")
    assert npe2_hooks.slide_reader(tmp_path / "smear.tif") is npe2_hooks.read_slide


def test_only_projects_are_read_as_projects(tmp_path: Path) -> None:
    folder = tmp_path / "empty.cyto"
    folder.mkdir()
    assert npe2_hooks.project_reader(str(folder)) is None
    Project.create(tmp_path / "real.cyto", preset("bethesda")).close()
    assert npe2_hooks.project_reader(str(tmp_path / "real.cyto")) is npe2_hooks.read_project
    assert npe2_hooks.project_reader(str(tmp_path / "real.cyto" / "project.sqlite")) is npe2_hooks.read_project


def test_a_project_opens_with_its_docks(make_napari_viewer: Callable[[], Any], tmp_path: Path) -> None:
    from napari_cyto.widgets.window import window_of

    Project.create(tmp_path / "real.cyto", preset("bethesda")).close()
    viewer = make_napari_viewer()
    viewer.open(str(tmp_path / "real.cyto"), plugin="napari-cyto")
    window = window_of(viewer)
    assert window.session.project is not None
    shown = {kind.__name__.removesuffix("Dock") for kind in window.docks}
    stages = {
        "Slides",
        "Slide",
        "Annotate",
        "Predict",
        "Review",
        "Measure",
        "Teach",
        "Map",
        "Report",
        "Readings",
        "Export",
        "Train",
        "Models",
    }
    assert shown == stages


@pytest.mark.parametrize("name", ["Slides", "Annotate", "Export", "Slide"])
def test_each_dock_opens_from_the_plugin_menu(make_napari_viewer: Callable[[], Any], name: str) -> None:
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-cyto", name)
    assert widget.title == name


def test_hooks_that_need_a_window_say_so() -> None:
    with pytest.raises(CytoError, match="open napari window, got none"):
        npe2_hooks.slides_dock()


POINTS = (np.array([[9.5, 19.5], [30.0, 40.0]]), {"name": "cells", "features": {"class": ["HSIL", "NILM"]}}, "points")
RECTANGLE = np.array([[-0.5, -0.5], [-0.5, 19.5], [9.5, 19.5], [9.5, -0.5]])
TRIANGLE = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_layers_become_annotations_in_our_frame() -> None:
    shapes = ([RECTANGLE, TRIANGLE], {"name": "LSIL", "shape_type": ["rectangle", "polygon"]}, "shapes")
    labels = label_set([POINTS, shapes], "smear")
    assert [a.geometry for a in labels.annotations[:3]] == [Point(10, 20), Point(30.5, 40.5), Box(0, 0, 10, 20)]
    assert isinstance(labels.annotations[3].geometry, Polygon)
    assert [a.class_id for a in labels.annotations] == ["HSIL", "NILM", "LSIL", "LSIL"]
    assert labels.classes == ("HSIL", "NILM", "LSIL")


def test_an_ellipse_is_an_outline_and_a_line_is_refused() -> None:
    (ellipse,) = label_set([([RECTANGLE], {"shape_type": "ellipse"}, "shapes")], "smear").annotations
    assert isinstance(ellipse.geometry, Polygon)
    assert ellipse.geometry.bounds_yxyx == pytest.approx((0, 0, 10, 20))
    with pytest.raises(FormatError, match="Shape 1"):
        label_set([([TRIANGLE[:2]], {"name": "L", "shape_type": "line"}, "shapes")], "smear")


def test_layers_are_saved_as_geojson_and_csv(make_napari_viewer: Callable[[], Any], tmp_path: Path) -> None:
    viewer = make_napari_viewer()
    viewer.add_points(POINTS[0], name="cells", features=POINTS[1]["features"])
    (written,) = viewer.layers.save(str(tmp_path / "cells.geojson"), plugin="napari-cyto")
    features = json.loads(Path(written).read_text(encoding="utf-8"))["features"]
    assert [f["properties"]["classification"]["name"] for f in features] == ["HSIL", "NILM"]
    assert features[0]["geometry"]["coordinates"] == [20, 10]
    (written,) = viewer.layers.save(str(tmp_path / "cells.csv"), plugin="napari-cyto")
    with Path(written).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["x"]) for row in rows] == [20, 40.5]
