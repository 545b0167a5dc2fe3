"""Guards what ``train`` prints of a finished run: the figures of a classifier, of a detector, of all folds together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_cyto.cli.train import _report
from napari_cyto.domain.presets import preset
from napari_cyto.domain.statistics.bootstrap import Resampling
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detector_scores import detector_scores
from napari_cyto.evaluation.scored_cells import ScoredCells

TWO = preset("bethesda").classes[:2]
QUICK = Resampling(draws=50)


def field(name: str, scores: tuple[float, ...]) -> DetectedField:
    """Two cells, of which detections in places 0 and 1 are right; one more of each further score lies elsewhere."""
    centres = np.array([(10.0, 10.0), (90.0, 90.0), (10.0, 90.0), (90.0, 10.0)])[: len(scores)]
    none = np.full((len(scores), 4), np.nan)
    shares = np.tile([0.9, 0.1], (len(scores), 1))
    truth = ("NILM", "NILM")
    return DetectedField(
        name, 1.0, name, centres[:2], truth, np.full((2, 4), np.nan), centres, none, np.array(scores), shares
    )


def printed_words(capsys: pytest.CaptureFixture[str], result: dict[str, Any]) -> str:
    _report(result)
    return " ".join(capsys.readouterr().out.split())


def test_a_detectors_figures_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = detector_scores([field("a", (0.9, 0.8, 0.3)), field("b", (0.7, 0.2))], TWO, 0.5, 6.0, QUICK).to_json()
    outcome = printed_words(
        capsys, {"bundle": "m", "id": "m", "side": "test", "epochs": 3, "seconds": 9, "metrics": metrics}
    )
    assert "Found within 6 µm" in outcome
    assert "recall at a score of 0.50 or more" in outcome
    assert "detections per annotated cell" in outcome
    assert "Of the 3 cells found, on the test set" in outcome


def test_folds_are_reported_with_the_range_of_their_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    fields = [field("a", (0.9, 0.8, 0.3)), field("b", (0.7, 0.2))]
    metrics = detector_scores(fields, TWO, [0.85, 0.1], 6.0, QUICK).to_json()
    found = metrics["detection"]
    assert (found["tp"], found["detections"]) == (3, 3)
    assert (found["threshold"], found["highest_threshold"]) == (0.1, 0.85)
    fold = {"id": "fold-0", "epochs": 2, "bundle": "cv/fold-0"}
    outcome = printed_words(capsys, {"folds": [fold], "side": "out of fold", "metrics": metrics})
    assert "fold-0, 2 epochs: cv/fold-0" in outcome
    assert "each fold's own threshold, 0.10 to 0.85" in outcome
    assert "Of the 3 cells found, out of fold" in outcome


def test_a_classifiers_figures_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    names = tuple("abcd")
    cells = ScoredCells(TWO, np.array([0, 1, 0, 1]), np.eye(2)[[0, 1, 1, 1]], names, names, np.zeros((4, 2)))
    outcome = printed_words(capsys, {"id": "m", "side": "test", "metrics": classifier_scores(cells, QUICK).to_json()})
    assert "On the test set" in outcome
    assert "accuracy" in outcome
    assert "0.750" in outcome
