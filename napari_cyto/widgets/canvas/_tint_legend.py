"""What the colours of cells on the slide mean while they stand for a number."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_cyto.session.cell_tint import CellTint
from napari_cyto.widgets.ramp import NO_NUMBER, RAMP

_LEFT_PX = 10
# Above the bar with the magnification.
_BELOW_PX = 52


class TintLegend(QLabel):
    """Lies in the lower left of the slide, above the magnification."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._tint: CellTint | None = None
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            "QLabel { background: rgba(24, 27, 33, 215); color: #f2f3f5; border-radius: 4px; padding: 4px 8px; }"
        )
        canvas.installEventFilter(self)
        self.hide()

    def show_tint(self, tint: CellTint | None) -> None:
        """Explain a tint, or with None go away."""
        if tint is self._tint:
            return
        self._tint = tint
        self.setVisible(tint is not None)
        if tint is not None:
            self.setText(legend_of(tint))
            self.adjustSize()
            self._fit()
            self.raise_()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Stay in the corner when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _fit(self) -> None:
        self.move(_LEFT_PX, max(0, self._canvas.height() - self.height() - _BELOW_PX))


def legend_of(tint: CellTint) -> str:
    """Return the legend of a tint, rich text."""
    steps = "".join(f"<span style='color:{colour}'>&#9632;</span>" for colour in RAMP)
    pale = "<br>paler: outline not accepted" if tint.uncertain else ""
    return (
        f"<b>{escape(tint.title)}</b><br>{tint.low:.3g} {steps} {tint.high:.3g} &nbsp; "
        f"<span style='color:{NO_NUMBER}'>&#9632;</span>&nbsp;not measured{pale}"
    )
