"""Promise: a key changes what its reader sees, never what another window has put there since."""

from __future__ import annotations

from dataclasses import replace

from napari_cyto.domain import edits
from napari_cyto.store import Project


def test_a_key_does_not_overwrite_what_another_window_stored_a_moment_before(window_bench):
    session, canvas = window_bench.session, window_bench.window.canvas
    [cell] = window_bench.mark(1, "HSIL")
    canvas._reload()
    assert cell in canvas.shown.annotations
    session.select([cell])
    said = []
    session.message.connect(said.append)
    with Project.open(session.project.folder) as other:
        before = other.annotation(cell)
        other.apply(edits.replace_all([(before, replace(before, class_id="LSIL"))], "Relabel"), "another")
    for change in (
        lambda: session.edits.choose_class("NILM"),
        lambda: session.edits.set_note("seen"),
        lambda: session.edits.move_selected(3, 0),
        session.edits.delete_selected,
    ):
        # Each sees the slide as it was before the other window wrote.
        canvas.shown.annotations[cell] = before
        canvas._reload_soon.stop()
        with session.telling():
            change()
        stored = session.project.annotation(cell)
        assert (stored.class_id, stored.geometry, stored.note) == ("LSIL", before.geometry, "")
        assert "check the current state" in said[-1]
    window_bench.settle()
    assert canvas.shown.annotations[cell].class_id == "LSIL"
    session.edits.choose_class("NILM")
    assert session.project.annotation(cell).class_id == "NILM"
