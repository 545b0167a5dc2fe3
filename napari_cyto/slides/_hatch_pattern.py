"""How a tile that cannot be read looks: neither glass nor cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STRIPE_RGB = (200, 0, 160)
BETWEEN_RGB = (128, 128, 128)
_PERIOD_PX = 16


def hatched(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB ``(height, width, 3)`` of diagonal magenta stripes on grey, read-only.

    Every row is the one before, moved by a px, so however large a tile is, only one row of it is in memory.
    """
    is_stripe = np.arange(height + width) % _PERIOD_PX < _PERIOD_PX // 2
    row = np.where(is_stripe[:, None], np.array(STRIPE_RGB, np.uint8), np.array(BETWEEN_RGB, np.uint8))
    return np.lib.stride_tricks.as_strided(row, (height, width, 3), (3, 3, 1), writeable=False)
