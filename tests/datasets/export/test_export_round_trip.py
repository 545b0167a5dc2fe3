"""Promise: an export tells two slides of one name apart, finds them when read back, and replaces no file unasked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto.datasets import ImportOptions, LabelExportOptions, export_labels, import_labels, preview
from napari_cyto.datasets.import_.slide_match import record_of_file
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import Change, Edit, add
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats import FORMATS
from napari_cyto.formats.slide_names import distinct_names, slide_stems
from napari_cyto.store import Project


@pytest.fixture(autouse=True)
def _own_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user data"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of two patients' ``001.png`` with one cell each, at another place and of another class."""
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        for k, (who, class_id) in enumerate((("a", "HSIL"), ("b", "NILM"))):
            path = tmp_path / who / "001.png"
            path.parent.mkdir()
            Image.new("RGB", (64, 48), (200, 180, k)).save(path)
            record = record_of_file(path)
            project.add_slides([record])
            box = Box(10 + k, 10, 20 + k, 20)
            project.apply(add([Annotation(slide_id=record.id, geometry=box, class_id=class_id)], "mark"), "me")
    return tmp_path / "p.cyto"


def target_of(name: str, tmp_path: Path) -> Path:
    return tmp_path / ("out" if FORMATS[name].target_kind == "folder" else f"out{FORMATS[name].suffix}")


def cells(project: Project) -> set[tuple[str, str | None]]:
    return {(Path(project.slide(a.slide_id).path).parent.name, a.class_id) for a in project.annotations()}


@pytest.mark.parametrize("name", ["asap", "coco", "csv", "geojson", "yolo"])
def test_what_is_read_back_finds_its_slide_although_both_have_one_name(name: str, folder: Path, run, tmp_path) -> None:
    """05: COCO named two images 001.png, rows of a CSV could not be told apart, and no loss was listed."""
    target = target_of(name, tmp_path)
    assert any("2 slides share their names" in loss for loss in preview(folder, name).losses)
    ended = run(export_labels(name, folder, target))
    assert "written as 'a/001.png', 'b/001.png'" in " ".join(ended.result["losses"])
    result = run(import_labels(name, target, folder)).result
    assert (result["slides_added"], result["annotations_added"], result["already_there"]) == (0, 0, 2)
    new = tmp_path / "new.cyto"
    assert run(import_labels(name, target, new, ImportOptions(scheme="bethesda"))).result["slides_added"] == 2


def test_with_their_images_they_are_two_in_a_new_project(folder: Path, run, tmp_path: Path) -> None:
    for name in ("coco", "csv"):
        target = target_of(name, tmp_path)
        run(export_labels(name, folder, target))
        options = ImportOptions(images=tmp_path, scheme="bethesda")
        run(import_labels(name, target, tmp_path / f"{name}.cyto", options))
        with Project.open(tmp_path / f"{name}.cyto") as project:
            assert cells(project) == {("a", "HSIL"), ("b", "NILM")}


def test_names_are_distinct_however_they_are_spelled() -> None:
    slides = [
        SlideRecord(name="x.png", path="/d/a/x.png"),
        SlideRecord(name="X.PNG", path="/d/b/X.PNG"),
        SlideRecord(name="b/x.png"),
        SlideRecord(name="same.png"),
        SlideRecord(name="same.png"),
        SlideRecord(name="H23.0412"),
        SlideRecord(name="H23.0413"),
    ]
    names = distinct_names(slides)
    assert len({name.lower() for name in names.values()}) == len(slides)
    stems = slide_stems(slides)
    assert len({stem.lower() for stem in stems.values()}) == len(slides)
    assert [stems[slide.id] for slide in slides[-2:]] == ["H23.0412", "H23.0413"]


def test_apacc_names_never_mix_two_slides(run, tmp_path: Path) -> None:
    with Project.create(tmp_path / "p.cyto", preset("apacc")) as project:
        for y in (10, 2500):
            slide = SlideRecord(name="001", size_hw=(5000, 5000), smear="s")
            project.add_slides([slide])
            cell = Annotation(slide_id=slide.id, geometry=Box(y, 10, y + 20, 30), class_id="healthy")
            project.apply(add([cell], "mark"), "me")
    run(export_labels("apacc", tmp_path / "p.cyto", tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out").glob("*.txt")) == ["s-2_0_2000.txt", "s_0_0.txt"]


@pytest.mark.parametrize("name", sorted(n for n in ("csv", "coco", "geojson")))
def test_a_file_that_is_no_export_is_never_replaced_unasked(name: str, run, tmp_path: Path, folder: Path) -> None:
    """46: a thesis, another program's labels and the source of an import were replaced without a word."""
    target = tmp_path / f"mine{FORMATS[name].suffix}"
    options = LabelExportOptions(slides=(str(tmp_path / "a" / "001.png"),))
    target.write_text("my thesis")
    assert "--overwrite" in run(export_labels(name, folder, target, options)).refusal
    assert target.read_text() == "my thesis"
    run(export_labels(name, folder, target, options.model_copy(update={"overwrite": True}))).result  # noqa: B018
    run(export_labels(name, folder, target, options)).result  # noqa: B018  its own export may be replaced
    target.write_text(target.read_text() + " ")
    assert "was changed since it was exported" in run(export_labels(name, folder, target, options)).refusal


def test_the_source_of_an_import_is_not_replaced_even_if_it_was_an_export(run, tmp_path: Path, folder: Path) -> None:
    target = tmp_path / "out.csv"
    run(export_labels("csv", folder, target))
    run(import_labels("csv", target, tmp_path / "q.cyto", ImportOptions(scheme="bethesda")))
    before = target.read_bytes()
    assert "was not written by an export" in run(export_labels("csv", folder, target)).refusal
    assert target.read_bytes() == before


def test_a_record_of_exports_that_is_broken_only_makes_it_ask(run, tmp_path: Path, folder: Path) -> None:
    run(export_labels("csv", folder, tmp_path / "out.csv"))
    record = tmp_path / "user data" / "exports.json"
    assert json.loads(record.read_text())
    record.write_text("[")
    assert "--overwrite" in run(export_labels("csv", folder, tmp_path / "out.csv")).refusal


def _moved_by(shift: float, folder: Path) -> None:
    with Project.open(folder) as project:
        before = next(project.annotations())
        y0, x0, y1, x1 = before.geometry.bounds_yxyx
        after = replace(before, geometry=Box(y0 + shift, x0 + shift, y1 + shift, x1 + shift))
        project.apply(Edit("Move", (Change(before, after),)), "a")


@pytest.mark.parametrize("name", ["geojson", "csv"])
def test_a_cell_that_was_moved_since_its_export_is_neither_doubled_nor_refused(
    name: str, folder: Path, run, tmp_path: Path
) -> None:
    target = target_of(name, tmp_path)
    run(export_labels(name, folder, target))
    _moved_by(3, folder)
    with Project.open(folder) as project:
        cells_before = sorted(map(str, project.annotations()))
    ended = run(import_labels(name, target, folder))
    assert (ended.result["annotations_added"], ended.result["there_with_another_shape"]) == (0, 1)
    assert "1 annotation of" in " ".join(ended.notes)
    with Project.open(folder) as project:
        assert sorted(map(str, project.annotations())) == cells_before


def test_one_id_in_two_files_is_two_cells(run, tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [5, 5]}
    properties = {"classification": {"name": "HSIL"}}
    feature = {"type": "Feature", "id": "0b3c1d5e-8a4b-4f7a-9a55-6c1a0f3f2d11", "geometry": point}
    (tmp_path / "two").mkdir()
    for name in "ab":
        (tmp_path / "two" / f"{name}.geojson").write_text(json.dumps(feature | {"properties": properties}))
    assert run(import_labels("geojson", tmp_path / "two", tmp_path / "p.cyto")).result["annotations_added"] == 2
