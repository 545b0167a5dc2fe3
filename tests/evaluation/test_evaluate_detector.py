"""Guards that a real detector's bundle is judged: its detections come back in µm, budgets hold, the page is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_cyto.domain.presets import preset
from napari_cyto.evaluation.bundle_scores import evaluate_bundle
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.jobs.events import Done, Failed
from napari_cyto.models.bundle import Bundle, write_bundle
from napari_cyto.models.manifest import ModelClass
from napari_cyto.models.registry import build

pytestmark = pytest.mark.networks

SIX = preset("bethesda").classes[:6]
SETTINGS = {"backbone": "test_efficientnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96}
QUICK = EvaluateConfig(draws=100, examples=2)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A point detector with random weights, which finds much everywhere."""
    torch.manual_seed(1)
    fields = {
        "kind": "detector",
        "architecture": "p2p",
        "settings": SETTINGS,
        "classes": [ModelClass.of(c).model_dump() for c in SIX],
        "mpp": 1.0,
        "input_px": 96,
        "decision": {"score_threshold": 0.05},
    }
    network = build("p2p", SETTINGS, len(SIX))
    return write_bundle(tmp_path_factory.mktemp("models") / "points", fields, network.state_dict())


def field_of_cells(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(180, 235, (120, 160, 3), dtype=np.uint8)).save(folder / "images" / "one.png")
    rows = ["image,width,height,px_per_cric_px,image_id,cell_id,bethesda,x,y"]
    rows += [f"one.png,160,120,0.456,1,{c},{SIX[c].id},{20 + 24 * c},{30 + 10 * c}" for c in range(6)]
    (folder / "cells.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_a_point_detector_is_evaluated(detector: Bundle, tmp_path: Path) -> None:
    source = f"cric:{field_of_cells(tmp_path / 'cric')}"
    last = list(evaluate_bundle(detector.path, [source], QUICK, report=tmp_path / "report"))[-1]
    assert isinstance(last, Done), last
    found = last.to_json()["detection"]
    assert (found["fields"], found["cells"], found["tp"] + found["fn"]) == (1, 6, 6)
    assert found["tp"] + found["fp"] == found["detections"]
    assert found["at_detections_per_cell"]["detections"] <= 18
    assert found["at_detections_per_field"][0]["detections"] <= 10
    assert found["median_error_um"] is None or found["median_error_um"] <= 6
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_bundle_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    last = list(evaluate_bundle(tmp_path / "empty", [f"cric:{field_of_cells(tmp_path / 'cric')}"], QUICK))[-1]
    assert isinstance(last, Failed)
    assert last.expected
