"""Promise: what one sets in the Propose dock is what is shown, at once, and the dock says what is proposed."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.review.predictions import Heat, ShownFilter
from napari_cyto.widgets.docks.predict.dock import PredictDock


@pytest.fixture
def dock(bench):
    return bench.dock(PredictDock)


def test_each_control_sets_its_part_of_the_filter(bench, dock):
    filters = dock.filters
    filters.threshold.setFocus()
    for _ in range(3):
        bench.qtbot.keyClick(filters.threshold, Qt.Key.Key_PageUp)
    assert bench.session.shown_filter == ShownFilter(threshold=0.15)
    assert filters.threshold_words.text() == "Score 0.15 or more"
    filters.statuses[Status.REJECTED].setChecked(False)
    filters.classes["NILM"].setChecked(False)
    filters.heat.setCurrentIndex(1)
    filters.heat.activated.emit(1)
    filters.blind.setChecked(True)
    shown = bench.session.shown_filter
    assert shown.statuses == {Status.UNREVIEWED, Status.ACCEPTED}
    assert shown.hidden_classes == {"NILM"}
    assert (shown.heat, shown.blind) == (Heat.DENSITY, True)
    bench.click(filters.everything)
    assert bench.session.shown_filter == ShownFilter(heat=Heat.DENSITY, blind=True)
    assert filters.classes["NILM"].isChecked()
    assert filters.threshold.value() == 0
    assert not filters.everything.isEnabled()


def test_the_controls_show_a_filter_that_was_set_elsewhere(bench, dock):
    bench.session.view.show_only(ShownFilter(threshold=0.4, hidden_classes=frozenset({"SCC"})))
    assert dock.filters.threshold.value() == 40
    assert not dock.filters.classes["SCC"].isChecked()
    assert dock.filters.classes["HSIL"].isChecked()


def test_counts_of_the_slide_are_reported(bench, dock):
    slide = bench.session.slide
    cells = [
        Annotation(
            slide_id=slide.id,
            geometry=Point(100.0 + n, 100.0),
            class_id="HSIL",
            status=Status.UNREVIEWED,
            origin=origin_of_model("m", "0" * 64),
        )
        for n in range(3)
    ]
    entry = bench.session.project.apply(edits.add(cells, "Predict"), "m")
    bench.session.annotations_changed.emit(entry)
    bench.settle()
    assert dock.counts.text() == "This slide: 3 unreviewed, 0 rejected"
    bench.session.edits.set_status(Status.REJECTED, of=[cells[0].id])
    bench.settle()
    assert dock.counts.text() == "This slide: 2 unreviewed, 1 rejected"
    bench.session.close()
    bench.settle()
    assert "Open a slide" in dock.counts.text()
    assert not dock.filters.isEnabled()


def test_the_selection_says_who_predicted_and_who_reviewed_and_nothing_to_a_blind_reader(bench, dock):
    cell = Annotation(
        slide_id=bench.session.slide.id,
        geometry=Point(100, 100),
        class_id="HSIL",
        status=Status.UNREVIEWED,
        author="finder",
        origin=origin_of_model("finder", "0" * 64),
        scores=(("HSIL", 0.8),),
    )
    bench.session.project.apply(edits.add([cell], "Predict"), "finder")
    bench.session.select([cell.id])
    bench.settle()
    summary = bench.annotate.selection.summary
    assert "Predicted by finder," in summary.text()
    assert "Status: unreviewed." in summary.text()
    bench.session.view.show_only(ShownFilter(blind=True))
    assert "HSIL" not in summary.text()
    bench.session.edits.choose_class("LSIL")
    bench.settle()
    assert "LSIL" in summary.text()
    assert "Status: accepted by anna." in summary.text()
