"""The tools as buttons that show their keys, and the size of a one-click box."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QDoubleSpinBox, QPushButton, QWidget

from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.quantities import BOX_UM
from napari_cyto.session import Tool
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import FlowLayout
from napari_cyto.widgets.keys import KEYS, key_of

# A step that is felt on a nucleus of 5 µm and does not tire on a cluster of 200 µm.
BOX_STEP_UM = 1.0


def hint_of(command: str) -> str:
    """Return what ``command`` does, with its keys, as a tooltip."""
    found = next((k for k in KEYS if k.command == command), None)
    return "" if found is None else f"{found.sentence}.\nKey: {' or '.join(found.keys)}"


class ToolRow(QWidget):
    """One button a tool; ``chosen`` carries the tool that was clicked."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        layout = FlowLayout(self, columns=2, gap_px=parts.GAP)
        self._group = QButtonGroup(self)
        self.buttons: dict[Tool, QPushButton] = {}
        for tool in Tool:
            command = f"tool.{tool.value}"
            made = parts.toggle(
                f"{tool.value.capitalize()}  {key_of(command)}",
                hint_of(command),
                partial(self.chosen.emit, tool),
                icon=tool.value,
                name=f"{tool.value} tool",
            )
            self._group.addButton(made)
            layout.addWidget(made)
            self.buttons[tool] = made

    def show_tool(self, tool: Tool) -> None:
        """Show which tool is in hand."""
        self.buttons[tool].setChecked(True)


class BoxSize(QWidget):
    """Side of a one-click box of the current class, µm; ``changed`` carries a new one."""

    changed = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self._label = parts.text("One-click box")
        self._label.setToolTip("Width of a box added by one click of the box tool")
        self.spin = QDoubleSpinBox()
        self.spin.setRange(BOX_UM.low, BOX_UM.high)
        self.spin.setDecimals(1)
        self.spin.setSingleStep(BOX_STEP_UM)
        self.spin.setSuffix(" µm")
        self.spin.setKeyboardTracking(False)
        self.spin.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.spin.setAccessibleName("one-click box, µm")
        self.spin.setToolTip("Width of a box added by one click of the box tool, for the current class.")
        self.spin.valueChanged.connect(lambda value: self.changed.emit(float(value)))
        self.spin.lineEdit().returnPressed.connect(lambda: parts.focus_canvas(self))
        layout = FlowLayout(self, stretch=0, gap_px=parts.GAP)
        layout.addWidget(self._label)
        layout.addWidget(self.spin)

    def show_class(self, cell_class: CellClass | None) -> None:
        """Show the size that belongs to ``cell_class``."""
        self.setEnabled(cell_class is not None)
        if cell_class is None:
            return
        self.spin.blockSignals(True)
        self.spin.setValue(cell_class.box_um)
        self.spin.blockSignals(False)
