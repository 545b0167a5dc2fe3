"""The slide at a glance, tinted where it was looked at."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_cyto.domain.coverage import Coverage
from napari_cyto.reporting.images import LOOKED_RGB
from napari_cyto.widgets.overview import OverviewMap

_LONGEST_PX = 320
_TALLEST_PX = 150
_OPACITY = 0.42


class CoverageMap(OverviewMap):
    """An overview that shows which part of the slide was looked at near enough."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._looked: QImage | None = None
        self.setMaximumHeight(_TALLEST_PX)
        self.setToolTip("Green: viewed. The frame is the current view. Click or drag to go there, arrow keys to step.")
        self.setAccessibleName("Map of the viewed area")

    def show_coverage(self, seen: Coverage | None, magnification: float) -> None:
        """Tint what was looked at with a magnification or beyond."""
        self._looked = None if seen is None else _image(seen, magnification)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the slide, and the tint over it."""
        super().paintEvent(event)
        if self._pixmap is None or self._looked is None:
            return
        painter = QPainter(self)
        painter.setOpacity(_OPACITY)
        painter.drawImage(self.map_rect(), self._looked, QRectF(self._looked.rect()))
        painter.end()


def _image(seen: Coverage, magnification: float) -> QImage:
    height, width = seen.size_hw
    scale = _LONGEST_PX / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    pixels = np.zeros((*shape, 4), np.uint8)
    # Qt's ARGB words lie in memory as blue, green, red, alpha.
    pixels[seen.as_mask(magnification, shape)] = (*reversed(LOOKED_RGB), 255)
    return QImage(pixels.tobytes(), shape[1], shape[0], 4 * shape[1], QImage.Format.Format_ARGB32).copy()
