"""Which nuclei lie near a place, so that none is put on top of another."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

_BIN_PX = 128


class Crowd:
    """Places already taken, each a disc in level-0 px."""

    def __init__(self) -> None:
        self._bins: defaultdict[tuple[int, int], list[tuple[float, float, float, bool]]] = defaultdict(list)

    def add(self, y: float, x: float, radius_px: float, abnormal: bool) -> None:
        """Take a place."""
        self._bins[int(y) // _BIN_PX, int(x) // _BIN_PX].append((y, x, radius_px, abnormal))

    def free(self, y: float, x: float, radius_px: float, from_abnormal_px: float = 0.0) -> bool:
        """Whether a disc fits there; abnormal ones keep at least ``from_abnormal_px`` from its middle."""
        reach = int(np.ceil((max(radius_px, from_abnormal_px) + _BIN_PX / 2) / _BIN_PX))
        row, column = int(y) // _BIN_PX, int(x) // _BIN_PX
        for r in range(row - reach, row + reach + 1):
            for c in range(column - reach, column + reach + 1):
                for oy, ox, other, abnormal in self._bins.get((r, c), ()):
                    least = max(radius_px + other, from_abnormal_px if abnormal else 0.0)
                    if (oy - y) ** 2 + (ox - x) ** 2 < least**2:
                        return False
        return True
