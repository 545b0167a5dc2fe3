"""Guards prediction sets in a bundle: they are the model's own, checked like all of it, shown, used, and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_bundles import manifest, tensor_bytes
from made_sets import CLASSES, LOOK, OTHER_STAIN, made_sets

from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.inference._detections import Detections
from napari_cyto.inference._stored_predictions import PredictionWriter
from napari_cyto.models.bundle import Bundle, read_bundle, with_prediction_sets
from napari_cyto.models.card import card_text
from napari_cyto.models.manifest import ModelClass
from napari_cyto.store import Project
from napari_cyto.store.kept_sets import keep_looks, keep_sets, kept_sets

OWN = [ModelClass.of(preset("bethesda")[class_id]).model_dump() for class_id in CLASSES]


def test_sets_are_kept_with_the_bundle_and_shown_on_its_card(make_bundle: Callable[..., Path]) -> None:
    path = make_bundle(content=tensor_bytes({"w": np.ones((2, 2), np.float32)}), classes=OWN)
    bundle = read_bundle(path)
    before = json.loads((path / "model.json").read_text(encoding="utf-8"))
    made = with_prediction_sets(bundle, made_sets(sha256=bundle.sha256))
    assert read_bundle(path).manifest == made.manifest
    after = json.loads((path / "model.json").read_text(encoding="utf-8"))
    assert after.pop("prediction_sets")["classes"][0] == {"id": "NILM", "threshold": 0.3, "groups": 20, "cells": 90}
    assert after == before
    text = card_text(made.manifest)
    assert "aperio CPAPERIOCS 20x (60 patients)" in text
    assert "10 % in the mean of new patients" in text


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model_sha256": "b" * 64}, "other weights"),
        ({"alpha": 0.01}, "needs 99 groups"),
        ({"classes": []}, "prediction_sets.classes"),
        ({"scanners": []}, "prediction_sets.scanners"),
        ({"created_utc": "yesterday"}, "prediction_sets.created_utc"),
        ({"unit": "x" * 1000}, "prediction_sets.unit"),
    ],
)
def test_a_strangers_sets_that_cannot_be_are_refused_with_the_bundle(
    make_bundle: Callable[..., Path], change: dict[str, object], why: str
) -> None:
    content = tensor_bytes({"w": np.ones((2, 2), np.float32)})
    path = make_bundle(content=content, classes=OWN)
    plain = json.loads((path / "model.json").read_text(encoding="utf-8"))
    sets = made_sets(sha256=plain["weights_sha256"]).model_dump(mode="json") | change
    (path / "model.json").write_text(json.dumps(plain | {"prediction_sets": sets}), encoding="utf-8")
    with pytest.raises(CytoError, match=why):
        read_bundle(path)


def test_sets_of_other_classes_are_not_written(make_bundle: Callable[..., Path]) -> None:
    path = make_bundle(content=tensor_bytes({"w": np.ones((2, 2), np.float32)}), classes=OWN[::-1])
    bundle = read_bundle(path)
    before = (path / "model.json").read_bytes()
    with pytest.raises(CytoError, match="in another order"):
        with_prediction_sets(bundle, made_sets(sha256=bundle.sha256))
    assert (path / "model.json").read_bytes() == before


def found(*shares: tuple[float, ...]) -> Detections:
    centres = np.array([[100.0 + 80 * n, 100.0] for n in range(len(shares))])
    table = 0.8 * np.array(shares)
    return Detections(centres, np.hstack([centres - 20, centres + 20]), table.sum(axis=1), table)


SURE, BETWEEN, HIGH = (0.9, 0.1, 0, 0, 0, 0), (0.5, 0.4, 0.1, 0, 0, 0), (0.6, 0, 0, 0.1, 0.2, 0.1)


def test_a_run_counts_its_ambiguous_cells_and_says_why_sets_are_void(tmp_path: Path) -> None:
    """The detector's own doubt, 0.8 of each cell, plays no part: sets are of the classes' shares."""
    plain = manifest(classes=OWN)
    speaker = Bundle(Path("/nowhere"), plain.model_copy(update={"prediction_sets": made_sets()}))
    origin = f"model:small@{plain.weights_sha256}"
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        project.add_slides([SlideRecord(name=n, id=n * 32, size_hw=(4000, 4000)) for n in "abc"])
        keep_looks(project, {"a" * 32: LOOK, "b" * 32: OTHER_STAIN})
        writer = PredictionWriter(project, "a" * 32, 0.25, speaker, "anna")
        writer.put(found(SURE, BETWEEN, HIGH))
        assert (writer.ambiguous, writer.sets_void) == (2, "")
        assert not kept_sets(project)[origin].is_local
        for slide, why in (("b", "mean colour"), ("c", "not known yet")):
            other = PredictionWriter(project, slide * 32, 0.25, speaker, "anna")
            other.put(found(SURE, BETWEEN))
            assert other.ambiguous is None
            assert why in other.sets_void
        # What was calibrated on the project's own slides is never replaced by what comes with the model.
        own = made_sets(threshold=0.05)
        keep_sets(project, origin, own, is_local=True)
        assert PredictionWriter(project, "a" * 32, 0.25, speaker, "anna").sets_void == ""
        assert kept_sets(project)[origin].sets == own
