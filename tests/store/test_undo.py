"""Promise: undo and redo cover every edit, per author, bulk edits as one step, across restart; no history is lost."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.edits import Edit, add, remove, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import StaleEditError, StoreError
from napari_cyto.store import Project
from napari_cyto.store import _history_replay as settling
from napari_cyto.store.recovery.integrity import problems
from tests.store.conftest import Cell


def test_undo_and_redo_walk_the_same_way_back_and_forth(project: Project, cell: Cell) -> None:
    first = cell()
    second = replace(first, class_id="LSIL", geometry=Point(1, 2), note="moved")
    edits = [add([first], "Draw"), replace_all([(first, second)], "Relabel"), remove([second], "Delete")]
    for edit in edits:
        project.apply(edit, "Ana")
    for edit in reversed(edits):
        assert project.can_undo("Ana") == edit.label
        entry = project.undo("Ana")
        assert entry is not None
        assert (entry.kind, entry.edit) == ("undo", edit.inverse())
    assert project.undo("Ana") is None
    assert project.can_undo("Ana") is None
    assert list(project.annotations()) == []
    for edit in edits:
        assert project.can_redo("Ana") == edit.label
        entry = project.redo("Ana")
        assert entry is not None
        assert (entry.kind, entry.edit) == ("redo", edit)
    assert project.redo("Ana") is None
    assert [entry.kind for entry in project.history()] == ["redo"] * 3 + ["undo"] * 3 + ["edit"] * 3


def test_the_view_learns_where_to_go(project: Project, cell: Cell) -> None:
    near = cell(5, 6)
    far = replace(near, geometry=Point(700, 800), slide_id="two")
    project.apply(add([near], "Draw"), "Ana")
    assert project.apply(replace_all([(near, far)], "Move"), "Ana").place == ("two", (700.0, 800.0))
    undone = project.undo("Ana")
    assert undone is not None
    assert undone.place == ("one", (5.0, 6.0))
    assert set(undone.slide_ids) == {"one", "two"}


def test_undo_works_after_a_restart(project: Project, folder: Path, cell: Cell) -> None:
    first = cell()
    project.apply(add([first], "Draw"), "Ana")
    project.apply(replace_all([(first, replace(first, note="x"))], "Note"), "Ana")
    project.undo("Ana")
    project.close()
    with Project.open(folder) as again:
        assert (again.can_undo("Ana"), again.can_redo("Ana")) == ("Draw", "Note")
        again.redo("Ana")
        again.undo("Ana")
        again.undo("Ana")
        assert list(again.annotations()) == []


def test_a_bulk_edit_is_one_step(project: Project, cell: Cell) -> None:
    many = [cell(i, 2 * i) for i in range(11_000)]
    project.apply(add(many, "Import"), "Ana")
    relabelled = [replace(a, class_id="NILM") for a in many]
    project.apply(replace_all(zip(many, relabelled, strict=True), "Relabel"), "Ana")
    assert project.counts() == {"NILM": 11_000}
    entry = project.undo("Ana")
    assert entry is not None
    assert entry.count == len(entry.edit.changes) == 11_000
    assert list(project.annotations()) == many
    project.undo("Ana")
    assert project.counts() == {}
    assert project.count_in_box("one", (-1, -1, 1e6, 1e6)) == 0


def test_a_new_edit_clears_what_could_be_redone_but_no_history(project: Project, cell: Cell) -> None:
    lost = cell()
    project.apply(add([lost], "Lost"), "Ana")
    project.undo("Ana")
    project.apply(add([cell()], "New"), "Ana")
    assert project.can_redo("Ana") is None
    assert project.redo("Ana") is None
    assert project.can_undo("Ana") == "New"
    assert [entry.edit.changes[0].after for entry in project.history_of(lost.id)] == [lost, None]


def test_each_author_undoes_their_own(project: Project, cell: Cell) -> None:
    ana, ben = cell(), cell(author="Ben")
    project.apply(add([ana], "Ana draws"), "Ana")
    project.apply(add([ben], "Ben draws"), "Ben")
    project.undo("Ana")
    assert list(project.annotations()) == [ben]
    assert (project.can_redo("Ana"), project.can_redo("Ben")) == ("Ana draws", None)
    assert project.can_undo("Cem") is None
    assert project.undo("Cem") is None


def test_undoing_what_another_has_changed_since_refuses_and_changes_nothing(project: Project, cell: Cell) -> None:
    first, other = cell(), cell()
    second = replace(first, class_id="NILM")
    project.apply(add([first, other], "Draw"), "Ana")
    project.apply(replace_all([(first, second)], "Correct"), "Ben")
    with pytest.raises(StaleEditError, match=r"'Draw' was not undone: 1 of its 2 annotations had been changed by"):
        project.undo("Ana")
    assert list(project.annotations()) == [second, other]
    assert project.can_undo("Ana") == "Draw"
    project.undo("Ben")
    assert project.undo("Ana") is not None
    project.apply(add([replace(first, note="again")], "Back"), "Ben")
    with pytest.raises(StaleEditError, match="'Draw' was not redone"):
        project.redo("Ana")


def test_a_way_round_that_ends_where_it_began_does_not_hinder_undo(project: Project, cell: Cell) -> None:
    first = cell()
    second = replace(first, status=Status.REJECTED)
    project.apply(add([first], "Draw"), "Ana")
    project.apply(replace_all([(first, second)], "Reject"), "Ben")
    project.apply(replace_all([(second, first)], "Accept"), "Ben")
    project.undo("Ana")
    assert list(project.annotations()) == []
    project.redo("Ana")
    assert list(project.annotations()) == [first]
    assert project.counts() == {"HSIL": 1}
    assert project.status_counts() == {Status.ACCEPTED: 1}


def test_an_undo_that_would_bring_back_a_class_that_is_gone_refuses(project: Project, cell: Cell) -> None:
    first = cell(class_id="bothcells")
    project.apply(add([first], "Draw"), "Ana")
    project.apply(remove([first], "Delete"), "Ana")
    project.set_scheme(ClassScheme("mine", 1, project.scheme.classes[:3]))
    with pytest.raises(StoreError, match="class 'bothcells', which is not in the project's class scheme"):
        project.undo("Ana")
    assert project.can_undo("Ana") == "Delete"


def test_a_step_read_later_says_the_same(project: Project, cell: Cell) -> None:
    edit: Edit = add([cell(), cell(slide_id="two")], "Draw")
    entry = project.apply(edit, "Ana")
    assert entry.edit is edit
    assert project.history()[0].edit == edit


def test_places_are_found_when_most_annotations_went_and_came_back(
    project: Project, folder: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_MANY", 3)
    few = [cell(y=10.0 * place) for place in range(4)]
    many = [cell(y=1000 + 10.0 * place) for place in range(9)]
    project.apply(add(few, "few"), "me")
    project.apply(add(many, "many"), "me")
    everywhere = (0.0, 0.0, 5000.0, 5000.0)

    def found() -> set[str]:
        return {a.id for a in project.in_box(few[0].slide_id, everywhere)}

    project.undo("me")
    assert found() == {a.id for a in few}
    project.redo("me")
    assert found() == {a.id for a in (*few, *many)}
    project.undo("me")
    project.undo("me")
    assert found() == set()
    assert not project.counts()
    project.redo("me")
    assert found() == {a.id for a in few}
    with sqlite3.connect(folder / "project.sqlite") as connection:
        assert not problems(connection, thorough=True)
    connection.close()
