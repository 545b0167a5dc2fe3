"""How well two thumbnails agree, and a bound of it that costs a thirtieth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from napari_cyto.datasets.audit.crop_prints import THUMB_PX, Thumbs
from napari_cyto.datasets.audit.subject import Tick, no_tick

_SHIFTS = tuple(np.ndindex(3, 3))
_MIDDLE = ((1, 1),)
_SIDE = THUMB_PX - 4
"""Of the windows that are compared: a px at each side is lost to smoothing, and one to shifting."""
_WAVES = 8
_AT_ONCE = 1 << 11

Floats = npt.NDArray[np.float32]


def correlation(a: Thumbs, b: Thumbs) -> Floats:
    """Return Pearson's correlation of each pair of thumbnails ((n, 32, 32), uint8), the best of nine small shifts."""
    inner = _windows(a, _MIDDLE)[:, 0]
    shifted = _windows(b, _SHIFTS)
    return np.asarray(np.einsum("nij,nsij->ns", inner, shifted).max(axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Sketches:
    """The lowest frequencies of thumbnails, and how much is left beside them.

    Parameters
    ----------
    low : ndarray, (thumbnails, shifts, 64), float32
        Coefficients of the orthonormal DCT of each window of mean 0 and length 1.
    rest : ndarray, (thumbnails, shifts), float32
        The length of all other coefficients.
    """

    low: Floats
    rest: Floats

    def could_agree(self, other: Sketches, i: npt.NDArray[np.intp], j: npt.NDArray[np.intp]) -> Floats:
        """Return what the correlation of thumbnails ``i`` here and ``j`` there does not exceed.

        Notes
        -----
        An orthonormal transform keeps the inner product; that of the coefficients left out is at most the product of
        their lengths (Cauchy and Schwarz).
        """
        most = np.empty(len(i), dtype=np.float32)
        for start in range(0, len(i), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            known = np.matmul(other.low[j[part]], self.low[i[part], 0, :, None])[:, :, 0]
            most[part] = (known + other.rest[j[part]] * self.rest[i[part]]).max(axis=1)
        return most


def sketches(thumbs: Thumbs, tick: Tick = no_tick, *, shifted: bool = False) -> Sketches:
    """Return the sketch of each thumbnail ((n, 32, 32), uint8), in the middle alone or in all nine shifts."""
    shifts = _SHIFTS if shifted else _MIDDLE
    waves = dct(np.eye(_SIDE), axis=0, norm="ortho")[:_WAVES].astype(np.float32)
    low = np.empty((len(thumbs), len(shifts), _WAVES**2), dtype=np.float32)
    rest = np.empty(low.shape[:2], dtype=np.float32)
    for start in range(0, len(thumbs), _AT_ONCE):
        tick()
        part = slice(start, start + _AT_ONCE)
        windows = _windows(thumbs[part], shifts)
        low[part] = (waves @ windows @ waves.T).reshape(*windows.shape[:2], -1)
        length = np.einsum("nsij,nsij->ns", windows, windows)
        rest[part] = np.sqrt(np.maximum(length - np.einsum("nsk,nsk->ns", low[part], low[part]), 0))
    return Sketches(low, rest)


def _windows(thumbs: Thumbs, shifts: tuple[tuple[int, ...], ...]) -> Floats:
    """Return the shifted windows of each thumbnail, (n, shifts, 28, 28), smoothed, of mean 0 and length 1."""
    # A shift by half a thumbnail px must not cost the edges of a nucleus their agreement.
    wide = thumbs.astype(np.float32)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    smooth = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    windows = np.empty((len(thumbs), len(shifts), _SIDE, _SIDE), dtype=np.float32)
    for s, (y, x) in enumerate(shifts):
        windows[:, s] = smooth[:, y : y + _SIDE, x : x + _SIDE]
    windows -= windows.mean(axis=(2, 3), keepdims=True)
    windows /= np.maximum(np.sqrt(np.einsum("nsij,nsij->ns", windows, windows)), 1e-6)[..., None, None]
    return windows
