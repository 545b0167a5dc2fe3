"""Which nuclei touch each other, lie on the border of the image, or share a cytoplasm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from napari_cyto.domain.geometry import CellOutline, points_in_outline

TOUCHING_UM = 0.5
"""Contours nearer than this cannot be told from one another at 40x (0.25 µm per px): two pixels."""

Flags = npt.NDArray[np.bool_]


def touching(outlines: Sequence[CellOutline], apart_px: float) -> Flags:
    """Return which nuclei overlap another one or come as near to it as ``apart_px``, level-0 px."""
    rings = [np.asarray(outline.vertices_yx) for outline in outlines]
    found = np.zeros(len(rings), dtype=bool)
    if len(rings) < 2:
        return found
    centres = np.array([ring.mean(0) for ring in rings])
    radii = np.array([np.hypot(*(ring - centre).T).max() for ring, centre in zip(rings, centres, strict=True)])
    for a, b in _near(centres, radii, apart_px):
        if found[a] and found[b]:
            continue
        if _are_near(rings[a], rings[b], apart_px):
            found[[a, b]] = True
    return found


def _near(centres: npt.NDArray[np.float64], radii: npt.NDArray[np.float64], apart_px: float) -> npt.NDArray[np.intp]:
    """Return the pairs whose circles are near."""
    # Few nuclei are much larger than most; each looks as far as itself and the largest reach.
    tree, pairs = KDTree(centres), set[tuple[int, int]]()
    usual = float(np.quantile(radii, 0.95))
    pairs.update(map(tuple, tree.query_pairs(2 * usual + apart_px, output_type="ndarray").tolist()))
    for large in np.flatnonzero(radii > usual).tolist():
        reach = float(radii[large] + radii.max()) + apart_px
        pairs.update((min(large, n), max(large, n)) for n in tree.query_ball_point(centres[large], reach) if n != large)
    found = np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2)
    gaps = np.hypot(*(centres[found[:, 0]] - centres[found[:, 1]]).T)
    near: npt.NDArray[np.intp] = found[gaps <= radii[found[:, 0]] + radii[found[:, 1]] + apart_px]
    return near


def _are_near(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], apart_px: float) -> bool:
    if (
        points_in_outline(a[:1], [tuple(p) for p in b.tolist()])[0]
        or points_in_outline(b[:1], [tuple(p) for p in a.tolist()])[0]
    ):
        return True
    return bool((_gaps(a, b).min() <= apart_px) or (_gaps(b, a).min() <= apart_px))


def _gaps(points: npt.NDArray[np.float64], ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the distance of each point from each side of a ring."""
    start = ring
    side = np.roll(ring, -1, axis=0) - start
    length = np.maximum((side**2).sum(1), 1e-12)
    along = ((points[:, None] - start) * side).sum(2) / length
    foot = start + np.clip(along, 0, 1)[:, :, None] * side
    gaps: npt.NDArray[np.float64] = np.hypot(*np.moveaxis(points[:, None] - foot, 2, 0))
    return gaps


def cut_by_border(outlines: Sequence[CellOutline], size_hw: tuple[int, int]) -> Flags:
    """Return which nuclei reach the border of the image, within a pixel: the rest of them may lie beyond."""
    bounds = np.array([outline.bounds_yxyx for outline in outlines], dtype=np.float64).reshape(-1, 4)
    reaches = np.hstack([bounds[:, :2] <= 1, bounds[:, 2:] >= np.array(size_hw) - 1])
    cut: Flags = np.asarray(reaches.any(axis=1))
    return cut


def nuclei_inside(outlines: Sequence[CellOutline], centres_yx: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how many of the slide's cells have their centre inside the cytoplasm of each; NaN without a cytoplasm."""
    found = np.full(len(outlines), np.nan)
    if not len(centres_yx):
        return found
    order = np.argsort(centres_yx[:, 0], kind="stable")
    ys = centres_yx[order, 0]
    for n, outline in enumerate(outlines):
        if outline.cytoplasm_yx:
            ring = np.asarray(outline.cytoplasm_yx)
            (y0, x0), (y1, x1) = ring.min(0), ring.max(0)
            near = order[np.searchsorted(ys, y0) : np.searchsorted(ys, y1, side="right")]
            near = near[(centres_yx[near, 1] >= x0) & (centres_yx[near, 1] <= x1)]
            found[n] = points_in_outline(centres_yx[near], outline.cytoplasm_yx).sum() if len(near) else 0
    return found
