"""A picture that fits the width it gets: a slide's label, macro or thumbnail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRect, QSize
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_cyto.widgets.docks.thumbnails import image_of

SIDE_PX = 480
TALLEST_PX = 180


class ImageView(QWidget):
    """Shows uint8 RGB pixels ``(h, w, 3)`` at most ``TALLEST_PX`` high."""

    def __init__(self, name: str, rgb: npt.NDArray[np.uint8]) -> None:
        super().__init__()
        self._image: QImage = image_of(rgb, SIDE_PX)
        self.setToolTip(f"The {name} image stored in the slide file.")
        self.setAccessibleName(name)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As wide as a dock."""
        return QSize(200, self.heightForWidth(200))

    def heightForWidth(self, width: int) -> int:  # noqa: N802  Qt's name
        """As high as the picture in that width, within bounds."""
        return min(TALLEST_PX, int(width * self._image.height() / max(1, self._image.width())))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's name
        """Draw the picture in the middle, never stretched."""
        scale = min(self.width() / self._image.width(), self.height() / self._image.height())
        width, height = int(self._image.width() * scale), int(self._image.height() * scale)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRect((self.width() - width) // 2, 0, width, height), self._image)
        painter.end()
