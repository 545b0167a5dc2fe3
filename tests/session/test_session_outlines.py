"""Promise: an outline is stored when it is drawn, each correction is one undo step, and it counts once it is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, CellOutline, CellRing, Point
from napari_cyto.errors import CytoError, StaleEditError
from napari_cyto.session import Session, Tool
from napari_cyto.session.commands import run
from napari_cyto.store import Project

NUCLEUS = ((100.0, 100.0), (100.0, 120.0), (120.0, 120.0), (120.0, 100.0))
FOUND = CellOutline(NUCLEUS, (), accepted=False)


def stored(session: Session) -> list[Annotation]:
    return list(session.project.annotations(session.slide.id))


def test_drawn_corrected_kept_and_undone_step_by_step(session):
    cell = session.outlines.draw(FOUND)
    assert stored(session) == [cell]
    assert (cell.class_id, cell.author, cell.geometry.accepted) == ("NILM", "anna", False)
    assert session.selection == {cell.id}
    session.outlines.paint(cell, [(110, 120), (110, 125)], 3.0, adds=True)
    wide = stored(session)[0]
    assert wide.geometry.bounds_yxyx[3] == pytest.approx(128, abs=0.1)
    session.outlines.paint(wide, [(110, 100)], 3.0, adds=False)
    run(session, "finish")
    assert stored(session)[0].geometry.accepted
    labels = []
    for _ in range(4):
        labels.append(session.project.can_undo("anna"))
        run(session, "undo")
    assert labels == ["Keep outline of NILM", *["Correct nucleus of NILM"] * 2, "Outline NILM"]
    assert stored(session) == []
    for _ in range(4):
        run(session, "redo")
    assert stored(session)[0].geometry.accepted


def test_escape_drops_what_is_not_kept_and_gives_a_cell_its_old_shape(session, heard):
    point = session.edits.add_point((110.0, 110.0))
    box = session.edits.add_box(Box(95, 95, 125, 125))
    assert session.outlines.give([(point, FOUND), (box, FOUND)]) == 2
    assert session.selection == {point.id, box.id}
    session.edits.choose_class("HSIL")
    session.edits.set_note("dark")
    run(session, "cancel")
    back = {a.id: a for a in stored(session)}
    assert back[point.id] == replace(point, class_id="HSIL", note="dark")
    assert back[box.id].geometry == box.geometry
    assert session.selection == {point.id, box.id}
    run(session, "cancel")
    assert session.selection == frozenset()
    new = session.outlines.draw(FOUND)
    run(session, "cancel")
    assert new.id not in {a.id for a in stored(session)}
    kept = session.outlines.draw(FOUND)
    run(session, "finish")
    session.select([kept.id])
    run(session, "cancel")
    assert kept.id in {a.id for a in stored(session)}


def test_enter_keeps_the_selected_outlines_whoever_drew_them(session, heard):
    made = [
        Annotation(slide_id=session.slide.id, geometry=FOUND.translated(30 * i, 0), class_id="LSIL", author="model")
        for i in range(3)
    ]
    made[2] = replace(made[2], status=Status.UNREVIEWED)
    session.project.apply(edits.add(made, "Outline"), "model")
    session.select([a.id for a in made])
    run(session, "finish")
    assert [(a.geometry.accepted, a.author, a.status) for a in stored(session)] == [
        (True, "model", Status.ACCEPTED),
        (True, "model", Status.ACCEPTED),
        (True, "model", Status.UNREVIEWED),
    ]
    assert heard.messages[-1].startswith("3 outlines accepted")
    session.tool = Tool.OUTLINE
    run(session, "finish")
    assert "none is selected" in heard.messages[-1]
    session.set_view((3000.0, 3000.0, 3500.0, 3500.0))
    session.select([made[0].id])
    run(session, "finish")
    assert "not in view" in heard.messages[-1]


def test_the_key_of_the_tool_pressed_again_turns_to_the_other_ring(session):
    heard = []
    session.tool_changed.connect(lambda: heard.append(session.outlines.ring))
    for _ in range(3):
        run(session, "tool.outline")
    assert heard == [CellRing.NUCLEUS, CellRing.CYTOPLASM, CellRing.NUCLEUS]


def test_what_another_window_did_meanwhile_is_not_overwritten(session):
    cell = session.outlines.draw(FOUND)
    with Project.open(session.project.folder) as other:
        other.apply(edits.replace_all([(cell, replace(cell, note="mine"))], "Note"), "ben")
    with pytest.raises(StaleEditError):
        session.outlines.paint(cell, [(110, 120)], 3.0, adds=True)
    with pytest.raises(CytoError, match="no outline yet"):
        session.outlines.paint(replace(cell, geometry=Point(1, 1)), [(1, 1)], 1.0, adds=True)
    run(session, "undo")
    assert stored(session)[0].note == "mine"
