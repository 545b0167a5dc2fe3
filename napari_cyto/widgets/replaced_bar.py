"""A bar over the slide while nothing can be stored, since the project's file was replaced: how to go on."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_cyto.session import Session
from napari_cyto.widgets.docks import parts

_MARGIN_PX = 12
_BELOW_BADGE_PX = 44
_MOST_PX = 720
_RULES = (
    "QWidget#replaced { background: rgba(92, 30, 26, 245); border: 2px solid #ffb4a8; border-radius: 6px; }"
    "QLabel { background: transparent; color: #ffffff; }"
    "QPushButton { background: #ffffff; color: #20242b; border: 1px solid #20242b; border-radius: 4px;"
    " padding: 4px 10px; }"
    "QPushButton:focus { border: 2px solid #3d9bff; padding: 3px 9px; }"
)


class ReplacedBar(QWidget):
    """Says that nothing is stored any more, what is on screen only, and offers the ways out.

    Parameters
    ----------
    canvas : QWidget
        What it lies on.
    session : Session
        Whose project it is about.
    """

    def __init__(self, canvas: QWidget, session: Session) -> None:
        super().__init__(canvas)
        self._canvas, self._session = canvas, session
        self.setObjectName("replaced")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_RULES)
        self.words = parts.text()
        self.copy = parts.button(
            "Save a copy and continue in it",
            (
                "Saves everything that was open here, including the unsaved change on screen, as a project "
                "beside this one, and opens it. What has replaced the project is left untouched."
            ),
            lambda: self._do(session.projects.go_on_in_copy),
        )
        self.open = parts.button(
            "Open the replaced project",
            (
                "Opens what is in the project's folder now. The unsaved change on screen is discarded; "
                "everything else that only this window has is first saved in a copy beside the project."
            ),
            lambda: self._do(session.projects.open_what_is_there),
        )
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.copy)
        row.addWidget(self.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(8)
        layout.addWidget(self.words)
        layout.addLayout(row)
        session.replaced_changed.connect(self.refresh)
        canvas.installEventFilter(self)
        self.refresh()

    def refresh(self) -> None:
        """Show what is true now; nothing while the file is the one that was opened."""
        replaced, edit = self._session.replaced, self._session.unsaved
        if not replaced:
            self.hide()
            return
        shown = "All changes before that were saved in the original file."
        if edit is not None:
            shown = f"'{edit.label}' is on screen, but NOT saved; nothing more can be changed until you choose."
        self.words.setText(f"{replaced}\n{shown}")
        self._fit()
        self.show()
        self.raise_()

    def let_go(self) -> None:
        """Stop listening."""
        self._session.replaced_changed.disconnect(self.refresh, missing_ok=True)
        self._canvas.removeEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Stay in place when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _do(self, way: Callable[[], object]) -> None:
        with self._session.telling():
            way()

    def _fit(self) -> None:
        width = max(160, min(_MOST_PX, self._canvas.width() - 2 * _MARGIN_PX))
        height = self.layout().heightForWidth(width)
        self.setGeometry((self._canvas.width() - width) // 2, _BELOW_BADGE_PX, width, max(height, 60))
