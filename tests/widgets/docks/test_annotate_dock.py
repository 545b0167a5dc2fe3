"""Promise: what one clicks in the Annotate dock is in the project, and the dock shows what is there."""

from __future__ import annotations

from qtpy.QtCore import Qt

from napari_cyto.domain.annotation import Status
from napari_cyto.session import Tool


def test_a_click_on_a_class_relabels_the_selection_else_chooses_it(bench):
    [cell] = bench.mark(1, "HSIL")
    bench.session.select([cell])
    bench.click(bench.annotate.palette_rows.rows["LSIL"])
    assert bench.session.current_class == "HSIL"
    assert bench.annotate.palette_rows.rows["HSIL"].isChecked()
    assert bench.session.project.annotation(cell).class_id == "LSIL"
    bench.session.select([])
    bench.click(bench.annotate.palette_rows.rows["LSIL"])
    assert bench.session.current_class == "LSIL"
    assert bench.session.project.annotation(cell).class_id == "LSIL"
    assert bench.annotate.palette_rows.rows["LSIL"].isChecked()
    assert bench.annotate.palette_rows.rows["LSIL"].count_text == "1"
    assert bench.annotate.palette_rows.rows["HSIL"].count_text == "0"


def test_counts_follow_the_slide(bench):
    bench.mark(3, "SCC")
    bench.session.slides.next(1)
    assert bench.annotate.palette_rows.rows["SCC"].count_text == "0"
    bench.session.slides.next(-1)
    assert bench.annotate.palette_rows.rows["SCC"].count_text == "3"
    assert "HSIL 3" in bench.annotate.coarse.text()


def test_tools_are_buttons(bench):
    bench.click(bench.annotate.tools.buttons[Tool.BOX])
    assert bench.session.tool is Tool.BOX
    bench.session.tool = Tool.REGION
    assert bench.annotate.tools.buttons[Tool.REGION].isChecked()


def test_undo_says_what_it_takes_back(bench):
    [cell] = bench.mark(1, "HSIL")
    assert bench.annotate.undo_words.text() == "Undo: Add HSIL box"
    bench.click(bench.annotate.undo)
    assert bench.session.project.annotation(cell) is None
    assert "Redo: Add HSIL box" in bench.annotate.undo_words.text()
    assert not bench.annotate.undo.isEnabled()
    bench.click(bench.annotate.redo)
    assert bench.session.project.annotation(cell) is not None


def test_saved_is_said_with_time_and_count(bench):
    bench.mark(2)
    words = bench.annotate.saved.text()
    assert words.startswith("Saved ")
    assert words.endswith(" – 2 annotations")


def test_a_note_keeps_its_digits(bench):
    [cell] = bench.mark(1, "HSIL")
    bench.session.select([cell])
    bench.type(bench.annotate.selection.note, "grade 3, see 1")
    bench.qtbot.keyClick(bench.annotate.selection.note, Qt.Key.Key_Return)
    bench.settle()
    stored = bench.session.project.annotation(cell)
    assert stored.note == "grade 3, see 1"
    assert stored.class_id == "HSIL"


def test_the_box_of_one_click_is_the_class_s_own(bench):
    bench.session.edits.choose_class("LSIL")
    spin = bench.annotate.box_size.spin
    assert spin.value() == 45.0
    spin.setFocus()
    spin.selectAll()
    bench.qtbot.keyClicks(spin, "52")
    bench.qtbot.keyClick(spin, Qt.Key.Key_Return)
    bench.settle()
    assert bench.session.project.scheme["LSIL"].box_um == 52
    assert bench.session.project.scheme["NILM"].box_um == 45
    bench.session.edits.choose_class("HSIL")
    assert spin.value() == 30


def test_accept_reject_and_delete(bench):
    [cell] = bench.mark(1)
    bench.session.select([cell])
    selection = bench.annotate.selection
    bench.click(selection.reject)
    assert bench.session.project.annotation(cell).status is Status.REJECTED
    assert "rejected" in selection.summary.text()
    bench.click(selection.accept)
    assert bench.session.project.annotation(cell).status is Status.ACCEPTED
    bench.click(selection.delete)
    assert bench.session.project.annotation(cell) is None
    assert selection.summary.text() == "Nothing selected"


def test_what_is_selected_is_said_in_words(bench):
    cells = bench.mark(2, "HSIL")
    bench.session.select(cells[:1])
    assert bench.annotate.selection.summary.text().startswith("HSIL, box 30.0 × 30.0 µm.")
    bench.session.select(cells)
    assert bench.annotate.selection.summary.text() == "2 selected: 2 HSIL"


def test_next_goes_through_the_annotations_of_one_class(bench):
    bench.mark(2, "NILM")
    [expected] = bench.mark(1, "SCC")
    bench.session.select(())
    review = bench.annotate.review
    review.which.setCurrentIndex(review.which.findData("SCC"))
    bench.click(review.next)
    assert bench.session.selection == {expected}
    bench.click(review.next)
    assert bench.session.selection == {expected}


def test_history_of_an_annotation(bench):
    [cell] = bench.mark(1, "HSIL")
    bench.session.select([cell])
    bench.session.edits.choose_class("SCC")
    bench.click(bench.annotate.selection.history.head)
    bench.settle()
    words = bench.annotate.selection._rows.text()
    assert "Add HSIL box" in words
    assert "Relabel HSIL as SCC" in words


def test_the_field_for_notes_stays_where_it_is(bench):
    """A note was typed beside its field, which had moved when a text above it took another line."""
    field = bench.annotate.selection.note
    cells = bench.mark(3)
    places = set()
    for chosen in ([], cells[:1], cells):
        bench.session.select(chosen)
        bench.settle()
        places.add(field.mapTo(bench.annotate, field.rect().topLeft()).y())
    bench.session.history.undo()
    bench.settle()
    places.add(field.mapTo(bench.annotate, field.rect().topLeft()).y())
    assert len(places) == 1
