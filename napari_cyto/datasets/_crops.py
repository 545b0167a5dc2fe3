"""The one crop rule: cells are cut out as they are, padded with white, never stretched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WHITE = (255, 255, 255)
APACC_CROP_PX = 224
"""Side of a classifier's input, px. Source: Kupas et al. 2024, Technical Validation."""

RGB = npt.NDArray[np.uint8]
WholeBox = tuple[int, int, int, int]


def pad_centred(crop: RGB, side_px: int = APACC_CROP_PX, colour: tuple[int, int, int] = WHITE) -> RGB:
    """Return ``crop`` in the middle of a square, never stretched.

    Parameters
    ----------
    crop : ndarray, (h, w, 3), uint8, RGB
        The cell as cut from the slide.
    side_px : int
        Side of the square, px.
    colour : tuple of int
        What fills the rest, 0 to 255.

    Returns
    -------
    ndarray, uint8, RGB
        (side, side, 3). A crop larger than the square along an axis keeps its full extent there: shrinking it would
        change the size of the nucleus, cutting it would lose the cell. An odd rest goes to the bottom and the right.
    """
    height, width = crop.shape[:2]
    full = np.empty((max(height, side_px), max(width, side_px), 3), dtype=np.uint8)
    full[:] = colour
    y, x = (full.shape[0] - height) // 2, (full.shape[1] - width) // 2
    full[y : y + height, x : x + width] = crop
    return full


def cut_window(image: RGB, box_yxyx: WholeBox, colour: tuple[int, int, int] = WHITE) -> RGB:
    """Return the pixels of ``box_yxyx`` (whole px of ``image``); what lies outside the image is ``colour``."""
    y0, x0, y1, x1 = box_yxyx
    height, width = image.shape[:2]
    inside = image[max(y0, 0) : max(min(y1, height), 0), max(x0, 0) : max(min(x1, width), 0)]
    if inside.shape[:2] == (y1 - y0, x1 - x0):
        return inside
    window = np.empty((y1 - y0, x1 - x0, 3), dtype=np.uint8)
    window[:] = colour
    if inside.size:
        top, left = max(-y0, 0), max(-x0, 0)
        window[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return window
