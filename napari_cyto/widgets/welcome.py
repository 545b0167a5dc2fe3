"""What lies where a slide will be: how to begin, in place of napari's own advice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

BUTTON_PX = 220
PADDING_PX = 24
HOW = "Or drop slides, images or a folder of them here. Annotations are saved in a project, a folder beside the slides."


class Welcome(QWidget):
    """Covers the empty canvas with the first step: a project, or slides for the one that is open.

    Parameters
    ----------
    holder : QWidget
        What the canvas lies in; drops go on to it.
    session : Session
        Whose slide is waited for.
    add_slides, open_project : callable
        What the buttons do.
    """

    def __init__(
        self, holder: QWidget, session: Session, add_slides: Callable[[], object], open_project: Callable[[], object]
    ) -> None:
        super().__init__(holder)
        self._session = session
        self._holder = holder
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.add = parts.button("Add slides…", "Choose slide or image files.", add_slides, icon="add")
        self.open = parts.button("Open a project…", "Choose a project's folder.", open_project, icon="open")
        self.words = parts.text(HOW)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.add.setMinimumHeight(56)
        self.add.setIconSize(QSize(24, 24))
        self.add.setStyleSheet("QPushButton { font-weight: bold; font-size: 16pt; }")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(PADDING_PX, PADDING_PX, PADDING_PX, PADDING_PX)
        layout.setSpacing(PADDING_PX // 2)
        layout.addStretch(1)
        for button in (self.add, self.open):
            button.setMinimumWidth(BUTTON_PX)
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(self.words)
        layout.addStretch(1)
        self._heard = (session.project_changed, session.slide_changed)
        for signal in self._heard:
            signal.connect(self.show_state)
        holder.installEventFilter(self)
        self.show_state()

    def show_state(self) -> None:
        """Cover the canvas while no slide is on it."""
        empty = self._session.slide is None
        if empty:
            self.setGeometry(self._holder.rect())
            self.open.setVisible(self._session.project is None)
            style.dress(self)
            self.raise_()
        self.setVisible(empty)

    def let_go(self) -> None:
        """Stop listening."""
        for signal in self._heard:
            signal.disconnect(self.show_state, missing_ok=True)
        self._holder.removeEventFilter(self)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Fit the theme of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            style.dress(self)

    def eventFilter(self, _watched: QObject, event: Any) -> bool:  # noqa: N802  Qt's name
        """Keep covering the canvas at another size, and lie over what napari shows later."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest) and self.isVisible():
            self.setGeometry(self._holder.rect())
            self.raise_()
        return False
