"""Guards how outputs of detectors made elsewhere are read: which layout a shape is, which boxes are one cell."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.errors import CytoError
from napari_cyto.models._foreign_outputs import box_cells, point_cells, suppressed, yolo_cells, yolo_layout


@pytest.mark.parametrize(
    ("shape", "classes", "side", "layout"),
    [
        ((1, 84, 8400), 80, 640, "v8"),
        ((1, 5, 8400), 1, 640, "v8"),
        ((1, 6, 34000), 2, 640, "v8"),  # with the stride 4 too
        ((1, 25200, 85), 80, 640, "v5"),
        ((1, 8400, 6), 1, 640, "v5"),  # YOLOX, one anchor
        ((1, 10647, 7), 2, 416, "v5"),
        ((1, 2535, 6), 1, 416, "v5"),  # tiny: strides 16 and 32
        ((1, 300, 6), 80, 640, "end-to-end"),
        ((1, 300, 6), 1, 640, "end-to-end"),  # not one class with objectness
        ((1, 300, 6), 2, 640, "end-to-end"),
    ],
)
def test_a_shape_tells_the_layout(shape: tuple[int, ...], classes: int, side: int, layout: str) -> None:
    assert yolo_layout(shape, classes, side) == layout


@pytest.mark.parametrize(
    "shape", [(1, 116, 8400), (1, 84, 8401), (2, 84, 8400), (1, 8400, 84), (84, 8400), (1, 300, 7)]
)
def test_a_shape_that_is_none_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(CytoError, match="Expected a YOLO's output for 80 classes at 640 px"):
        yolo_layout(shape, 80, 640)


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (60, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (60, 2))], axis=1)
    scores = rng.permutation(60) / 60
    stay: list[int] = []
    for n in np.argsort(-scores):
        if all(overlap(boxes[n], boxes[m]) <= 0.4 for m in stay):
            stay.append(int(n))
    assert suppressed(boxes, scores, 0.4).tolist() == stay
    assert suppressed(np.zeros((0, 4)), np.zeros(0), 0.4).tolist() == []


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def test_the_three_layouts_tell_of_the_same_cell() -> None:
    # A cell at y 50, x 30, 10 high and 20 wide: of class 1 with 0.8 times 0.9.
    v5 = np.array([[[30, 50, 20, 10, 0.8, 0.1, 0.9], [5, 5, 4, 4, 0.1, 1.0, 1.0]]], np.float32)
    v8 = np.array([[[30, 50, 20, 10, 0.08, 0.72], [5, 5, 4, 4, 0.1, 0.1]]], np.float32).transpose(0, 2, 1)
    corners = np.array([[[20, 45, 40, 55, 0.72, 1], [3, 3, 7, 7, 0.1, 0]]], np.float32)
    for rows, layout in ((v5, "v5"), (v8, "v8"), (corners, "end-to-end")):
        points, sizes, scores, shares = yolo_cells(rows, layout, 2, 0.5, 0.5)
        assert np.allclose(points, [[50, 30]])
        assert np.allclose(sizes, [[10, 20]])
        assert np.allclose(scores, 0.72)
        assert shares.argmax(axis=1).tolist() == [1]
        assert np.allclose(shares.sum(axis=1), scores)


def test_labels_start_where_they_were_said_to() -> None:
    boxes, labels, scores = np.array([[20, 45, 40, 55.0]]), np.array([2]), np.array([0.9])
    assert box_cells((boxes, labels, scores), 2, 1, 0.5, 0.5)[3].argmax(axis=1).tolist() == [1]
    for first, number in ((0, 2), (1, 0)):
        with pytest.raises(CytoError, match="Expected 2 classes"):
            box_cells((boxes, np.array([number]), scores), 2, first, 0.5, 0.5)


def test_background_is_no_class_of_points() -> None:
    points, logits = np.array([[[30, 50.0]]]), np.log([[[0.2, 0.6, 0.2]]])
    found = point_cells((points, logits), 2, 0.5, "logits")
    assert np.allclose(found[0], [[50, 30]])
    assert np.allclose(found[2], 0.8)
    assert np.allclose(found[3], [[0.2, 0.6]])
    assert np.isnan(found[1]).all()
