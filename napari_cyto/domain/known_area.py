"""Where on a slide it is known which objects are cells: there alone, what carries no annotation is background."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_cyto.domain.geometry import YXYX, Polygon, box_area, covered_area, points_in_outline

Points = npt.NDArray[np.float64]


def _nowhere() -> Points:
    return np.empty((0, 2))


@dataclass(frozen=True, eq=False)
class KnownArea:
    """Part of a slide: the regions in which every cell is annotated, and the surroundings of single places.

    Without regions and without reach it is the whole slide.

    Parameters
    ----------
    regions : tuple of Polygon
        Inside these every cell is annotated, level-0 px.
    spots_yx : float64 array (n, 2)
        Places that a person looked at: annotated cells, rejected predictions; level-0 px.
    reach_px : float
        How far around each of them the area goes, level-0 px; 0: it does not.
    """

    regions: tuple[Polygon, ...] = ()
    spots_yx: Points = field(default_factory=_nowhere)
    reach_px: float = 0.0

    @property
    def is_everywhere(self) -> bool:
        """Whether it is the whole slide."""
        return not self.regions and not self.reach_px

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.spots_yx)

    def contains(self, points_yx: Points) -> npt.NDArray[np.bool_]:
        """Return which points lie in it, bool (n,), points float64 (n, 2), level-0 px."""
        inside = np.full(len(points_yx), self.is_everywhere)
        for region in self.regions:
            inside |= points_in_outline(points_yx, region.vertices_yx)
        if self.reach_px and len(self.spots_yx) and len(points_yx):
            distances, _ = self._tree.query(points_yx, distance_upper_bound=np.nextafter(self.reach_px, np.inf))
            inside |= np.isfinite(distances)
        return inside

    def area_px(self, size_hw: tuple[int, int]) -> float:
        """Return how many level-0 px of a slide of this size it has; circles are counted as polygons of 32 corners."""
        slide_yxyx = (0.0, 0.0, float(size_hw[0]), float(size_hw[1]))
        if self.is_everywhere:
            return box_area(slide_yxyx)
        return covered_area(self.regions, self.spots_yx, self.reach_px, slide_yxyx)

    def windows(self, size_hw: tuple[int, int], side_px: float, margin_px: float) -> list[YXYX]:
        """Return rectangles that hold all of it and do not overlap, made of the squares of a grid.

        Parameters
        ----------
        size_hw : tuple of int
            Of the slide, level-0 px.
        side_px : float
            Of the squares, level-0 px.
        margin_px : float
            How much around it is wanted besides, level-0 px.
        """
        height, width = size_hw
        if self.is_everywhere:
            return [(0.0, 0.0, float(height), float(width))]
        rows, columns = (max(1, int(np.ceil(length / side_px))) for length in size_hw)
        squares = np.zeros((rows, columns), dtype=bool)
        reach = self.reach_px + margin_px
        bounds = [r.bounds_yxyx for r in self.regions]
        boxes = np.asarray(bounds, np.float64).reshape(-1, 4) + np.array([-margin_px, -margin_px, margin_px, margin_px])
        if self.reach_px:
            boxes = np.vstack([boxes, np.hstack([self.spots_yx - reach, self.spots_yx + reach])])
        low = np.clip(np.floor(boxes[:, :2] / side_px), 0, None).astype(np.intp)
        high = np.ceil(boxes[:, 2:] / side_px).astype(np.intp)
        for (y0, x0), (y1, x1) in zip(low, high, strict=True):
            squares[y0:y1, x0:x1] = True
        return [
            (y0 * side_px, x0 * side_px, min(y1 * side_px, float(height)), min(x1 * side_px, float(width)))
            for y0, x0, y1, x1 in _rectangles(squares)
        ]


def _rectangles(squares: npt.NDArray[np.bool_]) -> Iterable[tuple[int, int, int, int]]:
    """Yield ``(y0, x0, y1, x1)`` of rectangles that cover the true squares once: runs of rows that are the same."""
    growing: dict[tuple[int, int], int] = {}
    for y, row in enumerate([*squares, np.zeros(squares.shape[1], dtype=bool)]):
        steps = np.diff(np.concatenate([[0], row.astype(np.int8), [0]]))
        starts, stops = np.flatnonzero(steps > 0).tolist(), np.flatnonzero(steps < 0).tolist()
        runs = set(zip(starts, stops, strict=True))
        for run in [r for r in growing if r not in runs]:
            yield growing.pop(run), run[0], y, run[1]
        for run in runs:
            growing.setdefault(run, y)
