"""The few kinds of controls that all docks are made of, each with a tooltip and a place in the tab order."""

from __future__ import annotations

import re
from collections.abc import Callable

from qtpy.QtCore import QPoint, QRect, QSize, Qt
from qtpy.QtWidgets import QLabel, QLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_cyto.widgets import style
from napari_cyto.widgets.docks.controls import BREAK, Button, FlowLayout

GAP = 4
# Names of scans are often long hashes, which have no sign to break after.
UNBROKEN_AT_MOST = 14


def button(text: str, tip: str, clicked: Callable[[], object], *, icon: str = "", name: str = "") -> QPushButton:
    """Return a push button; a click of the mouse leaves the keys with the slide, Tab still reaches it."""
    made = Button(text)
    made.setToolTip(tip)
    made.setAccessibleName(name or text)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if icon:
        made.setIcon(style.icon(icon))
        made.setIconSize(QSize(16, 16))
    made.clicked.connect(lambda _checked=False: _run(made, clicked))
    return made


def toggle(text: str, tip: str, clicked: Callable[[], object], *, icon: str = "", name: str = "") -> QPushButton:
    """Return a push button that stays down; the caller sets its state from the session."""
    made = button(text, tip, clicked, icon=icon, name=name)
    made.setCheckable(True)
    return made


def _run(source: QWidget, action: Callable[[], object]) -> None:
    action()
    focus_canvas(source)


def focus_canvas(source: QWidget) -> None:
    """Give the keyboard back to the slide, so that class keys work again after a click in a dock."""
    viewer = getattr(source.window(), "_qt_viewer", None)
    if viewer is not None and source.window().isActiveWindow():
        viewer.canvas.native.setFocus()


def is_in_sight(widget: QWidget) -> bool:
    """Whether any of a widget can be seen: a dock behind others counts as visible in Qt, but lies beside the window."""
    window = widget.window()
    place = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
    return bool(widget.isVisible() and window.rect().intersects(place))


def discard(widget: QWidget) -> None:
    """Take a widget out of a dock for good."""
    # Qt shows what was added to a layout a moment later: without a parent by then, as a window of its own.
    widget.hide()
    widget.setParent(None)
    widget.deleteLater()


def text(words: str = "", *, colour: str = "", bold: bool = False, selectable: bool = False) -> QLabel:
    """Return a label that wraps rather than cuts; ``colour`` is one of the tones of `style`."""
    label = QLabel(words)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    # Wrapped labels report the height of one line unless the width may shrink freely.
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    if bold:
        label.setStyleSheet("QLabel { font-weight: bold; }")
    if colour:
        label.setProperty(style.TONE, colour)
    if selectable:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def row(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """Return the widgets side by side, on two lines where they must; the one at ``stretch`` takes what is left over."""
    made = QWidget()
    layout = FlowLayout(made, stretch, gap_px=GAP)
    for widget in widgets:
        layout.addWidget(widget)
    return made


def column(*widgets: QWidget) -> QWidget:
    """Return the widgets one below the other."""
    made = QWidget()
    layout = QVBoxLayout(made)
    tighten(layout)
    for widget in widgets:
        layout.addWidget(widget)
    return made


def tighten(layout: QLayout) -> None:
    """Take away the margins that a form inside a form does not need."""
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GAP)


def breakable(name: str) -> str:
    """Return a file name that a label may break after its signs: Qt breaks lines at blanks only."""
    after_signs = re.sub(r"([_\-./\\])", "\\1" + BREAK, name)
    return re.sub(rf"([^\u200b]{{{UNBROKEN_AT_MOST}}})(?=[^\u200b]{{4}})", "\\1" + BREAK, after_signs)


def unbroken(words: str) -> str:
    """Return words without the places to break that `breakable` put in."""
    return words.replace(BREAK, "")


def number(count: int) -> str:
    """Return a count as people write it: 1,204."""
    return f"{count:,}"
