"""Guards that a run killed in its middle goes on, through the command line, from its last whole epoch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.bundle import read_bundle
from napari_cyto.training.config import TrainConfig

pytestmark = pytest.mark.networks


def test_a_killed_run_goes_on(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(tiny_recipe.with_values({"phases": [{"epochs": 300}]}).model_dump_json())
    out = tmp_path / "model"
    words = ["train", "classifier", "--data", f"folders:{tiny_cells}", "--out", str(out), "--recipe", str(recipe)]
    command = [sys.executable, "-m", "napari_cyto", *words]
    environment = {**os.environ, **ALLOCATOR, "PYTHONWARNINGS": "error"}
    folder = RunFolder.of(out)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 200
        while not reached(folder, 2) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.wait()
    assert reached(folder, 2), (tmp_path / "log").read_text()
    read_bundle(out)
    assert not folder.is_running()
    # Resumed with the settings it had; a wish to stop ends it soon, at its first look.
    again = [*command[:5], "--out", str(out), "--resume", "--json"]
    process = subprocess.Popen(again, env=environment, stderr=subprocess.PIPE, text=True)
    while not any(e["event"] == "noted" and "Going on" in e["message"] for e in folder.events()[0]):
        assert process.poll() is None
        time.sleep(0.05)
    folder.ask("cancel")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    assert "Cancelled in epoch" in err
    epochs = [e["values"]["epoch"] for e in folder.events()[0] if e["event"] == "measured"]
    assert epochs == sorted(epochs)


def reached(folder: RunFolder, epoch: int) -> bool:
    return any(e["event"] == "measured" and e["values"]["epoch"] >= epoch for e in folder.events()[0])
