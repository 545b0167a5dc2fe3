"""Promise: an export replaces only what an export of the same project left and nobody touched since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.datasets import LabelExportOptions, export_labels
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.formats import WRITTEN
from napari_cyto.jobs.events import CancelToken, Done, Failed
from napari_cyto.store import Project

NAMES = sorted(set(WRITTEN) - {"apacc"})
OVERWRITE = LabelExportOptions(overwrite=True)


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "one.cyto")


def made(folder: Path, cells: int = 2) -> Path:
    with Project.create(folder, preset("bethesda")) as opened:
        slide = SlideRecord(name="a.tif", path="/nowhere/a.tif", size_hw=(5000, 5000), mpp=0.25)
        opened.add_slides([slide])
        boxes = [Box(10.0 + k, 10.0, 50.0 + k, 50.0) for k in range(cells)]
        marks = [Annotation(slide_id=slide.id, geometry=box, class_id="LSIL") for box in boxes]
        opened.apply(edits.add(marks, "add"), "me")
    return folder


def last(project: Path, target: Path, name: str = "csv", options: LabelExportOptions | None = None, **more: Any) -> Any:
    return list(export_labels(name, project, target, options, **more))[-1]


def place(tmp_path: Path, name: str) -> Path:
    kind = WRITTEN[name]
    return tmp_path / (f"out{kind.suffix}" if kind.target_kind == "file" else "out")


def a_file_of(target: Path) -> Path:
    return target if target.is_file() else next(p for p in sorted(target.rglob("*.*")) if p.name != EXPORT_RECORD)


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_export_is_replaced_and_a_corrected_one_kept(tmp_path: Path, project: Path, name: str) -> None:
    target = place(tmp_path, name)
    for _ in range(2):
        assert isinstance(last(project, target, name), Done)
    corrected = a_file_of(target)
    content = corrected.read_bytes() + b"\n"
    corrected.write_bytes(content)
    ended = last(project, target, name)
    assert isinstance(ended, Failed)
    assert "changed since" in ended.message
    assert "--overwrite" in ended.message
    assert corrected.read_bytes() == content
    assert isinstance(last(project, target, name, OVERWRITE), Done)
    assert isinstance(last(project, target, name), Done)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_export_is_never_replaced_unasked(tmp_path: Path, project: Path, name: str) -> None:
    target = place(tmp_path, name)
    if WRITTEN[name].target_kind == "folder":
        target.mkdir()
    thesis = target / "thesis.txt" if target.is_dir() else target
    thesis.write_text("years of work")
    assert isinstance(last(project, target, name), Failed)
    assert thesis.read_text() == "years of work"
    if target.is_dir():
        # A folder of other things is not replaced whatever is asked for.
        assert isinstance(last(project, target, name, OVERWRITE), Failed)
        assert thesis.read_text() == "years of work"


def test_the_export_of_another_project_is_kept_and_a_moved_project_is_the_same(tmp_path: Path, project: Path) -> None:
    other = made(tmp_path / "two.cyto")
    for target, name in ((tmp_path / "out.csv", "csv"), (tmp_path / "out", "geojson")):
        assert isinstance(last(project, target, name), Done)
        ended = last(other, target, name)
        assert isinstance(ended, Failed)
        assert "another project" in ended.message
    moved = project.rename(tmp_path / "moved.cyto")
    assert isinstance(last(moved, tmp_path / "out.csv"), Done)
    assert isinstance(last(moved, tmp_path / "out", "geojson"), Done)
    assert isinstance(last(other, tmp_path / "out.csv", any_project=True), Done)


def test_what_is_written_meanwhile_is_kept(tmp_path: Path, project: Path) -> None:
    target = tmp_path / "out.csv"
    folder = tmp_path / "out"
    assert isinstance(last(project, target), Done)
    assert isinstance(last(project, folder, "geojson"), Done)
    for place_of, corrected, name in ((target, target, "csv"), (folder, folder / "a.geojson", "geojson")):
        for event in export_labels(name, project, place_of):
            # The second look at the target comes after this, the rename later still.
            if getattr(event, "message", "").startswith("Reading"):
                corrected.write_text("corrected meanwhile")
        assert isinstance(event, Failed)
        assert corrected.read_text() == "corrected meanwhile"
        assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_the_record_of_a_folder_names_the_project_and_each_file(tmp_path: Path, project: Path) -> None:
    last(project, tmp_path / "out", "geojson")
    record = json.loads((tmp_path / "out" / EXPORT_RECORD).read_text())
    with Project.open(project) as opened:
        assert record["project"] == opened.identity
    assert list(record["sha256"]) == ["a.geojson"]


def test_a_cancelled_export_leaves_what_was_there(tmp_path: Path) -> None:
    project, target, token = made(tmp_path / "many.cyto", 3000), tmp_path / "out.csv", CancelToken()
    for event in export_labels("csv", project, target, token=token):
        if getattr(event, "message", "").startswith("Writing"):
            token.cancel()
    assert type(event).__name__ == "Cancelled"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many.cyto"]
