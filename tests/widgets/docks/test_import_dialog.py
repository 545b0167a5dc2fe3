"""Promise: marks of another program come in from the dock, and the docks show them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog

from napari_cyto.formats import get_format
from napari_cyto.jobs.events import Done, Failed
from napari_cyto.widgets.docks.slides._import_dialog import ImportDialog


def run(bench, dialog):
    heard = []
    dialog.bar.ended.connect(heard.append)
    bench.click(dialog.start)
    bench.qtbot.waitUntil(lambda: bool(heard), timeout=60_000)
    return heard[0]


def test_annotations_come_in_and_are_shown(bench, tmp_path):
    bench.mark(3, "LSIL")
    here = bench.session.project.label_set([bench.session.slide.id])
    get_format("geojson").write(here, tmp_path / "marks.geojson")
    for _ in range(3):
        bench.session.history.undo()
    assert bench.annotate.palette_rows.rows["LSIL"].count_text == "0"
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    dialog.format.setCurrentIndex(dialog.format.findData("geojson"))
    dialog.source.setText(str(tmp_path / "marks.geojson"))
    dialog.form.set_values({"slide": bench.session.slide.path})
    ended = run(bench, dialog)
    assert isinstance(ended, Done), ended
    bench.settle()
    assert bench.annotate.palette_rows.rows["LSIL"].count_text == "3"
    assert dialog.bar.words.text().startswith("3 annotations imported")


def test_a_bad_file_is_a_sentence_and_nothing_changes(bench, tmp_path):
    (tmp_path / "bad.geojson").write_text("{")
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    dialog.format.setCurrentIndex(dialog.format.findData("geojson"))
    dialog.source.setText(str(tmp_path / "bad.geojson"))
    ended = run(bench, dialog)
    assert isinstance(ended, Failed)
    assert ended.expected
    assert "bad.geojson" in dialog.bar.words.text()
    assert sum(bench.session.project.counts().values()) == 0


def test_without_a_source_nothing_starts(bench):
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    bench.click(dialog.start)
    assert "Choose the file" in dialog.bar.words.text()
    assert not dialog.bar.running


def test_foreign_classes_are_mapped_or_added_in_the_dialog(bench, tmp_path):
    """A label file with other class names is no dead end: each gets a class, or becomes one."""
    lines = ["slide,x,y,class"] + [f"{bench.session.slide.name},{x},100,{c}" for x, c in ((50, "hsil"), (90, "odd"))]
    lines += [f"{bench.session.slide.name},130,100,other"]
    (tmp_path / "marks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    dialog.show()
    dialog.format.setCurrentIndex(dialog.format.findData("csv"))
    dialog.source.setText(str(tmp_path / "marks.csv"))
    dialog.form.set_values({"slide": bench.session.slide.path})
    assert isinstance(run(bench, dialog), Failed)
    bench.qtbot.waitUntil(dialog.class_map.isVisible, timeout=60_000)
    assert dialog.class_map.values() == {"hsil": "HSIL", "odd": "", "other": ""}
    assert not dialog.start.isEnabled()
    bench.type(dialog.class_map.boxes["odd"], "add")
    assert not dialog.start.isEnabled()
    bench.type(dialog.class_map.boxes["other"], "NILM")
    ended = run(bench, dialog)
    assert isinstance(ended, Done), ended
    assert not dialog.class_map.isVisible()
    assert bench.session.project.counts() == {"HSIL": 1, "odd": 1, "NILM": 1}
    assert "odd" in bench.session.project.scheme
    assert "other" not in bench.session.project.scheme


def csv_of(bench, path, lines):
    rows = "".join(f"{bench.session.slide.name},{x},{y},{c}\n" for x, y, c in lines)
    path.write_text(f"slide,x,y,class\n{rows}")
    return path


def test_label_files_dropped_together_all_come_in_and_are_counted(bench, tmp_path):
    """Of several dropped files only the first was offered, and the end said no more than: Imported."""
    first = csv_of(bench, tmp_path / "one.csv", [(50, 60, "HSIL"), (90, 60, "NILM")])
    second = csv_of(bench, tmp_path / "two.csv", [(150, 160, "HSIL")])
    bench.slides.open_dropped([first, second])
    [dialog] = bench.slides.findChildren(ImportDialog)
    assert "two.csv" in dialog.others.text().replace("\u200b", "")
    bench.click(dialog.start)
    bench.qtbot.waitUntil(lambda: "2 files in total" in dialog.bar.words.text(), timeout=60_000)
    said = dialog.bar.words.text()
    assert "one.csv: 2 annotations imported" in said
    assert "two.csv: 1 annotation imported" in said
    assert "2 files in total: 3 annotations imported" in said
    assert not dialog.others.isVisible()
    assert sum(bench.session.project.counts().values()) == 3
    dialog.reject()


def test_bad_rows_can_be_left_out_with_a_button(bench, tmp_path):
    source = csv_of(bench, tmp_path / "marks.csv", [(50, 60, "HSIL"), ("x", 60, "NILM"), (150, 160, "LSIL")])
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    dialog.show()
    dialog.suggest("csv", source)
    assert not dialog.skip.isVisible()
    assert isinstance(run(bench, dialog), Failed)
    assert "--skip-bad" not in dialog.bar.words.text()
    assert sum(bench.session.project.counts().values()) == 0
    bench.click(dialog.skip)
    bench.qtbot.waitUntil(lambda: "2 annotations imported" in dialog.bar.words.text(), timeout=60_000)
    assert "1 entry could not be read, left out" in dialog.bar.words.text(), "what was left out is counted"
    assert not dialog.skip.isVisible()


def test_bad_rows_are_left_out_of_the_file_they_were_seen_in_alone(bench, tmp_path):
    """One press of the button left out the bad rows of every file behind it, which nobody had seen."""
    files = [csv_of(bench, tmp_path / f"{n}.csv", [(50 + n, 60, "HSIL"), ("x", 60, "NILM")]) for n in (1, 2)]
    bench.slides.open_dropped(files)
    [dialog] = bench.slides.findChildren(ImportDialog)
    assert isinstance(run(bench, dialog), Failed)
    bench.click(dialog.skip)
    bench.qtbot.waitUntil(lambda: not dialog.others.isVisible() and dialog.skip.isVisible(), timeout=60_000)
    assert "1.csv: 1 annotation imported" in dialog.bar.words.text()
    assert "2.csv: " in dialog.bar.words.text()
    assert sum(bench.session.project.counts().values()) == 1
    dialog.reject()


def test_a_dropped_folder_of_two_formats_waits_for_an_answer_and_what_came_before_stays_reported(bench, tmp_path):
    """What stood between the two was only: Choose the format first."""
    first = csv_of(bench, tmp_path / "one.csv", [(50, 60, "HSIL")])
    both = tmp_path / "both"
    both.mkdir()
    for place in ("asap/smear_4.xml", "voc/Annotations/field_1.xml"):
        (both / Path(place).name).write_bytes((GOLDEN / place).read_bytes())
    bench.slides.open_dropped([first, both])
    [dialog] = bench.slides.findChildren(ImportDialog)
    assert isinstance(run(bench, dialog), Done)
    assert dialog.format.currentData() is None
    said = dialog.bar.words.text()
    assert "one.csv: 1 annotation imported" in said
    assert "its format is ambiguous: it may be asap" in said
    dialog.reject()


def test_what_was_said_of_another_file_goes(bench, tmp_path):
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    bench.click(dialog.start)
    assert dialog.bar.words.text()
    dialog.source.setText(str(tmp_path / "other.csv"))
    assert not dialog.bar.words.text()


GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def chosen(dialog: ImportDialog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    dialog.browse_file.click()


def test_a_chosen_file_is_recognised_and_its_formats_options_are_shown(bench, monkeypatch):
    """Promise: nobody has to know which of fourteen formats a file is, and what a format asks can be answered here."""
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    chosen(dialog, GOLDEN / "labelstudio" / "export.json", monkeypatch)
    assert dialog.format.currentData() == "labelstudio"
    assert "export.json looks like Label Studio JSON." in dialog.bar.words.text()
    assert {"annotator", "predictions", "unclassified"} == set(dialog.reader_form.controls)
    dialog.reader_form.set_values({"annotator": "ann@example.org"})
    assert dialog._chosen_options().reader["annotator"] == "ann@example.org"
    chosen(dialog, GOLDEN / "voc" / "Annotations" / "field_1.xml", monkeypatch)
    assert (dialog.format.currentData(), set(dialog.reader_form.controls)) == ("voc", {"pixels"})
    dialog.reject()


def test_what_is_not_clear_is_not_guessed(bench, monkeypatch, tmp_path):
    (tmp_path / "a.json").write_text('{"answer": 42}', encoding="utf-8")
    dialog = ImportDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    chosen(dialog, tmp_path / "a.json", monkeypatch)
    assert dialog.format.currentData() is None
    assert "its format cannot be recognised" in dialog.bar.words.text()
    dialog.run()
    assert "Choose the format first." in dialog.bar.words.text()
    dialog.reject()
