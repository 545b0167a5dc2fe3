"""Promise: an edit applies all or nothing, refuses a stale before, and its inverse takes it back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import Change, Edit, add, apply, remove, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import StaleEditError


def _cell(class_id: str = "HSIL") -> Annotation:
    return Annotation(slide_id="one", geometry=Point(1, 2), class_id=class_id)


def test_add_change_and_remove_do_as_they_say() -> None:
    cell = _cell()
    other = replace(cell, class_id="LSIL")
    state = apply(add([cell], "Draw"), {})
    assert state == {cell.id: cell}
    state = apply(replace_all([(cell, other)], "Relabel"), state)
    assert state == {cell.id: other}
    assert apply(remove([other], "Delete"), state) == {}


def test_a_stale_edit_leaves_the_state_alone() -> None:
    cell = _cell()
    state = {cell.id: replace(cell, note="changed meanwhile")}
    before = dict(state)
    edit = Edit("Both", (Change(None, _cell()), Change(cell, None)))
    with pytest.raises(StaleEditError, match="'Both' was not applied: 1 of its 2"):
        apply(edit, state)
    assert state == before


def test_an_edit_cannot_be_empty_or_name_an_annotation_twice() -> None:
    cell = _cell()
    with pytest.raises(ValueError, match="at least one change"):
        Edit("Nothing", ())
    with pytest.raises(ValueError, match="at most once"):
        remove([cell, cell], "Twice")
    with pytest.raises(ValueError, match="ids differ"):
        Change(cell, _cell())
    with pytest.raises(ValueError, match="a before or an after"):
        Change(None, None)
