"""Turn a laid-out smear into pixels, any box at a time, always the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cyto.synthesis._glass import BLOCK_PX, Glass, Units
from napari_cyto.synthesis._stains import SHIFT, transmitted
from napari_cyto.synthesis._stamps import Stamp, StampList


@dataclass(frozen=True, slots=True, eq=False)
class Renderer:
    """Draws a smear. Whole numbers are added, so neither order nor tiling changes a single pixel.

    Parameters
    ----------
    glass : Glass
        What lies under everything.
    stamps : StampList
        What lies on it.
    """

    glass: Glass
    stamps: StampList

    def draw(self, y0: int, x0: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return the RGB pixels ``(height, width, 3)`` uint8 of a box, level-0 px."""
        pixels = np.empty((height, width, 3), np.uint8)
        for y in range(0, height, BLOCK_PX):
            for x in range(0, width, BLOCK_PX):
                block = pixels[y : y + BLOCK_PX, x : x + BLOCK_PX]
                self._draw_block(block, y0 + y, x0 + x)
        return pixels

    def _draw_block(self, block: NDArray[np.uint8], y0: int, x0: int) -> None:
        height, width = block.shape[:2]
        units = self.glass.density(y0, x0, height, width)
        for stamp in self.stamps.touching(y0, x0, y0 + height, x0 + width):
            _press(units, stamp, y0, x0)
        for channel, table in enumerate(transmitted()):
            block[..., channel] = np.take(table, units[channel], mode="clip")


def _press(units: Units, stamp: Stamp, y0: int, x0: int) -> None:
    _, height, width = units.shape
    sprite_h, sprite_w = stamp.sprite.shape_hw
    top, left = max(stamp.y0, y0), max(stamp.x0, x0)
    bottom, right = min(stamp.y0 + sprite_h, y0 + height), min(stamp.x0 + sprite_w, x0 + width)
    part = stamp.sprite.planes[:, top - stamp.y0 : bottom - stamp.y0, left - stamp.x0 : right - stamp.x0]
    target = units[:, top - y0 : bottom - y0, left - x0 : right - x0]
    for plane, colour in zip(part.astype(np.uint16), stamp.coefficients, strict=True):
        for channel in range(3):
            if colour[channel]:
                target[channel] += (plane * colour[channel]) >> np.uint16(SHIFT)
