"""One sentence over the lower edge of the slide: what just happened, or what went wrong and what to do."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QLabel, QWidget

SHOWN_MS = 6000
# A long sentence takes longer to read.
SHOWN_MS_PER_LETTER = 60
MARGIN_PX = 12
# The scale bar stands in the lower corner.
ABOVE_SCALE_BAR_PX = 60


class MessageLine(QLabel):
    """Shows the last message for a while; a click takes it away."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setToolTip("Click to hide this message.")
        self.setStyleSheet(
            "QLabel { background: rgba(24, 27, 33, 235); color: #f2f3f5; border: 1px solid #6f7885;"
            " border-radius: 6px; padding: 6px 10px; }"
        )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        canvas.installEventFilter(self)
        self.hide()

    def show_message(self, sentence: str) -> None:
        """Show ``sentence``."""
        self.setText(sentence)
        self._fit()
        self.show()
        self.raise_()
        self._timer.start(SHOWN_MS + SHOWN_MS_PER_LETTER * len(sentence))

    def report_now(self, sentence: str) -> None:
        """Show ``sentence`` before the window stands still, which it does as soon as this returns."""
        self.show_message(sentence)
        self.repaint()

    def let_go(self) -> None:
        """Stop waiting to hide."""
        self._timer.stop()
        self._canvas.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, ARG002  Qt's name
        """Stay in place when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def mousePressEvent(self, _event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """Go away."""
        self.hide()

    def _fit(self) -> None:
        room = self._canvas.rect()
        widest = max(120, min(620, room.width() - 2 * MARGIN_PX))
        text_px = self.fontMetrics().horizontalAdvance(self.text()) + 36
        width = min(widest, text_px)
        height = self.heightForWidth(width)
        self.setGeometry((room.width() - width) // 2, room.height() - height - ABOVE_SCALE_BAR_PX, width, height)
