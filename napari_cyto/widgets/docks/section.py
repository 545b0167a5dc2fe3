"""A titled part of a dock that folds away, and is as high as what it shows."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.widgets.docks.controls import Button

_OPEN, _FOLDED = "▾", "▸"


class Section(QWidget):
    """``content`` under a title; ``toggled`` carries whether it is open.

    superqt's QCollapsible animates to the height that its content had when it was opened and cuts off what comes
    later; here the layout decides.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, content: QWidget, tip: str, opened: bool = False) -> None:
        super().__init__()
        self._title = title
        self._content = content
        self.head = Button("")
        self.head.setToolTip(tip)
        self.head.setAccessibleName(title)
        self.head.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.head.setProperty("role", "section")
        self.head.clicked.connect(lambda _checked=False: self.set_open(not self.is_open))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.head)
        layout.addWidget(content)
        self.is_open: bool = opened
        self._show(opened)

    def set_open(self, opened: bool) -> None:
        """Show the content or fold it away."""
        if opened != self.is_open:
            self._show(opened)
            self.toggled.emit(opened)

    def _show(self, opened: bool) -> None:
        self.is_open = opened
        self._content.setVisible(opened)
        self.head.setText(f"{_OPEN if opened else _FOLDED}  {self._title}")
