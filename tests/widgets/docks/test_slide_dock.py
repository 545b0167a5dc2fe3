"""Promise: what the file says is told with its source, nonsense is not believed, and one is asked once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from napari_cyto.slides import UnreadableTile
from napari_cyto.widgets.canvas.napari_window import native_canvas
from napari_cyto.widgets.docks.slide.dock import SlideDock, facts_of


def test_facts(bench):
    assert bench.slide.fact("File") == "smear_a.tif"
    assert bench.slide.fact("Size") == "640 × 640 px, 0.16 × 0.16 mm"
    assert bench.slide.fact("Pixel") == "0.25 µm (the file says so)"
    assert not bench.slide.mpp.isVisible()


def test_unknown_mpp_is_requested_once_and_kept(bench, project_folder):
    bench.slide.show()
    bench.session.slides.go_to(bench.session.project.slides()[2].id)
    assert bench.slide.mpp.isVisible()
    assert "does not state" in bench.slide.mpp.question.text()
    bench.slide.mpp.value.setValue(0.31)
    bench.click(bench.slide.mpp.use)
    assert not bench.slide.mpp.isVisible()
    assert bench.slide.fact("Pixel") == "0.31 µm (entered by you)"
    bench.session.projects.open(project_folder)
    assert bench.session.slide.mpp == 0.31
    assert not bench.slide.mpp.isVisible()


def test_a_one_click_box_without_mpp_leads_to_the_question(bench):
    bench.session.slides.go_to(bench.session.project.slides()[2].id)
    reported = []
    bench.session.message.connect(reported.append)
    assert bench.slide.mpp.isVisible()
    with bench.session.telling():
        bench.session.edits.add_box_at((100, 100))
    assert "pixel size" in reported[0]


def test_a_usual_answer_applies_when_it_is_chosen(bench):
    bench.slide.show()
    bench.session.slides.go_to(bench.session.project.slides()[2].id)
    usual = next(b for b in bench.slide.mpp.findChildren(QPushButton) if b.text().startswith("40x"))
    bench.click(usual)
    assert bench.session.slide.mpp == 0.25
    assert not bench.slide.mpp.isVisible()


def test_the_size_of_a_pixel_can_be_corrected_and_its_history_is_shown(bench):
    bench.slide.show()
    bench.click(bench.slide.correct_mpp)
    assert bench.slide.mpp.value.value() == 0.25
    bench.slide.mpp.value.setValue(0.5)
    bench.click(bench.slide.mpp.use)
    assert bench.session.slide.mpp == 0.5
    assert not bench.slide.mpp.isVisible()
    assert "anna: 0.25 µm → 0.5 µm" in bench.slide.mpp_history.text()


def test_a_refused_box_leaves_the_keyboard_on_the_slide(window_bench):
    """The class key that was pressed next became the size of a pixel."""
    window_bench.session.slides.go_to(window_bench.session.project.slides()[2].id)
    main = window_bench.window.viewer.window._qt_window
    canvas = native_canvas(window_bench.window.viewer)
    canvas.setFocus()
    with window_bench.session.telling():
        window_bench.session.edits.add_box_at((100, 100))
    window_bench.settle()
    assert main.focusWidget() is canvas
    window_bench.qtbot.keyClick(canvas, Qt.Key.Key_5)
    assert window_bench.session.slide.mpp is None
    assert window_bench.session.current_class == "HSIL"


def test_damaged_places_are_listed_once_and_a_click_goes_there(bench):
    jumps = []
    bench.session.jump_requested.connect(lambda y, x: jumps.append((y, x)))
    tile = UnreadableTile("smear_a.tif", 0, (0.0, 256.0, 256.0, 512.0), "corrupt JPEG")
    assert not bench.slide.unreadable.isVisible()
    for _ in range(2):
        bench.session.unreadable.emit(tile)
    assert bench.slide.unreadable.count == 1
    assert bench.slide.unreadable.words.text().startswith("1 place on this slide cannot be read")
    bench.slide.unreadable.list.itemClicked.emit(bench.slide.unreadable.list.item(0))
    assert jumps == [(128.0, 384.0)]
    bench.session.slides.next(1)
    assert bench.slide.unreadable.count == 0


def test_colours_are_offered_only_where_the_file_has_a_profile(bench):
    bench.slide.show()
    assert not bench.slide.icc.isVisible()


@pytest.mark.shared
def test_nonsense_is_not_believed_and_the_reason_is_said(empty_bench, shared, tmp_path):
    from napari_cyto.domain.presets import preset

    empty_bench.session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    empty_bench.session.slides.add([shared / "slides" / "generic_six_levels_odd_mpp.tiff"])
    assert "896" in empty_bench.slide.mpp.question.text()
    assert empty_bench.slide.mpp.isVisible()
    assert "8.0128" in empty_bench.slide.fact("Levels")


@pytest.mark.shared
def test_images_of_the_scanner(empty_bench, shared, tmp_path):
    from napari_cyto.domain.presets import preset

    empty_bench.session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    empty_bench.session.slides.add([shared / "slides" / "CMU-1-Small-Region.svs"])
    assert empty_bench.slide.fact("Objective") == "20x"
    assert empty_bench.slide._images.layout().count() == 3


def test_labels_without_pixels_have_facts_too():
    record = SimpleNamespace(name="a", size_hw=None, mpp=None, mpp_source="", smear="s", patient="p", side="test")
    assert facts_of(record, None) == [
        ("File", "a"),
        ("Pixel", "size in µm unknown"),
        ("Smear", "s"),
        ("Patient", "p"),
        ("Set", "test"),
    ]


def test_no_slide_is_said(empty_bench):
    dock = empty_bench.dock(SlideDock)
    assert dock.none.isVisible()
    assert not dock.facts.isVisible()


def test_an_estimate_is_offered_and_stored_only_on_request(bench, qtbot, monkeypatch):
    from napari_cyto.domain.statistics.nuclear_scale import ScaleEstimate

    found = ScaleEstimate(0.23, 0.2, 0.26, 148, 12)
    monkeypatch.setattr("napari_cyto.widgets.docks.scale_offer.estimate_scale", lambda pixels: found)
    bench.slide.show()
    bench.session.slides.go_to(bench.session.project.slides()[2].id)
    bench.click(bench.slide.mpp.offer.estimate)
    qtbot.waitUntil(lambda: "148 nuclei" in bench.slide.mpp.offer.estimated.text())
    assert "95 % 0.2 to 0.26" in bench.slide.mpp.offer.estimated.text()
    assert bench.slide.mpp.value.value() == 0.23
    assert bench.session.slide.mpp is None
    bench.click(bench.slide.mpp.use)
    assert bench.session.slide.mpp == 0.23


def test_too_few_nuclei_leave_the_question_as_it_is(bench, qtbot):
    bench.slide.show()
    bench.session.slides.go_to(bench.session.project.slides()[2].id)
    before = bench.slide.mpp.value.value()
    bench.click(bench.slide.mpp.offer.estimate)
    qtbot.waitUntil(lambda: "Expected at least 15 nuclei" in bench.slide.mpp.offer.estimated.text(), timeout=20_000)
    assert bench.slide.mpp.value.value() == before
    assert bench.slide.mpp.offer.estimate.isEnabled()
