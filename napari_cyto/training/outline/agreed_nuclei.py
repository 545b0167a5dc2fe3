"""Real nuclei without masks: those about which the network agrees with itself become examples for the next round.

Source
------
Self-training keeps what a model is sure of (Yarowsky 1995); here sure means that clicks at different places of the
nucleus, in turned and mirrored views, give the same outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YX
from napari_cyto.inference.outline.outlines import OutlineMethod, dice
from napari_cyto.slides.pixel_source import ImagePixels
from napari_cyto.synthesis.outlined_fields import OutlinedField, OutlinedTruth, PlacedMask

SHIFT_UM = 1.0
"""How far the second click lies from the first."""

LEAST_AGREEMENT = 0.94
"""Dice of the outlines of both clicks."""

LEAST_SCORE = 0.85
_NUCLEI_UM2 = (12.0, 700.0)


def agreed_nuclei(
    rgb: npt.NDArray[np.uint8], mpp: float, clicks_yx: Sequence[YX], method: OutlineMethod, seed: int = 0
) -> OutlinedField:
    """Return an image with the nuclei under clicks on whose outline different views agree; their cells are not known.

    Parameters
    ----------
    rgb : ndarray, uint8 (h, w, 3)
        The image.
    mpp : float
        µm per px.
    clicks_yx : sequence of (y, x)
        Places in nuclei, px.
    method : OutlineMethod
        What draws the outlines.
    seed : int
        Decides where the second clicks lie.
    """
    rng = np.random.default_rng(seed)
    pixels = ImagePixels(rgb)
    kept = []
    for y, x in clicks_yx:
        angle = rng.uniform(0, 2 * np.pi)
        shifted = (y + SHIFT_UM / mpp * np.sin(angle), x + SHIFT_UM / mpp * np.cos(angle))
        if not (0 <= shifted[0] < rgb.shape[0] and 0 <= shifted[1] < rgb.shape[1]):
            continue
        one, other = (method.outline(pixels, click, mpp) for click in ((y, x), shifted))
        if min(one.score, other.score) < LEAST_SCORE:
            continue
        masks = PlacedMask.of_ring(one.nucleus_yx), PlacedMask.of_ring(other.nucleus_yx)
        if agreement(*masks) < LEAST_AGREEMENT:
            continue
        if _NUCLEI_UM2[0] <= masks[0].mask.sum() * mpp**2 <= _NUCLEI_UM2[1]:
            kept.append(OutlinedTruth((masks[0],), masks[0], 0.0))
    return OutlinedField(rgb, mpp, tuple(kept), knows_cells=False)


def agreement(one: PlacedMask, other: PlacedMask) -> float:
    """Return the Dice of two masks at their places."""
    top, left = min(one.y0, other.y0), min(one.x0, other.x0)
    bottom = max(m.y0 + m.mask.shape[0] for m in (one, other))
    right = max(m.x0 + m.mask.shape[1] for m in (one, other))
    box = (top, left, bottom - top, right - left)
    return dice(one.on(*box), other.on(*box))
