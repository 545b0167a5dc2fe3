"""Promise: edits form an algebra: each has an inverse, inverses undo in reverse order, refusals change nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import Change, Edit, apply
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import StaleEditError

State = dict[str, Annotation]

_PLAIN = Annotation(slide_id="one", geometry=Point(0.0, 0.0), class_id="NILM")
_values = st.fixed_dictionaries(
    {
        "class_id": st.sampled_from(["NILM", "LSIL", "HSIL"]),
        "status": st.sampled_from(Status),
        "note": st.text(max_size=3),
    }
)


def _annotation(annotation_id: str) -> st.SearchStrategy[Annotation]:
    return _values.map(lambda values: replace(_PLAIN, id=annotation_id, **values))


@st.composite
def _states(draw: st.DrawFn) -> State:
    return {i: draw(_annotation(i)) for i in draw(st.sets(st.sampled_from("abcde")))}


@st.composite
def _edit_of(draw: st.DrawFn, state: State) -> Edit:
    """An edit that fits ``state``."""
    changes = []
    for i in draw(st.lists(st.sampled_from("abcde"), min_size=1, unique=True)):
        after = draw(_annotation(i) if i not in state else st.none() | _annotation(i))
        changes.append(Change(state.get(i), after))
    return Edit(draw(st.text(max_size=5)), tuple(changes))


@given(st.data(), _states())
def test_the_inverse_takes_an_edit_back(data: st.DataObject, state: State) -> None:
    edit = data.draw(_edit_of(state))
    assert apply(edit.inverse(), apply(edit, state)) == state
    assert edit.inverse().inverse() == edit


@given(st.data(), _states())
def test_a_row_of_edits_is_undone_in_reverse(data: st.DataObject, state: State) -> None:
    states, edits = [state], []
    for _ in range(data.draw(st.integers(1, 5))):
        edits.append(data.draw(_edit_of(states[-1])))
        states.append(apply(edits[-1], states[-1]))
    for edit, expected in zip(reversed(edits), reversed(states[:-1]), strict=True):
        state = apply(edit.inverse(), states.pop())
        assert state == expected


@given(st.data(), _states())
def test_edits_of_different_annotations_commute(data: st.DataObject, state: State) -> None:
    one, two = data.draw(_edit_of(state)), data.draw(_edit_of(state))
    touched = {c.annotation_id for c in one.changes}
    apart = tuple(c for c in two.changes if c.annotation_id not in touched)
    if apart:
        two = Edit(two.label, apart)
        assert apply(two, apply(one, state)) == apply(one, apply(two, state))


@given(st.data(), _states(), _states())
def test_an_edit_applies_to_exactly_the_states_it_fits(data: st.DataObject, state: State, other: State) -> None:
    edit = data.draw(_edit_of(state))
    kept = dict(other)
    if all(other.get(c.annotation_id) == c.before for c in edit.changes):
        result = apply(edit, other)
        assert all(result.get(c.annotation_id) == c.after for c in edit.changes)
    else:
        with pytest.raises(StaleEditError):
            apply(edit, other)
    assert other == kept
