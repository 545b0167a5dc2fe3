"""Promise: a runtime is judged by which cells it tells of and what it calls them, on the same fields everywhere."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from napari_cyto.inference.probabilities import probabilities, weighed
from napari_cyto.models import _probe_fields as probe_fields
from napari_cyto.models._probe_fields import agreement, called, probe_cells, probe_field, separate_cells
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import Decision, Tolerance
from napari_cyto.models.openvino_cache import Compared

pytestmark = pytest.mark.networks


def cells(points: list[tuple[float, float]], scores: list[float], calls: list[int]) -> FoundCells:
    shares = np.eye(3)[calls] if calls else np.empty((0, 3))
    return FoundCells(np.array(points).reshape(-1, 2), np.full((len(points), 2), 9.0), np.array(scores), shares)


@pytest.mark.parametrize(("f1", "calls", "kept"), [(0.99, 0.995, True), (0.989, 1.0, False), (1.0, 0.994, False)])
def test_matched_cells_and_equal_calls_decide(f1: float, calls: float, kept: bool) -> None:
    near = {"probability": 0.19, "place_px": 0.4, "seconds": 1.0}
    assert Compared(matched_f1=f1, same_calls=calls, **near).keeps(Tolerance()) == kept


def test_a_bundle_of_before_keeps_its_bounds_and_gets_the_new_ones() -> None:
    old = Tolerance.model_validate({"probability": 0.02, "place_px": 0.5})
    assert (old.matched_f1, old.same_calls, old.probability) == (0.99, 0.995, 0.02)


def test_cells_are_matched_one_to_one() -> None:
    truth = cells([(0, 0), (10, 10), (20, 20), (40, 40)], [0.9] * 4, [0, 1, 2, 0])
    result = cells([(0, 1), (10, 10), (10.5, 10), (60, 60)], [0.9] * 4, [0, 2, 1, 0])
    assert agreement(truth, result, 2.0, Decision()) == (2, 1, 8)
    assert agreement(truth, cells([], [], []), 2.0, Decision()) == (0, 0, 4)
    assert agreement(cells([], [], []), cells([], [], []), 2.0, Decision()) == (0, 0, 0)
    kept = separate_cells(cells([(0, 0), (0, 3), (0, 6)], [0.5, 0.9, 0.6], [0, 0, 0]), 4.0)
    assert kept.points_yx.tolist() == [[0, 3]]


def test_fields_are_the_same_each_time_and_different_from_each_other() -> None:
    made = [hashlib.sha256(probe_field(n, 1.0, 128)[0].tobytes()).hexdigest() for n in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    assert probe_field(0, 0.25, 96)[0].shape == (96, 96, 3)


def test_cells_are_called_as_by_the_decision_of_the_model() -> None:
    """A runtime is judged by the calls that people see, costs and offsets among them."""
    logits = np.array([[2.0, 1.0, 0.0], [2.0, 1.9, 0.0], [4.0, 0.0, 0.0]], dtype=np.float32)
    decision = Decision(temperature=2.0, logit_offsets=(0.0, 0.2, 0.0), miss_costs=(1.0, 1.0, 4.0))
    shares = probabilities(logits[:, None], decision)
    assert called(logits, decision).tolist() == weighed(shares, decision).argmax(1).tolist() == [2, 2, 0]
    one, other = (replace(cells([(0, 0)], [0.9], [0]), class_scores=np.array([[0.6, 0.0, s]])) for s in (0.1, 0.16))
    assert agreement(one, other, 2.0, Decision()) == (1, 1, 2)
    assert agreement(one, other, 2.0, decision) == (1, 0, 2)


def test_crops_lie_around_nuclei(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_fields, "CROP_FIELD_PX", 400)
    crops = probe_cells(12, (60.0, 120.0), 32)
    assert crops.shape == (12, 2, 32, 32, 3)
    middle, border = crops[:, 0, 14:18, 14:18].mean(), crops[:, 0, [0, -1]].mean()
    assert middle < border - 20
