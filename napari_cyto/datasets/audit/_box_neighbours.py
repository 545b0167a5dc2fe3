"""Boxes that touch or overlap, however many there are and wherever they crowd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from shapely import STRtree, box

from napari_cyto.domain.geometry import Box

_AT_ONCE = 500


def touching(boxes: Sequence[Box]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yield each box with the earlier ones that it touches or overlaps, where there are any, by their numbers.

    Parameters
    ----------
    boxes : sequence of Box
        Of one slide or smear, in one frame.
    """
    if len(boxes) < 2:
        return
    y0, x0, y1, x1 = np.array([b.bounds_yxyx for b in boxes], dtype=np.float64).T
    shapes = box(x0, y0, x1, y1)
    tree = STRtree(shapes)
    for start in range(0, len(boxes), _AT_ONCE):
        later, earlier = tree.query(shapes[start : start + _AT_ONCE])
        later += start
        before = earlier < later
        later, earlier = later[before], earlier[before]
        order = np.argsort(later, kind="stable")
        numbers, begins, counts = np.unique(later[order], return_index=True, return_counts=True)
        for number, begin, count in zip(numbers.tolist(), begins.tolist(), counts.tolist(), strict=True):
            yield number, np.sort(earlier[order[begin : begin + count]])
