"""Pixels as Qt draws them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QImage, QPixmap


def pixmap_of(rgb: npt.NDArray[np.uint8]) -> QPixmap:
    """Return uint8 RGB pixels ``(h, w, 3)`` as an image of Qt that holds them itself."""
    pixels = np.ascontiguousarray(rgb)
    height, width = pixels.shape[:2]
    return QPixmap.fromImage(QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy())
