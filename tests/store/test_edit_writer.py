"""Promise: an edit is stored exactly, all or nothing, and is there after the project is opened again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import Change, Edit, add, remove, replace_all
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.errors import StaleEditError, StoreError
from napari_cyto.store import Project
from tests.store.conftest import Cell


def _everything() -> list[Annotation]:
    when = datetime(2021, 7, 7, 12, 30, 1, 999_999, tzinfo=timezone(timedelta(hours=-3)))
    return [
        Annotation(slide_id="one", geometry=Point(0.1, 1e-300), class_id="NILM", created_utc=when),
        Annotation(slide_id="two", geometry=Box(-5.5, 1 / 3, 249_999.99999999997, 2.0), class_id="rubbish"),
        Annotation(
            slide_id="one",
            geometry=Polygon(((0.0, 0.1), (1e9, 0.30000000000000004), (-7.25, 3.0))),
            class_id=None,
            note="Grenze \u00fcber \u6db2 \U0001f52c\nzweite Zeile\x00",
        ),
        Annotation(
            slide_id="one",
            geometry=Polygon(((1, 2), (3, 4), (5, 0))),
            class_id="SCC",
            status=Status.UNREVIEWED,
            author="detector-1",
            origin="model:detector-1@ab12",
            scores=(("SCC", 0.1 + 0.2), ("HSIL", 1e-17)),
        ),
    ]


def test_what_is_read_equals_what_was_written_to_the_last_bit(project: Project, folder: Path) -> None:
    given = _everything()
    project.apply(add(given, "Draw"), "Ana")
    project.close()
    with Project.open(folder) as again:
        assert list(again.annotations()) == given
        assert [again.annotation(a.id) for a in given] == given
        assert again.label_set().annotations == tuple(given)
        assert again.label_set(["two"]).annotations == (given[1],)
        assert [record.id for record in again.label_set(["two"]).slides] == ["two"]


def test_numbers_of_numpy_are_stored_like_any_other(project: Project, cell: Cell) -> None:
    given = cell(np.float32(0.1), np.int64(7), scores=(("HSIL", np.float32(0.25)),))
    project.apply(add([given], "Draw"), "Ana")
    assert project.annotation(given.id) == given


def test_text_that_is_no_unicode_refuses_in_a_sentence(project: Project, cell: Cell) -> None:
    with pytest.raises(StoreError, match="not valid Unicode"):
        project.apply(add([cell(note="\ud800")], "Draw"), "Ana")
    assert list(project.annotations()) == []


def test_an_edit_applies_all_or_nothing(project: Project, cell: Cell) -> None:
    old, new = cell(), cell(30, 40)
    project.apply(add([old], "Draw"), "Ana")
    stale = Edit("Both", (Change(None, new), Change(replace(old, note="never"), None)))
    with pytest.raises(StaleEditError, match=r"'Both' was not applied: 1 of its 2 annotation"):
        project.apply(stale, "Ana")
    assert list(project.annotations()) == [old]
    assert len(project.history()) == 1
    assert project.counts() == {"HSIL": 1}


@pytest.mark.parametrize("kind", ["add what is there", "change what is not there", "delete what is not there"])
def test_a_stale_edit_refuses(project: Project, cell: Cell, kind: str) -> None:
    there, gone = cell(), cell()
    project.apply(add([there, gone], "Draw"), "Ana")
    project.apply(remove([gone], "Delete"), "Ana")
    edit = {
        "add what is there": add([there], "x"),
        "change what is not there": replace_all([(gone, replace(gone, note="!"))], "x"),
        "delete what is not there": remove([gone], "x"),
    }[kind]
    with pytest.raises(StaleEditError):
        project.apply(edit, "Ana")
    assert list(project.annotations()) == [there]


def test_a_stale_annotation_in_any_batch_of_a_long_edit_undoes_all_of_it(project: Project, cell: Cell) -> None:
    many = [cell(i, i) for i in range(12_000)]
    project.apply(add(many[-1:], "Draw"), "Ana")
    with pytest.raises(StaleEditError, match="1 of its 12,000"):
        project.apply(add(many, "Import"), "Ana")
    assert list(project.annotations()) == many[-1:]


def test_slides_and_classes_that_the_project_lacks_refuse(project: Project, cell: Cell) -> None:
    with pytest.raises(StoreError, match="no slide with the id 'three'"):
        project.apply(add([cell(slide_id="three")], "Draw"), "Ana")
    with pytest.raises(StoreError, match=r"class 'healthy', which is not in the project's class scheme \(NILM"):
        project.apply(add([cell(class_id="healthy")], "Draw"), "Ana")
    assert project.counts() == {}


def test_a_deleted_annotation_can_be_added_again_under_its_id(project: Project, cell: Cell) -> None:
    first = cell()
    project.apply(add([first], "Draw"), "Ana")
    project.apply(remove([first], "Delete"), "Ana")
    assert project.annotation(first.id) is None
    second = replace(first, class_id="LSIL", slide_id="two")
    project.apply(add([second], "Draw"), "Ana")
    assert project.annotation(first.id) == second
    assert project.counts("two") == {"LSIL": 1}


def test_history_says_who_when_and_what(project: Project, cell: Cell) -> None:
    first = cell(1, 2)
    second = replace(first, class_id="LSIL")
    before = datetime.now(UTC)
    project.apply(add([first, cell(slide_id="two")], "Draw two"), "Ana")
    entry = project.apply(replace_all([(first, second)], "Relabel"), "Ben")
    assert (entry.seq, entry.label, entry.author, entry.kind, entry.count) == (2, "Relabel", "Ben", "edit", 1)
    assert before <= entry.at <= datetime.now(UTC)
    assert entry.at == project.saved_at
    assert entry.place == ("one", (1.0, 2.0))
    assert project.history()[0] == entry
    assert project.history()[1].slide_ids == ("one", "two")
    assert [step.edit.changes for step in project.history_of(first.id)] == [
        (Change(None, first),),
        (Change(first, second),),
    ]
    assert project.history_of("nobody") == ()


def test_counts_follow_every_edit(project: Project, cell: Cell) -> None:
    region = cell(geometry=Polygon(((0, 0), (0, 9), (9, 9))), class_id=None)
    unreviewed = cell(class_id="LSIL", status=Status.UNREVIEWED)
    project.apply(add([cell(), cell(), region, unreviewed, cell(slide_id="two")], "Draw"), "Ana")
    assert project.counts() == {"HSIL": 3, "LSIL": 1, None: 1}
    assert project.counts("one") == {"HSIL": 2, "LSIL": 1, None: 1}
    assert project.counts("one", [Status.UNREVIEWED]) == {"LSIL": 1}
    assert project.slide_counts() == {"one": 4, "two": 1}
    assert project.slide_counts([Status.UNREVIEWED]) == {"one": 1}
    assert project.status_counts("one") == {Status.ACCEPTED: 3, Status.UNREVIEWED: 1}
    project.apply(
        replace_all([(unreviewed, replace(unreviewed, status=Status.REJECTED, slide_id="two"))], "Move"), "Ana"
    )
    assert project.status_counts() == {Status.ACCEPTED: 4, Status.REJECTED: 1}
    assert project.counts("two") == {"HSIL": 1, "LSIL": 1}


def test_settings_are_kept_with_the_project(project: Project, folder: Path) -> None:
    value = {"box_um": {"HSIL": 30.5}, "name": "Zürich", "list": [1, None, True]}
    assert project.setting("sizes") is None
    assert project.setting("sizes", 3) == 3
    project.set_setting("sizes", "first")
    project.set_setting("sizes", value)
    with Project.open(folder) as again:
        assert again.setting("sizes") == json.loads(json.dumps(value))
