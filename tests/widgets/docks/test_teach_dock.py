"""Promise: ten key presses make a class, the order follows each of them, and everything can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from taught_project import add_cells

from napari_cyto.domain.taught import not_classes
from napari_cyto.review.query import Sort
from napari_cyto.session import Session
from napari_cyto.vectors.teaching.project_lesson import drawn_cells
from napari_cyto.widgets.canvas.napari_window import native_canvas
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.teach.dock import MOST_LIKE, TeachDock

pytestmark = pytest.mark.smoke

CTRL = Qt.KeyboardModifier.ControlModifier
NONE = Qt.KeyboardModifier.NoModifier


def opened(bench: Any) -> TeachDock:
    """The dock once it has read the vectors."""
    dock = bench.dock(TeachDock)
    bench.qtbot.waitUntil(lambda: not dock.keeper.is_reading and dock.keeper.lesson is not None, timeout=20_000)
    bench.settle()
    return dock


def press(bench: Any, widget: Any, *keys: str, modifier: Any = NONE) -> None:
    for key in keys:
        shift, _, letter = key.rpartition("+")
        with_it = Qt.KeyboardModifier.ShiftModifier if shift else modifier
        bench.qtbot.keyClick(widget, getattr(Qt.Key, f"Key_{letter}"), with_it)
        bench.settle()


def name_class(bench: Any, dock: TeachDock, name: str = "koilocyte") -> None:
    bench.type(dock.new, name)
    bench.qtbot.keyClick(dock.new, Qt.Key.Key_Return)
    bench.settle()


def show_most_like(bench: Any, dock: TeachDock) -> None:
    dock.order.setCurrentIndex(dock.order.findData(MOST_LIKE))
    dock.order.activated.emit(dock.order.currentIndex())
    bench.qtbot.waitUntil(lambda: not dock.review.is_being_made and bool(dock.review.cells), timeout=20_000)
    dock.gallery.setFocus()
    bench.settle()


@pytest.fixture
def taught(bench: Any) -> tuple[Any, TeachDock, dict[str, int]]:
    """A project whose 60 cells are of three kinds, with their vectors."""
    kinds = [0] * 36 + [1] * 12 + [2] * 12
    ids = add_cells(bench.session.project, kinds)
    bench.session.annotations_changed.emit(None)
    dock = opened(bench)
    return bench, dock, dict(zip(ids, kinds, strict=True))


def of_kind(kinds: dict[str, int], kind: int) -> list[str]:
    return [cell for cell, of in kinds.items() if of == kind]


def test_a_class_is_named_and_ten_keys_find_its_cells(taught):
    bench, dock, kinds = taught
    name_class(bench, dock)
    assert "koilocyte" in bench.session.project.scheme
    assert bench.session.teaching.class_id == "koilocyte"
    assert len(dock.review.cells) == 20
    for _ in range(10):
        row = dock.gallery.current
        cell = dock.review.cells[row].id
        press(bench, dock.gallery, "T" if kinds[cell] == 1 else "Shift+T")
    stored = {cell.id: cell for cell in bench.session.project.annotations()}
    said = [c for c in stored.values() if c.class_id == "koilocyte" or not_classes(c.note)]
    assert len(said) == 10
    assert all((c.class_id == "koilocyte") == (kinds[c.id] == 1) for c in said)
    # Whatever the suggestions were, two examples are enough from here.
    for cell in [c for c in of_kind(kinds, 1) if stored[c].class_id != "koilocyte"][:2]:
        bench.session.teaching.this(of=[cell])
    bench.settle()
    show_most_like(bench, dock)
    rest = sum(1 for c in of_kind(kinds, 1) if bench.session.project.annotation(c).class_id != "koilocyte")
    first = [kinds[cell.id] for cell in dock.review.cells[:rest]]
    assert np.mean(np.array(first) == 1) > 0.8
    assert "koilocyte" in dock.examples.text()


def test_the_order_follows_every_key_and_the_next_cell_is_the_first(taught):
    bench, dock, kinds = taught
    name_class(bench, dock)
    for cell in of_kind(kinds, 1)[:2]:
        bench.session.teaching.this(of=[cell])
    for cell in of_kind(kinds, 0)[:1]:
        bench.session.teaching.not_this(of=[cell])
    show_most_like(bench, dock)
    first = dock.review.cells[0].id
    order = [cell.id for cell in dock.review.cells]
    press(bench, dock.gallery, "T")
    assert dock.gallery.current == 0
    assert dock.review.cells[0].id != first
    # What was said of a cell puts it behind all that wait.
    assert {cell.id for cell in dock.review.cells} == set(order)
    assert dock.review.row_of(first) >= len(order) - 2
    wrong = next(cell.id for cell in dock.review.cells if kinds[cell.id] == 2)
    bench.session.select([wrong])
    bench.settle()
    assert dock.review.cells[dock.gallery.current].id == wrong
    press(bench, dock.gallery, "Shift+T")
    assert dock.review.row_of(wrong) >= len(order) - 3
    likeness = bench.session.teaching.likeness
    waiting = [likeness.values[likeness.rows[cell.id]] for cell in dock.review.cells[: len(order) - 3]]
    assert waiting == sorted(waiting, reverse=True)


def test_each_key_can_be_undone_and_the_head_follows(taught):
    bench, dock, _kinds = taught
    name_class(bench, dock)
    row = dock.gallery.current
    cell = dock.review.cells[row].id
    press(bench, dock.gallery, "Shift+T")
    assert not_classes(bench.session.project.annotation(cell).note) == ("koilocyte",)
    press(bench, dock.gallery, "Z", modifier=CTRL)
    assert bench.session.project.annotation(cell).note == ""
    press(bench, dock.gallery, "T")
    assert dock.keeper.lesson.examples.counts == {"koilocyte": 1}
    assert "One example of koilocyte and nothing against it" in dock.warnings.text()
    press(bench, dock.gallery, "Z", modifier=CTRL)
    assert dock.keeper.lesson.examples.counts == {}
    assert bench.session.teaching.likeness is None


def test_keys_teach_on_the_slide_and_in_the_review_gallery_too(window_bench):
    bench = window_bench
    kinds = [0] * 10 + [1] * 6
    ids = add_cells(bench.session.project, kinds)
    bench.session.annotations_changed.emit(None)
    dock = bench.dock(TeachDock)
    bench.bring_to_front(dock)
    bench.qtbot.waitUntil(lambda: dock.keeper.lesson is not None, timeout=20_000)
    name_class(bench, dock)
    canvas = native_canvas(bench.window.viewer)
    canvas.setFocus()
    bench.settle()
    cell = bench.session.project.annotation(ids[-1])
    bench.session.jump(cell.geometry.centre_yx)
    bench.session.select([cell.id])
    bench.settle()
    press(bench, canvas, "T")
    assert bench.session.project.annotation(ids[-1]).class_id == "koilocyte"
    review = bench.dock(ReviewDock)
    bench.bring_to_front(review)
    review.filters.controls.setValue(0)
    review.refresh()
    bench.settle()
    review.gallery.setFocus()
    wrong = review.review.cells[review.gallery.current].id
    press(bench, review.gallery, "Shift+T")
    assert not_classes(bench.session.project.annotation(wrong).note) == ("koilocyte",)
    review.filters.sort.setCurrentIndex(review.filters.sort.findData(Sort.TAUGHT))
    bench.settle()
    first = review.review.cells[0].id
    assert kinds[ids.index(first)] == 1
    press(bench, review.gallery, "T")
    assert bench.session.project.annotation(first).class_id == "koilocyte"
    assert review.gallery.current == 0
    assert review.review.cells[0].id != first


def test_examples_and_what_was_drawn_survive_a_restart(taught, tmp_path: Path):
    bench, dock, _kinds = taught
    name_class(bench, dock)
    press(bench, dock.gallery, "Shift+T", "T", "Shift+T")
    folder = bench.session.project.folder
    drawn = drawn_cells(bench.session.project)
    assert len(drawn) == 2
    before = dict(dock.keeper.lesson.examples.counts)
    bench.session.projects.close()
    bench.settle()
    assert dock.keeper.lesson is None
    bench.session.projects.open(folder)
    bench.settle()
    bench.qtbot.waitUntil(lambda: dock.keeper.lesson is not None, timeout=20_000)
    bench.settle()
    assert bench.session.teaching.class_id == "koilocyte"
    assert dock.which.currentText() == "koilocyte"
    assert dock.keeper.lesson.examples.counts == before
    assert drawn_cells(bench.session.project)[:2] == drawn


def test_reasons_are_given_and_hidden_from_a_blind_reader(taught):
    bench, dock, kinds = taught
    name_class(bench, dock)
    for kind, cells in ((1, 3), (0, 3)):
        for cell in of_kind(kinds, kind)[:cells]:
            (bench.session.teaching.this if kind else bench.session.teaching.not_this)(of=[cell])
    press(bench, dock.gallery, "F5")
    reasons = [dock.model.words(row).splitlines()[0] for row in range(20)]
    assert sum(words.startswith("Drawn at random") for words in reasons) == 2
    assert sum("koilocyte or none of them" in words or "None of them or koilocyte" in words for words in reasons) >= 10
    press(bench, dock.gallery, "B")
    assert "%" not in dock.words.text()
    assert all("random" not in dock.model.words(row) for row in range(20))


def test_the_estimate_and_the_doubts_come_when_the_hand_rests(taught):
    bench, dock, kinds = taught
    name_class(bench, dock)
    for _ in range(36):
        row = dock.gallery.current
        press(bench, dock.gallery, "T" if kinds[dock.review.cells[row].id] == 1 else "Shift+T")
    bench.qtbot.waitUntil(lambda: dock.keeper.worth is not None and dock.keeper.worth.labelled >= 2, timeout=20_000)
    bench.settle()
    assert dock.worth.isVisibleTo(dock)
    assert "drawn at random" in dock.accuracy.text()
    assert "not enough slides to tell" in dock.across.text()


def test_without_vectors_the_dock_says_what_to_do(bench):
    dock = bench.dock(TeachDock)
    bench.qtbot.waitUntil(lambda: not dock.keeper.is_reading, timeout=20_000)
    bench.settle()
    assert "have no vectors yet" in dock.embedding.text()
    assert not dock.save.isEnabled()
    name_class(bench, dock)
    assert bench.session.teaching.class_id == "koilocyte"


def test_another_encoder_is_named(taught):
    from napari_cyto.vectors import VectorKind

    bench, dock, _kinds = taught
    name_class(bench, dock)
    press(bench, dock.gallery, "T")
    other = VectorKind(encoder="newer", sha256="cd" * 32, crop='{"windows": [40]}', length=12)
    add_cells(bench.session.project, [0] * 5, seed=9, kind=other)
    bench.session.annotations_changed.emit(None)
    bench.qtbot.waitUntil(lambda: dock.keeper.kind is not None and dock.keeper.kind.encoder == "newer", timeout=20_000)
    bench.settle()
    said = dock.warnings.text()
    assert "The encoder changed: these vectors are of newer (cdcdcdcd), those taught on last were of planted" in said
    assert "60 cells of the project have no vector of this encoder" in said


def test_no_class_is_taught_is_a_sentence():
    session = Session("anna")
    heard: list[str] = []
    session.message.connect(heard.append)
    from napari_cyto.session.commands import run

    run(session, "teach.this")
    assert heard
    session.close()


def test_forty_thousand_cells_follow_a_key_in_time(bench):
    """The bar of 150 ms is measured by the benchmark; a busy machine gets more here."""
    import time

    rng = np.random.default_rng(0)
    kinds = rng.choice(3, 8_000, p=[0.8, 0.15, 0.05]).tolist()
    add_cells(bench.session.project, kinds)
    bench.session.annotations_changed.emit(None)
    dock = opened(bench)
    name_class(bench, dock)
    ids = dock.keeper.lesson.ids
    for row in range(8):
        (bench.session.teaching.this if row % 2 else bench.session.teaching.not_this)(of=[ids[row]])
    show_most_like(bench, dock)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        bench.qtbot.keyClick(dock.gallery, Qt.Key.Key_O)
        dock.gallery.viewport().repaint()
        took.append(time.perf_counter() - began)
        QApplication.processEvents()
    assert np.median(took) < 0.6
