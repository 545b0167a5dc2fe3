"""Outlines of drawn-out cells: spindles and tadpoles, bent a little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cyto.synthesis import _noise as noise
from napari_cyto.synthesis._noise import Field
from napari_cyto.synthesis._outline import tilted

_HEAD_S = -0.52


@dataclass(frozen=True, slots=True, eq=False)
class Tapered:
    """A drawn-out cell on its pixel grid.

    Parameters
    ----------
    y, x : ndarray
        Coordinates across and along it from its nucleus, px.
    inside : ndarray
        Depth inside it, px, negative outside.
    ratio : ndarray
        About the share of the way from nucleus to edge.
    anchor_yx : tuple of float
        Where the nucleus lies on the grid, px.
    """

    y: Field
    x: Field
    inside: Field
    ratio: Field
    anchor_yx: tuple[float, float]


def draw_tapered(
    rng: np.random.Generator, form: str, aspect: float, radius_px: float, tilt: float, margin: int
) -> Tapered:
    """Return the grid of a drawn-out cell.

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
    tilt : float
        Angle of its axis, radians.
    margin : int
        Empty px round it.
    """
    s = np.linspace(-1, 1, 512)
    profile = (1 - s**2) ** 1.4 if form == "spindle" else _tadpole(s)
    nucleus_s = 0.0 if form == "spindle" else _HEAD_S
    half_length = float(radius_px * np.sqrt(np.pi * aspect / (4 * profile.mean())))
    half_width = half_length / aspect
    bend = rng.uniform(-0.22, 0.22) * half_length
    reach = np.array([half_width + 1.3 * abs(bend), half_length])
    c, d = abs(np.cos(tilt)), abs(np.sin(tilt))
    half_h, half_w = (int(np.ceil(v)) + margin for v in (c * reach[0] + d * reach[1], d * reach[0] + c * reach[1]))
    grid = np.mgrid[-half_h : half_h + 1, -half_w : half_w + 1].astype(np.float32)
    y, x = tilted(grid[0], grid[1], tilt)
    along = x / half_length
    wobble = 1 + 0.12 * np.interp(along, s, noise.patch(rng, 1, 512, 24.0)[0])
    width = np.interp(along, s, profile, left=0, right=0) * half_width * wobble
    off = np.abs(y - bend * (along**2 - nucleus_s**2))
    inside = np.where(np.abs(along) < 1, width - off, -1.0 - off).astype(np.float32)
    ratio = np.hypot(off / max(half_width, 1.0), (along - nucleus_s) * 0.6).astype(np.float32)
    shift = nucleus_s * half_length
    anchor = (half_h + 0.5 + shift * np.sin(tilt), half_w + 0.5 + shift * np.cos(tilt))
    return Tapered(y, (x - shift).astype(np.float32), inside, ratio, (float(anchor[0]), float(anchor[1])))


def _tadpole(s: NDArray[np.float64]) -> NDArray[np.float64]:
    head = np.sqrt(np.clip(1 - ((s - _HEAD_S) / (1 + _HEAD_S)) ** 2, 0, 1))
    tail = np.clip((1 - s) / 1.5, 0, 1) ** 1.3 * 0.55
    return np.where(s < -0.35, head, np.maximum(head, np.minimum(tail, 1)))
