"""What detectors made elsewhere put out, read as cells: YOLO's rows, boxes with labels, points, score maps.

Arrays in, arrays out: points and sizes in px of the input, ``(y, x)``, scores, and scores of each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from napari_cyto.errors import CytoError

Floats = npt.NDArray[np.float64]
Read = tuple[Floats, Floats, Floats, Floats]
YoloLayout = Literal["v5", "v8", "end-to-end"]

MOST_CELLS = 2000
"""Of one tile."""

MOST_BOXES = 20_000
"""Of one tile, before those that overlap are one; the surest are kept."""

_EVERY_STRIDE = 8
_YOLO_STRIDES = (4, 8, 16, 32, 64, 128)
_MOST_ANCHORS = 9
_FEWEST_PER_LEVELS = 2
_END_TO_END_COLUMNS = 6


def yolo_layout(shape: Sequence[int], n_classes: int, side_px: int) -> YoloLayout:
    """Return how a YOLO's output is laid out, by its shape alone.

    Parameters
    ----------
    shape : sequence of int
        Of the output for one picture.
    n_classes : int
        As declared.
    side_px : int
        Of the input.

    Raises
    ------
    CytoError
        When it is none that is known for so many classes.

    Notes
    -----
    Source: Ultralytics' exports: v5 1 x N x (5 + C) of centre, size, objectness, classes; v8 to v12 1 x (4 + C) x N;
    v10 and v26 1 x N x 6 of corners, score, class, after their own suppression.
    """
    if len(shape) == 3 and shape[0] == 1:
        _, rows, columns = shape
        if rows == 4 + n_classes and _is_grid(columns, side_px, 1):
            return "v8"
        if columns == 5 + n_classes and _is_grid(rows, side_px, _MOST_ANCHORS):
            return "v5"
        if columns == _END_TO_END_COLUMNS and rows <= MOST_CELLS:
            return "end-to-end"
    raise CytoError(
        f"Expected a YOLO's output for {n_classes} classes at {side_px} px, 1 x {4 + n_classes} x N, 1 x N x "
        f"{5 + n_classes} or 1 x N x 6, where N is the number of places on its grids, got {' x '.join(map(str, shape))}"
        "; check the classes and the input's size."
    )


def _is_grid(many: int, side_px: int, most_anchors: int) -> bool:
    """Whether a number of candidates is that of two or more neighbouring grids of strides 4, 8 ... 128.

    One of them has the stride 8, as all but the tiniest YOLOs have: a list of the surest is not taken for a grid.
    """
    counts = {stride: (side_px // stride) ** 2 for stride in _YOLO_STRIDES if side_px % stride == 0}
    levels = [list(counts)[a:b] for a, b in combinations(range(len(counts) + 1), 2) if b - a >= _FEWEST_PER_LEVELS]
    sums = {sum(counts[s] for s in each) for each in levels if _EVERY_STRIDE in each or many > MOST_CELLS}
    return any(many == anchors * total for anchors in range(1, most_anchors + 1) for total in sums)


def yolo_cells(
    rows: npt.NDArray[Any], layout: YoloLayout, n_classes: int, floor: float, overlap: float, logits: bool = False
) -> Read:
    """Return the cells that a YOLO tells of; of boxes that overlap more than ``overlap`` the surest stays."""
    table = rows[0].T if layout == "v8" else rows[0]
    if layout == "end-to-end":
        boxes = table[:, [1, 0, 3, 2]].astype(np.float64)
        return _of_boxes(boxes, table[:, 4].astype(np.float64), table[:, 5], n_classes, floor, overlap)
    first = 4 if layout == "v8" else 5
    each = table[:, first:]
    if layout == "v5":
        # No class can score more than the objectness, which spares looking at most of 25,000 rows.
        sure = expit(table[:, 4]) if logits else table[:, 4]
        likely = np.flatnonzero(sure >= floor)
        table, sure, each = table[likely], sure[likely, None].astype(np.float64), each[likely]
    else:
        sure = np.ones((1, 1))
    scores = (expit(each) if logits else each).astype(np.float64) * sure
    best = scores.max(axis=1, initial=0.0)
    kept = np.flatnonzero(best >= floor)
    centres, lengths = table[kept][:, [1, 0]].astype(np.float64), table[kept][:, [3, 2]].astype(np.float64)
    boxes = np.concatenate([centres - lengths / 2, centres + lengths / 2], axis=1)
    best, scores = best[kept], scores[kept]
    stay = suppressed(boxes, best, overlap)
    return centres[stay], np.maximum(lengths[stay], 0), best[stay], shares_of(scores[stay], best[stay])


def box_cells(
    outputs: Sequence[npt.NDArray[Any]], n_classes: int, first_label: int, floor: float, overlap: float
) -> Read:
    """Return the cells of boxes ``(n, 4)``, x first, labels and scores, as torchvision's detectors put them out."""
    boxes, labels, scores = outputs
    swapped = boxes.reshape(-1, 4)[:, [1, 0, 3, 2]].astype(np.float64)
    return _of_boxes(
        swapped, scores.reshape(-1).astype(np.float64), labels.reshape(-1) - first_label, n_classes, floor, overlap
    )


def _of_boxes(
    boxes: Floats, scores: Floats, labels: npt.NDArray[Any], n_classes: int, floor: float, overlap: float
) -> Read:
    kept = np.flatnonzero(scores >= floor)
    boxes, scores, numbers = boxes[kept], scores[kept], np.rint(labels[kept]).astype(np.int64)
    refuse_labels(numbers, n_classes)
    stay = suppressed(boxes, scores, overlap)
    boxes, scores, numbers = boxes[stay], scores[stay], numbers[stay]
    shares = np.zeros((len(stay), n_classes))
    shares[np.arange(len(stay)), numbers] = scores
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 0), scores, shares


def refuse_labels(numbers: npt.NDArray[np.int64], n_classes: int) -> None:
    """Refuse a network that tells of more classes than were declared.

    Raises
    ------
    CytoError
        Naming the number.
    """
    wrong = numbers[(numbers < 0) | (numbers >= n_classes)]
    if len(wrong):
        raise CytoError(
            f"Expected {n_classes} classes, numbered from 0, got a cell of class {int(wrong[0])}; add the network "
            "again with all its classes, in its order."
        )


def point_cells(outputs: Sequence[npt.NDArray[Any]], n_classes: int, floor: float, scores_are: str) -> Read:
    """Return the cells of points ``(n, 2)``, x first, their scores ``(n, C)``, and sizes (width, height) where given.

    One column more than classes is background, the last one, and scores are then logits of a softmax.
    """
    points = outputs[0].reshape(-1, 2)[:, ::-1].astype(np.float64)
    each = _point_scores(outputs[1].reshape(len(points), -1).astype(np.float64), n_classes, scores_are)
    best = each.sum(axis=1) if outputs[1].shape[-1] == n_classes + 1 else each.max(axis=1, initial=0.0)
    kept = np.flatnonzero(best >= floor)
    kept = kept[np.argsort(-best[kept], kind="stable")][:MOST_BOXES]
    sizes = outputs[2].reshape(-1, 2)[kept, ::-1].astype(np.float64) if len(outputs) > 2 else None
    none = np.full((len(kept), 2), np.nan)
    return points[kept], none if sizes is None else sizes, best[kept], shares_of(each[kept], best[kept])


def _point_scores(scores: Floats, n_classes: int, scores_are: str) -> Floats:
    with_background = scores.shape[1] == n_classes + 1
    if scores_are == "logits":
        shares: Floats = softmax(scores, axis=1) if with_background else expit(scores)
    else:
        shares = scores
    return shares[:, :n_classes]


def shares_of(scores: Floats, best: Floats) -> Floats:
    """Return the scores of classes, scaled so that those of a cell add up to its own."""
    each = np.maximum(scores, 0)
    shares: Floats = each / np.maximum(each.sum(axis=1, keepdims=True), 1e-12) * best[:, None]
    return shares


def suppressed(boxes: Floats, scores: Floats, overlap: float) -> npt.NDArray[np.intp]:
    """Return which boxes ``(n, 4)``, y first, stay when of those that overlap more than ``overlap`` the surest does.

    Notes
    -----
    Source: greedy non-maximum suppression, Girshick et al. 2014, section 2.2; whatever the classes.
    """
    order = np.argsort(-scores, kind="stable")[:MOST_BOXES]
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    stay: list[int] = []
    while len(order) and len(stay) < MOST_CELLS:
        first, rest = int(order[0]), order[1:]
        stay.append(first)
        low, high = np.maximum(boxes[first, :2], boxes[rest, :2]), np.minimum(boxes[first, 2:], boxes[rest, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        whole = areas[first] + areas[rest] - common
        order = rest[common <= overlap * np.maximum(whole, 1e-12)]
    return np.asarray(stay, dtype=np.intp)
