"""What stands in the corners of the slide: what the next click would make, and how many cells are not drawn."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_cyto.session import Session, Tool
from napari_cyto.widgets import style

_CORNER_PX = 10
_SWATCH_PX = 14
_RULES = (
    "QWidget#badge { background: rgba(24, 27, 33, 215); border-radius: 4px; }"
    "QLabel { background: transparent; color: #f2f3f5; }"
    "QPushButton { background: #3a414d; color: #f2f3f5; border: 1px solid #6f7885; border-radius: 3px;"
    " padding: 1px 7px; }"
    "QPushButton:focus { border: 2px solid #3d9bff; padding: 0px 6px; }"
    "QPushButton:hover { background: #4a5361; }"
)
TOOL_WORDS = {
    Tool.SELECT: "Select",
    Tool.POINT: "Point",
    Tool.BOX: "Box",
    Tool.REGION: "Region",
    Tool.OUTLINE: "Outline",
}


class Badge(QWidget):
    """Shows tool and class of a session over its slide, and holds the button for the view's options."""

    def __init__(self, canvas: QWidget, session: Session) -> None:
        super().__init__(canvas)
        self._canvas, self._session = canvas, session
        self.setObjectName("badge")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_RULES)
        self.swatch = QLabel()
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.view = QPushButton("View…")
        self.view.setToolTip("How annotations are drawn: shapes, points only, line width, opacity.")
        self.view.setAccessibleName("view options")
        self.view.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 3, 4, 3)
        layout.setSpacing(6)
        for widget in (self.swatch, self.words, self.view):
            layout.addWidget(widget)
        self._signals = (session.project_changed, session.slide_changed, session.class_changed, session.tool_changed)
        for signal in self._signals:
            signal.connect(self.refresh)
        canvas.installEventFilter(self)
        self.refresh()

    def refresh(self) -> None:
        """Show what is true now; nothing while no slide is there to click on."""
        session, project = self._session, self._session.project
        if project is None or session.slide is None or session.current_class not in project.scheme:
            self.hide()
            return
        cell_class = project.scheme[session.current_class]
        is_annotating = session.tool in (Tool.POINT, Tool.BOX, Tool.OUTLINE)
        self.swatch.setPixmap(style.swatch(cell_class.colour, _SWATCH_PX))
        self.swatch.setVisible(session.tool is not Tool.REGION)
        next_class = f"<b>{escape(cell_class.label)}</b>"
        next_class = next_class if is_annotating else f"next: {next_class}"
        words = TOOL_WORDS[session.tool]
        if session.tool is Tool.OUTLINE:
            words += f" &nbsp;·&nbsp; corrects <b>{session.outlines.ring}</b> (O: other ring)"
        self.words.setText(words if session.tool is Tool.REGION else f"{words} &nbsp;·&nbsp; {next_class}")
        self.adjustSize()
        self._fit()
        self.show()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Stay in the corner when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def let_go(self) -> None:
        """Stop listening."""
        for signal in self._signals:
            signal.disconnect(self.refresh, missing_ok=True)
        self._canvas.removeEventFilter(self)

    def _fit(self) -> None:
        self.move(max(self._canvas.width() - self.width() - _CORNER_PX, 0), _CORNER_PX)


_CORNER_PX = 10


class Note(QLabel):
    """Says one thing for as long as it is so.

    napari's own line of text over the canvas costs 30 ms a repaint without a graphics card; a label costs nothing.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            "QLabel { background: rgba(24, 27, 33, 200); color: #f2f3f5; border-radius: 4px; padding: 3px 8px; }"
        )
        self.move(_CORNER_PX, _CORNER_PX)
        self.hide()

    def show_message(self, words: str) -> None:
        """Show ``words``, or nothing when there are none."""
        if words != self.text():
            self.setText(words)
            self.adjustSize()
        self.setVisible(bool(words))
