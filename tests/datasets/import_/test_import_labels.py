"""Promise: labels of any format come into a project as one undoable edit, all or nothing, and never twice."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto.datasets import (
    ApaccExportOptions,
    ImportOptions,
    LabelExportOptions,
    export_apacc,
    export_labels,
    import_labels,
    preview,
)
from napari_cyto.datasets.import_.classes import new_scheme
from napari_cyto.datasets.import_.slide_match import SlideMatcher
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import replace_all
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.reader import keep_reader
from napari_cyto.files.user_folders import DATA_VARIABLE
from napari_cyto.formats import WRITTEN
from napari_cyto.jobs.events import Cancelled, CancelToken
from napari_cyto.store import Project

LINES = "3 0.07525 0.8035 0.1505 0.211\n0 0.106 0.06475 0.212 0.1295\n1 0.712 0.506 0.174 0.176\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An APACC tree as published, one slice a side."""
    for side, stem in (("train", "10030_18_18000_136000"), ("test", "669-15_36000-74000")):
        folder = tmp_path / "tree" / side
        folder.mkdir(parents=True)
        Image.new("RGB", (2000, 2000), (230, 225, 235)).save(folder / f"{stem}.png", compress_level=1)
        (folder / f"{stem}.txt").write_bytes(LINES.encode())
    return tmp_path / "tree"


def csv_file(folder: Path, rows: list[tuple[float, float, str]], name: str = "points.csv") -> Path:
    path = folder / name
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("x", "y", "label"), *rows])
    return path


def test_an_apacc_tree_becomes_a_project_of_slices_that_keep_stem_offset_and_side(tree: Path, run, tmp_path) -> None:
    result = run(import_labels("apacc", tree, tmp_path / "p.cyto")).result
    assert (result["created"], result["slides_added"], result["annotations_added"]) == (True, 2, 6)
    with Project.open(tmp_path / "p.cyto") as project:
        assert project.scheme == preset("apacc")
        train, test = sorted(project.slides(), key=lambda s: s.side, reverse=True)
        assert (train.stem, train.smear, train.offset_yx, train.side) == (
            "10030_18_18000_136000", "10030_18", (136000, 18000), "train",
        )  # fmt: skip
        assert (test.smear, test.offset_yx, test.side) == ("669-15", (74000, 36000), "test")
        assert Path(train.path).name == "10030_18_18000_136000.png"
        first = next(project.annotations(train.id))
        assert first.geometry == Box(1396, 0, 1818, 301)
        assert first.origin == "imported:10030_18_18000_136000.txt"


def test_who_imports_has_the_name_that_this_person_reads_under(tree: Path, run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "user"))
    keep_reader("Ana Martín")
    run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    with Project.open(tmp_path / "p.cyto") as project:
        assert {a.author for a in project.annotations()} == {project.history()[-1].author} == {"Ana Martín"}


def test_label_files_written_from_it_are_the_same_to_the_byte(tree: Path, run, tmp_path: Path) -> None:
    run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    run(export_apacc(tmp_path / "p.cyto", tmp_path / "out", ApaccExportOptions(overview=False)))
    for path in tree.rglob("*.*"):
        again = tmp_path / "out/slices" / path.relative_to(tree)
        assert again.read_bytes() == path.read_bytes()


def test_the_published_full_set_is_found_in_its_folder(tree: Path, run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    tree.rename(tmp_path / "full/slices of smears")
    (tmp_path / "full/cell images/train/healthy").mkdir(parents=True)
    assert run(import_labels("apacc", tmp_path / "full", tmp_path / "p.cyto")).result["annotations_added"] == 6


def test_a_whole_import_is_one_step_to_undo(tree: Path, run, tmp_path: Path) -> None:
    result = run(import_labels("apacc", tree, tmp_path / "p.cyto", ImportOptions(author="me"))).result
    with Project.open(tmp_path / "p.cyto") as project:
        assert project.can_undo("me") == result["undo_label"] == "Import tree"
        project.undo("me")
        assert not project.counts()


def test_importing_twice_doubles_nothing_and_says_so(tree: Path, run, tmp_path: Path) -> None:
    run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    again = run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    assert (again.result["slides_added"], again.result["annotations_added"], again.result["already_there"]) == (0, 0, 6)
    assert "6 annotations of tree are already in the project" in " ".join(again.notes)
    with Project.open(tmp_path / "p.cyto") as project:
        assert len(project.slides()) == 2
        assert sum(project.counts().values()) == 6


def test_a_cell_that_was_relabelled_since_is_not_put_on_top_of_itself(tree: Path, run, tmp_path: Path) -> None:
    run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    with Project.open(tmp_path / "p.cyto") as project:
        first = next(project.annotations())
        project.apply(replace_all([(first, replace(first, class_id="rubbish"))], "x"), "me")
    result = run(import_labels("apacc", tree, tmp_path / "p.cyto")).result
    assert (result["already_there"], result["there_with_another_class"], result["annotations_added"]) == (5, 1, 0)


def test_a_broken_line_leaves_no_project_behind(tree: Path, run, tmp_path: Path) -> None:
    bad = next(tree.glob("test/*.txt"))
    bad.write_text(LINES + "0 0.5\n")
    refusal = run(import_labels("apacc", tree, tmp_path / "p.cyto")).refusal
    assert "line 4" in refusal
    assert not list(tmp_path.glob("*.cyto*"))


def test_an_image_of_another_size_than_its_labels_were_made_for_is_refused(tree: Path, run, tmp_path: Path) -> None:
    Image.new("RGB", (1000, 1000)).save(next(tree.glob("test/*.png")))
    refusal = run(import_labels("apacc", tree, tmp_path / "p.cyto")).refusal
    assert "2000 x 2000" in refusal
    assert "1000 x 1000" in refusal
    assert not list(tmp_path.glob("*.cyto*"))
    assert not list(tmp_path.glob(".*"))


def test_cancelling_leaves_the_project_as_it_was(tree: Path, run, tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    assert isinstance(run(import_labels("apacc", tree, tmp_path / "p.cyto", token=token)).last, Cancelled)
    assert not list(tmp_path.glob("*.cyto*"))


def test_a_folder_that_is_no_project_is_left_alone(tree: Path, run, tmp_path: Path) -> None:
    (tmp_path / "stuff").mkdir()
    (tmp_path / "stuff/x").write_text("x")
    assert "not a project" in run(import_labels("apacc", tree, tmp_path / "stuff")).refusal
    (tmp_path / "empty").mkdir()
    assert run(import_labels("apacc", tree, tmp_path / "empty")).result["created"]


def test_points_of_a_table_go_onto_the_slide_given_for_them(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2, cells=2)
    table = csv_file(tmp_path, [(30.5, 40.5, "healthy"), (50, 60, "rubbish")])
    options = ImportOptions(slide=Path(made.slides[1].path))
    result = run(import_labels("csv", table, made.folder, options)).result
    assert (result["slides_added"], result["annotations_added"]) == (0, 2)
    with Project.open(made.folder) as project:
        points = [a for a in project.annotations(made.slides[1].id) if isinstance(a.geometry, Point)]
        assert [p.geometry for p in points] == [Point(40.5, 30.5), Point(60, 50)]
        assert not [a for a in project.annotations(made.slides[0].id) if isinstance(a.geometry, Point)]


def test_a_slide_is_found_again_by_its_pixels_after_it_moved(make_project, run, tmp_path: Path) -> None:
    from napari_cyto.slides import fingerprint

    made = make_project(slides=2, cells=2)
    with Project.open(made.folder) as project:
        for record in project.slides():
            project.update_slide(replace(record, fingerprint=fingerprint(record.path)))
    moved = tmp_path / "elsewhere.png"
    Path(made.slides[0].path).rename(moved)
    table = csv_file(tmp_path, [(30, 40, "healthy")])
    assert run(import_labels("csv", table, made.folder, ImportOptions(slide=moved))).result["slides_added"] == 0


def test_unknown_classes_are_refused_by_name_added_or_mapped(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=1, cells=2)
    table = csv_file(tmp_path, [(30, 40, "koilocyte"), (50, 60, "healthy")])
    slide = Path(made.slides[0].path)
    refusal = run(import_labels("csv", table, made.folder, ImportOptions(slide=slide))).refusal
    assert "koilocyte" in refusal
    assert "'apacc'" in refusal
    mapped = ImportOptions(slide=slide, class_map={"koilocyte": "unhealthy"})
    assert run(import_labels("csv", table, made.folder, mapped)).result["classes"] == {"healthy": 1, "unhealthy": 1}
    other = csv_file(tmp_path, [(70, 80, "koilocyte")], "more.csv")
    assert run(import_labels("csv", other, made.folder, ImportOptions(slide=slide, add_classes=True))).result
    with Project.open(made.folder) as project:
        assert "koilocyte" in project.scheme
        assert project.scheme["koilocyte"].key == "5"


def test_a_new_projects_scheme_is_the_first_that_fits() -> None:
    def scheme_of(*classes: str, name: str = "csv", expected: str = "") -> str:
        return new_scheme(name, LabelSet((), (), classes), expected).name

    assert scheme_of("healthy", name="apacc") == "apacc"
    assert scheme_of("NILM", name="cric") == "bethesda"
    assert scheme_of("NILM", "SCC") == "bethesda"
    assert scheme_of("healthy", "unhealthy") == "apacc"
    assert scheme_of("cell", "debris") == "csv"
    assert scheme_of("cell", expected="ki67") == "ki67"
    made = new_scheme("csv", LabelSet((), (), tuple(f"class {i}" for i in range(12))), "")
    assert [c.key for c in made.classes][:9] == list("123456789")
    assert len({c.colour for c in made.classes}) >= 8


def test_classes_without_severity_and_two_spellings_of_one_are_said(run, tmp_path: Path) -> None:
    rows = [(10.0, 10.0, "hsil"), (30.0, 30.0, "HSIL"), (50.0, 50.0, "Ki67+"), (70.0, 70.0, "Ki67-")]
    ended = run(import_labels("csv", csv_file(tmp_path, rows), tmp_path / "p.cyto"))
    said = " ".join(ended.notes)
    assert "without an order of severity" in said
    assert "hsil and HSIL differ only in letter case" in said or "HSIL and hsil differ only in letter case" in said
    assert "Ki67+ and" not in said
    known = csv_file(tmp_path, [(10.0, 10.0, "HSIL")], "known.csv")
    assert "severity" not in " ".join(run(import_labels("csv", known, tmp_path / "q.cyto")).notes)


def test_without_images_the_labels_come_in_and_that_is_said(tree: Path, run, tmp_path: Path) -> None:
    for image in tree.rglob("*.png"):
        image.unlink()
    ended = run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    assert "2 slides without an image" in " ".join(ended.notes)
    assert ended.result["annotations_added"] == 6
    again = run(import_labels("apacc", tree, tmp_path / "p.cyto"))
    assert again.result["slides_added"] == 0
    run(export_apacc(tmp_path / "p.cyto", tmp_path / "out"))
    for path in tree.rglob("*.txt"):
        assert (tmp_path / "out/slices" / path.relative_to(tree)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - {"apacc"}))
def test_what_each_format_writes_comes_back_onto_the_same_slides(name: str, make_project, run, tmp_path: Path) -> None:
    scheme = "bethesda" if name == "cric" else "apacc"
    made = make_project(slides=2, cells=4, scheme=scheme)
    label_format = WRITTEN[name]
    target = tmp_path / ("out" if label_format.target_kind == "folder" else f"out{label_format.suffix}")
    assert preview(made.folder, name).ok
    ended = run(export_labels(name, made.folder, target))
    assert ended.result["losses"] == [note for note in ended.notes if note in ended.result["losses"]]
    with Project.create(tmp_path / "back.cyto", preset(scheme)) as project:
        project.add_slides(made.slides)
    result = run(import_labels(name, target, tmp_path / "back.cyto", ImportOptions(images=tmp_path / "pixels"))).result
    assert (result["slides_added"], result["annotations_added"]) == (0, len(made.cells))
    with Project.open(tmp_path / "back.cyto") as project:
        back = sorted((a.slide_id, a.class_id, _rounded(a)) for a in project.annotations())
    assert back == sorted((a.slide_id, a.class_id, _rounded(a)) for a in made.cells)


def _rounded(annotation: Annotation) -> tuple[float, ...]:
    return tuple(round(v, 2) for v in annotation.geometry.centre_yx)


def test_only_the_slides_requested_are_written(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=3, cells=2)
    options = LabelExportOptions(slides=("made-1",))
    run(export_labels("geojson", made.folder, tmp_path / "one.geojson", options))
    assert len(json.loads((tmp_path / "one.geojson").read_text())["features"]) == 2
    missing = run(export_labels("geojson", made.folder, tmp_path / "x", LabelExportOptions(slides=("nobody",))))
    assert "got 'nobody'" in missing.refusal


def test_a_label_file_is_not_believed_what_no_microscope_gives() -> None:
    matched = SlideMatcher((), ImportOptions())
    odd = SlideRecord(name="odd.svs", mpp=896.0, mpp_source="format")
    list(matched.add([odd, SlideRecord(name="fine.svs", mpp=0.25, mpp_source="format")]))
    assert [(s.mpp, s.mpp_source) for s in matched.new] == [(None, ""), (0.25, "format")]
    assert "µm per px, got 896" in " ".join(matched.remarks)
