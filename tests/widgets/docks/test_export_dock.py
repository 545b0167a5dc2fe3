"""Promise: one click exports; it is looked at before, stopped within a second, and refused when it leaks."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox

from napari_cyto.datasets.audit.report import Finding, Severity
from napari_cyto.datasets.export.apacc import ApaccExport
from napari_cyto.datasets.export.labels import LabelExport
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.widgets.docks.export._request import hidden_options
from napari_cyto.widgets.docks.export._split_preview import finding_rows
from napari_cyto.widgets.docks.export.dock import done_words
from napari_cyto.widgets.docks.job_bar import eta_words


def ended(bench, bar):
    """Wait for the last word of what runs in ``bar``, and return it."""
    heard = []
    bar.ended.connect(heard.append)
    bench.qtbot.waitUntil(lambda: bool(heard), timeout=60_000)
    return heard[0]


def annotate_both_smears(bench):
    for record in bench.session.project.slides()[:2]:
        bench.session.slides.go_to(record.id)
        bench.mark(2, "NILM")
        bench.mark(1, "rubbish")


def test_preview_then_export(bench, tmp_path):
    annotate_both_smears(bench)
    export = bench.export
    bench.click(export.look)
    assert isinstance(ended(bench, export.looking), Done)
    assert export.shown.summary.text().startswith("✓ ")
    assert "6 annotations in 2 slices" in export.shown.summary.text()
    table = export.shown.classes
    assert [table.item(i, 0).text() for i in range(table.rowCount())] == ["healthy", "rubbish"]
    assert not export.leak_reason.isVisible()
    target = tmp_path / "out"
    export.target.setText(str(target))
    bench.click(export.go)
    assert not export.go.isEnabled()
    assert isinstance(ended(bench, export.bar), Done)
    assert export.open_folder.isVisible()
    assert {p.name for p in (target / "slices").iterdir()} == {"train", "test"}
    assert "2 healthy" in export.bar.words.text()
    assert export.go.isEnabled()


def test_cancel_leaves_the_old_target_as_it_was(bench, tmp_path):
    annotate_both_smears(bench)
    target = tmp_path / "old"
    target.mkdir()
    (target / "kept.txt").write_text("old", encoding="utf-8")
    export = bench.export
    export.target.setText(str(target))
    export.export()
    export.bar.stop()
    last = ended(bench, export.bar)
    assert isinstance(last, Cancelled | Failed)
    assert (target / "kept.txt").read_text(encoding="utf-8") == "old"
    assert [p.name for p in target.iterdir()] == ["kept.txt"]


def test_a_leak_is_refused_until_a_reason_is_given(bench, tmp_path):
    """The sides that came with the data put one patient on both."""
    annotate_both_smears(bench)
    project = bench.session.project
    for record, side in zip(project.slides()[:2], ("train", "test"), strict=True):
        project.update_slide(replace(record, patient="P7", side=side))
    export = bench.export
    export.target.setText(str(tmp_path / "out"))
    export.preview()
    ended(bench, export.looking)
    assert export.shown.summary.text().startswith("✗ ")
    assert export.leak_reason.isVisible()
    assert not export.go.isEnabled()
    rows = [export.shown.findings.item(i, 0).text() for i in range(export.shown.findings.rowCount())]
    assert any("P7" in row for row in rows)
    bench.type(export.leak_reason, "pilot with one patient")
    bench.click(export.go)
    assert isinstance(ended(bench, export.bar), Done)
    kept = " ".join(p.read_text(encoding="utf-8") for p in (tmp_path / "out").glob("*.json"))
    assert "pilot with one patient" in kept


def test_another_format(bench):
    bench.mark(2)
    export = bench.export
    export.format.setCurrentIndex(export.format.findData("geojson"))
    assert export.target.text().endswith("smears geojson")
    export.export()
    assert isinstance(ended(bench, export.bar), Done)
    [annotated] = [p for p in Path(export.target.text()).glob("*.geojson") if "smear_a" in p.name]
    assert len(json.loads(annotated.read_text(encoding="utf-8"))["features"]) == 2


def test_nothing_to_export_is_a_sentence(bench):
    bench.export.preview()
    ended(bench, bench.export.looking)
    assert "no cells to export" in bench.export.shown.summary.text()


def test_without_a_target_nothing_starts(bench):
    bench.export.target.clear()
    bench.click(bench.export.go)
    assert not bench.export.bar.running
    assert "Choose a destination" in bench.export.bar.words.text()


def test_letting_go_stops_what_runs_within_a_second(bench, tmp_path):
    annotate_both_smears(bench)
    bench.export.target.setText(str(tmp_path / "out"))
    bench.export.export()
    start = time.monotonic()
    bench.export.let_go()
    assert time.monotonic() - start < 5, "about a second; more on a busy machine"
    assert not bench.export.bar.running
    assert not (tmp_path / "out").exists()


def test_time_left_in_words():
    assert eta_words(0, 10, 5) == ""
    assert eta_words(5, 0, 5) == ""
    assert eta_words(5, 10, 0.5) == ""
    assert eta_words(5, 10, 20) == ", 20 s left"
    assert eta_words(1, 10, 60) == ", 9 min left"
    assert eta_words(1, 100, 600) == ", 16.5 h left"
    assert eta_words(10, 10, 60) == ""


def test_results_in_words():
    apacc = ApaccExport(
        target="out",
        counts={"train": {"healthy": 1204}, "test": {}},
        slices={},
        cells=1204,
        split={},
        border="any",
        losses=(),
        remarks=(),
        leaks=(),
        leak_allowed_because=None,
    )
    assert done_words(apacc) == "written, 1,204 healthy to train; nothing to test."
    assert done_words(LabelExport("out", "csv", 1, 2, ())) == "written, 2 annotations of 1 slide."
    leak = Finding("same_patient", Severity.ERROR, "D.", ({"patient": "P"},))
    assert finding_rows([leak]) == ["D.", "    patient P"]


OWN = ClassScheme(
    "our lab",
    1,
    (CellClass("NILM", "Normal", "#00aa00", "1"), CellClass("odd", "Odd one", "#aa0000", "2")),
)


def test_classes_of_ones_own_are_given_a_counterpart_in_the_dock(empty_bench, slide_files, tmp_path):
    """A scheme that APACC knows nothing of can be exported, and the choice is not asked for twice."""
    bench, session = empty_bench, empty_bench.session
    session.projects.create(tmp_path / "own.cyto", OWN)
    session.slides.add(slide_files[:2])
    export = bench.export
    assert not export.class_map.isVisible(), "nothing is marked yet"
    bench.mark(2, "NILM")
    bench.mark(1, "odd")
    assert export.class_map.isVisible()
    assert export.class_map.values() == {"NILM": "healthy", "odd": ""}, "a name that ships is proposed"
    assert "Not mapped yet: odd" in export.class_map.words.text()
    assert not export.go.isEnabled()
    box = export.class_map.boxes["odd"]
    box.setFocus()
    bench.qtbot.keyClicks(box, "rub")
    bench.settle()
    assert export.class_map.values() == {"NILM": "healthy", "odd": "rubbish"}
    export.target.setText(str(tmp_path / "out"))
    bench.click(export.go)
    assert isinstance(ended(bench, export.bar), Done)
    assert "2 healthy" in export.bar.words.text()
    assert "1 rubbish" in export.bar.words.text()
    session.close()
    bench.settle()
    assert not export.class_map.isVisible()
    session.projects.open(tmp_path / "own.cyto")
    assert export.class_map.values()["odd"] == "rubbish"
    assert export.go.isEnabled()


def test_shipped_schemes_and_other_formats_ask_for_no_map(bench):
    bench.mark(2)
    assert not bench.export.class_map.isVisible()
    bench.export.format.setCurrentIndex(bench.export.format.findData("csv"))
    assert bench.export.request().checked_options().class_map is None


def test_options_that_only_reading_needs_are_not_requested():
    hidden = hidden_options("yolo")
    assert {"image_width", "image_height"} <= set(hidden)


def test_what_was_said_of_an_export_goes_when_another_is_set_up(bench, tmp_path):
    """A green or red sentence under settings to which it does not belong is believed."""
    annotate_both_smears(bench)
    export = bench.export
    export.target.setText(str(tmp_path / "out"))
    width = export.go.width()
    bench.click(export.go)
    assert isinstance(ended(bench, export.bar), Done)
    assert export.go.width() == width
    changes = {
        "format": lambda: export.format.setCurrentIndex(1),
        "folder": lambda: export.target.setText(str(tmp_path / "elsewhere")),
        "options": lambda: export.form.changed.emit(),
        "a cell": lambda: bench.mark(1),
        "the project": lambda: bench.session.project_changed.emit(),
    }
    for what, change in changes.items():
        export.bar.say("written, 3 marks.")
        change()
        bench.settle()
        assert not export.bar.words.text(), what
        assert not export.open_folder.isEnabled()


def test_merged_classes_and_an_empty_side_are_said_in_words(bench, tmp_path):
    bench.mark(3, "HSIL")
    bench.session.edits.choose_class("NILM")
    bench.session.edits.add_box_at((500, 500))
    export = bench.export
    export.target.setText(str(tmp_path / "out"))
    export.preview()
    ended(bench, export.looking)
    assert "3 HSIL become unhealthy, which stands for" in export.shown.losses.text()
    assert "NILM" not in export.shown.losses.text()
    bench.click(export.go)
    ended(bench, export.bar)
    assert export.bar.words.text() == "out (APACC): written, 1 healthy, 3 unhealthy to train; nothing to test."


def test_the_preview_follows_the_cells(bench):
    bench.mark(3, "HSIL")
    export = bench.export
    export.preview()
    ended(bench, export.looking)
    assert "3 annotations" in export.shown.summary.text()
    bench.session.history.undo()
    bench.qtbot.waitUntil(lambda: "2 annotations" in export.shown.summary.text(), timeout=60_000)


def test_a_file_that_is_no_export_is_a_question(bench, tmp_path, monkeypatch):
    """46: a person's text was replaced without a word."""
    bench.mark(2, "NILM")
    export = bench.export
    export.format.setCurrentIndex(export.format.findData("csv"))
    target = tmp_path / "thesis.csv"
    target.write_text("my thesis", encoding="utf-8")
    export.target.setText(str(target))
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_args: answers.pop(0))
    export.export()
    assert isinstance(ended(bench, export.bar), Failed)
    assert target.read_text(encoding="utf-8") == "my thesis"
    assert "--overwrite" not in export.bar.words.text()
    export.export()
    bench.qtbot.waitUntil(lambda: target.read_text(encoding="utf-8").startswith("x,y,label"), timeout=60_000)


def take_format(bench, name):
    """Step to a format with the arrow keys."""
    box = bench.export.format
    box.setFocus()
    bench.qtbot.keyClick(box, Qt.Key.Key_Home)
    for _ in range(box.findData(name)):
        bench.qtbot.keyClick(box, Qt.Key.Key_Down)
    bench.settle()
    assert box.currentData() == name


def choose(bench, form, field, value):
    """Step through the values of an option with the arrow keys until it shows the one wanted."""
    box = form.controls[field].widget
    box.setFocus()
    bench.qtbot.keyClick(box, Qt.Key.Key_Home)
    for _ in range(box.findData(value)):
        bench.qtbot.keyClick(box, Qt.Key.Key_Down)
    bench.settle()
    assert box.currentData() == value


@pytest.mark.parametrize(
    "name", [pytest.param("yolo", marks=pytest.mark.nightly), "coco", pytest.param("voc", marks=pytest.mark.nightly)]
)
def test_a_data_set_with_tiles_and_three_sets_is_written_by_a_click(bench, tmp_path, name):
    """What the command line can do for trainers, the dock can: tiles, the split, and a folder as target."""
    annotate_both_smears(bench)
    export = bench.export
    take_format(bench, name)
    assert export.image_set.isVisible()
    assert not Path(export.target.text()).suffix, "a folder, also for COCO"
    choose(bench, export.image_set.images, "images", "tiles")
    bench.click(export.image_set.tiles_section.head)
    size = export.image_set.tiles.controls["tile_px"].widget
    size.setFocus()
    size.selectAll()
    bench.qtbot.keyClicks(size, "128\t")
    choose(bench, export.image_set.tiles, "keep", "centre")
    bench.click(export.image_set.split_section.head)
    share = export.image_set.split.controls["test_share"].widget
    share.setFocus()
    share.selectAll()
    bench.qtbot.keyClicks(share, "0\t")
    options = export.request().checked_options()
    assert (options.images, options.tile_px, options.keep, options.test_share) == ("tiles", 128, "centre", 0)
    bench.click(export.look)
    assert isinstance(ended(bench, export.looking), Done)
    assert export.shown.summary.text().startswith("✓ "), export.shown.summary.text()
    heads = [export.shown.smears.horizontalHeaderItem(i).text() for i in range(export.shown.smears.columnCount())]
    assert heads == ["Training", "Validation"]
    assert "on" in export.shown.summary.text()
    assert "image" in export.shown.summary.text()
    target = tmp_path / "out"
    export.target.setText(str(target))
    bench.click(export.go)
    assert isinstance(ended(bench, export.bar), Done)
    assert "validation set" in export.bar.words.text()
    tiles = list(target.rglob("*.png"))
    assert tiles
    for path in tiles:
        with Image.open(path) as opened:
            assert opened.size == (128, 128)


def test_what_does_not_count_is_not_shown_and_the_target_follows(bench):
    bench.mark(2)
    export = bench.export
    take_format(bench, "coco")
    form = export.image_set
    assert form.tiles_section.isVisible()
    choose(bench, form.images, "images", "copy")
    assert not form.tiles_section.isVisible()
    assert form.split_section.isVisible()
    choose(bench, form.images, "images", "none")
    assert not form.split_section.isVisible()
    assert export.target.text().endswith("smears coco.json"), "labels alone are one file"
    choose(bench, form.images, "images", "auto")
    assert export.target.text().endswith("smears coco")
    export.target.setText("/somewhere/else")
    choose(bench, form.images, "images", "none")
    assert export.target.text() == "/somewhere/else", "what a person chose stays"
    take_format(bench, "csv")
    assert not form.isVisible()


def test_a_data_set_is_stopped_within_a_second_and_leaves_nothing(bench, tmp_path, monkeypatch):
    annotate_both_smears(bench)
    export = bench.export
    take_format(bench, "yolo")
    choose(bench, export.image_set.images, "images", "tiles")
    export.target.setText(str(tmp_path / "out"))
    bench.click(export.go)
    bench.click(export.bar.cancel)
    start = time.monotonic()
    last = ended(bench, export.bar)
    assert isinstance(last, Cancelled), last
    assert time.monotonic() - start < 5, "about a second; more on a busy machine"
    assert not [path.name for path in tmp_path.iterdir() if path.name.strip(".").startswith("out")]


def test_a_leak_of_published_sets_asks_for_a_reason_in_a_data_set_too(bench, tmp_path):
    annotate_both_smears(bench)
    project = bench.session.project
    for record, side in zip(project.slides()[:2], ("train", "test"), strict=True):
        project.update_slide(replace(record, patient="P7", side=side))
    export = bench.export
    take_format(bench, "yolo")
    export.preview()
    ended(bench, export.looking)
    assert export.shown.summary.text().startswith("✗ ")
    assert not export.go.isEnabled()
    bench.type(export.leak_reason, "pilot")
    export.target.setText(str(tmp_path / "out"))
    bench.click(export.go)
    assert isinstance(ended(bench, export.bar), Done)
    kept = json.loads((tmp_path / "out" / "napari-cyto-export.json").read_text(encoding="utf-8"))
    assert kept["leak_allowed_because"] == "pilot"
