"""How often each value of a measurement occurs; its bounds are dragged with the mouse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QColor, QWheelEvent
from qtpy.QtWidgets import QWidget

from napari_cyto.widgets import style

BINS = 40
_PALE_ALPHA = 90
_SPAN = (150, 190, 255, 45)


class Histogram(pg.PlotWidget):
    """Bars of cells, pale where nobody accepted the outline; ``bounds_changed`` carries low and high."""

    bounds_changed = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("histogram")
        self.setToolTip("Drag the edges of the shaded part to filter. Pale: outline not accepted.")
        self.setMenuEnabled(False)
        self.setMouseEnabled(False, False)
        self.hideButtons()
        self.getAxis("left").enableAutoSIPrefix(False)
        self.getAxis("bottom").enableAutoSIPrefix(False)
        self.getAxis("left").setLabel("cells")
        self.certain = pg.BarGraphItem(x=[], height=[], width=1)
        self.uncertain = pg.BarGraphItem(x=[], height=[], width=1)
        self.span = pg.LinearRegionItem(movable=True, brush=_SPAN, hoverBrush=_SPAN)
        self.span.sigRegionChangeFinished.connect(self._say)
        for item in (self.certain, self.uncertain):
            self.addItem(item)
        self.addItem(self.span, ignoreBounds=True)
        self._speaks = True
        self.ends = (0.0, 1.0)
        self.show_theme()

    def show_values(
        self, title: str, values: npt.NDArray[np.float64], accepted: npt.NDArray[np.bool_], low: float, high: float
    ) -> None:
        """Show the values of cells, and the bounds of a filter on them; NaN is left out.

        Parameters
        ----------
        title : str
            With the unit.
        values : ndarray, float64 (n,)
            Of the cells.
        accepted : ndarray, bool (n,)
            Whether somebody accepted the outline.
        low, high : float
            The bounds; infinite where there is none.
        """
        known = np.isfinite(values)
        values, accepted = values[known], accepted[known]
        ends = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        if ends[0] == ends[1]:
            ends = (ends[0] - 0.5, ends[1] + 0.5)
        edges = np.linspace(*ends, BINS + 1)
        sure, rest = (np.histogram(values[which], edges)[0] for which in (accepted, ~accepted))
        middles, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
        self.certain.setOpts(x=middles, height=sure, width=width)
        self.uncertain.setOpts(x=middles, height=rest, y0=sure, width=width)
        self.getAxis("bottom").setLabel(title)
        self.ends = ends
        self._speaks = False
        self.span.setBounds((ends[0] - width, ends[1] + width))
        self.span.setRegion((max(low, ends[0]), min(high, ends[1])))
        self._speaks = True
        self.setXRange(*ends, padding=0.03)
        self.setYRange(0, max(1, int((sure + rest).max(initial=1))), padding=0.05)

    def _say(self) -> None:
        if self._speaks:
            low, high = self.span.getRegion()
            self.bounds_changed.emit(
                float(low) if low > self.ends[0] else -np.inf, float(high) if high < self.ends[1] else np.inf
            )

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's name
        """Leave the wheel to the dock."""
        event.ignore()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Fit the theme of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            style.follow(self)
            self.show_theme()

    def show_theme(self) -> None:
        """Draw in the colours of the theme."""
        colours, bars = style.theme(), QColor(style.colour(style.VALIDATION))
        pale = QColor(bars)
        pale.setAlpha(_PALE_ALPHA)
        for item, brush in ((self.certain, bars), (self.uncertain, pale)):
            item.setOpts(brush=pg.mkBrush(brush), pen=pg.mkPen(None))
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(pg.mkPen(QColor(colours.quiet)))
            axis.setTextPen(pg.mkPen(QColor(colours.quiet)))
