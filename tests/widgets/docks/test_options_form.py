"""Promise: a form shows what the model says (title, help, range, default) and returns what it accepts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox

from napari_cyto.errors import FormatError
from napari_cyto.widgets.docks.options_form import OptionsForm


class Colour(StrEnum):
    RED = "_"
    DARK_BLUE = "-"


class Model(BaseModel):
    share: float = Field(default=0.25, gt=0, lt=1, title="Share", description="How much.")
    seed: int = Field(default=3, ge=0)
    on: bool = Field(default=True, title="On")
    colour: Colour = Colour.DARK_BLUE
    mode: Literal["as_is", "cut"] = "cut"
    pad: int | None = Field(default=None, ge=16)
    reason: str = ""
    place: Path | None = None
    table: dict[str, str] | None = None
    windows: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(22.8, 91.2), min_length=1, title="Windows")
    zoom: tuple[float, float] = (0.9, 1.1)
    names: tuple[str, ...] = ()


@pytest.fixture
def form(qtbot):
    made = OptionsForm()
    qtbot.addWidget(made)
    made.show_model(Model)
    return made


def test_each_type_has_its_control(form):
    kinds = {name: type(control.widget) for name, control in form.controls.items()}
    expected = {
        "share": QDoubleSpinBox,
        "seed": QSpinBox,
        "on": QCheckBox,
        "colour": QComboBox,
        "mode": QComboBox,
        "pad": QLineEdit,
        "reason": QLineEdit,
        "place": QLineEdit,
        "windows": QLineEdit,
        "zoom": QLineEdit,
    }
    assert list(kinds) == list(expected)
    assert all(issubclass(kinds[name], kind) for name, kind in expected.items())
    assert form.controls["share"].widget.toolTip() == "How much."
    assert form.controls["colour"].widget.currentText() == "dark blue"


def test_defaults_come_back(form):
    assert form.values() == {
        "share": 0.25,
        "seed": 3,
        "on": True,
        "colour": Colour.DARK_BLUE,
        "mode": "cut",
        "pad": None,
        "reason": "",
        "place": None,
        "windows": (22.8, 91.2),
        "zoom": (0.9, 1.1),
    }


def test_changes_are_reported_and_come_back(form, qtbot):
    with qtbot.waitSignal(form.changed):
        form.controls["colour"].widget.setCurrentIndex(0)
    form.set_values({"pad": 224, "mode": "as_is", "place": "/tmp", "unknown": 1})
    values = form.values()
    assert (values["colour"], values["pad"], values["mode"], values["place"]) == (
        Colour.RED,
        224,
        "as_is",
        Path("/tmp"),
    )


@pytest.mark.parametrize("words", ["8", "wide"])
def test_what_the_model_refuses_is_a_sentence_with_the_title(form, words):
    form.controls["pad"].widget.setText(words)
    with pytest.raises(FormatError, match="pad"):
        form.values()


def test_numbers_are_typed_with_commas(form):
    assert form.controls["windows"].widget.text() == "22.8, 91.2"
    form.controls["windows"].widget.setText("40,  80 ;160")
    assert form.values()["windows"] == (40.0, 80.0, 160.0)


@pytest.mark.parametrize("words", ["wide", "-3", ""])
def test_numbers_that_the_model_refuses_are_a_sentence_with_the_title(form, words):
    form.controls["windows"].widget.setText(words)
    with pytest.raises(FormatError, match="Windows"):
        form.values()


def test_hidden_fields_and_another_model(form):
    form.show_model(Model, hidden=("share", "on"))
    assert "share" not in form.controls
    assert "seed" in form.values()
