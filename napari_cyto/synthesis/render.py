"""Turn a laid-out smear into pixels, any box at a time, always the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cyto.synthesis.glass import Glass, Units
from napari_cyto.synthesis.stains import SHIFT, transmitted
from napari_cyto.synthesis.stamps import Stamp, StampList


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
        units = self.glass.density(y0, x0, height, width)
        for stamp in self.stamps.touching(y0, x0, y0 + height, x0 + width):
            _press(units, stamp, y0, x0)
        table = transmitted()
        pixels = np.empty((height, width, 3), np.uint8)
        for channel in range(3):
            pixels[..., channel] = np.take(table[channel], units[channel], mode="clip")
        return pixels


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
