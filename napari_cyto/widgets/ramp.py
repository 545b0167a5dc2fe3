"""A row of colours for numbers, from low to high, which colour-blind people and grey prints keep in order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Source: viridis, matplotlib 2.0, at even steps.
RAMP = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725")
NO_NUMBER = "#949daa"
"""What has no number."""


def ramp_rgb(shares: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return the colours ``(n, 3)`` of shares ``(n,)``, 0 to 1; what lies beyond is clipped, NaN is grey."""
    given = np.asarray(shares, dtype=np.float64)
    steps = np.array([rgb_of(colour) for colour in RAMP], dtype=float)
    place = np.nan_to_num(given, nan=0).clip(0, 1) * (len(steps) - 1)
    low = np.minimum(place.astype(int), len(steps) - 2)
    share = (place - low)[:, None]
    rgb: npt.NDArray[np.uint8] = (steps[low] * (1 - share) + steps[low + 1] * share).round().astype(np.uint8)
    rgb[np.isnan(given)] = rgb_of(NO_NUMBER)
    return rgb


def packed(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return colours ``(n, 3)`` as 0xFFRRGGBB ``(n,)``."""
    parts = rgb.astype(np.uint32)
    return (0xFF000000 | parts[:, 0] << 16 | parts[:, 1] << 8 | parts[:, 2]).astype(np.uint32)


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Return ``#rrggbb`` as three numbers, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
