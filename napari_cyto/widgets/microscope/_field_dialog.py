"""Which eyepiece and objective the circle of the field of view is of."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QDoubleSpinBox, QFormLayout, QLabel, QWidget

from napari_cyto.widgets.microscope._field_circle import FIELD_NUMBERS, OBJECTIVES, FieldOfView


class FieldDialog(QDialog):
    """A small window over the slide; ``changed`` gets each choice.

    Parameters
    ----------
    parent : QWidget
        The main window.
    field : FieldOfView
        As it is now.
    changed : callable
        Hears of each change.
    """

    def __init__(self, parent: QWidget, field: FieldOfView, changed: Callable[[FieldOfView], object]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Field of view")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._changed = changed
        self.number = QDoubleSpinBox()
        self.number.setRange(*FIELD_NUMBERS)
        self.number.setDecimals(1)
        self.number.setSingleStep(0.5)
        self.number.setToolTip("Engraved on the eyepiece, for instance FN 22.")
        self.number.setValue(field.number)
        self.objective = QComboBox()
        for power in OBJECTIVES:
            self.objective.addItem(f"{power}x", power)
        self.objective.setCurrentIndex(OBJECTIVES.index(field.objective))
        self.follows = QCheckBox("Follow the mouse")
        self.follows.setChecked(field.follows_mouse)
        self.words = QLabel(field.words)
        for widget, name in (
            (self.number, "field number, mm"),
            (self.objective, "objective"),
            (self.follows, "circle follows the mouse"),
        ):
            widget.setAccessibleName(name)
        form = QFormLayout(self)
        form.addRow("Field number", self.number)
        form.addRow("Objective", self.objective)
        form.addRow(self.follows)
        form.addRow(self.words)
        self.number.valueChanged.connect(self._choose)
        self.objective.currentIndexChanged.connect(self._choose)
        self.follows.toggled.connect(self._choose)

    def _choose(self, _value: object = None) -> None:
        field = FieldOfView(self.number.value(), int(self.objective.currentData()), self.follows.isChecked())
        self.words.setText(field.words)
        self._changed(field)
