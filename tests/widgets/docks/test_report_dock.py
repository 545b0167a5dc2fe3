"""Promise: the dock tells what is stored, follows every edit, hides what is blind, and never holds up the window."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QMessageBox
from slide_score_samples import score_of_cells

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.geometry import Point
from napari_cyto.reporting.slide_summary import DECISION_SUPPORT
from napari_cyto.reporting.stored_facts import preparation_of, survey_of
from napari_cyto.review.predictions import ShownFilter
from napari_cyto.session.coverage_recorder import CoverageRecorder
from napari_cyto.store import Project
from napari_cyto.vectors import Attention, keep_score
from napari_cyto.widgets.canvas.napari_window import look_at
from napari_cyto.widgets.docks.report import dock as result_dock
from napari_cyto.widgets.docks.report.dock import ReportDock

LONGEST_MS = 60_000


def add_predictions(bench: Any, count: int, class_id: str = "HSIL", score: float = 0.7) -> list[Annotation]:
    slide = bench.session.slide
    chance = np.random.default_rng(3)
    made = [
        Annotation(
            slide_id=slide.id,
            geometry=Point(*chance.uniform(100, 500, 2)),
            class_id=class_id,
            status=Status.UNREVIEWED,
            origin=origin_of_model("finder", "0" * 64),
            scores=((class_id, score), ("NILM", round(1 - score, 3))),
        )
        for _ in range(count)
    ]
    entry = bench.session.project.apply(edits.add(made, "Run detection"), "finder")
    bench.session.annotations_changed.emit(entry)
    bench.settle()
    return made


def read(bench: Any) -> ReportDock:
    """The dock, with all cells read."""
    dock = bench.dock(ReportDock)
    bench.settle()
    dock._rest.stop()
    dock.result = None
    dock._read()
    bench.qtbot.waitUntil(lambda: dock.result is not None, timeout=LONGEST_MS)
    bench.settle()
    return dock


def table(dock: ReportDock) -> dict[str, list[str]]:
    counts = dock.finding.counts
    return {
        counts.item(row, 0).text(): [counts.item(row, column).text() for column in range(1, counts.columnCount())]
        for row in range(counts.rowCount())
    }


def test_it_tells_counts_grade_and_risk_and_follows_edits(bench):
    cells = add_predictions(bench, 12)
    bench.mark(2, "LSIL")
    dock = read(bench)
    assert DECISION_SUPPORT in dock.notice.text()
    assert table(dock)["HSIL"] == ["0", "0", "12"]
    assert table(dock)["All"] == ["2", "0", "12"]
    assert dock.finding.accepted.text() == "Highest grade accepted: LSIL, 2 cells"
    assert dock.finding.proposed.text() == "Highest grade predicted only: HSIL, 12 cells, best score 0.70"
    assert dock.finding.cells.count() == 6
    before = dock.finding.risk.text()
    bench.session.select([cells[0].id])
    bench.session.edits.choose_class("SCC")
    bench.settle()
    # Counts follow at once, the rest when the hand rests.
    assert table(dock)["SCC"][0] == "1"
    assert table(dock)["HSIL"][2] == "11"
    bench.qtbot.waitUntil(lambda: "SCC, 1 cell" in dock.finding.accepted.text(), timeout=LONGEST_MS)
    assert table(dock)["SCC"] == ["1", "1", "0"]
    assert dock.finding.risk.text() != before


def test_a_click_on_an_image_goes_there(bench):
    cell = add_predictions(bench, 1)[0]
    dock = read(bench)
    jumps = []
    bench.session.jump_requested.connect(lambda y, x: jumps.append((y, x)))
    gallery = dock.finding.cells
    bench.qtbot.waitUntil(lambda: not gallery.item(0).icon().isNull(), timeout=LONGEST_MS)
    place = gallery.visualItemRect(gallery.item(0)).center()
    bench.qtbot.mouseClick(gallery.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert jumps == [cell.geometry.centre_yx]
    assert bench.session.selection == {cell.id}


def test_a_blind_reading_hides_what_models_say(bench):
    add_predictions(bench, 5)
    bench.mark(1, "LSIL")
    dock = read(bench)
    assert dock.finding.risk.isVisible()
    bench.session.view.show_only(ShownFilter(blind=True))
    bench.settle()
    assert dock.finding.blind.isVisible()
    assert not dock.finding.risk.isVisible()
    assert not dock.finding.proposed.isVisible()
    assert table(dock)["HSIL"] == ["0", "–", "–"]
    assert table(dock)["All"] == ["1", "–", "5"]
    assert dock.finding.cells.count() == 1
    bench.session.view.show_only(ShownFilter())
    bench.settle()
    assert table(dock)["HSIL"] == ["0", "0", "5"]


def test_the_preparation_is_requested_and_kept(bench):
    bench.mark(1, "NILM")
    dock = read(bench)
    assert "Specify the preparation" in dock.quality.count.text()
    box = dock.quality.preparation
    box.setFocus()
    bench.qtbot.keyClick(box, Qt.Key.Key_Down)
    bench.qtbot.keyClick(box, Qt.Key.Key_Down)
    box.activated.emit(box.currentIndex())
    slides = bench.session.project.slides()
    assert preparation_of(bench.session.project, bench.session.slide.id) == (dock.quality.said, "anna")
    assert "fewer than the 8,000 to 12,000" in dock.quality.count.text()
    assert preparation_of(bench.session.project, slides[1].id) == (None, "")
    bench.click(dock.quality.all_slides)
    assert all(preparation_of(bench.session.project, s.id)[0] == dock.quality.said for s in slides)
    bench.session.slides.go_to(slides[1].id)
    bench.settle()
    assert dock.quality.preparation.currentText() == "conventional"


def test_focus_is_measured_in_a_process_of_its_own_and_kept(bench):
    dock = read(bench)
    assert "Not measured" in dock.quality.focus.text()
    slide_id = bench.session.slide.id
    bench.click(dock.quality.measure)
    assert not dock.quality.measure.isVisible()
    bench.qtbot.waitUntil(lambda: not dock.quality.job.running, timeout=LONGEST_MS)
    found = survey_of(bench.session.project, slide_id)
    assert found.facts.tiles > 0
    assert "tiles out of focus" in dock.quality.focus.text()
    assert dock.quality.measure.text() == "Measure again"


def test_a_measurement_can_be_cancelled(bench):
    dock = read(bench)
    bench.click(dock.quality.measure)
    bench.click(dock.quality.job.cancel)
    bench.qtbot.waitUntil(lambda: not dock.quality.job.running, timeout=LONGEST_MS)
    assert survey_of(bench.session.project, bench.session.slide.id) is None
    assert dock.quality.measure.isVisible()


@pytest.mark.parametrize(("button", "slides"), [("report_slide", 1), ("report_project", 3)])
def test_reports_are_written_by_a_click(bench, tmp_path, monkeypatch, button, slides):
    bench.mark(1, "HSIL")
    dock = read(bench)
    out = tmp_path / "told.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a, **_k: (str(out), ""))
    shown = []
    monkeypatch.setattr(result_dock, "show_file", shown.append)
    bench.click(getattr(dock, button))
    bench.qtbot.waitUntil(lambda: dock.open.isVisible(), timeout=LONGEST_MS)
    assert len(json.loads(out.read_text(encoding="utf-8"))["slides"]) == slides
    bench.click(dock.open)
    assert shown == [out]


def test_what_was_looked_at_is_reported_with_a_map(bench):
    dock = bench.dock(ReportDock)
    recorder = CoverageRecorder(bench.session)
    dock.watch(recorder)
    bench.settle()
    dock._scroll.verticalScrollBar().setValue(dock._scroll.verticalScrollBar().maximum())
    bench.qtbot.waitUntil(lambda: dock.seen.words.text() == "0 % of the slide", timeout=LONGEST_MS)
    half = (0.0, 0.0, 320.0, 640.0)
    recorder.sample(half, 12.0)
    recorder.sample(half, 12.0)
    bench.qtbot.waitUntil(lambda: dock.seen.words.text() == "50 % of the slide", timeout=LONGEST_MS)
    box = dock.seen.magnification
    box.setCurrentIndex(box.findText("40x or more"))
    box.activated.emit(box.currentIndex())
    assert dock.seen.words.text() == "0 % of the slide"
    image = dock.seen.map._looked
    assert image is not None
    recorder.let_go()


def test_panning_in_the_window_is_taken_down_and_survives_closing(window_bench, project_folder):
    window, session = window_bench.window, window_bench.session
    recorder = window.looking.recorder
    window.looking._timer.stop()
    # All of so small a slide was near enough when it was opened.
    recorder.mine = Coverage(session.slide.size_hw)
    look_at(window.viewer, (160.0, 320.0), 0.25, 12.0)
    window.looking.look()
    window.looking.look()
    share = recorder.mine.share(40)
    assert 0.0 < share < 1.0
    # 10 px of the screen for each µm are 100x, one for each 4 µm is 2.5x.
    look_at(window.viewer, (320.0, 320.0), 0.25, 0.25)
    window.looking.look()
    window.looking.look()
    assert recorder.mine.share(4) == share
    slide_id, size_hw, author = session.slide.id, session.slide.size_hw, session.author
    window.viewer.close()
    with Project.open(project_folder) as project:
        assert project.coverage(slide_id, size_hw)[author].share(40) == pytest.approx(share)


def test_behind_other_docks_nothing_is_read_until_it_is_looked_at(window_bench):
    dock = window_bench.dock(ReportDock)
    window_bench.mark(1, "HSIL")
    assert dock.isVisible()
    assert dock.result is None
    window_bench.bring_to_front(dock)
    window_bench.qtbot.waitUntil(lambda: dock.result is not None, timeout=LONGEST_MS)
    assert table(dock)["HSIL"][0] == "1"


def test_many_cells_do_not_hold_up_the_window(bench):
    slide = bench.session.slide
    chance = np.random.default_rng(0)
    cells = [
        Annotation(
            slide_id=slide.id,
            geometry=Point(float(y), float(x)),
            class_id="LSIL",
            status=Status.UNREVIEWED,
            origin="model:m@0",
            scores=(("LSIL", 0.5), ("HSIL", 0.2)),
        )
        for y, x in chance.uniform(0, 640, (40_000, 2))
    ]
    bench.session.project.apply(edits.add(cells, "Predict"), "m")
    dock = bench.dock(ReportDock)
    bench.settle()
    beats: list[float] = []
    timer = QTimer()
    timer.setInterval(5)
    # The time that this thread works, so that a busy machine does not count.
    timer.timeout.connect(lambda: beats.append(time.thread_time()))
    timer.start()
    dock.result = None
    dock._show_slide()
    bench.qtbot.waitUntil(lambda: dock.result is not None and dock.result.cells >= 40_000, timeout=LONGEST_MS)
    timer.stop()
    assert table(dock)["LSIL"][2] == "40,000"
    assert len(beats) > 10
    assert np.diff(beats).max() < 0.1


def test_without_a_project_it_is_quiet(empty_bench, monkeypatch):
    monkeypatch.setattr(QMessageBox, "exec", lambda *_a: pytest.fail("a box popped up"))
    dock = empty_bench.dock(ReportDock)
    empty_bench.settle()
    assert not dock.report_slide.isEnabled()
    assert not dock.finding.isVisible()


def test_the_interpretation_of_the_slide_is_chosen_and_reported(bench, tmp_path, monkeypatch):
    dock = read(bench)
    dock.interpretation.choice.show_category("Unsatisfactory")
    dock.interpretation.choice.activated.emit(dock.interpretation.choice.currentIndex())
    said = bench.session.project.slide(bench.session.slide.id).interpretation
    assert (said.category, said.by) == ("Unsatisfactory", bench.session.author)
    assert bench.session.author in dock.interpretation.given.text()
    out = tmp_path / "report.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(out), ""))
    dock.write_slide()
    bench.qtbot.waitUntil(out.exists, timeout=LONGEST_MS)
    bench.qtbot.waitUntil(lambda: not dock.job.running, timeout=LONGEST_MS)
    found = json.loads(out.read_text(encoding="utf-8"))["slides"][0]["interpretation"]
    assert found["name"] == "Unsatisfactory for evaluation"
    bench.session.slides.next()
    bench.settle()
    assert dock.interpretation.choice.category == ""


def test_the_score_of_the_slide_stands_beside_the_interpretation_and_is_hidden_when_blind(bench: Any) -> None:
    made = add_predictions(bench, 3)
    project, slide = bench.session.project, bench.session.slide
    centres = np.array([cell.geometry.centre_yx for cell in made])
    attention = Attention(tuple(cell.id for cell in made), centres, np.array([0.2, 0.7, 0.1], np.float32))
    score = score_of_cells(looked_at=3, vectors="gone")
    dock = read(bench)
    assert dock.score.isHidden()
    keep_score(project, slide.id, score, attention)
    dock = read(bench)
    assert "0.80 (0.70 to 0.90 over seeds), from 3 cells (model m, 2026-01-01)" in dock.score.words.text()
    assert "the vectors of its cells are gone; score the slide again" in dock.score.out_of_date.text()
    assert "not a diagnosis" in dock.score.notice.text()
    assert dock.score.cells.count() == 3
    dock.score.cells.itemClicked.emit(dock.score.cells.item(0))
    assert [cell.id for cell in bench.session.selected()] == [made[1].id]

    bench.session.view.show_only(ShownFilter(blind=True))
    bench.settle()
    assert dock.score.words.isHidden()
    assert dock.score.cells.count() == 0
    assert "hidden" in dock.score.notice.text()
