"""Outlines of drawn-out cells: spindles and tadpoles, bent a little."""

from __future__ import annotations

import numpy as np

from napari_cyto.synthesis import noise
from napari_cyto.synthesis.noise import Field


def draw_depth(
    rng: np.random.Generator, form: str, aspect: float, radius_px: float, margin: int
) -> tuple[Field, Field, Field, Field]:
    """Return the pixel grid and the depth inside of a drawn-out cell that lies along x.

    Parameters
    ----------
    rng : Generator
        Decides the bend.
    form : str
        ``spindle`` (two pointed ends) or ``tadpole`` (a head and a tail).
    aspect : float
        Length over greatest width.
    radius_px : float
        Radius of the circle of equal area, px.
    margin : int
        Empty px round it.

    Returns
    -------
    tuple of ndarray
        ``y``, ``x`` from the nucleus's place, px; depth, px; share of the way to the edge.
    """
    s = np.linspace(-1, 1, 512)
    profile = (1 - s**2) ** 1.4 if form == "spindle" else _tadpole(s)
    mean_width = float(profile.mean())
    half_length = radius_px * np.sqrt(np.pi * aspect / (4 * mean_width))
    half_width = half_length / aspect
    nucleus_s = 0.0 if form == "spindle" else -0.52
    bend = rng.uniform(-0.22, 0.22) * half_length
    reach_y = int(np.ceil(half_width + abs(bend) * 1.3)) + margin
    reach_x = int(np.ceil(half_length)) + margin
    y, x = np.mgrid[-reach_y : reach_y + 1, -reach_x : reach_x + 1].astype(np.float32)
    along = x / half_length
    wobble = 1 + 0.12 * np.interp(along, s, noise.patch(rng, 1, 512, 24.0)[0])
    width = np.interp(along, s, profile, left=0, right=0) * half_width * wobble
    centre = bend * (along**2 - nucleus_s**2)
    off = np.abs(y - centre)
    # Sixteen samples of slope are enough: the width of a tapered cell changes slowly along it.
    inside = np.where(np.abs(along) < 1, width - off, -1.0 - off)
    ratio = np.hypot(off / np.maximum(half_width, 1), (along - nucleus_s) * 0.6)
    shift = nucleus_s * half_length
    return y, (x - shift).astype(np.float32), inside.astype(np.float32), ratio.astype(np.float32)


def _tadpole(s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    head = np.sqrt(np.clip(1 - ((s + 0.52) / 0.48) ** 2, 0, 1))
    tail = np.clip((1 - s) / 1.5, 0, 1) ** 1.3 * 0.55
    return np.where(s < -0.35, head, np.maximum(head, np.minimum(tail, 1)))
