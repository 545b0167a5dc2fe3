"""Where on the glass there is how much of what: coarse maps, read back at any pixel with whole numbers only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STEP_PX = 64
_STEP_BITS = 6

Grid = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Terrain:
    """The lie of one smear, on a grid of 64 px; each map ``(rows, columns)`` float32, 0 to 1.

    Parameters
    ----------
    cells : ndarray
        How thickly epithelial cells lie.
    inflammation : ndarray
        How many polymorphs there are.
    haze : ndarray
        Granular protein and bacteria between the cells.
    """

    cells: NDArray[np.float32]
    inflammation: NDArray[np.float32]
    haze: NDArray[np.float32]

    def cells_at(self, y: float, x: float) -> float:
        """Return how thickly cells lie at a place in px; 0 off the glass."""
        row, column = round(y / STEP_PX), round(x / STEP_PX)
        rows, columns = self.cells.shape
        return float(self.cells[row, column]) if 0 <= row < rows and 0 <= column < columns else 0.0


def make_terrain(rng: np.random.Generator, size_hw: tuple[int, int]) -> Terrain:
    """Return the terrain of a smear drawn out by one stroke across the glass, thin at its ragged ends."""
    shape = (size_hw[0] // STEP_PX + 2, size_hw[1] // STEP_PX + 2)
    slant = rng.uniform(-0.18, 0.18)
    envelope = _envelope(rng, shape)
    streaks = _noise(rng, shape, 2.5, 20, slant) * 0.75 + _noise(rng, shape, 1.2, 6, slant) * 0.45
    patches = _noise(rng, shape, 9, 14, slant)
    cells = envelope * np.clip(0.42 + 0.36 * streaks + 0.3 * patches, 0.02, 1.25)
    inflamed = _noise(rng, shape, 10, 22, slant) - 0.15
    inflammation = np.clip(inflamed * 0.6, 0, 1) * np.sqrt(np.clip(envelope, 0, 1))
    haze = np.clip(0.45 * _noise(rng, shape, 5, 16, slant) + 0.4 * inflamed, 0, 1) * np.clip(envelope * 1.4, 0, 1)
    return Terrain(*(np.asarray(m, dtype=np.float32) for m in (cells, inflammation, haze)))


def sample_places(rng: np.random.Generator, weights: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Return ``(count, 2)`` places ``(y, x)`` in px, as likely as ``weights`` (on the 64 px grid) has it."""
    flat = weights.ravel().astype(np.float64)
    flat = flat + flat.max() * 1e-6 + 1e-12
    index = rng.choice(flat.size, size=count, p=flat / flat.sum())
    corner = np.stack(np.divmod(index, weights.shape[1]), axis=1)
    return np.asarray((corner + rng.random((count, 2)) - 0.5) * STEP_PX)


def fixed_point(field: NDArray[np.float32], scale: int) -> Grid:
    """Return the map as whole numbers, 1.0 becoming ``scale``."""
    return np.rint(field * scale).astype(np.int32)


def interpolate(grid: Grid, y0: int, x0: int, height: int, width: int) -> Grid:
    """Return ``grid`` read bilinearly at each px of a box, exactly the same however the slide is cut into boxes.

    Returns
    -------
    ndarray
        ``(height, width)`` int32.
    """
    y, x = np.arange(y0, y0 + height), np.arange(x0, x0 + width)
    gy, fy = y >> _STEP_BITS, (y & (STEP_PX - 1)).astype(np.int32)[:, None]
    first = x0 >> _STEP_BITS
    last = ((x0 + width - 1) >> _STEP_BITS) + 2
    part = grid[:, first:last]
    rows = part[gy] * (STEP_PX - fy) + part[gy + 1] * fy
    gx, fx = (x >> _STEP_BITS) - first, (x & (STEP_PX - 1)).astype(np.int32)
    return np.asarray((rows[:, gx] * (STEP_PX - fx) + rows[:, gx + 1] * fx) >> (2 * _STEP_BITS), dtype=np.int32)


def _noise(
    rng: np.random.Generator, shape: tuple[int, int], across: float, along: float, slant: float
) -> NDArray[np.float32]:
    pad = int(3 * along) + int(abs(slant) * shape[1]) + 2
    field = rng.standard_normal((shape[0] + 2 * pad, shape[1] + 2 * pad), dtype=np.float32)
    field = ndimage.gaussian_filter(field, (across, along), mode="wrap")
    field /= field.std()
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    where = np.stack([y + pad + slant * (x - shape[1] / 2), x + pad])
    return np.asarray(ndimage.map_coordinates(field, where, order=1, mode="grid-wrap"), dtype=np.float32)


def _envelope(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    v = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    u = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    ragged = 0.12 * _noise(rng, shape, 3, 9, 0) + 0.08 * _noise(rng, shape, 16, 4, 0)
    inside = 1 - (np.abs(v / 0.9) ** 3.2 + np.abs(u / 0.9) ** 4) + ragged
    return np.asarray(np.clip(inside * 2.2, 0, 1), dtype=np.float32)
