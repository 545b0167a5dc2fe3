"""The options of the view: how annotations are drawn, acting at once and kept for the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDialog, QFormLayout, QLabel, QPushButton, QSlider, QSpinBox, QWidget

from napari_cyto.widgets.canvas.view_options import LINE_PX, OPACITY, ViewOptions

_PERCENT = 100


class ViewPanel(QDialog):
    """A small window over the slide; ``changed`` gets each choice.

    Parameters
    ----------
    parent : QWidget
        The main window.
    options : ViewOptions
        As they are now.
    changed : callable
        Hears of each change.
    legend : str
        Which shape stands for which class.
    """

    def __init__(
        self, parent: QWidget, options: ViewOptions, changed: Callable[[ViewOptions], object], legend: str
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("View of annotations")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.options = options
        self._changed = changed
        self.shapes = QCheckBox("Distinguish classes by shape as well as colour")
        self.shapes.setToolTip(
            "Draws each class with a shape of its own, for colour-blind readers. Filled: accepted; hollow: unreviewed."
        )
        self.points_only = QCheckBox("Points only (boxes of the selection only)")
        self.line = QSpinBox()
        self.line.setRange(*LINE_PX)
        self.line.setSuffix(" px")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(round(OPACITY[0] * _PERCENT), round(OPACITY[1] * _PERCENT))
        usual = QPushButton("Reset view options")
        for widget, name in (
            (self.shapes, "shape per class"),
            (self.points_only, "points only"),
            (self.line, "line width, px"),
            (self.opacity, "opacity of annotations"),
            (usual, "reset view options"),
        ):
            widget.setAccessibleName(name)
        self.legend = QLabel(legend)
        self.legend.setWordWrap(True)
        form = QFormLayout(self)
        form.addRow(self.shapes)
        form.addRow(self.legend)
        form.addRow(self.points_only)
        form.addRow("Line width", self.line)
        form.addRow("Opacity", self.opacity)
        form.addRow(usual)
        self._show()
        self.shapes.toggled.connect(lambda on: self._choose(shapes=on))
        self.points_only.toggled.connect(lambda on: self._choose(points_only=on))
        self.line.valueChanged.connect(lambda px: self._choose(line_px=px))
        self.opacity.valueChanged.connect(lambda percent: self._choose(opacity=percent / _PERCENT))
        usual.clicked.connect(self._as_at_first)

    def _choose(self, **values: Any) -> None:
        self.options = replace(self.options, **values)
        self._changed(self.options)

    def _as_at_first(self) -> None:
        self.options = ViewOptions()
        self._show()
        self._changed(self.options)

    def _show(self) -> None:
        for widget in (self.shapes, self.points_only, self.line, self.opacity):
            widget.blockSignals(True)
        self.shapes.setChecked(self.options.shapes)
        self.points_only.setChecked(self.options.points_only)
        self.line.setValue(self.options.line_px)
        self.opacity.setValue(round(self.options.opacity * _PERCENT))
        for widget in (self.shapes, self.points_only, self.line, self.opacity):
            widget.blockSignals(False)
