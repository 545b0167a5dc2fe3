"""Promise: the next model is set up, watched, judged and used in the dock; the window never waits for it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import run_samples
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.jobs.events import Cancelled, Done
from napari_cyto.jobs.priority import give_way
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models import torch_installed
from napari_cyto.training import request as train_commands
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.recipes import all_recipes
from napari_cyto.training.request import TRAINING, TrainRequest, runs_folder
from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets.docks.export.dock import PREVIEW_AFTER_MS, ExportDock
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.train import dock as train_dock
from napari_cyto.widgets.docks.train._settings import TrainSettings
from napari_cyto.widgets.docks.train._setup import LOOK_AFTER_MS
from napari_cyto.widgets.docks.train.dock import TrainDock

PLAYER = Path(run_samples.__file__)
LONG = 40


@pytest.fixture
def played(monkeypatch):
    """Runs that are started are played instead of trained; what is left of them is ended."""
    started = []

    def play(words, log):
        out = words[words.index("--out") + 1]
        rest = ["--resume"] if "--resume" in words else []
        command = [sys.executable, str(PLAYER), out, str(played.epochs), str(played.seconds), *rest]
        with log.open("ab") as target:
            process = subprocess.Popen(command, stderr=target)
        started.append(process)
        return process

    played = SimpleNamespace(epochs=4, seconds=0.3, started=started)
    monkeypatch.setattr(train_commands, "start_detached", play)
    monkeypatch.setattr(torch_installed, "has_torch", lambda: True)
    monkeypatch.setattr(train_dock, "has_torch", lambda: True)
    yield played
    for process in started:
        process.kill()
        process.wait()


def slides_of(bench) -> list[str]:
    project = bench.session.project
    return [str(project.slide_path(record)) for record in project.slides()]


def wait_for(bench, dock, *statuses: str) -> None:
    bench.qtbot.waitUntil(lambda: dock.watch is not None and dock.watch.state.status in statuses, timeout=30_000)
    dock._show_run()
    bench.settle()


def begin(bench, played, epochs: int = 4) -> TrainDock:
    played.epochs = epochs
    bench.mark(3)
    dock = bench.dock(TrainDock)
    bench.settle()
    bench.click(dock.start)
    return dock


def test_a_run_is_started_watched_and_its_end_is_shown(bench, played):
    dock = begin(bench, played)
    assert dock.words.text() == ""
    assert dock.progress.isVisible()
    assert not dock.setup.isVisible()
    wait_for(bench, dock, "done")
    state = dock.watch.state
    assert len(state.epochs) == 4
    x, y = dock.progress.curves._validation.getData()
    assert list(x) == [1, 2, 3, 4]
    assert y[0] > y[-1]
    assert "Epoch 4" in dock.progress.curves.words.text()
    assert "NILM" in dock.progress.recall.accessibleName()
    assert dock.progress.worst.gallery.count() == 6
    assert "All cores" in dock.progress.notes.text()
    assert dock.outcome.isVisible()
    assert dock.outcome.metrics.rowCount() > 3
    assert dock.new.isVisible()
    bench.click(dock.new)
    assert dock.setup.isVisible()


def test_what_was_requested_reaches_the_command_line(bench, played, tmp_path):
    dock = bench.dock(TrainDock)
    dock.name.setText("mine")
    request = dock.request()
    words = request.words()
    assert words[:2] == ["train", "classifier"]
    assert words[words.index("--data") + 1] == str(bench.session.project.folder)
    assert request.out == runs_folder(bench.session.project) / "mine"
    assert request.config.scheme == "bethesda"
    dock.name.setText("no / name")
    bench.click(dock.start)
    assert "Expected a model name" in dock.words.text()
    assert not played.started


def test_a_projects_own_classes_are_those_that_are_trained(bench, played):
    project = bench.session.project
    known = project.scheme
    own = CellClass("CANDIDA", "Candida", "#8844aa", severity=0)
    project.set_scheme(ClassScheme(known.name, known.version, (*known.classes, own)))
    bench.mark(2, "CANDIDA")
    bench.mark(1, "HSIL")
    dock = bench.dock(TrainDock)
    assert dock.request().config.scheme == str(project.folder)
    bench.qtbot.waitUntil(lambda: dock.setup.looked is not None, timeout=60_000)
    assert [row["class"] for row in dock.setup.looked["classes"]] == ["HSIL", "CANDIDA"]
    data = read_training_set(dock.request().sources, dock.request().config.scheme)
    assert data.scheme == project.scheme
    assert data.counts() == {"HSIL": 1, "CANDIDA": 2}


def test_pause_go_on_and_cancel(bench, played):
    dock = begin(bench, played, LONG)
    wait_for(bench, dock, "running")
    bench.click(dock.pause)
    assert dock.watch.folder.wish() == "pause"
    assert dock.pause.text() == "Resume"
    assert "paused" in dock.progress.head.text()
    bench.click(dock.pause)
    assert dock.watch.folder.wish() == "go"
    started_s = time.monotonic()
    bench.click(dock.cancel)
    wait_for(bench, dock, "cancelled")
    assert time.monotonic() - started_s < 5, "about a second; more on a busy machine"
    assert "best model so far" in dock.outcome.sentence.text()


def test_a_killed_run_says_so_and_offers_to_go_on(bench, played):
    dock = begin(bench, played, LONG)
    wait_for(bench, dock, "running")
    bench.qtbot.waitUntil(lambda: bool(dock.watch.state.epochs), timeout=20_000)
    folder = dock.watch.folder
    (folder.path / "checkpoint.safetensors").write_bytes(b"0")
    os.kill(played.started[0].pid, signal.SIGKILL)
    wait_for(bench, dock, "killed")
    assert dock.outcome.sentence.text().startswith("The run was stopped from outside in epoch")
    assert dock.outcome.resume.isVisible()
    played.epochs = 2
    bench.click(dock.outcome.resume)
    assert len(played.started) == 2
    wait_for(bench, dock, "done")


def test_a_window_opened_later_finds_the_run_and_keeps_it_until_it_is_left(bench, played):
    out = runs_folder(bench.session.project) / "earlier"
    run_samples.finished(out, slides_of(bench))
    dock = bench.dock(TrainDock)
    assert dock.watch is not None
    assert dock.watch.out == out
    assert dock.outcome.isVisible()
    assert "torn.jpg" in dock.progress.notes.text()
    bench.click(dock.new)
    assert train_commands.latest_unseen(bench.session.project) is None


def test_a_field_of_the_matrix_opens_its_cells_on_the_slide(bench):
    slides = slides_of(bench)
    bench.session.slides.go_to(bench.session.project.slides()[0].id)
    out = runs_folder(bench.session.project) / "earlier"
    run_samples.finished(out, slides[1:2])
    dock = bench.dock(TrainDock)
    matrix = dock.outcome.matrix
    item = matrix.field("NILM", "ASC-US")
    assert "predicted as ASC-US" in item.toolTip()
    matrix.scrollToItem(item)
    bench.qtbot.mouseClick(
        matrix.viewport(), train_dock.Qt.MouseButton.LeftButton, pos=matrix.visualItemRect(item).center()
    )
    gallery = dock.outcome.field.gallery
    assert gallery.count() > 0
    assert "NILM → ASC-US" in dock.outcome.field.head.text()
    jumps = []
    bench.session.jump_requested.connect(lambda y, x: jumps.append((y, x)))
    gallery.itemActivated.emit(gallery.item(0))
    assert jumps
    assert bench.session.slide.path.endswith("smear_b.tif")
    dock.outcome.field._go({"slide": str(out), "centre_yx": [1.0, 1.0], "truth": "NILM", "answer": "SCC"})
    assert dock.outcome.field.add.isVisible()


def test_without_torch_one_sentence_names_what_to_install(bench, monkeypatch):
    monkeypatch.setattr(train_dock, "has_torch", lambda: False)
    dock = bench.dock(TrainDock)
    assert dock.words.text() == torch_installed.torch_is_missing(TRAINING)
    assert "napari-cyto[models]" in dock.words.text()
    assert not dock.start.isEnabled()


@pytest.mark.parametrize(("button", "closes", "wish"), [(0, True, "go"), (1, True, "cancel"), (2, False, "go")])
def test_closing_asks_what_becomes_of_the_run(bench, played, button, closes, wish):
    dock = begin(bench, played, LONG)
    wait_for(bench, dock, "running")

    def answer():
        box = next(w for w in dock.findChildren(QMessageBox) if w.isVisible())
        assert "can continue" in box.informativeText()
        words = ("Keep running", "Cancel run", "Keep window open")[button]
        next(b for b in box.buttons() if b.text() == words).click()

    QTimer.singleShot(300, answer)
    assert dock.may_close() is closes
    assert dock.watch.folder.wish() == wish
    assert dock.watch.folder.is_running() or wish == "cancel"


def test_the_window_itself_asks_before_it_closes(window_bench, played):
    dock = begin(window_bench, played, LONG)
    wait_for(window_bench, dock, "running")
    main = window_bench.window.viewer.window._qt_window

    def stay():
        box = next(w for w in dock.findChildren(QMessageBox) if w.isVisible())
        next(b for b in box.buttons() if b.text() == "Keep window open").click()

    QTimer.singleShot(300, stay)
    main.close()
    assert main.isVisible()
    assert window_bench.session.project is not None
    dock.cancel_run()
    wait_for(window_bench, dock, "cancelled")


def test_the_window_is_not_held_up_by_a_run_on_all_cores(bench, played):
    """A timer of 10 ms beats while two processes take both cores; no beat may be 100 ms late."""
    dock = begin(bench, played, LONG)
    second = runs_folder(bench.session.project) / "second"
    RunFolder.of(second).path.mkdir(parents=True)
    played.started.append(subprocess.Popen([sys.executable, str(PLAYER), str(second), "40", "0.3"]))
    for process in played.started:
        give_way(process.pid)
    wait_for(bench, dock, "running")
    beats = []
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start()
    bench.qtbot.wait(4000)
    timer.stop()
    gaps = sorted(b - a for a, b in itertools.pairwise(beats))
    print(f"event loop: median gap {gaps[len(gaps) // 2] * 1e3:.0f} ms, longest {gaps[-1] * 1e3:.0f} ms")
    assert len(dock.watch.state.epochs) > 2
    # The bar is 100 ms; on a machine where other work runs beside this test, the system alone can take that long.
    assert gaps[int(0.99 * len(gaps))] < 0.1


def test_a_run_that_goes_on_keeps_its_epochs_and_forgets_its_last_word(tmp_path):
    out = tmp_path / "model"
    events = [run_samples.measured(e, 8, ["a"]) for e in (1, 2, 3)]
    folder = run_samples.record(out, ["a"], [*events, Cancelled("Cancelled in epoch 4.")])
    watch = RunWatch(out)
    watch.poll()
    assert watch.state.status == "cancelled"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"]) as process:
        watch = RunWatch(out, process)
        assert watch.state.status == "waiting"
        assert len(watch.state.epochs) == 3
        folder.append(run_samples.measured(3, 8, ["a"]))
        folder.append(Done({"id": "model"}))
        watch.poll()
        assert [e.number for e in watch.state.epochs] == [1, 2, 3]
        assert watch.state.status == "done"
        process.kill()


def test_a_process_that_refuses_is_quoted(tmp_path):
    out = tmp_path / "model"
    folder = RunFolder.of(out).path
    folder.mkdir()
    (folder / "log.txt").write_text("Reading…\nThere is no slide in x.\n", encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"]) as process:
        watch = RunWatch(out, process)
        process.wait()
        watch.poll()
        time.sleep(0.6)
        watch.poll()
    assert watch.state.status == "killed"
    assert watch.state.sentence == "There is no slide in x."


def test_a_request_is_found_again_in_its_folder(tmp_path):
    out = tmp_path / "model"
    run_samples.record(out, ["a"], [])
    assert train_commands.request_of(out) == TrainRequest(TrainConfig(), ("cric:somewhere",), out)
    RunFolder.of(out).path.joinpath("config.json").write_text(json.dumps({"config": 3}), encoding="utf-8")
    assert train_commands.request_of(out) is None


def test_costs_of_mistakes_are_the_users(bench, played):
    bench.mark(1, "NILM")
    bench.mark(1, "HSIL")
    dock = bench.dock(TrainDock)
    bench.qtbot.waitUntil(lambda: dock.setup.looked is not None, timeout=60_000)
    costs = dock.setup.costs
    assert not costs.isVisible()
    weight = dock.setup.settings._model[0].form.controls["ordinal_weight"].widget
    weight.setValue(0.5)
    bench.settle()
    assert costs.isVisible()
    assert dock.setup.config().model.cost_matrix == ()
    costs.table.item(1, 0).setText("9")
    assert dock.setup.config().model.cost_matrix[1][0] == 9
    costs.table.item(1, 0).setText("x")
    assert dock.setup.config().model.cost_matrix == ()


def test_a_setting_changes_only_itself(bench, played):
    dock = bench.dock(TrainDock)
    recipe = dock.setup._recipes["coskun-resnet50"]
    dock.setup.recipe.setCurrentIndex(dock.setup.recipe.findData("coskun-resnet50"))
    made = dock.setup.config()
    assert made == recipe.with_values({"split": made.split.model_dump(), "scheme": "bethesda"})
    phase = dock.setup.settings._phases[1]
    phase[0].form.controls["epochs"].widget.setValue(3)
    assert dock.setup.config().phases[1] == recipe.phases[1].model_copy(update={"epochs": 3})
    assert dock.setup.config().phases[0] == recipe.phases[0]


def test_how_much_a_classifier_sees_is_set_in_sight(bench, played):
    dock = bench.dock(TrainDock)
    rule = dock.setup.config().model.crop_rule
    controls = dock.setup.settings._crop[0].form.controls
    assert all(controls[name].widget.isVisible() for name in ("windows", "unit", "size_px"))
    windows = controls["windows"].widget
    windows.selectAll()
    bench.type(windows, "30, 120")
    controls["size_px"].widget.setValue(128)
    made = dock.request().config.model.crop_rule
    assert made == rule.model_copy(update={"windows": (30.0, 120.0), "size_px": 128})
    windows.selectAll()
    bench.type(windows, "wide")
    bench.click(dock.start)
    assert "Windows" in dock.words.text()
    assert not played.started


def test_at_which_scale_a_detector_sees_is_set_in_sight(bench, played):
    dock = bench.dock(TrainDock)
    bench.click(dock.setup.kinds["detector"])
    zoom = dock.setup.settings._model[0].form.controls["mpp"].widget
    assert zoom.isVisible()
    zoom.setValue(0.25)
    assert dock.request().config.model.mpp == 0.25


def test_an_encoder_counts_images_and_asks_only_what_matters(bench, played, qtbot):
    dock = bench.dock(TrainDock)
    dock.setup.kinds["encoder"].click()
    assert {dock.setup.recipe.itemData(i) for i in range(dock.setup.recipe.count())} == {
        "ibot-vit-tiny",
        "cytofm-ibot-vit-base",
    }
    shown = set(dock.setup.settings._model[0].form.controls)
    assert shown == {"weights", "relevance", "scale_by_nuclei"}
    assert set(dock.setup.settings._patches[0].form.controls) == {"per_slide", "small_images"}
    dock.setup.look()
    qtbot.waitUntil(lambda: dock.setup.looked is not None, timeout=60_000)
    (row,) = dock.setup.looked["classes"]
    assert row["class"] == "Images"
    assert "state no µm per px" in " ".join(dock.setup.looked["remarks"])
    dock.setup.settings._model[0].form.controls["scale_by_nuclei"].write(True)
    dock.setup.settings._patches[0].form.controls["per_slide"].write(200)
    request = dock.request()
    assert request.words()[:2] == ["train", "encoder"]
    assert request.config.model.scale_by_nuclei
    assert request.config.model.patches.per_slide == 200


def test_settings_that_are_replaced_at_once_are_no_window_of_their_own(qtbot):
    settings = TrainSettings()
    qtbot.addWidget(settings)
    settings.show()
    before = {w for w in QApplication.topLevelWidgets() if w.isVisible()}
    for each in all_recipes():
        settings.show_recipe(each)
    QApplication.processEvents()
    assert {w for w in QApplication.topLevelWidgets() if w.isVisible()} == before


def test_behind_other_docks_nothing_is_counted_until_it_is_looked_at(window_bench, monkeypatch):
    """Who marks cells does not pay for a child process at each rest of the hand."""
    started = []
    monkeypatch.setattr(JobBar, "run", lambda bar, *_args: started.append(bar))
    train, export = window_bench.dock(TrainDock), window_bench.dock(ExportDock)
    window_bench.mark(3, "HSIL")
    window_bench.qtbot.wait(2 * max(LOOK_AFTER_MS, PREVIEW_AFTER_MS))
    assert train.isVisible()
    assert started == []
    window_bench.bring_to_front(train)
    window_bench.qtbot.waitUntil(lambda: started == [train.setup.looking])
    window_bench.bring_to_front(export)
    window_bench.qtbot.waitUntil(lambda: started == [train.setup.looking, export.looking])
