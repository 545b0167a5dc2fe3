"""How many cells of each class are recognised, as one bar a class."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_cyto.widgets import style

ROW_PX = 20
NAME_PX, VALUE_PX = 78, 52
BAR_PX = 10
TRACK = QColor(128, 134, 144, 60)
TIP = "Recall: share of the validation cells of a class that are predicted as that class. A dash: no such cell."


class ClassRecall(QWidget):
    """Shows recall by class; ``colours`` by class id."""

    def __init__(self) -> None:
        super().__init__()
        self._recall: Mapping[str, float | None] = {}
        self._colours: Mapping[str, str] = {}
        self.setToolTip(TIP)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._report()

    def show_recall(self, recall: Mapping[str, float | None], colours: Mapping[str, str]) -> None:
        """Show the recall of each class."""
        if recall == self._recall and colours == self._colours:
            return
        self._recall, self._colours = recall, colours
        self._report()
        self.updateGeometry()
        self.update()

    def _report(self) -> None:
        said = ", ".join(f"{name} {_words(value)}" for name, value in self._recall.items())
        self.setAccessibleName(f"recall by class: {said or 'not known yet'}")

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """A row a class."""
        return QSize(200, max(1, len(self._recall)) * ROW_PX)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's name
        """Draw names, bars and figures."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        width = max(10, self.width() - NAME_PX - VALUE_PX)
        for row, (name, value) in enumerate(self._recall.items()):
            top = row * ROW_PX
            painter.setPen(text)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, top, NAME_PX - 6, ROW_PX), middle | Qt.AlignmentFlag.AlignLeft, name)
            right = QRectF(self.width() - VALUE_PX, top, VALUE_PX, ROW_PX)
            painter.drawText(right, middle | Qt.AlignmentFlag.AlignRight, _words(value))
            painter.setPen(Qt.PenStyle.NoPen)
            track = QRectF(NAME_PX, top + (ROW_PX - BAR_PX) / 2, width, BAR_PX)
            painter.setBrush(TRACK)
            painter.drawRoundedRect(track, 3, 3)
            if value:
                painter.setBrush(QColor(self._colours.get(name, "#56b4e9")))
                # Black classes are seen on a dark window by their rim, pale ones on a light one.
                painter.setPen(QColor(style.theme().rim))
                painter.drawRoundedRect(QRectF(track.left(), track.top(), width * value, BAR_PX), 3, 3)
        painter.end()


def _words(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
