"""Guards that box scores are COCO's, that crowded fields are not cut at 100, and that refusals are sentences."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_cyto.errors import CytoError
from napari_cyto.evaluation._boxes import AveragePrecision, ImageBoxes, score_boxes

CLASSES = ("NILM", "HSIL", "SCC")


def grid_boxes(n: int, size: float = 10.0) -> np.ndarray:
    corners = np.stack([np.arange(n) // 20 * 30.0, np.arange(n) % 20 * 30.0], 1)
    return np.concatenate([corners, corners + size], axis=1)


def test_perfect_boxes_score_one_also_in_a_crowded_field(capsys: pytest.CaptureFixture[str]) -> None:
    boxes = grid_boxes(250)
    truth, pred = ImageBoxes(boxes, ["NILM"] * 250), ImageBoxes(boxes, ["NILM"] * 250, np.linspace(0.1, 1, 250))
    scores = score_boxes([truth], [pred], CLASSES)
    assert scores.per_class["NILM"] == AveragePrecision(1, 1, 1)
    assert scores.per_class["SCC"] == AveragePrecision(None, None, None)
    assert scores.mean == scores.per_class["NILM"]
    assert capsys.readouterr().out == ""


def test_overlap_decides_which_threshold_is_passed() -> None:
    """Boxes moved by a fifth of their side overlap by 0.8 / 1.2 = 0.667: right at 0.50 to 0.65, wrong from 0.70 on."""
    boxes = grid_boxes(30)
    moved = boxes + np.array([0, 2, 0, 2])
    scores = score_boxes(
        [ImageBoxes(boxes, ["HSIL"] * 30)], [ImageBoxes(moved, ["HSIL"] * 30, np.full(30, 0.5))], CLASSES
    ).per_class["HSIL"]
    assert (scores.ap50, scores.ap75) == (1, 0)
    assert scores.ap == pytest.approx(4 / 10)


def test_a_false_box_costs_by_how_sure_it_is() -> None:
    """One cell, one false box: surer than the true one, precision never exceeds a half; less sure, it costs nothing."""
    truth = [ImageBoxes(grid_boxes(1), ["SCC"]), ImageBoxes(np.empty((0, 4)), [])]
    for score, expected in ((0.9, 0.5), (0.1, 1.0)):
        pred = [
            ImageBoxes(grid_boxes(1), ["SCC"], np.array([0.5])),
            ImageBoxes(grid_boxes(1), ["SCC"], np.array([score])),
        ]
        assert score_boxes(truth, pred, CLASSES).mean.ap == pytest.approx(expected)


def test_nothing_on_a_side_is_defined() -> None:
    some, none = ImageBoxes(grid_boxes(3), ["SCC"] * 3), ImageBoxes(np.empty((0, 4)), [], np.empty(0))
    assert score_boxes([some], [none], CLASSES).mean.ap == 0
    assert score_boxes([none], [ImageBoxes(grid_boxes(1), ["SCC"], np.ones(1))], CLASSES).mean.ap is None
    assert score_boxes([], [], CLASSES).mean.ap is None


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    box = ImageBoxes(grid_boxes(1), ["SCC"])
    with pytest.raises(CytoError, match="same images"):
        score_boxes([box], [], CLASSES)
    with pytest.raises(CytoError, match="score for each"):
        score_boxes([box], [box], CLASSES)
    with pytest.raises(CytoError, match="y1 > y0"):
        ImageBoxes(np.array([[5.0, 5, 5, 9]]), ["SCC"])
    with pytest.raises(CytoError, match="one score"):
        ImageBoxes(grid_boxes(2), ["SCC"])
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(CytoError, match=r"napari-cyto\[evaluation\]"):
        score_boxes([], [], CLASSES)
