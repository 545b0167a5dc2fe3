"""Promise: coordinates and bookmarks lead to their place, and a bookmark stays with the project and nowhere else."""

from __future__ import annotations

import pytest
from microscope_hand import CTRL, RIGHT, SHIFT, Hand
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QInputDialog

from napari_cyto.domain.bookmark import place_of_words
from napari_cyto.session import Session
from napari_cyto.widgets.canvas.napari_window import view_centre_yx
from napari_cyto.widgets.microscope._place_dialog import PlaceDialog


def window(hand: Hand) -> object:
    return hand.window.viewer.window._qt_window


def write_note(hand: Hand, note: str) -> None:
    dialog = next(d for d in window(hand).findChildren(QInputDialog) if d.isVisible())
    dialog.setTextValue(note)
    dialog.accept()
    hand.bench.settle()


def go_to_coordinates(hand: Hand) -> None:
    hand.key("J")
    dialog = next(d for d in window(hand).findChildren(PlaceDialog) if d.isVisible())
    dialog.place.setText("700, 20")
    hand.bench.qtbot.mouseClick(dialog.accepts, Qt.MouseButton.LeftButton)
    assert "beside the slide, which is 640 x 640 px" in dialog.words.text()
    dialog.place.clear()
    hand.bench.qtbot.keyClicks(dialog.place, "100, 50 µm")
    hand.bench.qtbot.keyClick(dialog.place, Qt.Key.Key_Return)
    hand.bench.settle()
    assert view_centre_yx(hand.window.viewer, 0.25) == pytest.approx((200, 400))


def test_places_typed_pasted_and_kept(hand: Hand) -> None:
    session = hand.bench.session
    hand.key("3", CTRL)
    go_to_coordinates(hand)
    zoom = hand.camera.zoom
    hand.click(hand.middle + QPoint(40, 0), RIGHT)
    hand.choose("Copy coordinates")
    assert place_of_words(QApplication.clipboard().text(), "µm", 0.25) == pytest.approx((200, 480), abs=2)
    hand.click(hand.middle + QPoint(40, 0), RIGHT)
    hand.choose("Bookmark this place")
    write_note(hand, "debris")
    hand.key("K")
    write_note(hand, "  koilocytes? ")
    kept = session.bookmarks.all[1]
    assert (kept.note, kept.author, kept.yx) == ("koilocytes?", session.author, pytest.approx((200, 400)))
    hand.go_to(1)
    hand.key("1", CTRL)
    hand.key("K", SHIFT)
    shown = hand.window.microscope.places.bookmark_list
    assert [shown.list.topLevelItem(row).text(0) for row in range(2)] == ["debris", "koilocytes?"]
    shown.list.setCurrentItem(shown.list.topLevelItem(1))
    hand.bench.qtbot.mouseClick(shown.show_there, Qt.MouseButton.LeftButton)
    hand.bench.settle()
    assert session.slide.name == "smear_a.tif"
    assert view_centre_yx(hand.window.viewer, 0.25) == pytest.approx((200, 400))
    assert hand.camera.zoom == pytest.approx(zoom)
    shown.list.topLevelItem(1).setText(0, "koilocytes")
    hand.bench.settle()
    shown.list.setCurrentItem(shown.list.topLevelItem(0))
    hand.bench.qtbot.mouseClick(shown.delete, Qt.MouseButton.LeftButton)
    hand.bench.settle()
    assert [b.note for b in session.bookmarks.all] == ["koilocytes"]
    assert shown.list.topLevelItemCount() == 1
    hand.key("K", SHIFT)
    assert hand.window.microscope.places.bookmark_list is None
    assert list(session.project.annotations()) == [], "no annotation, so no export holds it"
    other = Session("ben")
    other.projects.open(session.project.folder)
    assert [b.note for b in other.bookmarks.all] == ["koilocytes"]
    other.close()
