"""Promise: what was taught is saved and used by clicks, also where cells of none of the classes were shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.domain.taught import OTHER, counterexample_edit, example_edit
from napari_cyto.models.library import add_model, find_model
from napari_cyto.store import Project
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.teach.dock import TeachDock

SUPPORT = Path(__file__).resolve().parents[2] / "support"
MAKE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from encoder_project import tiny_encoder, two_kinds
folder = Path(sys.argv[2])
print(json.dumps(two_kinds(folder / "seen.cyto", tiny_encoder(folder / "taught-by"))))
"""


@pytest.mark.networks
@pytest.mark.nightly
def test_a_taught_model_is_saved_and_used_by_clicks(empty_bench: Any, tmp_path: Path) -> None:
    bench = empty_bench
    place = tmp_path / "seen.cyto"
    # As in the program, the window's process imports no torch: drawing by Mesa and triton's library do not go together.
    made = [sys.executable, "-c", MAKE, str(SUPPORT), str(tmp_path)]
    kinds = json.loads(subprocess.run(made, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    add_model(tmp_path / "taught-by")
    with Project.open(place) as project:
        for record in project.slides():
            cells = list(project.annotations(record.id))
            project.apply(example_edit([c for c in cells if kinds[c.id] == 1][:4], "anna", "HSIL"), "anna")
            project.apply(counterexample_edit([c for c in cells if kinds[c.id] == 0][:4], "HSIL"), "anna")
    bench.session.projects.open(place)
    dock = bench.dock(TeachDock)
    bench.qtbot.waitUntil(lambda: dock.keeper.lesson is not None, timeout=20_000)
    bench.session.teaching.choose("HSIL")
    assert dock.use.isHidden()
    dock.save_to(tmp_path / "seen-taught")
    bench.qtbot.waitUntil(lambda: not dock.job.running, timeout=60_000)
    bench.settle()
    assert dock.saved is not None, dock.job.words.text()
    assert OTHER.id not in bench.session.project.scheme
    bench.click(dock.use)
    bench.settle()
    assert OTHER.id in bench.session.project.scheme
    assert find_model("seen-taught") is not None
    assert dock.use.isHidden()
    assert bench.dock(PredictDock).run.classifier.currentData() == "seen-taught"
