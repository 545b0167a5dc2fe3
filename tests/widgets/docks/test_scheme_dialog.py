"""Promise: classes are edited all at once or not at all, and one in use is never lost."""

from __future__ import annotations

import pytest

from napari_cyto.domain.presets import preset
from napari_cyto.formats.schemes import load_scheme
from napari_cyto.widgets.docks.slides.scheme_dialog import SchemeDialog


@pytest.fixture
def dialog(bench):
    made = SchemeDialog(bench.session)
    bench.qtbot.addWidget(made)
    return made


def row(dialog, class_id):
    return next(r for r in dialog.rows if r.short.text() == class_id)


def test_rename_recolour_and_new_key(bench, dialog):
    hsil = row(dialog, "HSIL")
    hsil.long.setText("Severe")
    hsil.colour = "#123456"
    hsil.key.setCurrentText("9")
    hsil.box.setValue(33)
    bench.click(dialog.use)
    stored = bench.session.project.scheme["HSIL"]
    assert (stored.name, stored.colour, stored.key, stored.box_um) == ("Severe", "#123456", "9", 33.0)
    assert bench.session.class_by_key("9").id == "HSIL"


def test_add_and_remove(bench, dialog):
    bench.click(dialog.add)
    new = dialog.rows[-1]
    bench.type(new.short, "AGC")
    assert new.key.currentText() == "9"
    bench.click(row(dialog, "rubbish").remove)
    bench.click(dialog.use)
    ids = bench.session.project.scheme.ids
    assert "AGC" in ids
    assert "rubbish" not in ids
    assert "AGC" in bench.annotate.palette_rows.rows


def test_a_class_in_use_cannot_be_removed(bench):
    bench.mark(1, "SCC")
    dialog = SchemeDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    assert not row(dialog, "SCC").remove.isEnabled()
    assert "while annotations have this class" in row(dialog, "SCC").remove.toolTip()


def test_two_classes_with_one_key_are_refused_in_words(bench, dialog):
    row(dialog, "HSIL").key.setCurrentText("1")
    bench.click(dialog.use)
    assert "the key 1 occurs more than once" in dialog.problem.text()
    assert bench.session.project.scheme == preset("bethesda")


def test_removing_the_current_class_chooses_another(bench):
    bench.session.edits.choose_class("rubbish")
    dialog = SchemeDialog(bench.session)
    bench.qtbot.addWidget(dialog)
    bench.click(row(dialog, "rubbish").remove)
    bench.click(dialog.use)
    assert bench.session.current_class == "NILM"


def test_cancel_changes_nothing(bench, dialog):
    row(dialog, "HSIL").long.setText("Severe")
    bench.click(dialog.leave)
    assert bench.session.project.scheme == preset("bethesda")


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_to_a_file_and_back(bench, dialog, tmp_path, suffix):
    dialog.save_file(tmp_path / f"own{suffix}")
    assert load_scheme(tmp_path / f"own{suffix}").ids == preset("bethesda").ids
    bench.click(row(dialog, "rubbish").remove)
    dialog.load_file(tmp_path / f"own{suffix}")
    assert [r.short.text() for r in dialog.rows] == list(preset("bethesda").ids)
    (tmp_path / "bad.json").write_text("{")
    dialog.load_file(tmp_path / "bad.json")
    assert "bad.json" in dialog.problem.text()
