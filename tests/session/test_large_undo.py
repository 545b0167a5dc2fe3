"""Promise: a window goes on while a large step is taken back; nothing else is changed meanwhile; the end is told."""

from __future__ import annotations

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import StoreError
from napari_cyto.session import Session, _history


@pytest.fixture
def given(session: Session, monkeypatch: pytest.MonkeyPatch) -> list:
    """What the session gave to the background of its window: four annotations are many here."""
    monkeypatch.setattr(_history, "LARGE_STEP", 4)
    many = [Annotation(slide_id=session.slide.id, geometry=Point(y, 5), class_id="LSIL") for y in range(1, 5)]
    session.project.apply(add(many, "Import a.csv"), "anna")
    given: list = []
    session.background = lambda work, then: given.append((work, then))
    return given


def test_a_large_undo_is_done_in_the_background_and_reported(session: Session, heard, given) -> None:
    assert session.history.undo() is None
    assert heard.messages == ["'Import a.csv' is being undone (4 annotations); you can look around meanwhile."]
    assert sum(session.project.counts().values()) == 4
    for change in (session.history.undo, session.history.redo, lambda: session.edits.add_point((50.0, 50.0))):
        with pytest.raises(StoreError, match="wait until that is done"):
            change()
    ((work, then),) = given
    result = work()
    then(lambda: result)
    assert not session.project.counts()
    assert heard.messages[-1] == "Undone: Import a.csv."
    assert heard.entries == [None], "so many are looked at anew, not followed one by one"
    session.edits.add_point((50.0, 50.0))
    assert session.history.undo() is not None, "small ones are done at once"
    assert len(given) == 1


def test_an_undo_in_the_background_that_fails_is_a_sentence(session: Session, heard, given) -> None:
    session.history.undo()

    def fails():
        raise StoreError("The disk is full.")

    given[0][1](fails)
    assert heard.messages[-1] == "The disk is full."
    session.edits.add_point((50.0, 50.0))


def test_the_end_of_an_undo_is_not_reported_in_another_project(session: Session, heard, given) -> None:
    session.history.undo()
    result = given[0][0]()
    session.close()
    given[0][1](lambda: result)
    assert len(heard.messages) == 1
