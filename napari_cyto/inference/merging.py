"""Cells of many tiles become the cells of a slide: none twice, none lost; numpy and scipy alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

Points = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float64]
Kept = npt.NDArray[np.intp]


def surest_apart(
    points_yx: Points, scores: Scores, apart: float, tiles: npt.NDArray[np.intp] | None = None, seam: float = 0.0
) -> Kept:
    """Return which points stay when of points too near to each other the surest stays.

    Parameters
    ----------
    points_yx : ndarray, (n, 2), float64
        Cells.
    scores : ndarray, (n,), float64
        How sure each is; of equal ones the topmost, then the leftmost goes first.
    apart : float
        Points nearer than this are one cell; 0 for none.
    tiles : ndarray, (n,), intp, optional
        The tile that told of each.
    seam : float
        Points of different tiles nearer than this are one cell, told of twice.

    Returns
    -------
    ndarray, (k,), intp
        Places of those that stay, the surest first.
    """
    points, reach = np.asarray(points_yx, np.float64).reshape(-1, 2), max(apart, seam)
    order = np.lexsort((points[:, 1], points[:, 0], -np.asarray(scores, np.float64)))
    if not len(points) or reach <= 0:
        return np.asarray(order, np.intp)
    pairs = KDTree(points).query_pairs(reach, output_type="ndarray")
    distances = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    one_cell = distances < apart
    if tiles is not None:
        one_cell |= (tiles[pairs[:, 0]] != tiles[pairs[:, 1]]) & (distances < seam)
    return _greedy(order, pairs[one_cell])


def _greedy(order: npt.NDArray[np.intp], pairs: npt.NDArray[np.intp]) -> Kept:
    """Walk from the surest on; each that stays drops those it is paired with."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    starts = np.searchsorted(both[:, 0], np.arange(len(order) + 1))
    dropped, kept = np.zeros(len(order), dtype=bool), []
    for place in order.tolist():
        if not dropped[place]:
            kept.append(place)
            dropped[both[starts[place] : starts[place + 1], 1]] = True
    return np.asarray(kept, np.intp)


def within(points_yx: Points, bounds_yxyx: tuple[float, float, float, float], slack: float = 0.0) -> Kept:
    """Return the places of the points in a half-open box, grown by ``slack`` on all sides."""
    y0, x0, y1, x1 = bounds_yxyx
    y, x = points_yx[:, 0], points_yx[:, 1]
    inside = (y >= y0 - slack) & (y < y1 + slack) & (x >= x0 - slack) & (x < x1 + slack)
    return np.asarray(np.flatnonzero(inside), np.intp)


def in_outline(points_yx: Points, outline_yx: Points) -> npt.NDArray[np.bool_]:
    """Return which points ``(n, 2)`` lie inside a closed outline ``(k, 2)``, bool ``(n,)``.

    Source: M. Shimrat, "Algorithm 112: position of point relative to polygon", CACM 5 (1962) 434 (even-odd rule).
    """
    y, x = points_yx[:, 0], points_yx[:, 1]
    inside = np.zeros(len(points_yx), dtype=np.bool_)
    for (y0, x0), (y1, x1) in zip(outline_yx, np.roll(outline_yx, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
