"""The light of the slide on screen in a small window over it: sliders that act at once, white balance, and reset."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QFormLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from napari_cyto.widgets.microscope._lamp import ONLY_HERE, Lamp
from napari_cyto.widgets.microscope._light import BRIGHTNESS, CONTRAST, GAMMA

_STEPS = 200
_PERCENT = 100


class LightPanel(QDialog):
    """Follows the lamp, whoever turns it.

    Parameters
    ----------
    parent : QWidget
        The main window.
    lamp : Lamp
        Whose light it shows.
    pick : callable
        Has the next click on the slide choose the glass that is white.
    """

    def __init__(self, parent: QWidget, lamp: Lamp, pick: Callable[[], object]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Light of the view")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._lamp = lamp
        self.brightness = _slider("brightness", "Alt+Up and Alt+Down")
        self.contrast = _slider("contrast", "Alt+Right and Alt+Left")
        self.gamma = _slider("gamma", "Alt+PageUp and Alt+PageDown; under 1 the dark parts become lighter")
        self._values = {name: QLabel() for name in ("brightness", "contrast", "gamma")}
        self.pick = _button("Click on glass…", "The next click on the slide takes the glass there for white (W).")
        self.auto = _button("Automatic", "Takes the brightest glass of the slide for white (Shift+W).")
        self.reset = _button("Reset", "Shows the slide as its file has it (Shift+I).")
        form = QFormLayout(self)
        for words, slider in (
            ("Brightness", self.brightness),
            ("Contrast", self.contrast),
            ("Gamma", self.gamma),
        ):
            value = self._values[words.lower()]
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("+100 %") + 4)
            form.addRow(words, _row(slider, value))
        form.addRow("White balance", _row(self.pick, self.auto))
        form.addRow(self.reset)
        note = QLabel(f"Of this slide, until the window is closed. {ONLY_HERE}")
        note.setWordWrap(True)
        form.addRow(note)
        self.show_light()
        for slider in (self.brightness, self.contrast, self.gamma):
            slider.valueChanged.connect(self._choose)
        self.pick.clicked.connect(lambda: pick())
        self.auto.clicked.connect(lambda: lamp.balance())
        self.reset.clicked.connect(lambda: lamp.reset())
        lamp.changed.connect(self.show_light)
        self.finished.connect(lambda _result: lamp.changed.disconnect(self.show_light, missing_ok=True))

    def _choose(self, _at: int) -> None:
        self._lamp.show_in(
            replace(
                self._lamp.light,
                brightness=_linear(self.brightness.value(), BRIGHTNESS),
                contrast=_factor(self.contrast.value(), CONTRAST),
                gamma=_factor(self.gamma.value(), GAMMA),
            )
        )

    def show_light(self) -> None:
        """Show the light of now."""
        light = self._lamp.light
        for slider, at in (
            (self.brightness, _linear_step(light.brightness, BRIGHTNESS)),
            (self.contrast, _factor_step(light.contrast, CONTRAST)),
            (self.gamma, _factor_step(light.gamma, GAMMA)),
        ):
            slider.blockSignals(True)
            slider.setValue(at)
            slider.blockSignals(False)
        self._values["brightness"].setText(f"{light.brightness * _PERCENT:+.0f} %" if light.brightness else "0 %")
        self._values["contrast"].setText(f"{light.contrast * _PERCENT:.0f} %")
        self._values["gamma"].setText(f"{light.gamma:.2f}")


def _slider(name: str, tip: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(-_STEPS, _STEPS)
    slider.setMinimumWidth(180)
    slider.setAccessibleName(f"{name} of the view")
    slider.setToolTip(tip)
    return slider


def _button(words: str, tip: str) -> QPushButton:
    button = QPushButton(words)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    return button


def _row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return holder


def _linear(step: int, bounds: tuple[float, float]) -> float:
    return bounds[1] * step / _STEPS if step >= 0 else -bounds[0] * step / _STEPS


def _linear_step(value: float, bounds: tuple[float, float]) -> int:
    return round(_STEPS * (value / bounds[1] if value >= 0 else -value / bounds[0]))


def _factor(step: int, bounds: tuple[float, float]) -> float:
    """Return the factor at a place of the slider, whose middle is 1."""
    return float(bounds[1] ** (step / _STEPS) if step >= 0 else bounds[0] ** (-step / _STEPS))


def _factor_step(value: float, bounds: tuple[float, float]) -> int:
    return round(_STEPS * (math.log(value) / math.log(bounds[1] if value >= 1 else 1 / bounds[0])))
