"""Promise: slides are found again, also after the project's folder moved; what is missing is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.domain.edits import add, remove
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import StoreError
from napari_cyto.store import Project


def _slide(path: Path) -> SlideRecord:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"pixels")
    return SlideRecord(name=path.name, path=str(path), fingerprint=f"print of {path.name}")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study"


def test_a_record_is_kept_whole(project: Project) -> None:
    full = SlideRecord(
        name="Abstrich 7 \u2013 \u00e9",
        path="/far/away/7.svs",
        size_hw=(220_000, 100_000),
        mpp=0.2525,
        mpp_source="user",
        smear="669-15",
        patient="p1",
        stem="669-15_36000-74000",
        offset_yx=(74_000, 36_000),
        side="train",
        fingerprint="abc",
        progress=Progress.IN_PROGRESS,
    )
    project.add_slides([full])
    assert project.slide(full.id) == full
    assert project.slides()[-1] == full
    changed = replace(full, progress=Progress.DONE, mpp=None, mpp_source="", size_hw=None, offset_yx=None)
    project.update_slide(changed)
    assert project.slide(full.id) == changed


def test_a_moved_study_finds_its_slides(study: Path, tmp_path: Path) -> None:
    beside, under = _slide(study / "slides" / "a.svs"), _slide(study / "mine.cyto" / "b.svs")
    outside = _slide(tmp_path / "archive" / "c.svs")
    with Project.create(study / "mine.cyto", preset("apacc")) as project:
        project.add_slides([beside, under, outside])
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    study.rename(moved)
    with Project.open(moved / "mine.cyto") as project:
        paths = [project.slide_path(record) for record in project.slides()]
    assert paths == [moved / "slides" / "a.svs", moved / "mine.cyto" / "b.svs", tmp_path / "archive" / "c.svs"]


def test_a_project_that_moved_alone_finds_slides_where_they_stayed(study: Path, tmp_path: Path) -> None:
    record = _slide(study / "a.svs")
    with Project.create(study / "mine.cyto", preset("apacc")) as project:
        project.add_slides([record])
    (tmp_path / "desk" / "today").mkdir(parents=True)
    moved = shutil.move(study / "mine.cyto", tmp_path / "desk" / "today" / "mine.cyto")
    with Project.open(moved) as project:
        assert project.slide_path(project.slide(record.id)) == study / "a.svs"
        # A record that only passes through must not lose that second way.
        project.update_slide(replace(project.slide(record.id), progress=Progress.DONE))
        assert project.slide_path(project.slide(record.id)) == study / "a.svs"


def test_a_missing_slide_is_named_and_can_be_linked_again(study: Path) -> None:
    record = _slide(study / "a.svs")
    with Project.create(study / "mine.cyto", preset("apacc")) as project:
        project.add_slides([record])
        (study / "a.svs").rename(study / "b.svs")
        with pytest.raises(StoreError, match=r"slide 'a\.svs' is missing: .*a\.svs is not there"):
            project.slide_path(project.slide(record.id))
        project.update_slide(replace(record, path=str(study / "b.svs")))
        assert project.slide_path(project.slide(record.id)) == study / "b.svs"


def test_a_slide_of_labels_only_says_so(project: Project) -> None:
    with pytest.raises(StoreError, match="labels only"):
        project.slide_path(project.slide("one"))


def test_a_slide_is_found_by_its_print_or_its_place(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = _slide(study / "a.svs")
    with Project.create(study / "mine.cyto", preset("apacc")) as project:
        project.add_slides([record])
        assert project.find_slide(fingerprint="print of a.svs") == record
        assert project.find_slide(path=study / "x" / ".." / "a.svs") == record
        assert project.find_slide(fingerprint="other", path=study / "b.svs") is None
        assert project.find_slide() is None
        monkeypatch.chdir(study)
        assert project.find_slide(path="a.svs") == record


def test_a_slide_is_added_once(project: Project) -> None:
    new = SlideRecord(name="new")
    with pytest.raises(StoreError, match=r"'one\.svs' is already in the project"):
        project.add_slides([new, project.slide("one")])
    with pytest.raises(StoreError, match="add each slide once"):
        project.add_slides([new, new])
    assert [record.id for record in project.slides()] == ["one", "two"]
    project.add_slides([])


def test_an_unknown_slide_refuses_in_a_sentence(project: Project) -> None:
    for ask in (
        lambda: project.slide("x"),
        lambda: project.counts("x"),
        lambda: list(project.annotations("x")),
        lambda: project.in_box("x", (0, 0, 1, 1)),
        lambda: project.update_slide(SlideRecord(name="x", id="x")),
    ):
        with pytest.raises(StoreError, match="no slide with the id 'x'"):
            ask()


def test_a_linked_folder_is_taken_as_it_is_named(study: Path, tmp_path: Path) -> None:
    # Following links would make the path relative to a place that the user never named.
    real = tmp_path / "real"
    real.mkdir()
    study.mkdir()
    (study / "mine.cyto").symlink_to(real, target_is_directory=True)
    record = _slide(study / "a.svs")
    with Project.create(study / "mine.cyto", preset("apacc")) as project:
        project.add_slides([record])
    with Project.open(study / "mine.cyto") as project:
        assert project.slide_path(project.slide(record.id)) == study / "a.svs"


def test_a_slide_that_is_taken_out_loses_nothing(project, cell, folder):
    """Promise: what was ever marked can be brought back, also on a slide that somebody took out."""
    first = project.slides()[0]
    mark = cell()
    project.apply(add([mark], "mark"), "anna")
    with pytest.raises(StoreError, match="has 1 annotation"):
        project.remove_slide(mark.slide_id)
    project.apply(remove([mark], "delete"), "anna")
    project.remove_slide(mark.slide_id)
    assert mark.slide_id not in {r.id for r in project.slides()}
    assert mark.slide_id not in {s.id for s in project.label_set().slides}
    with Project.open(folder) as again:
        assert mark.slide_id not in {r.id for r in again.slides()}
    project.undo("anna")
    assert mark.slide_id in {r.id for r in project.slides()}, "an undo brings the slide back with its mark"
    assert project.annotation(mark.id) == mark
    assert project.slides()[0].id == first.id, "at its old place"
    project.redo("anna")
    assert mark.slide_id in {r.id for r in project.slides()}
    project.remove_slide(mark.slide_id)
    project.add_slides([SlideRecord(name="later")])
    assert mark.slide_id not in {r.id for r in project.slides()}
    project.restore_slide(mark.slide_id)
    assert mark.slide_id in {r.id for r in project.slides()}


def test_no_such_slide_to_take_out(project):
    with pytest.raises(StoreError, match="no slide"):
        project.remove_slide("nowhere")


def test_a_slide_taken_out_is_found_after_its_successor(project):
    old = SlideRecord(name="old", fingerprint="f1")
    project.add_slides([old])
    project.remove_slide(old.id)
    assert project.find_slide(fingerprint="f1").id == old.id
    new = SlideRecord(name="new", fingerprint="f1")
    project.add_slides([new])
    assert project.find_slide(fingerprint="f1").id == new.id


def test_sibling_folders_that_move_together_find_each_other(tmp_path: Path) -> None:
    """49: a project two folders away from its slides kept their absolute place only."""
    record = _slide(tmp_path / "sib" / "slides" / "a.svs")
    with Project.create(tmp_path / "sib" / "proj" / "m.cyto", preset("apacc")) as project:
        project.add_slides([record])
        assert project.slides()[0].path == record.path
    (tmp_path / "sib").rename(tmp_path / "sib2")
    with Project.open(tmp_path / "sib2" / "proj" / "m.cyto") as project:
        (slide,) = project.slides()
        assert Path(slide.path) == project.slide_path(slide) == tmp_path / "sib2" / "slides" / "a.svs"
        project.update_slide(replace(slide, progress=Progress.DONE))
        assert project.slide_path(project.slides()[0]) == tmp_path / "sib2" / "slides" / "a.svs"


def test_a_project_that_was_copied_keeps_the_slides_it_was_made_on(tmp_path: Path) -> None:
    """What happens to lie at the same place beside the copy may be another patient's slide."""
    record = _slide(tmp_path / "one" / "slides" / "a.svs")
    with Project.create(tmp_path / "one" / "proj" / "m.cyto", preset("apacc")) as project:
        project.add_slides([record])
    _slide(tmp_path / "two" / "slides" / "a.svs")
    shutil.copytree(tmp_path / "one" / "proj", tmp_path / "two" / "proj")
    with Project.open(tmp_path / "two" / "proj" / "m.cyto") as project:
        assert project.slide_path(project.slides()[0]) == tmp_path / "one" / "slides" / "a.svs"


def test_an_older_fingerprint_is_found_by_a_newer_one(project: Project) -> None:
    older = SlideRecord(name="older", fingerprint="0f" * 16)
    other = SlideRecord(name="other", fingerprint="0f" * 16 + "-wxy")
    project.add_slides([older, other])
    assert project.find_slide(fingerprint="0f" * 16 + "-wab").id == older.id
    assert project.find_slide(fingerprint="0f" * 16 + "-wxy").id == older.id
    assert project.find_slide(fingerprint="1f" * 16 + "-wxy") is None
