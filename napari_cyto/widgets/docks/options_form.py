"""A form made from a pydantic options model: titles, ranges and help are written once, on its fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QFileDialog, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_cyto.domain.option_fields import Kind, OptionField, option_fields
from napari_cyto.domain.quantities import Quantity
from napari_cyto.errors import FormatError
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check, Choice

_WHOLE_LIMIT = 2**31 - 1
_NUMBER_LIMIT = 1e9
NUMBER_PX = 110


_NO_TITLES: Mapping[str, str] = {}


def _no_words(_field: str, _value: object) -> str:
    return ""


class Control:
    """One option: the widget that shows it, and how to read and set it."""

    def __init__(
        self,
        widget: QWidget,
        read: Callable[[], Any],
        write: Callable[[Any], None],
        changed: Any,
        wide: bool = False,
        beside: QWidget | None = None,
    ) -> None:
        self.widget = widget
        self.read = read
        self.write = write
        self.changed = changed
        self.wide = wide
        self.beside = beside


class OptionsForm(QWidget):
    """Shows the options of one model; ``changed`` speaks whenever the user changes one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._rows = QVBoxLayout(self)
        parts.tighten(self._rows)
        self._model: type[BaseModel] | None = None
        self.controls: dict[str, Control] = {}

    def show_model(
        self,
        model: type[BaseModel],
        hidden: Collection[str] = (),
        titles: Mapping[str, str] = _NO_TITLES,
        words: Callable[[str, object], str] = _no_words,
    ) -> None:
        """Make the form of ``model`` anew.

        Parameters
        ----------
        model : type of BaseModel
            Whose fields are shown, but for those that no control fits.
        hidden : collection of str
            Fields that are left out.
        titles : mapping
            By field name, what to call a field other than the model does.
        words : callable
            From a field's name and one of the values to choose from to what that is called; empty for its own word.
        """
        for index in reversed(range(self._rows.count())):
            widget = self._rows.itemAt(index).widget()
            self._rows.removeWidget(widget)
            parts.discard(widget)
        self._model = model
        self.controls = {}
        for option in option_fields(model):
            control = None if option.name in hidden else control_of(option)
            if control is not None:
                if isinstance(control.widget, Choice):
                    _name_values(control.widget, option.name, words)
                self._place(option, control, titles.get(option.name) or option.title or option.name)

    def _place(self, option: OptionField, control: Control, title: str) -> None:
        control.widget.setToolTip(option.help or title)
        control.widget.setAccessibleName(title)
        control.widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        control.write(option.default)
        control.changed.connect(lambda *_: self.changed.emit())
        if isinstance(control.widget, QCheckBox):
            control.widget.setText(title)
            self._rows.addWidget(control.widget)
        else:
            label = parts.text(title)
            label.setToolTip(control.widget.toolTip())
            shown = control.widget
            if control.beside is not None:
                shown = parts.row(control.widget, control.beside, stretch=0)
            if control.wide:
                self._rows.addWidget(label)
                self._rows.addWidget(shown)
            else:
                self._rows.addWidget(parts.row(label, shown, stretch=0))
        self.controls[option.name] = control

    def values(self) -> dict[str, Any]:
        """Return what the user chose, by field name.

        Raises
        ------
        FormatError
            Naming the first option that is out of its range.
        """
        chosen = {name: control.read() for name, control in self.controls.items()}
        try:
            if self._model is not None:
                self._model(**chosen)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = str(first["loc"][0]) if first["loc"] else ""
            title = self._model.model_fields[field].title if self._model and field else None
            raise FormatError(f"{title or field or 'The options'}: {first['msg']}.") from error
        return chosen

    def set_values(self, values: dict[str, Any]) -> None:
        """Show ``values``, by field name; names without a control are passed over."""
        for name, value in values.items():
            if name in self.controls:
                self.controls[name].write(value)


def _name_values(choice: Choice, field: str, words: Callable[[str, object], str]) -> None:
    for row in range(choice.count()):
        value = choice.itemData(row)
        if said := words(field, value):
            choice.setItemText(row, said)
            # What the command line and the recipe's file call it.
            choice.setItemData(row, str(value), Qt.ItemDataRole.ToolTipRole)


def control_of(option: OptionField) -> Control | None:
    """Return a control for an option, or None where no control fits (words, mappings, configs, several types)."""
    if option.mixed:
        return None
    if option.kind is Kind.CHOICE:
        return _choice([(choice.label, choice.value) for choice in option.choices], option.optional)
    if option.kind is Kind.SWITCH:
        box = Check()
        return Control(box, box.isChecked, box.setChecked, box.toggled)
    if option.quantity is not None and not option.optional:
        return _number(option.quantity, option.default)
    if option.kind in _LINES:
        return _line(_LINES[option.kind], option.optional)
    if option.kind is Kind.NUMBERS and not option.optional:
        return _numbers()
    if option.kind is Kind.PATH:
        return _path(option.optional, "folder" in f"{option.title} {option.help}".lower())
    return None


_LINES: Mapping[Kind, type] = {Kind.WHOLE: int, Kind.NUMBER: float, Kind.TEXT: str}


def _choice(choices: list[tuple[str, Any]], optional: bool) -> Control:
    box = Choice()
    for words, value in ([("unchanged", None)] if optional else []) + choices:
        box.addItem(words, value)
    values = [box.itemData(i) for i in range(box.count())]
    return Control(
        box,
        box.currentData,
        lambda value: box.setCurrentIndex(max(0, values.index(value))),
        box.currentIndexChanged,
    )


def _numbers() -> Control:
    line = QLineEdit()
    line.setPlaceholderText("none")

    def read() -> Any:
        words = line.text().replace(",", " ").replace(";", " ").split()
        try:
            return tuple(float(word) for word in words)
        except ValueError:
            return tuple(words)

    def write(values: Any) -> None:
        line.setText(", ".join(f"{value:g}" for value in values))

    return Control(line, read, write, line.editingFinished)


class _Spin(QDoubleSpinBox):
    """Shows no more places than the value has."""

    def textFromValue(self, value: float) -> str:  # noqa: N802  Qt's name
        """The value in the user's way of writing numbers, without zeros at its end."""
        words, point = str(super().textFromValue(value)), str(self.locale().decimalPoint())
        return words.rstrip("0").rstrip(point) if point in words else words


def _number(quantity: Quantity, default: float) -> Control:
    if quantity.whole:
        whole = QSpinBox()
        whole.setRange(int(max(quantity.low, -_WHOLE_LIMIT)), int(min(quantity.high, _WHOLE_LIMIT)))
        return Control(whole, whole.value, whole.setValue, whole.valueChanged)
    spin = _Spin()
    # Shares and rates may be as small as a learning rate of 1e-5.
    highest = quantity.high if math.isfinite(quantity.high) else 10
    spin.setDecimals(7 if highest <= 1 else 3 if highest <= 100 else 1)
    spin.setRange(max(quantity.low, -_NUMBER_LIMIT), min(quantity.high, _NUMBER_LIMIT))
    spin.setSingleStep(0.05 if min(highest, default) <= 1 else 1.0)
    return Control(spin, spin.value, spin.setValue, spin.valueChanged)


def _path(optional: bool, is_folder: bool) -> Control:
    made = _line(Path, optional)
    line = made.widget

    def choose() -> None:
        if is_folder:
            chosen = QFileDialog.getExistingDirectory(line, "Choose a folder")
        else:
            chosen, _ = QFileDialog.getOpenFileName(line, "Choose a file")
        if chosen:
            made.write(chosen)
            line.editingFinished.emit()

    made.beside = parts.button("Choose…", "Opens a file dialog.", choose, icon="open")
    return made


def _line(kind: type, optional: bool) -> Control:
    line = QLineEdit()
    if optional:
        line.setPlaceholderText("not set")

    def read() -> Any:
        words = line.text().strip()
        if not words and optional:
            return None
        # What is no number goes to the model as it is, which says so in its own words.
        try:
            return kind(words)
        except ValueError:
            return words

    if kind in (int, float):
        line.setMaximumWidth(NUMBER_PX)

    def write(value: Any) -> None:
        line.setText("" if value is None else str(value))

    return Control(line, read, write, line.editingFinished, wide=kind in (str, Path))
