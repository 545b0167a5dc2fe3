"""What boxes have in common: overlap, intersection, bounds, and pairs among many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_cyto.domain.geometry._shapes import YXYX, Box

Boxes = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_AT_ONCE = 500


def boxes_overlap(one_yxyx: YXYX, other_yxyx: YXYX) -> bool:
    """Whether two half-open boxes share some area; boxes that only touch do not."""
    return (
        one_yxyx[0] < other_yxyx[2]
        and other_yxyx[0] < one_yxyx[2]
        and one_yxyx[1] < other_yxyx[3]
        and other_yxyx[1] < one_yxyx[3]
    )


def boxes_touch(one_yxyx: YXYX, other_yxyx: YXYX) -> bool:
    """Whether two boxes overlap or touch, were it in a corner; a point is a box of no size."""
    return (
        one_yxyx[0] <= other_yxyx[2]
        and other_yxyx[0] <= one_yxyx[2]
        and one_yxyx[1] <= other_yxyx[3]
        and other_yxyx[1] <= one_yxyx[3]
    )


def overlapping(boxes_yxyx: Boxes, box_yxyx: YXYX, slack_px: float = 0.0) -> Bools:
    """Return which boxes, float64 (n, 4), share some area with one that is grown by ``slack_px``, bool (n,)."""
    y0, x0, y1, x1 = grown(box_yxyx, slack_px)
    y0s, x0s, y1s, x1s = boxes_yxyx.T
    found: Bools = (y0s < y1) & (y1s > y0) & (x0s < x1) & (x1s > x0)
    return found


def intersection(one_yxyx: YXYX, other_yxyx: YXYX) -> YXYX | None:
    """Return the part that two half-open boxes share, None where they share no area."""
    if not boxes_overlap(one_yxyx, other_yxyx):
        return None
    return (
        max(one_yxyx[0], other_yxyx[0]),
        max(one_yxyx[1], other_yxyx[1]),
        min(one_yxyx[2], other_yxyx[2]),
        min(one_yxyx[3], other_yxyx[3]),
    )


def bounds_of(boxes_yxyx: Iterable[YXYX]) -> YXYX:
    """Return the smallest box that holds all of some boxes, at least one."""
    y0s, x0s, y1s, x1s = zip(*boxes_yxyx, strict=True)
    return (min(y0s), min(x0s), max(y1s), max(x1s))


def grown(box_yxyx: YXYX, by_px: float, by_px_x: float | None = None) -> YXYX:
    """Return a box with ``by_px`` more on each side; with ``by_px_x`` left and right of it, where that differs."""
    y0, x0, y1, x1 = box_yxyx
    across = by_px if by_px_x is None else by_px_x
    return (y0 - by_px, x0 - across, y1 + by_px, x1 + across)


def box_area(box_yxyx: YXYX) -> float:
    """Return the area of a box, px²."""
    return (box_yxyx[2] - box_yxyx[0]) * (box_yxyx[3] - box_yxyx[1])


def iou(one_yxyx: YXYX, other_yxyx: YXYX) -> float:
    """Return the intersection of two boxes over their union, 0 to 1.

    Source: Jaccard 1901, Bulletin de la Société Vaudoise des Sciences Naturelles 37, 547: the share of what is common.
    """
    common = intersection(one_yxyx, other_yxyx)
    if common is None:
        return 0.0
    area = box_area(common)
    return area / (box_area(one_yxyx) + box_area(other_yxyx) - area)


def touching(boxes: Sequence[Box]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yield each box with the earlier ones that it touches or overlaps, where there are any, by their numbers.

    However many there are and wherever they crowd: a tree finds them.

    Parameters
    ----------
    boxes : sequence of Box
        In one frame.
    """
    if len(boxes) < 2:
        return
    y0, x0, y1, x1 = np.array([b.bounds_yxyx for b in boxes], dtype=np.float64).T
    shapes = shapely.box(x0, y0, x1, y1)
    tree = shapely.STRtree(shapes)
    for start in range(0, len(boxes), _AT_ONCE):
        later, earlier = tree.query(shapes[start : start + _AT_ONCE])
        later += start
        before = earlier < later
        later, earlier = later[before], earlier[before]
        order = np.argsort(later, kind="stable")
        numbers, begins, counts = np.unique(later[order], return_index=True, return_counts=True)
        for number, begin, count in zip(numbers.tolist(), begins.tolist(), counts.tolist(), strict=True):
            yield number, np.sort(earlier[order[begin : begin + count]])
