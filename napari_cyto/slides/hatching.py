"""How a tile that cannot be read looks: neither glass nor cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STRIPE_RGB = (200, 0, 160)
BETWEEN_RGB = (128, 128, 128)
_PERIOD_PX = 16


def hatched(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB ``(height, width, 3)`` of diagonal magenta stripes on grey."""
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % _PERIOD_PX < _PERIOD_PX // 2
    return np.where(diagonal[..., None], np.array(STRIPE_RGB, np.uint8), np.array(BETWEEN_RGB, np.uint8))
