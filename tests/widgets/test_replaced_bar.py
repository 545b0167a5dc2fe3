"""Promise: a bar over the slide says that nothing is stored any more, shows what is not, and leads on."""

from __future__ import annotations

import shutil
import sys

import pytest

from napari_cyto.store import Project
from napari_cyto.widgets.canvas.napari_window import native_canvas

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not let an open file be replaced")


def test_a_replaced_file_is_said_over_the_slide_until_somebody_chooses(window_bench):
    session, window = window_bench.session, window_bench.window
    bar, folder = window.replaced, session.project.folder
    assert not bar.isVisible()
    [stored] = window_bench.mark(1, "HSIL")
    older = folder.with_name("older.sqlite")
    shutil.copy(folder / "project.sqlite", older)
    older.replace(folder / "project.sqlite")
    with session.telling():
        session.edits.add_box_at((300, 300))
    window_bench.settle()
    window.canvas._reload()
    assert bar.isVisible()
    assert native_canvas(window.viewer).rect().contains(bar.geometry())
    assert "'Add HSIL box' is on screen, but NOT saved" in bar.words.text()
    unsaved = session.unsaved.changes[0].annotation_id
    assert {stored, unsaved} <= set(window.canvas.shown.annotations)
    window_bench.bring_to_front(window_bench.annotate)
    # The dock follows edits a moment later, and only while it can be seen.
    window_bench.qtbot.waitUntil(lambda: "NOT saved" in window_bench.annotate.saved.text())
    window_bench.click(bar.copy)
    assert not bar.isVisible()
    copy = session.project.folder
    assert copy != folder
    assert {a.id for a in session.project.annotations()} == {stored, unsaved}
    assert "as it was open" in copy.name
    assert Project.is_project(folder)


def test_a_window_that_closes_says_where_the_copy_is(window_bench):
    session, window = window_bench.session, window_bench.window
    window_bench.mark(1, "HSIL")
    (session.project.folder / "project.sqlite").unlink()
    with session.telling():
        session.edits.add_box_at((300, 300))
    window.let_go()
    assert window.last_words is not None
    assert window.last_words.isVisible()
    assert "as it was open" in window.last_words.text()
    window.last_words.close()
