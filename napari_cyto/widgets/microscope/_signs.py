"""What is not as at first about the view, each said on the slide itself, with a click to set it right."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

_CORNER_PX, _ABOVE_BAR_PX = 10, 46
_RULES = (
    "QPushButton { background: rgba(96, 66, 8, 225); color: #ffe9b8; border: 1px solid #efb548; border-radius: 4px;"
    " padding: 2px 7px; text-align: left; }"
    "QPushButton:hover { background: rgba(126, 88, 12, 235); }"
    "QPushButton:focus { border: 2px solid #3d9bff; padding: 1px 6px; }"
)


class Signs(QWidget):
    """A column over the magnification, one line for each thing.

    Parameters
    ----------
    canvas : QWidget
        The widget with the slide.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setStyleSheet(_RULES)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._buttons: dict[str, QPushButton] = {}
        canvas.installEventFilter(self)
        self.hide()

    def add(self, name: str, tip: str, clicked: Callable[[], object]) -> None:
        """Make room for a sign: its name, what a click does, in words and in deed."""
        button = self._buttons[name] = QPushButton()
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(tip)
        button.clicked.connect(lambda _checked=False: clicked())
        button.hide()
        self._layout.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)

    def say(self, name: str, words: str) -> None:
        """Have a sign say something, or be gone where there are no words."""
        button = self._buttons[name]
        if words == button.text() and button.isHidden() == (not words):
            return
        button.setText(words)
        button.setAccessibleName(words)
        button.setVisible(bool(words))
        self.fit()

    @property
    def words(self) -> list[str]:
        """What is said now."""
        return [button.text() for button in self._buttons.values() if button.text()]

    def let_go(self) -> None:
        """Stop listening."""
        self._canvas.removeEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Stay in the corner when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self.fit()
        return False

    def fit(self) -> None:
        """Lie over the bar of the magnification."""
        self.setVisible(bool(self.words))
        self.adjustSize()
        self.move(_CORNER_PX, max(self._canvas.height() - self.height() - _ABOVE_BAR_PX, 0))
