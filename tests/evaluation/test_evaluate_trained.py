"""Guards evaluation with real networks: the run's own verdict is met again, a grid is trained and tested, it stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.edits import add
from napari_cyto.domain.presets import preset
from napari_cyto.evaluation.bundle_scores import evaluate_bundle
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.formats import get_format
from napari_cyto.jobs.events import Cancelled, CancelToken, Done
from napari_cyto.models.bundle import read_bundle
from napari_cyto.store import Project
from napari_cyto.training.config import ClassifierConfig, PhaseConfig, TrainConfig
from napari_cyto.training.grid_job import run_grid
from napari_cyto.training.run import train

pytestmark = pytest.mark.networks

SIX = preset("bethesda").classes[:6]
OWN = ("pale", "dark")
QUICK = EvaluateConfig(draws=100, examples=2)


def cric_folder(folder: Path, seed: int) -> Path:
    """Nine pictures as CRIC's, with four cells of two classes that differ in how dark they are."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = ["image,width,height,px_per_cric_px,image_id,cell_id,bethesda,x,y"]
    for p in range(9):
        pixels = rng.integers(215, 235, (160, 160, 3), dtype=np.uint8)
        for c, (y, x) in enumerate(((40, 40), (40, 120), (120, 40), (120, 120))):
            pixels[y - 8 : y + 8, x - 8 : x + 8] = 40 if c % 2 else 150
            name = ("NILM", "HSIL")[c % 2]
            rows.append(f"f{seed}_{p}.png,160,160,0.456,{p},{100 * p + c},{name},{x},{y}")
        Image.fromarray(pixels).save(folder / "images" / f"f{seed}_{p}.png")
    (folder / "cells.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tiny() -> TrainConfig:
    return TrainConfig(
        name="tiny",
        model=ClassifierConfig(
            backbone="test_efficientnet", weights="none", crop_rule=CropRule(windows=(24.0,), size_px=32), head=0
        ),
        phases=(PhaseConfig(epochs=1, lr=3e-3),),
        batch=8,
        split=SplitConfig(by="image", validation_share=0.25, test_share=0.3, twins=False, overrides=("few-groups",)),
        precision="fp32",
    )


def own_project(folder: Path, cric: Path) -> Path:
    """A project whose scheme is nobody else's, with the cells of a CRIC folder: pale and dark ones."""
    scheme = ClassScheme("ours", 1, tuple(CellClass(i, i, "#336699", severity=n) for n, i in enumerate(OWN)))
    labels = get_format("cric").read(cric)
    marks = [replace(a, class_id=OWN[a.class_id == "HSIL"]) for a in labels.annotations]
    with Project.create(folder, scheme) as project:
        project.add_slides(labels.slides)
        project.apply(add(marks, "Mark"), "ann")
    return folder


def last_of(events: Any) -> Any:
    return list(events)[-1]


@pytest.fixture(scope="module")
def trained(tiny: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A source, and the result of training on it."""
    root = tmp_path_factory.mktemp("trained")
    source = f"cric:{cric_folder(root / 'a', 0)}"
    done = last_of(train(tiny, (source,), root / "model"))
    assert isinstance(done, Done), done
    return source, done.result


def test_a_trained_bundle_gives_the_runs_own_metrics_again(trained: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    source, run = trained
    evaluated = last_of(evaluate_bundle(run["bundle"], [source], QUICK, report=tmp_path / "report"))
    assert isinstance(evaluated, Done), evaluated
    found = evaluated.to_json()
    assert found["data"]["side"] == run["side"] == "test"
    assert found["classification"]["classes"] == run["confusion"]["classes"]
    assert found["classification"]["confusion"] == run["confusion"]["counts"]
    assert "were used to train or tune" in found["data"]["warnings"][0]
    every = last_of(evaluate_bundle(run["bundle"], [source], QUICK.model_copy(update={"side": "all"})))
    assert every.to_json()["classification"]["n"] == 36
    assert "these scores are too good" in every.to_json()["data"]["warnings"][0]


def test_a_projects_own_classes_are_trained_evaluated_and_gone_on_with(tiny: TrainConfig, tmp_path: Path) -> None:
    project = str(own_project(tmp_path / "ours.cyto", cric_folder(tmp_path / "c", 2)))
    done = last_of(train(tiny, (project,), tmp_path / "model"))
    assert isinstance(done, Done), done
    manifest = read_bundle(tmp_path / "model").manifest
    assert (manifest.scheme, manifest.class_ids) == ("ours", OWN)
    assert manifest.card.recipe["scheme"] == ""
    evaluated = last_of(evaluate_bundle(tmp_path / "model", [project], QUICK))
    assert isinstance(evaluated, Done), evaluated
    assert evaluated.to_json()["classification"]["confusion"] == done.result["confusion"]["counts"]
    more = last_of(train(tiny, (project,), tmp_path / "more", parent=tmp_path / "model"))
    assert isinstance(more, Done), more
    assert read_bundle(tmp_path / "more").manifest.class_ids == OWN


def test_it_stops_at_the_next_step(trained: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    other = f"cric:{cric_folder(tmp_path / 'b', 1)}"
    token = CancelToken()
    events, after = [], 0
    for event in evaluate_bundle(trained[1]["bundle"], [other], QUICK, token):
        events.append(event)
        after += token.cancelled()
        if len(events) == 3:
            token.cancel()
    assert isinstance(events[-1], Cancelled)
    assert after <= 2


def test_a_grid_trains_and_tests(tiny: TrainConfig, tmp_path: Path) -> None:
    sources = [f"cric:{cric_folder(tmp_path / name, seed)}" for seed, name in enumerate("ab")]
    done = last_of(run_grid(sources, tmp_path / "grid", tiny, QUICK))
    assert isinstance(done, Done), done
    rows = {(row["trained_on"], row["tested_on"]): row for row in done.to_json()["rows"]}
    assert len(rows) == 4
    assert rows["a", "b"]["n"] == 36
    assert 0 < rows["a", "a"]["n"] < 36
    assert rows["a", "a"]["side"] == "test"
