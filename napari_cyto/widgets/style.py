"""Icons and colour swatches, drawn to fit the theme of the window."""

from __future__ import annotations

from functools import lru_cache

from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtSvg import QSvgRenderer

from napari_cyto.domain.resources import resource_path

ICON_PX = 64
# Mid grey reads on napari's dark theme as well as on its light one, where text is nearly white or black.
ICON_COLOUR = "#b9bec6"
GOOD = "#3fae6a"
BAD = "#e5534b"
WARN = "#e0a030"
QUIET = "#9aa0a8"


@lru_cache(maxsize=256)
def icon(name: str, colour: str = ICON_COLOUR) -> QIcon:
    """Return the shipped icon ``name`` in ``colour``, paler where its button is disabled."""
    picture = QIcon(_svg(name, colour, 1.0))
    picture.addPixmap(_svg(name, colour, 0.35), QIcon.Mode.Disabled)
    return picture


def _svg(name: str, colour: str, opacity: float) -> QPixmap:
    text = resource_path("icons", f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)
    pixmap = QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(0, 0, ICON_PX, ICON_PX))
    painter.end()
    return pixmap


@lru_cache(maxsize=256)
def swatch(colour: str, side_px: int = 32) -> QPixmap:
    """Return a rounded square of ``colour`` with a rim that shows black on dark and white on light."""
    pixmap = QPixmap(side_px, side_px)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(QPen(QColor(160, 165, 172), side_px / 16))
    inset = side_px / 10
    painter.drawRoundedRect(QRectF(inset, inset, side_px - 2 * inset, side_px - 2 * inset), inset, inset)
    painter.end()
    return pixmap


def swatch_icon(colour: str) -> QIcon:
    """Return ``swatch`` as an icon."""
    return QIcon(swatch(colour))
