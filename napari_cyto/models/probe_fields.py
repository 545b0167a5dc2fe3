"""Fields like those of a smear, made the same each time: on them a runtime is compared with PyTorch where it runs.

They are no real pixels, which may not be copied into each installation; what matters is that a detector finds as many
cells on them as on a crowded field, and some that it is hardly sure of.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_cyto.models.found_cells import FoundCells

FIELDS = 3
FIELD_PX = 512
CROPS = 64
MATCH_UM = 2.0

Pixels = npt.NDArray[np.uint8]


def probe_field(seed: int, mpp: float, size_px: int = FIELD_PX) -> Pixels:
    """Return pale cells with dark nuclei on glass, uint8 RGB ``(size_px, size_px, 3)``, of ``mpp`` µm a px."""
    rng = np.random.default_rng([21, seed])
    picture = np.full((size_px, size_px, 3), (238.0, 236.0, 240.0))
    for n in range(max(12, int((size_px * mpp) ** 2 / 1500))):
        y, x = rng.uniform(0, size_px, 2)
        stain = np.array([(0.75, 0.88, 0.9), (0.93, 0.75, 0.8)][n % 2]) ** rng.uniform(0.4, 1.2)
        _discs(picture, (y, x), rng.uniform(14, 30) / mpp, stain)
        nucleus = np.array((0.5, 0.42, 0.62)) ** rng.uniform(0.15, 1.3)
        _discs(picture, (y, x), rng.uniform(2.5, 8) / mpp, nucleus)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, (size_px, size_px)), 0.7 / mpp)
    return np.asarray(np.clip(picture + 5 * (grain / grain.std())[..., None], 0, 255), np.uint8)


def _discs(picture: npt.NDArray[np.float64], centre_yx: tuple[float, float], radius: float, factor: object) -> None:
    """Darken a disc with a soft edge."""
    (cy, cx), reach = centre_yx, int(radius) + 2
    y0, x0 = max(int(cy) - reach, 0), max(int(cx) - reach, 0)
    part = picture[y0 : int(cy) + reach, x0 : int(cx) + reach]
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    inside = np.clip(radius - np.hypot(y + y0 + 0.5 - cy, x + x0 + 0.5 - cx), 0, 1)[..., None]
    part *= 1 - inside * (1 - np.asarray(factor))


def told_cells(cells: FoundCells, apart_px: float) -> FoundCells:
    """Return the cells of a picture of which none is nearer than ``apart_px`` to one that is surer."""
    order = np.lexsort((cells.points_yx[:, 1], cells.points_yx[:, 0], -cells.scores))
    points = cells.points_yx[order]
    keep = np.ones(len(points), dtype=np.bool_)
    if len(points) and apart_px > 0:
        for n, near in enumerate(cKDTree(points).query_ball_point(points, apart_px)):
            if keep[n]:
                keep[[m for m in near if m > n]] = False
    return cells.at(order[keep])


def agreement(truth: FoundCells, told: FoundCells, near_px: float) -> tuple[int, int, int]:
    """Return how many cells are each other's nearest within ``near_px``, how many of these are called alike, and all.

    All are the cells of both, so that F1 is twice the first over the last.
    """
    every = len(truth.scores) + len(told.scores)
    if not len(truth.scores) or not len(told.scores):
        return 0, 0, every
    far, there = cKDTree(told.points_yx).query(truth.points_yx)
    _, back = cKDTree(truth.points_yx).query(told.points_yx)
    pairs = np.flatnonzero((far <= near_px) & (back[there] == np.arange(len(there))))
    calls = truth.class_scores[pairs].argmax(1) == told.class_scores[there[pairs]].argmax(1)
    return len(pairs), int(calls.sum()), every
