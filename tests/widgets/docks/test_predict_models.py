"""Promise: the Propose dock asks the project's own models, until a person chooses others there; the later act wins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_bundles import manifest_fields, tensor_bytes
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QEnterEvent
from qtpy.QtWidgets import QApplication

from napari_cyto.domain.presets import preset
from napari_cyto.models import library
from napari_cyto.models.project_models import use_model
from napari_cyto.widgets.docks.models.dock import ModelsDock
from napari_cyto.widgets.docks.predict._predictor import Predictor
from napari_cyto.widgets.docks.predict._run import PredictionRun
from napari_cyto.widgets.docks.predict.dock import PredictDock

CONTENT = tensor_bytes({"w": np.arange(6, dtype=np.float32).reshape(2, 3)})


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch) -> Path:
    """A library of three models that find and two that name; those of the project are never the first."""
    folder = tmp_path / "library"
    monkeypatch.setattr(library, "user_folder", lambda: folder)
    monkeypatch.setattr(library, "shipped_folder", lambda: None)
    px = {"mpp": None, "crop_rule": {"windows": [224], "unit": "px", "size_px": 224}}
    detector = {"kind": "detector", "architecture": "p2p", "crop_rule": None, "mpp": None}
    kinds = {"find-a": detector, "find-b": detector, "find-c": detector, "name-a": px, "name-b": px}
    for name, fields in kinds.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "model.safetensors").write_bytes(CONTENT)
        described = manifest_fields(CONTENT, id=name, **fields)
        (folder / name / "model.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def questions(monkeypatch) -> list[tuple]:
    """What is asked of the process that looks, which is not there."""
    said: list[tuple] = []
    monkeypatch.setattr(Predictor, "ask", lambda _self, *what: said.append(what))
    monkeypatch.setattr(Predictor, "warm", lambda _self, *what: said.append(("warm", *what)))
    return said


def use(bench, *folders: Path) -> None:
    for folder in folders:
        use_model(bench.session.project, folder)
    bench.session.project_changed.emit()
    bench.settle()


def chosen(run: PredictionRun) -> tuple[str, str | None]:
    return run.detector.currentData(), run.classifier.currentData()


def use_in_models(bench, dock: ModelsDock, name: str) -> None:
    while dock.current.name != name:
        row = dock.list.currentRow()
        choose(bench, dock.list, Qt.Key.Key_Down if row < dock.list.count() - 1 else Qt.Key.Key_Home)
    bench.click(dock.use)


def choose(bench, box, key: Qt.Key) -> None:
    box.setFocus()
    bench.qtbot.keyClick(box, key)
    bench.settle()


def test_a_dock_that_was_there_before_the_project_takes_the_projects_models(
    empty_bench, models, project_folder, questions
):
    bench = empty_bench
    run = bench.dock(PredictDock).run
    bench.session.projects.open(project_folder)
    bench.settle()
    assert chosen(run) == ("find-a", None)
    use(bench, models / "find-b", models / "name-b")
    assert chosen(run) == ("find-b", "name-b")
    bench.session.close()
    bench.settle()
    bench.session.projects.open(project_folder)
    bench.settle()
    bench.click(run.run)
    assert questions[-1] == ("field", "find-b", "name-b")


def test_each_project_has_its_own_models_and_its_own_choice(bench, models, project_folder, tmp_path):
    run = bench.dock(PredictDock).run
    use(bench, models / "find-b", models / "name-b")
    choose(bench, run.detector, Qt.Key.Key_Down)
    assert chosen(run) == ("find-c", "name-b")
    bench.session.projects.create(tmp_path / "other.cyto", preset("bethesda"), "Other")
    bench.settle()
    assert chosen(run) == ("find-a", None)
    bench.session.projects.open(project_folder)
    bench.settle()
    assert chosen(run) == ("find-c", "name-b")


def test_a_choice_stays_until_a_model_is_put_to_use_later(bench, models):
    run = bench.dock(PredictDock).run
    use(bench, models / "find-b", models / "name-b")
    choose(bench, run.classifier, Qt.Key.Key_Home)
    bench.session.project_changed.emit()
    bench.settle()
    assert chosen(run) == ("find-b", None), "the choice holds though it is to have no classifier"
    use(bench, models / "name-a")
    assert chosen(run) == ("find-b", "name-a")
    choose(bench, run.classifier, Qt.Key.Key_End)
    assert chosen(run) == ("find-b", "name-b")
    use(bench, models / "find-c")
    assert chosen(run) == ("find-c", "name-b"), "a detector put to use says nothing of the classifier"


def test_use_in_the_dock_models_is_followed_before_the_next_run(bench, models, questions):
    run, library_dock = bench.dock(PredictDock).run, bench.dock(ModelsDock)
    choose(bench, run.detector, Qt.Key.Key_Down)
    assert chosen(run) == ("find-b", None)
    use_in_models(bench, library_dock, "find-c")
    # The mouse comes to the dock.
    here = QPointF(5, 5)
    QApplication.sendEvent(run, QEnterEvent(here, here, QPointF(run.mapToGlobal(here.toPoint()))))
    assert chosen(run) == ("find-c", None)
    # Where the pointer stands on the screen already, another model was warmed before.
    assert questions[-1] == ("warm", "find-c", None)
    use_in_models(bench, library_dock, "find-a")
    run.run.setFocus()
    bench.qtbot.keyClick(run.run, Qt.Key.Key_Space)
    assert questions[-1] == ("field", "find-a", None)
    assert chosen(run) == ("find-a", None)


def test_a_choice_that_left_the_library_gives_way_to_the_projects_model(bench, models):
    dock = bench.dock(PredictDock)
    use(bench, models / "find-b")
    choose(bench, dock.run.detector, Qt.Key.Key_Down)
    library.remove_model("find-c")
    dock.hide()
    dock.show()
    bench.settle()
    assert chosen(dock.run) == ("find-b", None)
