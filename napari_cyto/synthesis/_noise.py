"""Smooth random fields that wrap around, cut out and stretched wherever a drawing needs texture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float32]

TEXTURE_PX = 512
_SEED = 20_240_501


@lru_cache(maxsize=32)
def texture(sigma_px: float) -> Field:
    """Return a field of Gaussian noise smoothed by ``sigma_px``, mean 0 and standard deviation 1.

    Returns
    -------
    ndarray
        ``(512, 512)`` float32, periodic in both axes; the same one at each call.
    """
    rng = np.random.default_rng([_SEED, round(sigma_px * 1000)])
    field = rng.standard_normal((TEXTURE_PX, TEXTURE_PX), dtype=np.float32)
    field = ndimage.gaussian_filter(field, sigma_px, mode="wrap")
    field = np.asarray((field - field.mean()) / field.std())
    field.flags.writeable = False
    return field


def patch(rng: np.random.Generator, height: int, width: int, sigma_px: float) -> Field:
    """Return a ``(height, width)`` float32 cut of ``texture(sigma_px)`` from a random place."""
    y, x = rng.integers(0, TEXTURE_PX, 2)
    rows = np.arange(y, y + height) % TEXTURE_PX
    columns = np.arange(x, x + width) % TEXTURE_PX
    return np.asarray(texture(sigma_px)[np.ix_(rows, columns)])


def patch_like(rng: np.random.Generator, like: Field, sigma_px: float) -> Field:
    """Return a patch of the shape of ``like``, grain rounded to a tenth of a px, never finer than half a px."""
    return patch(rng, like.shape[0], like.shape[1], max(0.5, round(sigma_px, 1)))


def stretched(
    rng: np.random.Generator, height: int, width: int, sigma_px: float, *, stretch: float, angle: float
) -> Field:
    """Return a ``(height, width)`` float32 cut whose grain is ``stretch`` times longer along ``angle`` (radians)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = (np.cos(angle) * x + np.sin(angle) * y) / stretch
    across = np.cos(angle) * y - np.sin(angle) * x
    shift = rng.uniform(0, TEXTURE_PX, 2)
    where = np.stack([across + shift[0], along + shift[1]])
    cut = ndimage.map_coordinates(texture(sigma_px), where, order=1, mode="grid-wrap", output=np.float32)
    return np.asarray(cut, dtype=np.float32)


def periodic(rng: np.random.Generator, samples: int, waves: int) -> NDArray[np.float64]:
    """Return a smooth closed curve: ``samples`` values, standard deviation about 1, at most ``waves`` waves a turn."""
    turn = np.linspace(0, 2 * np.pi, samples, endpoint=False)
    curve = np.zeros(samples)
    for wave in range(2, waves + 1):
        amplitude, phase = rng.standard_normal() / wave, rng.uniform(0, 2 * np.pi)
        curve += amplitude * np.cos(wave * turn + phase)
    return curve
