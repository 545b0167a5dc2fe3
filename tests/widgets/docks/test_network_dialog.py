"""Promise: a network of one's own is declared without a command line, and only what its kind needs is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_cyto.jobs.events import Done, Failed
from napari_cyto.models.foreign_models import ForeignNetwork
from napari_cyto.models.onnx_jobs import add_network
from napari_cyto.widgets.docks.models._network_dialog import NetworkDialog
from napari_cyto.widgets.docks.models.dock import ModelsDock


@pytest.fixture
def dialog(bench):
    made = NetworkDialog()
    bench.qtbot.addWidget(made)
    return made


@pytest.fixture
def ran(dialog, monkeypatch):
    """What the form hands to the job, which does not run."""
    calls = []
    monkeypatch.setattr(dialog.bar, "run", lambda function, kwargs, beginning: calls.append((function, kwargs)))
    return calls


def choose(dialog, field: str, value: object) -> None:
    box = dialog.form.controls[field].widget
    box.setCurrentIndex(box.findData(value))


def test_what_was_typed_reaches_the_job(bench, dialog, ran, tmp_path):
    dialog.file.setText(str(tmp_path / "theirs.onnx"))
    for field, words in (("classes", "NILM, HSIL"), ("mpp", "0.25"), ("name", "theirs")):
        bench.type(dialog.form.controls[field].widget, words)
    dialog.form.controls["input_px"].write(1024)
    bench.click(dialog.add)
    [(function, kwargs)] = ran
    assert function is add_network
    assert kwargs["path"] == tmp_path / "theirs.onnx"
    assert kwargs["declared"] == ForeignNetwork(
        kind="detector", output="yolo", classes="NILM, HSIL", mpp=0.25, input_px=1024, name="theirs"
    )


def test_another_kind_shows_its_fields_and_keeps_what_was_typed(dialog):
    assert {"overlap", "mpp", "output"} <= dialog.form.controls.keys()
    dialog.form.controls["name"].write("mine")
    choose(dialog, "output", "points")
    assert "merge_um" in dialog.form.controls
    assert "overlap" not in dialog.form.controls
    choose(dialog, "kind", "encoder")
    assert {"tokens", "window_um"} <= dialog.form.controls.keys()
    assert not {"classes", "output", "score_from"} & dialog.form.controls.keys()
    assert dialog.form.controls["name"].read() == "mine"


def test_an_encoder_is_handed_over_without_an_output_of_detectors(bench, dialog, ran, tmp_path):
    choose(dialog, "kind", "encoder")
    dialog.file.setText(str(tmp_path / "vit.onnx"))
    bench.type(dialog.form.controls["window_um"].widget, "51.2")
    dialog.form.controls["input_px"].write(224)
    bench.click(dialog.add)
    assert ran[0][1]["declared"] == ForeignNetwork(kind="encoder", window_um=(51.2,), input_px=224)


def test_what_is_missing_or_refused_is_said_and_the_form_stays(bench, dialog, ran):
    bench.click(dialog.add)
    assert "Choose the network's ONNX file" in dialog.bar.words.text()
    dialog.file.setText("theirs.onnx")
    dialog.form.controls["mpp"].write("wide")
    bench.click(dialog.add)
    assert "µm per px" in dialog.bar.words.text()
    assert ran == []
    dialog.show()
    dialog._ended(Failed("theirs.onnx: expected an ONNX file."))
    assert dialog.isVisible()
    assert dialog.add.isEnabled()


@pytest.mark.parametrize("kind", ["detector", "classifier", "encoder"])
def test_the_form_fits_a_small_screen(bench, dialog, kind):
    choose(dialog, "kind", kind)
    dialog.show()
    assert dialog.height() <= 700
    assert dialog.width() <= 1366
    assert dialog.minimumSizeHint().height() <= 700


def test_the_dock_shows_what_was_added_and_what_was_exported(bench, monkeypatch):
    dock = bench.dock(ModelsDock)
    dock.show_added("nucleus-detector", "Its output has the layout of a YOLO v8.")
    assert "Added nucleus-detector. Its output" in dock.words.text()
    assert dock.current.name == "nucleus-detector"
    calls = []
    monkeypatch.setattr(dock.bar, "run", lambda function, kwargs, beginning: calls.append(kwargs))
    dock.export_to(Path("out"))
    assert calls == [{"name": str(dock.current.path), "folder": Path("out")}]
    dock._exported(Done({"folder": "out", "compared": "the same answers in OpenVINO"}))
    assert "Exported to out: the same answers" in dock.words.text()
