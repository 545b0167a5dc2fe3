"""Which nuclei touch each other, lie on the border of the image, or share a cytoplasm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import count_in_outlines, outlines_within
from napari_cyto.measurements._kept import Kept
from napari_cyto.measurements._outlined_cells import OutlinedCells, Ring

TOUCHING_UM = 0.5
"""Contours nearer than this cannot be distinguished at 40x (0.25 µm per px): two pixels."""

Flags = npt.NDArray[np.bool_]


def touching(nuclei_yx: Sequence[Ring], apart_px: float) -> Flags:
    """Return which nuclei overlap another one or come as near to it as ``apart_px``, level-0 px."""
    found = np.zeros(len(nuclei_yx), dtype=bool)
    found[outlines_within(nuclei_yx, apart_px)] = True
    return found


def cut_by_border(bounds_yxyx: npt.NDArray[np.float64], size_hw: tuple[int, int]) -> Flags:
    """Return which nuclei reach the border of the image, within a pixel: the rest of them may lie beyond.

    Parameters
    ----------
    bounds_yxyx : ndarray, float64 (n, 4)
        Of the nuclei, level-0 px.
    size_hw : tuple of int
        Of the image, level-0 px.
    """
    reaches = np.hstack([bounds_yxyx[:, :2] <= 1, bounds_yxyx[:, 2:] >= np.array(size_hw) - 1])
    cut: Flags = np.asarray(reaches.any(axis=1))
    return cut


def nuclei_inside(cytoplasms_yx: Sequence[Ring], centres_yx: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how many of the slide's cells have their centre inside the cytoplasm of each; NaN without a cytoplasm."""
    found = np.full(len(cytoplasms_yx), np.nan)
    known = [n for n, ring in enumerate(cytoplasms_yx) if len(ring)]
    if len(centres_yx) and known:
        found[known] = count_in_outlines(centres_yx, [cytoplasms_yx[n] for n in known])
    return found


def with_neighbourhood(kept: Kept, cells: OutlinedCells) -> Kept:
    """Return what is kept with how the cells of a slide stand to each other now."""
    centres = np.array(cells.centres_yx, dtype=np.float64).reshape(-1, 2)
    nuclei, cytoplasms = cells.rings_yx()
    return replace(
        kept,
        neighbourhood=cells.neighbourhood(kept.mpp),
        touches=touching(nuclei, TOUCHING_UM / kept.mpp),
        inside=nuclei_inside(cytoplasms, centres),
    )
