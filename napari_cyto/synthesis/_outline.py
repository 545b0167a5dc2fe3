"""Closed outlines in polar form, and how deep inside them each pixel lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_cyto.synthesis._noise import Field, periodic

SAMPLES = 1024

Radii = NDArray[np.float64]


def polygon_outline(rng: np.random.Generator, corners: int, roundness: float) -> Radii:
    """Return a polygon with soft corners as radii over a turn, area pi.

    Parameters
    ----------
    rng : Generator
        Decides where the corners lie.
    corners : int
        How many, 3 or more.
    roundness : float
        0 for sharp corners and straight sides, 1 for a circle.
    """
    angles = (np.arange(corners) + rng.uniform(-0.28, 0.28, corners)) * 2 * np.pi / corners
    lengths = rng.uniform(0.82, 1.18, corners)
    ys, xs = lengths * np.sin(angles), lengths * np.cos(angles)
    dense = np.linspace(0, corners, 64 * corners, endpoint=False)
    i = dense.astype(int)
    t = dense - i
    j = (i + 1) % corners
    y, x = ys[i] * (1 - t) + ys[j] * t, xs[i] * (1 - t) + xs[j] * t
    theta, radius = np.arctan2(y, x) % (2 * np.pi), np.hypot(y, x)
    turn = np.linspace(0, 2 * np.pi, SAMPLES, endpoint=False)
    order = np.argsort(theta)
    radii = np.interp(turn, theta[order], radius[order], period=2 * np.pi)
    radii = _smooth(radii, SAMPLES / corners * (0.015 + 0.22 * roundness))
    return _unit_area(radii * (1 - roundness) + roundness)


def oval_outline(aspect: float) -> Radii:
    """Return an ellipse ``aspect`` times as long (along x) as wide, as radii over a turn, area pi."""
    turn = np.linspace(0, 2 * np.pi, SAMPLES, endpoint=False)
    a, b = np.sqrt(aspect), 1 / np.sqrt(aspect)
    return np.asarray(a * b / np.hypot(b * np.cos(turn), a * np.sin(turn)))


def roughened(rng: np.random.Generator, radii: Radii, amount: float, waves: int) -> Radii:
    """Return the outline with its radii changed by about ``amount`` (a share), same area."""
    return _unit_area(radii * np.clip(1 + amount * periodic(rng, SAMPLES, waves), 0.35, 2))


def depth(radii: Radii, y: Field, x: Field, radius_px: float) -> tuple[Field, Field]:
    """Return how deep each pixel lies inside the outline.

    Parameters
    ----------
    radii : ndarray
        Outline of area pi.
    y, x : ndarray
        Coordinates from the outline's middle, px.
    radius_px : float
        Radius of the circle of equal area, px.

    Returns
    -------
    tuple of ndarray
        Depth along the ray to the middle, px, negative outside; and distance from the middle as a share of the
        outline's own in that direction.
    """
    index = (np.arctan2(y, x) * (SAMPLES / (2 * np.pi))).astype(np.int32) % SAMPLES
    edge = (radii * radius_px).astype(np.float32)[index]
    distance = np.hypot(y, x)
    return np.asarray(edge - distance, np.float32), np.asarray(distance / edge, np.float32)


def tilted(y: Field, x: Field, angle: float) -> tuple[Field, Field]:
    """Return the coordinates in a frame whose x axis lies at ``angle`` (radians) to the grid's."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * y - s * x, s * y + c * x


def covered(depth_px: Field, softness_px: float = 1.0) -> Field:
    """Return 1 inside, 0 outside and a ramp of ``softness_px`` between, from depths in px."""
    return np.asarray(np.clip(depth_px / softness_px + 0.5, 0, 1), dtype=np.float32)


def _smooth(radii: Radii, sigma: float) -> Radii:
    waves = np.fft.rfftfreq(SAMPLES)
    return np.asarray(np.fft.irfft(np.fft.rfft(radii) * np.exp(-2 * (np.pi * waves * sigma) ** 2), SAMPLES))


def _unit_area(radii: Radii) -> Radii:
    return np.asarray(radii / np.sqrt(np.mean(radii**2)))
