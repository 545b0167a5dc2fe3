"""Promise: cells are judged with the keyboard alone, the slide follows, and only what is on screen costs anything."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QApplication

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import SlideError
from napari_cyto.slides import open_slide
from napari_cyto.widgets.canvas.crosshair import ARM_SCREEN_PX, FREE_UM, arms_xy
from napari_cyto.widgets.canvas.napari_window import native_canvas
from napari_cyto.widgets.docks import cell_images as review_crops
from napari_cyto.widgets.docks.cell_images import MOST_WISHES, CellCrops, Wish, cell_crop
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.thumbnails import image_of

pytestmark = pytest.mark.smoke

NONE, SHIFT, CTRL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)


def add_predictions(bench: Any, count: int = 12, slide: int = 0) -> list[Annotation]:
    """Proposals of HSIL, the first the riskiest."""
    project = bench.session.project
    rng = np.random.default_rng(4)
    made = []
    for n in range(count):
        score = round(0.99 - 0.9 * n / count, 4)
        made.append(
            Annotation(
                slide_id=project.slides()[slide].id,
                geometry=Point(*rng.uniform(150, 490, 2)),
                class_id="HSIL",
                status=Status.UNREVIEWED,
                author="finder",
                origin=origin_of_model("finder", "0" * 64),
                scores=(("HSIL", score), ("NILM", round(1 - score, 4))),
            )
        )
    project.apply(edits.add(made, "Run detection"), "finder")
    return made


def shown(bench: Any, controls: int = 0) -> ReviewDock:
    dock = bench.dock(ReviewDock)
    dock.filters.controls.setValue(controls)
    dock.refresh()
    bench.settle()
    dock.gallery.setFocus()
    return dock


def press(bench: Any, dock: ReviewDock, *keys: str, modifier: Any = NONE) -> None:
    for key in keys:
        bench.qtbot.keyClick(dock.gallery, getattr(Qt.Key, f"Key_{key}"), modifier)
        bench.settle()


def now(bench: Any, cell: Annotation) -> tuple[str, str]:
    found = bench.session.project.annotation(cell.id)
    return (str(found.status), found.class_id)


def test_one_key_a_review_and_one_key_back(bench):
    cells = add_predictions(bench)
    dock = shown(bench)
    assert dock.progress.text() == "0 of 12 reviewed"
    assert dock.gallery.current == 0
    press(bench, dock, "A", "3", "X", "Space")
    assert [now(bench, cell) for cell in cells[:5]] == [
        ("accepted", "HSIL"),
        ("accepted", "LSIL"),
        ("rejected", "HSIL"),
        ("accepted", "HSIL"),
        ("proposed", "HSIL"),
    ]
    assert dock.gallery.current == 4
    assert dock.progress.text() == "4 of 12 reviewed"
    press(bench, dock, "Backspace", "Backspace")
    assert dock.gallery.current == 2
    press(bench, dock, "6")
    assert now(bench, cells[2]) == ("accepted", "SCC")
    assert dock.gallery.current == 4
    press(bench, dock, "Z", modifier=CTRL)
    assert now(bench, cells[2]) == ("rejected", "HSIL")
    assert dock.gallery.current == 2
    press(bench, dock, "9")
    assert now(bench, cells[2]) == ("rejected", "HSIL")


def test_arrows_go_from_cell_to_cell_and_shift_chooses_several(bench):
    cells = add_predictions(bench)
    dock = shown(bench)
    columns = dock.gallery.viewport().width() // dock.gallery.gridSize().width()
    press(bench, dock, "Right", "Right")
    assert bench.session.selection == {cells[2].id}
    press(bench, dock, "Down")
    assert dock.gallery.current == 2 + columns
    press(bench, dock, "Up", "Home")
    assert dock.gallery.current == 0
    press(bench, dock, "Right", "Right", modifier=SHIFT)
    assert dock.gallery.rows == [0, 1, 2]
    assert bench.session.selection == {cell.id for cell in cells[:3]}
    press(bench, dock, "2")
    assert [now(bench, cell)[1] for cell in cells[:4]] == ["ASC-US"] * 3 + ["HSIL"]
    assert bench.session.project.can_undo("anna") == "Relabel 3 cells as ASC-US"
    press(bench, dock, "A", modifier=CTRL)
    assert len(dock.gallery.rows) == 12


def test_accept_all_shown_is_one_step_back(bench):
    add_predictions(bench)
    dock = shown(bench)
    press(bench, dock, "X")
    bench.click(dock.all)
    assert dock.progress.text() == "12 of 12 reviewed"
    assert not dock.all.isEnabled()
    press(bench, dock, "Z", modifier=CTRL)
    assert dock.progress.text() == "1 of 12 reviewed"
    assert dock.all.text() == "Accept all 11"


def test_the_order_scroll_and_size_stay_while_one_relabels(bench):
    add_predictions(bench, 300)
    dock = shown(bench)
    press(bench, dock, "Plus")
    side = dock.gallery.side_px
    assert side > 96
    dock.gallery.go(150)
    bench.settle()
    bar = dock.gallery.verticalScrollBar()
    before, order = bar.value(), [cell.id for cell in dock.review.cells]
    assert before > 0
    press(bench, dock, "1", "Backspace", "5")
    assert abs(bar.value() - before) <= dock.gallery.gridSize().height()
    assert [cell.id for cell in dock.review.cells] == order
    assert dock.gallery.side_px == side
    press(bench, dock, "F5")
    assert len(dock.review.cells) == 299


def test_filters_and_sorting_make_the_list_anew(bench):
    cells = add_predictions(bench)
    add_predictions(bench, 3, slide=1)
    dock = shown(bench)
    assert len(dock.review.cells) == 15
    dock.filters.slide.setCurrentIndex(2)
    assert {cell.slide_id for cell in dock.review.cells} == {bench.session.project.slides()[1].id}
    dock.filters.slide.setCurrentIndex(1)
    dock.filters.low.setValue(0.5)
    assert len(dock.review.cells) == sum(cell.scores[0][1] >= 0.5 or cell.scores[1][1] >= 0.5 for cell in cells)
    dock.filters.which.setCurrentIndex(dock.filters.which.findData("NILM"))
    assert dock.review.cells == []
    assert dock.words.text() == "No cells match these filters."


def test_only_what_is_on_screen_is_cut_out(bench):
    add_predictions(bench, 3000)
    dock = shown(bench)
    bench.qtbot.waitUntil(lambda: dock.crops.is_idle and dock.crops.nbytes > 0, timeout=60_000)
    tiles = dock.crops.nbytes / (4 * dock.gallery.side_px**2)
    size = dock.gallery.gridSize()
    on_screen = (dock.gallery.viewport().height() // size.height() + 2) * (
        dock.gallery.viewport().width() // size.width() + 1
    )
    assert 0 < tiles <= on_screen


def test_images_are_the_cells_and_their_memory_is_bounded(qtbot, slide_files, monkeypatch):
    with open_slide(slide_files[0]) as slide:
        crop = cell_crop(slide, (320.0, 300.0), 0.25, 200)
        assert np.array_equal(crop, slide.read_level0((220, 200, 420, 400)))
        assert cell_crop(slide, (320.0, 300.0), 0.25, 50).shape[0] < 200
        assert cell_crop(slide, (2.0, 2.0), None, 200).shape == (200, 200, 3)
    monkeypatch.setattr(review_crops, "MOST_BYTES", 10 * 4 * 64**2)
    crops = CellCrops()
    wishes = [Wish((str(n), (300.0, 200.0 + n)), slide_files[0], 0.25, 64) for n in range(MOST_WISHES + 40)]
    for wish in wishes:
        crops.get(wish)
    qtbot.waitUntil(lambda: crops.is_idle, timeout=60_000)
    assert crops.nbytes <= 10 * 4 * 64**2
    gone = Wish(("x", (1.0, 1.0)), slide_files[0].with_name("absent.tif"), 0.25, 64)
    assert crops.get(gone) is None
    qtbot.waitUntil(lambda: crops.has_failed(gone), timeout=60_000)
    crops.close()


def test_images_follow_the_scale_that_a_person_tells(bench):
    add_predictions(bench, 1, slide=2)
    bench.session.slides.go_to(bench.session.project.slides()[2].id)
    dock = shown(bench)
    before = painted(bench, dock)
    editor = bench.slide.mpp
    editor.value.setValue(0.5)
    bench.click(editor.use)
    after = painted(bench, dock)
    with open_slide(dock.model.wish(0, 96).path) as slide:
        place, side = dock.review.cells[0].geometry.centre_yx, dock.gallery.side_px
        for image, mpp in ((before, None), (after, 0.5)):
            expected = image_of(cell_crop(slide, place, mpp, side), side)
            assert image == expected.convertToFormat(image.format()), f"not at {mpp} µm per px"


def painted(bench: Any, dock: ReviewDock) -> Any:
    """The first picture, once the gallery has painted it."""
    dock.gallery.viewport().repaint()
    bench.qtbot.waitUntil(lambda: dock.crops.is_idle, timeout=60_000)
    return dock.crops.get(dock.model.wish(0, dock.gallery.side_px)).toImage()


def test_a_slide_that_could_not_be_opened_is_shown_when_its_file_is_found_again(bench, slide_files, tmp_path):
    add_predictions(bench, 1)
    whole = Path(shutil.move(slide_files[0], tmp_path / "whole.tif"))
    slide_files[0].write_bytes(b"not yet copied whole")
    bench.session.projects.open(bench.session.project.folder)
    dock = shown(bench)
    wish = dock.model.wish(0, dock.gallery.side_px)
    assert wish.path == slide_files[0]
    bench.qtbot.waitUntil(lambda: dock.crops.has_failed(wish), timeout=60_000)
    shutil.move(whole, slide_files[0])
    bench.slides.relink_to(slide_files[0])
    bench.settle()
    dock.gallery.viewport().repaint()
    bench.qtbot.waitUntil(lambda: dock.crops.nbytes > 0 or dock.crops.has_failed(wish), timeout=60_000)
    assert not dock.crops.has_failed(wish)


def test_what_is_cut_out_while_all_is_forgotten_is_cut_out_again(qtbot, slide_files, monkeypatch):
    there, go_on = threading.Event(), threading.Event()
    opened = []

    def slow_open(path):
        opened.append(path)
        if len(opened) == 1:
            there.set()
            go_on.wait(60)
            raise SlideError("it lay elsewhere")
        return open_slide(path)

    monkeypatch.setattr(review_crops, "open_slide", slow_open)
    crops = CellCrops()
    wish = Wish(("cell", (300.0, 200.0)), slide_files[0], 0.25, 64)
    crops.get(wish)
    assert there.wait(60)
    crops.forget()
    crops.get(wish)
    go_on.set()
    qtbot.waitUntil(lambda: crops.is_idle, timeout=60_000)
    assert crops.get(wish) is not None
    assert len(opened) == 2
    crops.close()


def test_blind_readers_see_neither_scores_nor_classes(bench):
    cells = add_predictions(bench)
    dock = shown(bench)
    assert "HSIL 99 %" in dock.model.caption(0)
    press(bench, dock, "B")
    assert dock.blind.isChecked()
    # What does nothing in a blind reading does not look as if it did.
    assert not dock.accept.isEnabled()
    assert not dock.all.isEnabled()
    assert "Not in a blind reading" in dock.accept.toolTip()
    assert dock.reject.isEnabled()
    assert "HSIL" not in dock.model.caption(0) + dock.model.words(0) + dock.by_class.text()
    assert "99" not in dock.model.caption(0)
    press(bench, dock, "A")
    assert now(bench, cells[0]) == ("proposed", "HSIL")
    press(bench, dock, "5")
    assert now(bench, cells[0]) == ("accepted", "HSIL")
    assert "HSIL" in dock.model.caption(0)
    press(bench, dock, "B")
    assert not dock.blind.isChecked()
    assert dock.accept.isEnabled()
    assert dock.all.isEnabled()


def test_a_long_list_is_read_beside_the_window(bench, monkeypatch):
    monkeypatch.setattr("napari_cyto.widgets.docks.review.dock.READ_AT_ONCE", 5)
    add_predictions(bench)
    dock = bench.dock(ReviewDock)
    dock.refresh()
    bench.qtbot.waitUntil(lambda: len(dock.review.cells) == 12, timeout=60_000)
    assert dock.gallery.current == 0


def test_without_a_project_it_says_nothing_and_breaks_nothing(empty_bench):
    dock = empty_bench.dock(ReviewDock)
    empty_bench.settle()
    assert not dock.isEnabled()
    assert dock.review.cells == []


def test_the_slide_follows_the_gallery_and_the_gallery_the_slide(window_bench):
    """In the real window, at 1366 x 768: jump, crosshair, magnification, and nothing is cut off."""
    bench = window_bench
    cells = add_predictions(bench, 12)
    far = add_predictions(bench, 1, slide=1)[0]
    bench.bring_to_front(bench.dock(ReviewDock))
    bench.window.viewer.window._qt_window.resize(1366, 740)
    dock = shown(bench)
    press(bench, dock, "Right", "Right")
    place = dock.review.cells[2]
    y0, x0, y1, x1 = bench.session.view_yxyx
    assert ((y0 + y1) / 2, (x0 + x1) / 2) == pytest.approx(place.geometry.centre_yx, abs=1)
    um_per_screen_px = (x1 - x0) * 0.25 / bench.window.viewer.window._qt_viewer.canvas.size[1]
    assert um_per_screen_px < 0.5, "coarser than 20x"
    assert bench.window.crosshair.is_shown
    assert bench.session.selection == {place.id}
    bench.session.select([cells[6].id])
    bench.settle()
    assert dock.review.cells[dock.gallery.current].id == cells[6].id
    dock.gallery.go(dock.review.row_of(far.id))
    bench.settle()
    assert bench.session.slide.id == far.slide_id
    assert bench.window.crosshair.is_shown
    check_it_fits(dock)
    press(bench, dock, "Escape")
    assert QApplication.focusWidget() is not dock.gallery
    bench.qtbot.keyClick(native_canvas(bench.window.viewer), Qt.Key.Key_G)
    bench.settle()
    assert dock.gallery.window().focusWidget() is dock.gallery


def check_it_fits(dock: ReviewDock) -> None:
    right = dock.mapToGlobal(dock.rect().topRight()).x()
    for control in dock.findChildren(QAbstractButton):
        if control.isVisible() and control.text():
            needed = control.fontMetrics().horizontalAdvance(control.text())
            assert control.width() >= needed, f"{control.text()!r} is cut off"
            assert control.mapToGlobal(control.rect().topRight()).x() <= right, f"{control.text()!r} sticks out"
    assert dock.gallery.mapToGlobal(dock.gallery.rect().topRight()).x() <= right


def test_the_crosshair_leaves_the_cell_free_at_every_zoom():
    near = arms_xy((10.0, 20.0), zoom=4.0) - (20.0, 10.0)
    assert np.abs(near).max(axis=1).min() == pytest.approx(FREE_UM)
    assert np.abs(near).max() == pytest.approx(FREE_UM + ARM_SCREEN_PX / 4)
    far = arms_xy((0.0, 0.0), zoom=0.01)
    assert np.abs(far).max(axis=1).min() * 0.01 >= 10


def test_cells_reviewed_elsewhere_show_at_once(bench):
    cells = add_predictions(bench)
    dock = shown(bench)
    bench.session.select([cells[3].id])
    bench.session.edits.set_status(Status.REJECTED)
    bench.settle()
    assert dock.review.cells[3].status is Status.REJECTED
    assert dock.progress.text() == "1 of 12 reviewed"
    assert replace(dock.review.cells[3]) == bench.session.project.annotation(cells[3].id)


def test_an_empty_list_fills_by_itself_when_a_model_has_found_cells(bench):
    """The first prediction is written by a process beside the window, which only learns that something changed."""
    dock = shown(bench)
    assert dock.words.text() == "No cells match these filters."
    cells = add_predictions(bench)
    bench.session.annotations_changed.emit(None)
    bench.qtbot.waitUntil(lambda: len(dock.review.cells) == len(cells), timeout=10_000)
    assert dock.progress.text() == "0 of 12 reviewed"
    assert not dock.hint.isVisibleTo(dock)


def test_a_list_that_nobody_has_touched_follows_what_comes(bench):
    add_predictions(bench, 5)
    dock = shown(bench)
    dock.gallery.clearFocus()
    add_predictions(bench, 3)
    bench.session.annotations_changed.emit(None)
    bench.qtbot.waitUntil(lambda: len(dock.review.cells) == 8, timeout=10_000)


@pytest.mark.parametrize("hand", ["judges", "has the keyboard"])
def test_a_list_under_a_hand_stays_and_counts_what_came(bench, hand):
    """A cell that takes another's place under a key would be judged without having been seen."""
    add_predictions(bench, 5)
    dock = shown(bench)
    if hand == "judges":
        press(bench, dock, "X")
        dock.gallery.clearFocus()
    order = [cell.id for cell in dock.review.cells]
    add_predictions(bench, 3)
    bench.session.annotations_changed.emit(None)
    bench.qtbot.waitUntil(lambda: "3 new" in dock.hint.text(), timeout=10_000)
    assert [cell.id for cell in dock.review.cells] == order
    assert dock.progress.text() == f"{int(hand == 'judges')} of 8 reviewed"
    press(bench, dock, "F5")
    assert len(dock.review.cells) == 8 - (hand == "judges")
    assert not dock.hint.isVisibleTo(dock)


def test_cells_annotated_in_this_window_are_counted_as_new_and_an_undo_takes_them_off(bench):
    add_predictions(bench, 5)
    dock = shown(bench)
    dock.filters.status.setCurrentIndex(dock.filters.status.count() - 1)
    press(bench, dock, "Right")
    bench.mark(2)
    assert dock.hint.text().startswith("2 new")
    bench.session.history.undo()
    bench.settle()
    assert dock.hint.text().startswith("1 new")
