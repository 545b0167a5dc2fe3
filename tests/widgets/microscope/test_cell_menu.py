"""Promise: a right click offers class, state and note of the cell or the selection, each choice one undo step."""

from __future__ import annotations

from microscope_hand import CTRL, RIGHT, SHIFT, Hand
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QInputDialog

from napari_cyto.domain.annotation import Status


def stored(hand: Hand) -> dict[str, tuple[str, str, str]]:
    return {a.id: (a.class_id, str(a.status), a.note) for a in hand.bench.session.project.annotations()}


def test_the_menu_of_a_cell_and_of_a_selection(hand: Hand) -> None:
    session = hand.bench.session
    places = [hand.middle + QPoint(x, 0) for x in (-120, 0, 120)]
    hand.key("P")
    hand.key("1")
    for place in places:
        hand.click(place)
    hand.key("V")
    first, second, third = (a.id for a in sorted(stored_cells(hand), key=lambda a: a.geometry.centre_yx[1]))
    before = stored(hand)
    hand.click(places[1], RIGHT)
    assert hand.menu.actions()[0].text() == "NILM"
    assert session.selection == {second}, "the cell that is meant is to be seen"
    rows = [a.text() for a in hand.menu.actions()]
    assert [r for r in rows if r in ("NILM\t1", "LSIL\t3", "Accept\tA", "Reject\tX", "Unreviewed", "Note…")] == [
        *("NILM\t1", "LSIL\t3", "Accept\tA", "Reject\tX", "Unreviewed", "Note…")
    ]
    hand.choose("LSIL")
    assert stored(hand) == {**before, second: ("LSIL", "accepted", "")}
    hand.click(places[0])
    hand.click(places[2], modifier=SHIFT)
    assert session.selection == {first, third}
    hand.click(places[2], RIGHT)
    assert hand.menu.actions()[0].text() == "2 annotations selected"
    hand.choose("HSIL")
    assert {stored(hand)[i][0] for i in (first, third)} == {"HSIL"}
    hand.click(places[0], RIGHT)
    hand.choose("Reject")
    assert {stored(hand)[i][1] for i in (first, third)} == {str(Status.REJECTED)}
    hand.key("Z", CTRL)
    hand.key("Z", CTRL)
    assert stored(hand) == {**before, second: ("LSIL", "accepted", "")}, "two choices, two steps"
    session.select({first, third})
    hand.click(places[0], RIGHT)
    hand.choose("Note")
    dialog = hand.window.viewer.window._qt_window.findChild(QInputDialog)
    dialog.setTextValue("look again")
    dialog.accept()
    hand.bench.settle()
    assert [stored(hand)[i][2] for i in (first, second, third)] == ["look again", "", "look again"]
    # A drag of the right button zooms, as ever in napari, and asks for nothing.
    zoom = hand.camera.zoom
    hand.drag(hand.middle + QPoint(0, 80), hand.middle + QPoint(0, 120), button=RIGHT)
    assert hand.menu is None
    assert hand.camera.zoom != zoom
    similar_to: list[tuple[str, str]] = []
    session.similar_requested.connect(lambda cell, which: similar_to.append((cell, which)))
    hand.key("Home")
    cell = session.project.annotation(second)
    session.select(())
    hand.click(hand.on_screen(cell.geometry.centre_yx), RIGHT)
    hand.choose("Cells like this")
    assert similar_to == [(second, "all")]


def stored_cells(hand: Hand) -> list:
    return list(hand.bench.session.project.annotations())
