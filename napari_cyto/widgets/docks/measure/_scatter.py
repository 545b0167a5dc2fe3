"""Two measurements of each cell as a plane of dots, with axes and the lasso of the map."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QRectF, Qt
from qtpy.QtGui import QColor, QPainter

from napari_cyto.widgets.docks.dot_plot import BACKGROUND, Colours, DotPlot

_INK = QColor("#c8cdd4")
_TICK_PX = 4
_APART_PX = 58


class Scatter(DotPlot):
    """Dots at two measurements; rows are those of the cells that were shown, without those that lack a number."""

    def __init__(self) -> None:
        super().__init__("scatter of two measurements")
        self.setToolTip("Draw round dots to select cells; double-click goes to a cell. Paler: outline not accepted.")
        self._low, self._span = np.zeros(2), np.ones(2)
        self._titles = ("", "")
        self.aspect = 1.0

    def show_values(
        self, titles: tuple[str, str], values_xy: npt.NDArray[np.float64], colours: Colours, *, stay: bool
    ) -> None:
        """Show cells.

        Parameters
        ----------
        titles : tuple of str
            Of both axes, with units.
        values_xy : ndarray, float64 (n, 2)
            NaN where a cell has none; it is not drawn then.
        colours : ndarray, uint32 (n,)
            0xAARRGGBB.
        stay : bool
            Whether the same measurements were shown before: then the view stays.
        """
        known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(values_xy).all(axis=1))
        self._titles = titles
        if not stay or not len(self._xy):
            self._low = values_xy[known].min(0, initial=np.inf) if known.any() else np.zeros(2)
            high = values_xy[known].max(0, initial=-np.inf) if known.any() else np.ones(2)
            self._span = np.where(high > self._low, high - self._low, 1.0)
            self.aspect = max(0.2, self.width() / max(1, self.height()))
        xy = np.where(known[:, None], (values_xy - self._low) / self._span * (self.aspect, 1.0), 0.0)
        before = self.centre_xy, self.scale
        self.show_cells(xy.astype(np.float32), colours, known)
        if stay:
            (self.centre_xy, self.scale) = before

    def _view_of_all(self) -> tuple[npt.NDArray[np.float64], float]:
        """Return the centre and the scale with which all cells are in view, with room for the axes."""
        centre_xy = np.array([self.aspect / 2 - 0.04 * self.aspect, 0.44])
        return centre_xy, 0.8 * min(self.width() / self.aspect, self.height())

    def value_at(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Return the two measurements at a place of the widget."""
        x = (x_px - self.width() / 2) / self.scale + self.centre_xy[0]
        y = self.centre_xy[1] - (y_px - self.height() / 2) / self.scale
        return float(x / self.aspect * self._span[0] + self._low[0]), float(y * self._span[1] + self._low[1])

    def paintEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Draw the dots, and the axes over them."""
        super().paintEvent(event)
        if not self._titles[0]:
            return
        painter = QPainter(self)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        line = painter.fontMetrics().height()
        ground = QColor(BACKGROUND & 0xFFFFFF)
        ground.setAlpha(215)
        bottom = self.height() - 2 * line - 2
        painter.fillRect(QRectF(0, bottom, self.width(), 2 * line + 2), ground)
        painter.setPen(_INK)
        (x0, y0), (x1, y1) = self.value_at(0, bottom), self.value_at(self.width(), 0)
        for value, words in ticks(x0, x1, self.width() // _APART_PX):
            at = (value - x0) / (x1 - x0) * self.width()
            painter.drawLine(int(at), bottom, int(at), bottom + _TICK_PX)
            painter.drawText(QRectF(at - 40, bottom + 2, 80, line), int(Qt.AlignmentFlag.AlignHCenter), words)
        for value, words in ticks(y0, y1, bottom // _APART_PX):
            at = bottom - (value - y0) / (y1 - y0) * bottom
            painter.drawLine(0, int(at), _TICK_PX, int(at))
            painter.drawText(QRectF(_TICK_PX + 2, at - line / 2, 80, line), int(Qt.AlignmentFlag.AlignLeft), words)
        foot = QRectF(0, self.height() - line - 1, self.width() - 4, line)
        painter.drawText(foot, int(Qt.AlignmentFlag.AlignRight), f"{self._titles[0]} →")
        painter.drawText(QRectF(4, 2, self.width(), line), int(Qt.AlignmentFlag.AlignLeft), f"↑ {self._titles[1]}")
        painter.end()


def ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Return round values between two ends, and their words; at most so many.

    Source
    ------
    Steps of 1, 2 and 5: Heckbert, Nice numbers for graph labels, Graphics Gems (1990).
    """
    if not high > low or most < 1:
        return []
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(low / step)
    return [(n * step, f"{n * step:.{digits}f}") for n in range(first, math.floor(high / step) + 1)]
