"""The glass under the cells: grain, haze, uneven mounting medium and the coverslip's edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cyto.synthesis._fields import STEP_PX, Terrain, fixed_point, interpolate
from napari_cyto.synthesis._stains import BASE_UNITS

Units = NDArray[np.uint16]

BLOCK_PX = 1024
_TILE_PX = BLOCK_PX
_EDGE_REACH_PX = 90
_HAZE_FULL = 255


class Glass:
    """Optical density of the slide before anything lies on it.

    Parameters
    ----------
    rng : Generator
        Decides grain, tint and where the coverslip ends.
    size_hw : tuple of int
        Height and width, px.
    terrain : Terrain
        Where the haze lies.
    mpp : float
        µm per px.
    """

    def __init__(self, rng: np.random.Generator, size_hw: tuple[int, int], terrain: Terrain, mpp: float) -> None:
        um = 1 / mpp
        self._grain = _repeated(_grain(rng))
        self._speckle = _repeated(_speckle(rng, um))
        self._haze = fixed_point(np.clip(terrain.haze, 0, 1), _HAZE_FULL)
        self._tint = fixed_point(_tint(rng, terrain.haze.shape), 1)
        self._edge_x = _coverslip_edge(rng, size_hw, um)
        self._edge_profile = _edge_profile(um)

    def density(self, y0: int, x0: int, height: int, width: int) -> Units:
        """Return ``(3, height, width)`` uint16 units of density, the same for any cut into boxes of up to 1024 px."""
        part = _wrapped(y0, x0, height, width)
        units = self._grain[part].copy()
        units += interpolate(self._tint, y0, x0, height, width).astype(np.uint16)
        self._add_haze(units, part, (y0, x0, height, width))
        self._add_edge(units, y0, x0, height, width)
        return units

    def _add_haze(self, units: Units, part: tuple[slice, slice, slice], box: tuple[int, int, int, int]) -> None:
        y0, x0, height, width = box
        near = self._haze[y0 // STEP_PX : (y0 + height) // STEP_PX + 2, x0 // STEP_PX : (x0 + width) // STEP_PX + 2]
        if near.max() == 0:
            return
        haze = interpolate(self._haze, *box).astype(np.uint16)
        # Speckle is at most 255 and haze at most 255, so their product stays in 16 bits.
        for target, speckle in zip(units, self._speckle[part], strict=True):
            target += (speckle * haze) >> np.uint16(8)

    def _add_edge(self, units: Units, y0: int, x0: int, height: int, width: int) -> None:
        edge = self._edge_x[y0 : y0 + height]
        if x0 + width < edge.min() - _EDGE_REACH_PX:
            return
        offset = np.arange(x0, x0 + width)[None, :] - edge[:, None]
        profile = self._edge_profile[np.clip(offset + _EDGE_REACH_PX, 0, 2 * _EDGE_REACH_PX)]
        units += profile


def _repeated(texture: Units) -> Units:
    """Return a wrapping texture twice over each way: any cut of one period is then a plain slice."""
    return np.tile(texture, (1, 2, 2))


def _wrapped(y0: int, x0: int, height: int, width: int) -> tuple[slice, slice, slice]:
    y, x = y0 % _TILE_PX, x0 % _TILE_PX
    return (slice(None), slice(y, y + height), slice(x, x + width))


def _grain(rng: np.random.Generator) -> Units:
    """Return the scanner's noise as a texture that wraps: mostly common to the colours, mildly smoothed."""
    common = rng.standard_normal((1, _TILE_PX, _TILE_PX), dtype=np.float32)
    own = rng.standard_normal((3, _TILE_PX, _TILE_PX), dtype=np.float32)
    noise = ndimage.gaussian_filter(0.8 * common + 0.5 * own, (0, 0.6, 0.6), mode="wrap")
    dust = ndimage.gaussian_filter(rng.standard_normal((_TILE_PX, _TILE_PX)), 5, mode="wrap")
    soft = np.clip(dust / dust.std() - 2.6, 0, 1) * 14
    return np.asarray(np.rint(np.clip(BASE_UNITS - 4 + 3.0 * noise / noise.std() + soft, 0, 400)), dtype=np.uint16)


def _speckle(rng: np.random.Generator, um: float) -> Units:
    """Return full haze: blue-green granules in a thin film, as a texture that wraps."""
    fine = ndimage.gaussian_filter(rng.standard_normal((_TILE_PX, _TILE_PX)), 0.3 * um, mode="wrap")
    clumps = ndimage.gaussian_filter(rng.standard_normal((_TILE_PX, _TILE_PX)), 3.0 * um, mode="wrap")
    fine, clumps = fine / fine.std(), clumps / clumps.std()
    amount = 22 + 60 * np.clip(fine + 0.9 * clumps - 0.7, 0, 3)
    colour = np.array([1.0, 0.62, 0.52])[:, None, None]
    return np.asarray(np.rint(np.clip(amount * colour, 0, 255)), dtype=np.uint16)


def _tint(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    slow = ndimage.gaussian_filter(rng.standard_normal(shape), max(4.0, min(shape) / 5), mode="nearest")
    span = float(slow.max() - slow.min()) or 1.0
    return np.asarray((slow - slow.min()) / span * 14, dtype=np.float32)


def _coverslip_edge(rng: np.random.Generator, size_hw: tuple[int, int], um: float) -> NDArray[np.int64]:
    """Return the x (px) of the coverslip's right edge in each row: a straight cut, a little askew and chipped."""
    height, width = size_hw
    y = np.arange(height)
    askew = rng.uniform(-0.012, 0.012) * (y - height / 2)
    chips = ndimage.gaussian_filter1d(rng.standard_normal(height + 1), 120 * um, mode="wrap")[:height]
    return np.asarray(np.rint(width * 0.972 + askew + chips / (chips.std() or 1.0) * 1.2 * um), dtype=np.int64)


def _edge_profile(um: float) -> Units:
    """Return what the edge adds by distance from it: a dark line, a fringe, and drier glass beyond."""
    offset = np.arange(-_EDGE_REACH_PX, _EDGE_REACH_PX + 1) / um
    line = 330 * np.exp(-((offset / 1.1) ** 2)) + 90 * np.exp(-(((offset - 4) / 1.6) ** 2))
    shadow = 40 * np.exp(-(((offset + 2) / 6) ** 2)) * (offset < 0)
    return np.asarray(np.rint(line + shadow + 26 / (1 + np.exp(-offset * 2))), dtype=np.uint16)
