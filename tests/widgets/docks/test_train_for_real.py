"""Promise: clicks alone train a model in a process of its own, and that model is then the project's."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt

from napari_cyto.domain.presets import preset
from napari_cyto.models.library import find_model
from napari_cyto.models.project_models import model_of
from napari_cyto.training.recipes import DEFAULTS
from napari_cyto.widgets.docks.models.dock import ModelsDock
from napari_cyto.widgets.docks.train.dock import TrainDock

SIDE = 320
PLACES = [(60.0 + 80 * (i // 3), 60.0 + 80 * (i % 3)) for i in range(9)]
TRAINED_WITHIN_MS = 240_000


def draw_field(path, seed: int) -> None:
    """Dark large cells and pale small ones, in turn; no field looks like another, or they would stay on one side."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(140, 255, (SIDE // 20, SIDE // 20, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    for number, (y, x) in enumerate(PLACES):
        radius, colour = (rng.integers(13, 19), (70, 30, 110)) if number % 2 else (rng.integers(5, 9), (150, 170, 200))
        flat = (yy - y) ** 2 * rng.uniform(0.6, 1.6) + (xx - x) ** 2 < radius**2
        pixels[flat] = np.array(colour) + rng.integers(-25, 25, 3)
    pixels += rng.integers(-12, 12, pixels.shape, dtype=np.int16)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def annotated(empty_bench, tmp_path):
    """A project of five fields with two classes of cells on each."""
    session = empty_bench.session
    session.projects.create(tmp_path / "fields.cyto", preset("bethesda"), "Fields")
    paths = []
    for seed in range(5):
        paths.append(tmp_path / f"field_{seed}.png")
        draw_field(paths[-1], seed)
    session.slides.add(paths)
    for record in session.project.slides():
        session.slides.go_to(record.id)
        session.facts.set_mpp(0.25)
        for number, place in enumerate(PLACES):
            session.select(())
            session.edits.choose_class("HSIL" if number % 2 else "NILM")
            session.edits.add_box_at(place)
    empty_bench.settle()
    return empty_bench


def choose(bench, dock: TrainDock, path: tuple[str, str], value: str) -> None:
    """Type a value into a setting of the form."""
    part, name = path
    forms = {"model": dock.setup.settings._model, "run": dock.setup.settings._run}[part]
    control = next(f.form.controls[name] for f in forms if name in f.form.controls)
    control.widget.setFocus()
    control.widget.selectAll()
    bench.qtbot.keyClicks(control.widget, value)
    bench.qtbot.keyClick(control.widget, Qt.Key.Key_Return)
    bench.settle()


def wait_for_counts(bench, dock: TrainDock) -> None:
    bench.qtbot.waitUntil(lambda: dock.setup.looked is not None, timeout=60_000)


def train_by_clicks(bench, dock: TrainDock, name: str, settings: dict[str, str], batch: str) -> None:
    """Open the other settings, type values, two epochs and a name, start, and wait for the end."""
    bench.click(dock.setup.settings.more.head)
    for setting, value in settings.items():
        choose(bench, dock, ("model", setting), value)
    choose(bench, dock, ("run", "batch"), batch)
    epochs = dock.setup.settings._phases[0][0].form.controls["epochs"].widget
    epochs.selectAll()
    bench.qtbot.keyClicks(epochs, "2")
    dock.name.selectAll()
    bench.type(dock.name, name)
    bench.click(dock.start)
    assert dock.words.text() == ""
    bench.qtbot.waitUntil(lambda: dock.watch.state.ended, timeout=TRAINED_WITHIN_MS)
    state = dock.watch.state
    assert state.status == "done", (state.sentence, dock.watch.last_words())
    dock._show_run()
    bench.settle()
    assert [e.number for e in state.epochs] == [1, 2]
    assert dock.outcome.metrics.rowCount() > 3


@pytest.mark.networks
@pytest.mark.timeout(600)
def test_a_classifier_from_first_click_to_use(annotated):
    bench, dock = annotated, annotated.dock(TrainDock)
    wait_for_counts(bench, dock)
    assert not dock.setup.looked["refusal"], dock.setup.looked["refusal"]
    assert dock.setup.split_table.table.rowCount() == 3
    train_by_clicks(bench, dock, "tiny", {"backbone": "test_efficientnet", "weights": "none", "head": "16"}, "8")
    assert dock.outcome.matrix.rowCount() == 2
    bench.click(dock.outcome.use)
    assert model_of(bench.session.project, "classifier")[0] == "tiny"
    assert find_model("tiny") is not None
    models = bench.dock(ModelsDock)
    models.refresh("tiny")
    assert "used here" in models.list.currentItem().text()
    bench.click(models.verify)
    assert "is intact" in models.words.text()
    assert "Fits this project" in models.fit.text()
    bench.click(dock.outcome.go_on)
    assert dock.setup.parent_path is not None
    assert "Fine-tunes tiny" in dock.setup.parent_words.text()
    assert dock.request().words()[-2:] == ["--parent", str(dock.setup.parent_path)]


@pytest.mark.nightly
@pytest.mark.networks
@pytest.mark.timeout(600)
def test_a_detector_from_first_click_to_use(annotated):
    bench, dock = annotated, annotated.dock(TrainDock)
    wait_for_counts(bench, dock)
    bench.click(dock.setup.kinds["detector"])
    assert dock.setup.recipe.currentData() == DEFAULTS["detector"]
    settings = {"backbone": "test_efficientnet", "weights": "none", "tile_px": "64", "width": "16"}
    train_by_clicks(bench, dock, "finder", settings, "4")
    bench.click(dock.outcome.use)
    assert model_of(bench.session.project, "detector")[0] == "finder"
