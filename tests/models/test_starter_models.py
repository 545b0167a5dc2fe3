"""Guards the models that ship: whole, small, told of honestly, and able to do what their cards say on real fields."""

from __future__ import annotations

import csv
import hashlib
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.domain.resources import resource_path
from napari_cyto.evaluation.bundle_scores import evaluate_bundle
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.jobs.events import Done
from napari_cyto.models.bundle import WEIGHTS_NAME, Bundle, read_bundle
from napari_cyto.training.config import TrainConfig

pytestmark = pytest.mark.networks

MOST_BYTES = 20_000_000
SHIPPED = tuple(sorted(p for p in resource_path("models").iterdir() if p.is_dir()))
every_model = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
ENCODER, OUTLINES = "cell-encoder", "cell-outlines"
trained = pytest.mark.parametrize(
    "path", [p for p in SHIPPED if p.name not in (ENCODER, OUTLINES)], ids=lambda path: path.name
)
"""Those that a recipe trained; what the encoder is worth is told in the documentation, on cells it never saw."""


def test_all_are_there() -> None:
    assert {"nucleus-detector", "bethesda-light", ENCODER, OUTLINES} <= {path.name for path in SHIPPED}


@every_model
def test_its_weights_are_those_that_it_names_and_small(path: Path) -> None:
    manifest = read_bundle(path).manifest
    content = (path / WEIGHTS_NAME).read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest.weights_sha256
    assert len(content) == manifest.weights_bytes
    assert sum(f.stat().st_size for f in path.rglob("*")) < MOST_BYTES
    assert manifest.id == path.name


@trained
def test_its_card_leaves_nothing_open(path: Path) -> None:
    card = read_bundle(path).manifest.card
    assert card.licence == "CC BY 4.0"
    assert "doi 10.1038/s41597-021-00933-8" in card.attribution
    assert "Apache-2.0" in card.attribution
    assert all(len(text) > 40 for text in (card.summary, card.intended_use, card.limits))
    assert card.data["fingerprint"]
    assert card.data["slides"] > 100
    assert sum(card.data["cells"].values()) == sum(sum(side.values()) for side in card.split["cells"].values()) > 4000
    assert not any(card.split["audit"].values())
    # Whoever asks how it was made can make it again: the recipe is whole, and is one that is understood today.
    assert TrainConfig.model_validate(card.recipe).name == f"starter-{path.name}"
    assert "/" not in card.recipe["model"]["weights"]
    assert all(row["source"].count("/") == 0 for row in card.data["sources"])


def test_the_encoders_card_says_what_it_saw_and_how_it_is_made_again() -> None:
    manifest = read_bundle(resource_path("models") / ENCODER).manifest
    card = manifest.card
    assert card.licence == "CC BY 4.0"
    assert "doi 10.1038/s41597-021-00933-8" in card.attribution
    assert "Apache-2.0" in card.attribution
    assert "CRIC's own images flatter it" in card.limits
    assert card.recipe["script"] == "scripts/make_cell_encoder.py"
    assert [parent.id for parent in manifest.parents] == ["bethesda-light"]
    assert manifest.vector_length == 384
    assert all(row["source"].count("/") == 0 for row in card.data["sources"])


@trained
def test_its_figures_have_intervals_that_hold_them(path: Path) -> None:
    bundle = read_bundle(path)
    metrics = bundle.manifest.card.metrics
    assert metrics["judged"] is True
    assert metrics["side"] != "train"
    for estimate in main_figures(bundle, metrics):
        assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
        assert estimate["low"] < estimate["high"]
        assert estimate["n"] > 100
    if bundle.manifest.kind == "detector":
        found = metrics["detection"]
        assert found["at_detections_per_cell"]["per_cell"] == 3.0
        assert math.isfinite(found["median_error_um"])
        assert found["detections_per_cell"] > 0
        assert set(bundle.manifest.class_ids) <= set(found["per_class"])
    else:
        assert metrics["screening"]["recall"]["low"] is not None
        assert metrics["classification"]["classes"] == list(bundle.manifest.class_ids)


def main_figures(bundle: Bundle, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    if bundle.manifest.kind == "detector":
        found = metrics["detection"]
        return [found["recall_interval"], found["at_detections_per_cell"]["recall_interval"]]
    figures = metrics["classification"]["intervals"]
    return [figures[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc")]


@pytest.fixture(scope="module")
def two_fields(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The field with most cells of high grade and the one with most normal cells, as a source."""
    cric = shared / "cric"
    with (cric / "cells.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    high, normal = Counter[str](), Counter[str]()
    for row in rows:
        high[row["image"]] += row["bethesda"] in ("HSIL", "SCC", "ASC-H")
        normal[row["image"]] += row["bethesda"] == "NILM"
    ranked = [sorted(counts, key=lambda image: (-counts[image], image)) for counts in (high, normal)]
    chosen = {ranked[0][0], next(image for image in ranked[1] if image != ranked[0][0])}
    folder = tmp_path_factory.mktemp("cric")
    (folder / "images").mkdir()
    for image in chosen:
        shutil.copy(cric / "images" / image, folder / "images" / image)
    with (folder / "cells.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(row for row in rows if row["image"] in chosen)
    return f"cric:{folder}"


@pytest.mark.shared
@trained
def test_it_does_on_real_fields_what_it_is_for(path: Path, two_fields: str) -> None:
    """It has seen these fields, so this says that it is no broken copy, not how good it is; its card says that."""
    last = list(evaluate_bundle(path, [two_fields], EvaluateConfig(side="all", draws=100)))[-1]
    assert isinstance(last, Done), last
    scores = last.result.scores
    if last.result.kind == "detector":
        assert scores.detection.counts.recall > 0.5
        assert 0.5 < scores.detection.detections_per_cell < 10
        assert scores.detection.median_error_um < 3
    else:
        own = scores.classification
        assert own.accuracy > 0.5
        # Whatever class one always answers, the other field's cells would be wrong.
        assert sum(sum(row[c] for row in own.confusion) > 0 for c in range(len(own.classes))) > 2
