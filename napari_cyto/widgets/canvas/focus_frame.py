"""A frame round the slide while it has the keyboard: four strips, since a sheet over it would slow each painting."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QWidget

WIDTH_PX = 3
COLOUR = "#3d9bff"


class FocusFrame(QObject):
    """Shows whether keys go to the slide."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.strips = [QWidget(canvas) for _ in range(4)]
        for strip in self.strips:
            strip.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            strip.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
            strip.setStyleSheet(f"background: {COLOUR};")
        canvas.installEventFilter(self)
        self._fit()
        self._show(canvas.hasFocus())

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Qt's hook: the keyboard comes or goes, or the canvas has another size."""
        kind = event.type()
        if kind in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self._show(kind == QEvent.Type.FocusIn)
        elif kind == QEvent.Type.Resize:
            self._fit()
        return False

    def let_go(self) -> None:
        """Stop watching."""
        self._canvas.removeEventFilter(self)

    def _show(self, focused: bool) -> None:
        for strip in self.strips:
            strip.setVisible(focused)

    def _fit(self) -> None:
        width, height = self._canvas.width(), self._canvas.height()
        top, bottom, left, right = self.strips
        top.setGeometry(0, 0, width, WIDTH_PX)
        bottom.setGeometry(0, height - WIDTH_PX, width, WIDTH_PX)
        left.setGeometry(0, 0, WIDTH_PX, height)
        right.setGeometry(width - WIDTH_PX, 0, WIDTH_PX, height)
