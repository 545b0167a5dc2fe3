"""Promise: the library is seen, judged and changed without a command line, and nothing unfit is used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_bundles import manifest_fields, tensor_bytes
from qtpy.QtWidgets import QMessageBox

from napari_cyto.models import library
from napari_cyto.models.library import find_model
from napari_cyto.models.manifest import Card, ModelManifest
from napari_cyto.models.project_models import model_of
from napari_cyto.widgets.docks.metric_rows import metric_rows
from napari_cyto.widgets.docks.models._card import data_rows, fact_rows
from napari_cyto.widgets.docks.models.dock import EMPTY, ModelsDock

CONTENT = tensor_bytes({"w": np.arange(6, dtype=np.float32).reshape(2, 3)})
METRICS = {
    "screening": {"recall": {"value": 0.97, "low": 0.94, "high": 0.99, "n": 120}, "operating_points": [1]},
    "classification": {"macro_f1": 0.61, "intervals": {"macro_f1": {"value": 0.61, "low": 0.55, "high": 0.67}}},
    "calibration": {"ece": 0.021, "bins": []},
}
CARD = {
    "summary": "Six classes of single cells.",
    "licence": "CC BY 4.0",
    "limits": "One laboratory.",
    "metrics": METRICS,
    "data": {"slides": 175, "cells": {"NILM": 3259, "HSIL": 217}, "sources": [{"source": "cric:cric"}]},
    "split": {"unit": "image", "seed": 0},
    "recipe": {"name": "light"},
}


@pytest.fixture
def folder_of(tmp_path, monkeypatch):
    """Bundles in folders; the library is empty and belongs to this test."""
    monkeypatch.setattr(library, "user_folder", lambda: tmp_path / "library")
    monkeypatch.setattr(library, "shipped_folder", lambda: tmp_path / "shipped")

    def make(name: str, place: Path = tmp_path, **changes) -> Path:
        folder = place / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(CONTENT)
        fields = manifest_fields(CONTENT, **({"id": name, "card": CARD} | changes))
        (folder / "model.json").write_text(json.dumps(fields), encoding="utf-8")
        return folder

    return make


def with_scale(bench) -> None:
    """Every slide gets its µm per px, which a model in µm needs."""
    for record in bench.session.project.slides():
        bench.session.slides.go_to(record.id)
        if record.mpp is None:
            bench.session.facts.set_mpp(0.25)


def test_add_read_verify_use_and_remove(bench, folder_of, monkeypatch):
    with_scale(bench)
    dock = bench.dock(ModelsDock)
    assert dock.list.count() == 0
    assert dock.words.text() == EMPTY
    assert not dock.use.isEnabled()
    dock.add_from(folder_of("mine"))
    assert "Added mine" in dock.words.text()
    assert dock.current.name == "mine"
    assert dock.card.head.text() == "mine (classifier)"
    assert "Fits this project" in dock.fit.text()
    bench.click(dock.verify)
    assert "is intact" in dock.words.text()
    bench.click(dock.use)
    assert model_of(bench.session.project, "classifier") == ("mine", find_model("mine").manifest.weights_sha256)
    assert "used here" in dock.list.currentItem().text()
    assert "mine is now this project's model" in dock.words.text()
    assert not dock.use.isEnabled()
    monkeypatch.setattr(QMessageBox, "question", lambda *_args: QMessageBox.StandardButton.No)
    bench.click(dock.remove)
    assert find_model("mine") is not None
    monkeypatch.setattr(QMessageBox, "question", lambda *_args: QMessageBox.StandardButton.Yes)
    bench.click(dock.remove)
    assert find_model("mine") is None
    assert dock.list.count() == 0


def test_what_ships_stays_and_what_is_broken_says_why(bench, folder_of, tmp_path):
    folder_of("a-shipped", tmp_path / "shipped")
    broken = folder_of("broken", tmp_path / "library")
    (broken / "model.json").write_text("{", encoding="utf-8")
    dock = bench.dock(ModelsDock)
    assert [dock.list.item(i).text().split("\n")[1] for i in range(2)] == [
        "classifier, built in",
        "cannot be read, your own",
    ]
    assert not dock.remove.isEnabled()
    dock.list.setCurrentRow(1)
    assert "not valid JSON" in dock.fit.text()
    assert not dock.use.isEnabled()
    assert dock.remove.isEnabled()


def test_a_spoiled_model_is_refused_with_a_sentence(bench, folder_of):
    spoiled = folder_of("spoiled")
    (spoiled / "model.safetensors").write_bytes(CONTENT[:-1] + b"x")
    dock = bench.dock(ModelsDock)
    dock.add_from(spoiled)
    assert "damaged or was replaced" in dock.words.text()
    assert dock.list.count() == 0


def test_a_model_whose_classes_the_project_lacks_cannot_be_used(bench, folder_of, tmp_path):
    odd = [{"id": "odd", "name": "Odd", "colour": "#aa0000"}]
    folder_of("odd-classes", tmp_path / "library", classes=odd, scheme="ours")
    dock = bench.dock(ModelsDock)
    assert "odd" in dock.fit.text()
    assert not dock.use.isEnabled()


def test_without_a_project_the_library_is_still_there(empty_bench, folder_of, tmp_path):
    folder_of("mine", tmp_path / "library")
    dock = empty_bench.dock(ModelsDock)
    assert "Open a project" in dock.fit.text()
    assert not dock.use.isEnabled()
    assert dock.verify.isEnabled()


def test_a_card_in_rows():
    made = ModelManifest.model_validate(manifest_fields(CONTENT, card=CARD))
    facts = dict(fact_rows(made))
    assert facts["Input"] == "51.2 µm around the cell, as 224 × 224 px"
    assert facts["Limitations"] == "One laboratory."
    data = dict(data_rows(made))
    assert data["Cells"] == "NILM 3,259, HSIL 217"
    assert data["Recipe"] == "light"
    assert metric_rows(METRICS) == [
        ("Screening: ASC-H, HSIL, SCC", "", ""),
        ("  Recall", "0.970", "0.940 to 0.990"),
        ("Classes", "", ""),
        ("  Macro F1", "0.610", "0.550 to 0.670"),
        ("Calibration", "", ""),
        ("  Expected calibration error (ECE)", "0.021", ""),
    ]
    few = {"value": 0.97, "low": 0.8, "high": 0.99, "n": 278, "groups": 15, "few_groups": True}
    assert metric_rows({"screening": {"recall": few, "specificity": few | {"groups": 174, "few_groups": False}}}) == [
        ("Screening: ASC-H, HSIL, SCC", "", ""),
        ("  Recall", "0.970", "0.800 to 0.990 (15*)"),
        ("  Specificity", "0.970", "0.800 to 0.990 (174)"),
        ("* Fewer than 20 patients, smears or images", "", ""),
    ]
    assert metric_rows({"nested": {"f1": 0.5}}) == [("Nested", "", ""), ("  F1", "0.500", "")]
    assert metric_rows(Card().metrics) == []
