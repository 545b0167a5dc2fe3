"""The magnification on the slide: what it is now, buttons for the objectives, a slider, and the menu of the tools."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QSlider, QToolButton, QWidget

from napari_cyto.domain.coverage import MAGNIFICATIONS

_CORNER_PX = 10
_STEPS_PER_OCTAVE = 16
# From a whole slide on a small screen to nuclei as large as a hand.
RANGE = (0.05, 160.0)
_NARROW_PX = 560
_RULES = (
    "QWidget#magnification { background: rgba(24, 27, 33, 215); border-radius: 4px; }"
    "QLabel { background: transparent; color: #f2f3f5; font-weight: bold; }"
    "QLabel[beyond='true'] { color: #efb548; }"
    "QPushButton, QToolButton { background: #3a414d; color: #f2f3f5; border: 1px solid #6f7885; border-radius: 3px;"
    " padding: 1px 5px; }"
    "QPushButton:checked { background: #2d6cb5; }"
    "QPushButton:disabled { color: #8a919b; }"
    "QPushButton:focus, QToolButton:focus { border: 2px solid #3d9bff; padding: 0px 4px; }"
    "QPushButton:hover, QToolButton:hover { background: #4a5361; }"
    "QToolButton::menu-indicator { image: none; }"
)
NO_MPP_TIP = "The slide's file does not say how large a pixel is, so its magnification is unknown (see the Slide dock)."


def magnification_words(magnification: float) -> str:
    """Return a magnification as people read it."""
    return f"{magnification:.3g}x" if magnification < 9.95 else f"{magnification:.0f}x"


def to_step(magnification: float) -> int:
    """Return the place of a magnification on the slider, which has as many steps for each doubling."""
    return round(math.log2(magnification) * _STEPS_PER_OCTAVE)


def of_step(step: int) -> float:
    """Return the magnification at a place of the slider."""
    return float(2 ** (step / _STEPS_PER_OCTAVE))


class MagnificationBar(QWidget):
    """Lies in the lower left corner of the slide.

    Parameters
    ----------
    canvas : QWidget
        The widget with the slide.
    go_to : callable
        Shows the slide at a magnification; where the size of a pixel is unknown, at so many hundredths of a px of the
        screen for each px of the slide.
    """

    def __init__(self, canvas: QWidget, go_to: Callable[[float], object]) -> None:
        super().__init__(canvas)
        self._canvas, self._go_to = canvas, go_to
        self.setObjectName("magnification")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_RULES)
        self.words = QLabel()
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words.setMinimumWidth(self.words.fontMetrics().horizontalAdvance("0.123x") + 12)
        self.objectives = {power: self._button(power) for power in MAGNIFICATIONS}
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(*(to_step(end) for end in RANGE))
        self.slider.setFixedWidth(110)
        self.slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.slider.setToolTip("Drag to zoom.")
        self.slider.setAccessibleName("zoom")
        self.slider.valueChanged.connect(lambda step: self._go_to(of_step(step)))
        self.tools = QToolButton()
        self.tools.setText("Tools")
        self.tools.setToolTip("Ruler, field of view and the other tools of the microscope, with their keys.")
        self.tools.setAccessibleName("microscope tools")
        self.tools.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.tools.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 3, 4, 3)
        layout.setSpacing(4)
        for widget in (self.words, *self.objectives.values(), self.slider, self.tools):
            layout.addWidget(widget)
        canvas.installEventFilter(self)
        self.hide()

    def _button(self, power: float) -> QPushButton:
        button = QPushButton(f"{power:g}x")
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAccessibleName(f"magnification {power:g}x")
        button.clicked.connect(lambda _checked=False: self._go_to(power))
        return button

    def offer(self, menu: QMenu) -> None:
        """Put a menu behind the button of the tools."""
        self.tools.setMenu(menu)

    def show_magnification(self, magnification: float, scanned: float | None) -> None:
        """Tell the magnification of now, and that of the scan, beyond which a slide shows nothing new.

        Parameters
        ----------
        magnification : float
            As the slider speaks of it.
        scanned : float or None
            That of the slide's own px; None where the size of a pixel is unknown.
        """
        beyond = scanned is not None and magnification > scanned * 1.02
        if scanned is None:
            words, tip = f"{magnification:.3g} %", NO_MPP_TIP
        else:
            words = magnification_words(magnification)
            tip = f"40x: 0.25 µm per px of the screen. The slide was scanned at {magnification_words(scanned)}"
            tip += "; nearer, its own pixels grow." if beyond else "."
        if words != self.words.text():
            self.words.setText(words)
        if tip != self.words.toolTip():
            self.words.setToolTip(tip)
            self.words.setProperty("beyond", "true" if beyond else "false")
            self.words.style().polish(self.words)
        for power, button in self.objectives.items():
            button.setEnabled(scanned is not None)
            button.setToolTip(NO_MPP_TIP if scanned is None else f"Magnification {power:g}x")
            button.setChecked(scanned is not None and abs(magnification / power - 1) < 0.01)
        self.slider.blockSignals(True)
        self.slider.setValue(to_step(min(max(magnification, RANGE[0]), RANGE[1])))
        self.slider.blockSignals(False)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Stay in the corner when the canvas changes its size."""
        if event.type() == QEvent.Type.Resize:
            self.fit()
        return False

    def let_go(self) -> None:
        """Stop listening."""
        self._canvas.removeEventFilter(self)

    def fit(self) -> None:
        """Lie in the corner, without the slider where there is little room."""
        self.slider.setVisible(self._canvas.width() >= _NARROW_PX)
        self.adjustSize()
        self.move(_CORNER_PX, max(self._canvas.height() - self.height() - _CORNER_PX, 0))


def menu_of(parent: QWidget, rows: Sequence[tuple[str, str, Callable[[], Any]] | None]) -> QMenu:
    """Return a menu of actions: words, key and what is done; None for a line between them."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    for row in rows:
        if row is None:
            menu.addSeparator()
        else:
            words, key, action = row
            menu.addAction(f"{words}\t{key}" if key else words).triggered.connect(lambda _on=False, do=action: do())
    return menu
