"""Promise: the view goes from mark to mark and slide to slide, and what another window does is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import SlideError, StoreError
from napari_cyto.session import Session
from napari_cyto.session.commands import COMMANDS, run
from napari_cyto.store import Project
from napari_cyto.widgets.keys import KEYS, keys_table


def test_step_goes_round_and_says_so(session, heard):
    marks = [session.edits.add_point((float(i), 1.0)) for i in range(3)]
    seen = [session.view.step(1).id for _ in range(4)]
    assert seen == [marks[0].id, marks[1].id, marks[2].id, marks[0].id]
    assert heard.jumps == [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (0.0, 1.0)]
    assert heard.messages == ["Back to the first annotation."]
    assert session.view.step(-1).id == marks[2].id
    assert session.selection == {marks[2].id}


def test_step_by_class_and_unreviewed(session, heard):
    session.edits.add_point((0.0, 1.0))
    session.edits.choose_class("SCC")
    scc = session.edits.add_point((1.0, 1.0))
    prediction = Annotation(slide_id=session.slide.id, geometry=Point(2, 2), class_id="LSIL", status=Status.UNREVIEWED)
    session.project.apply(edits.add([prediction], "Predict"), "model")
    assert session.view.step(1, class_id="SCC") == scc
    assert session.view.step(1, unreviewed=True) == prediction
    assert session.view.step(1, class_id="ASC-H") is None
    assert heard.messages[-1] == "This slide has no ASC-H annotations."


def test_step_goes_on_from_where_a_deleted_one_stood(session):
    marks = [session.edits.add_point((float(i), 1.0)) for i in range(3)]
    session.view.step(1)
    session.view.step(1)
    session.edits.delete_selected()
    assert session.view.step(1).id == marks[2].id


def test_what_another_window_does_is_seen_at_the_next_poll(session, heard):
    mark = session.edits.add_point((5.0, 5.0))
    session.select([mark.id])
    heard.entries.clear()
    session.poll()
    assert heard.entries == []
    with Project.open(session.project.folder) as other:
        other.apply(edits.remove([mark], "Delete"), "ben")
        other.update_slide(
            SlideRecord(name="one", size_hw=(4000, 4000), mpp=0.5, mpp_source="user", id=session.slide.id)
        )
    session.poll()
    assert heard.entries[-1] is None
    assert session.selection == frozenset()
    assert session.slide.mpp == 0.5
    session.poll()
    assert len(heard.entries) <= 2


def test_slides_are_walked_to_either_end(session, heard):
    assert session.slide.name == "one"
    session.slides.next(-1)
    assert heard.messages[-1] == "This is the first slide of the project."
    session.slides.next(1)
    session.slides.next(1)
    assert session.slide.name == "two"
    assert heard.messages[-1] == "This is the last slide of the project."


def test_a_project_opens_where_it_was_left(session):
    folder = session.project.folder
    session.edits.choose_class("LSIL")
    session.slides.next(1)
    session.facts.set_progress(Progress.DONE)
    session.close()
    session.projects.open(folder)
    assert session.slide.name == "two"
    assert session.slide.progress is Progress.DONE
    assert session.current_class == "LSIL"


def test_a_project_that_cannot_be_opened_leaves_the_open_one(session, tmp_path):
    with pytest.raises(StoreError):
        session.projects.open(tmp_path / "nowhere")
    assert session.slide.name == "one"


def _image(path: Path, value: int) -> Path:
    Image.fromarray(np.full((60, 80, 3), value, np.uint8)).save(path)
    return path


def test_slides_are_added_once_and_bad_files_are_reported(tmp_path):
    session = Session("anna")
    said: list[str] = []
    session.message.connect(said.append)
    session.projects.create(tmp_path / "p.cyto", preset("apacc"))
    good, bad = _image(tmp_path / "a.png", 200), tmp_path / "b.svs"
    bad.write_bytes(b"no slide")
    [record] = session.slides.add([good, bad])
    assert record.size_hw == (60, 80)
    assert session.slide == session.project.slide(record.id)
    assert session.open_slide_handle is not None
    assert "b.svs" in said[-1]
    assert [r.id for r in session.slides.add([good])] == [record.id]
    assert len(session.project.slides()) == 1
    with pytest.raises(SlideError, match=r"b\.svs"):
        session.slides.add([bad])
    session.close()
    assert session.open_slide_handle is None


def test_a_slide_whose_file_is_missing_is_shown_without_pixels_and_said(tmp_path):
    session = Session("anna")
    session.projects.create(tmp_path / "p.cyto", preset("apacc"))
    [record] = session.slides.add([_image(tmp_path / "a.png", 200)])
    session.close()
    (tmp_path / "a.png").unlink()
    said: list[str] = []
    session.message.connect(said.append)
    session.projects.open(tmp_path / "p.cyto")
    assert session.slide.id == record.id
    assert session.open_slide_handle is None
    assert "a.png" in said[0]
    session.close()


def test_every_key_has_a_command_and_no_two_share_one():
    combinations = [c for key in KEYS for c in key.keys]
    assert len(combinations) == len(set(combinations))
    moves = {"pan.left", "pan.right", "pan.up", "pan.down", "zoom.in", "zoom.out"}
    objectives = {f"objective.{each}" for each in ("4", "10", "20", "40", "next", "previous")}
    lamp = {
        f"lamp.{each}"
        for each in ("brighter", "darker", *(f"{w}.{d}" for w in ("contrast", "gamma") for d in ("more", "less")))
    }
    light = {"light", "light.reset", "light.white", "light.white.auto", *lamp}
    places = {"place", "bookmark", "bookmarks", *(f"snapshot{each}" for each in ("", ".annotations", ".copy"))}
    turns = {f"turn.{each}" for each in ("right", "left", "step.right", "step.left", "upright")}
    microscope = {*turns, *objectives, *light, "field", "field.follow", "rulers.clear", "ruler.remove", *places}
    microscope |= {"view.second", "focus.up", "focus.down"}
    known = {*COMMANDS, "outline.selection", "hide", *moves, *microscope, *(f"class.{d}" for d in "123456789")}
    assert {key.command for key in KEYS} == known
    assert len(keys_table()) > 20


def test_every_command_runs_or_says_why_not_without_a_project():
    session = Session("anna")
    for key in KEYS:
        run(session, key.command)


def test_who_shows_slides_and_classes_need_not_follow_the_annotations_of_others(session):
    mark = session.edits.add_point((5.0, 5.0))
    reported = []
    with Project.open(session.project.folder) as other:
        other.apply(edits.remove([mark], "Delete"), "ben")
        session.poll()
        session.project_changed.connect(lambda: reported.append("project"))
        session.annotations_changed.connect(lambda _entry: reported.append("marks"))
        other.undo("ben")
        session.poll()
        assert reported == ["marks"]
        other.set_setting("anything", 1)
        session.poll()
        assert reported == ["marks", "marks", "project"]
