"""Pixels at any scale: read from one level and resampled once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from napari_cyto.domain.geometry import YX
from napari_cyto.slides.backend import RGB

Read = Callable[[int, int, int, int], RGB]
"""Returns the pixels of one level: top, left, height, width in px of it; beyond the slide it is padded."""


def read_scaled(read: Read, step_yx: YX, y: int, x: int, height: int, width: int) -> RGB:
    """Return a rectangle, uint8 RGB ``(height, width, 3)``, in px that are ``step_yx`` px of the level each.

    The filter is PIL's bilinear one, which widens with the reduction and so does not alias; as much is read around
    the rectangle as the filter reaches, so that a pixel does not depend on where a rectangle ends.
    """
    fy, fx = step_yx
    if fy == fx == 1.0:
        return read(y, x, height, width)
    margin = int(np.ceil(max(fy, fx, 1.0))) + 1
    top, left = int(np.floor(y * fy)) - margin, int(np.floor(x * fx)) - margin
    rows = int(np.ceil((y + height) * fy)) + margin - top
    columns = int(np.ceil((x + width) * fx)) + margin - left
    pixels = Image.fromarray(read(top, left, rows, columns))
    box = (x * fx - left, y * fy - top, (x + width) * fx - left, (y + height) * fy - top)
    return np.array(pixels.resize((width, height), Image.Resampling.BILINEAR, box=box))
