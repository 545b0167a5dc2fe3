"""Promise: the range of a number, and what an option takes, are the same for every form, flag and file."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from napari_cyto.domain.option_fields import Choice, Kind, OptionField, option_fields
from napari_cyto.domain.quantities import MPP, SEED, Quantity, UmPerPx

CLOSED = Quantity(0.5, 20.0, "µm")
OPEN = Quantity(0.0, 1.0, above=True, below=True)
WHOLE = Quantity(1, 3_000, "parts", whole=True)


@pytest.mark.parametrize(
    ("quantity", "inside", "outside", "words"),
    [
        (CLOSED, (0.5, 3.0, 20.0), (0.4999, 20.001, -1.0, math.nan, math.inf), "0.5 to 20 µm"),
        (OPEN, (0.001, 0.999), (0.0, 1.0), "above 0 to below 1"),
        (Quantity(0.0, 1.0, above=True), (1.0,), (0.0,), "above 0 to 1"),
        (Quantity(0.0, 1.0, below=True), (0.0,), (1.0,), "0 to below 1"),
        (WHOLE, (1, 3_000), (0, 3_001), "a whole number, 1 to 3,000 parts"),
        (Quantity(-math.inf, math.inf), (1e300,), (math.inf, -math.inf, math.nan), "-inf to inf"),
    ],
)
def test_a_range_holds_the_same_for_who_types_it_and_for_a_config(
    quantity: Quantity, inside: tuple[float, ...], outside: tuple[float, ...], words: str
) -> None:
    kind = int if quantity.whole else float
    config = TypeAdapter(Annotated[kind, quantity])
    assert quantity.words == words
    for value in inside:
        assert quantity.holds(value)
        assert quantity.parsed(f" {value} ") == value == config.validate_python(value)
    for value in outside:
        assert not quantity.holds(value)
        with pytest.raises(ValueError, match="expected"):
            quantity.parsed(str(value))
        with pytest.raises(ValidationError):
            config.validate_python(value)


def test_bounds_are_reported_as_forms_ask_for_them() -> None:
    assert (CLOSED.ge, CLOSED.gt, CLOSED.le, CLOSED.lt) == (0.5, None, 20.0, None)
    assert (OPEN.ge, OPEN.gt, OPEN.le, OPEN.lt) == (None, 0.0, None, 1.0)
    schema = TypeAdapter(Annotated[int, WHOLE]).json_schema()
    assert schema == {"type": "integer", "minimum": 1, "maximum": 3_000}
    assert TypeAdapter(UmPerPx).json_schema() == {"type": "number", "minimum": 0.05, "maximum": 20.0}


@pytest.mark.parametrize(
    ("quantity", "text", "says"),
    [
        (MPP, "0", r"expected 0.05 to 20 µm per px, got '0'; it must be above 0$"),
        (MPP, "-1", "; it must be above 0$"),
        (MPP, "0.01", "got '0.01'$"),
        (MPP, "0,25", "; decimals follow a point$"),
        (MPP, "1,2,3", "got '1,2,3'$"),
        (SEED, "-1", "got '-1'$"),
        (WHOLE, "1,5", "got '1,5'$"),
        (WHOLE, "1.0", "got '1.0'$"),
        (WHOLE, "0", "; it must be above 0$"),
        (SEED, "9" * 50, f"got '{'9' * 40}'$"),
        (MPP, "1e", "got '1e'$"),
        (MPP, "٣", "got '٣'$"),
    ],
)
def test_a_slip_is_reported_with_the_range_and_what_came(quantity: Quantity, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        quantity.parsed(text)


def test_numbers_are_read_in_every_usual_spelling() -> None:
    assert [MPP.parsed(text) for text in ("+.25", "2.", "2.5e-1", "20")] == [0.25, 2.0, 0.25, 20.0]
    assert isinstance(WHOLE.parsed("7"), int)
    assert isinstance(MPP.parsed("7"), float)


class Colour(Enum):
    DARK_RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    x: int = 0


class Config(BaseModel):
    needed: int = Field(ge=1, lt=9, title="Needed", description="What it takes.")
    radius: Annotated[float, CLOSED] = 2.0
    above: float | None = Field(None, gt=0)
    switch: bool = True
    colour: Colour = Colour.BLUE
    word: Literal["by_eye", "auto"] | None = "auto"
    number: Literal[1, 2] = 1
    path: Path | None = None
    text: str = ""
    window: tuple[float, float] | None = None
    names: tuple[str, ...] = ()
    mixture: tuple[float, int] = (0.0, 0)
    several: list[float] = Field(default_factory=lambda: [1.0])
    pairs: dict[str, float] = Field(default_factory=dict)
    either: Annotated[int, WHOLE] | Literal["auto"] = 4
    part: Part = Part()
    free: Any = None


def option(name: str, kind: Kind, default: Any = None, optional: bool = False, **more: Any) -> OptionField:
    return OptionField(name, kind, more.pop("title", ""), more.pop("help", ""), default, optional, **more)


def test_each_kind_of_option_is_reported_with_all_that_a_form_needs() -> None:
    colours = (Choice(Colour.DARK_RED, "red", "dark red"), Choice(Colour.BLUE, "blue", "blue"))
    words = (Choice("by_eye", "by_eye", "by eye"), Choice("auto", "auto", "auto"))
    assert option_fields(Config) == (
        option("needed", Kind.WHOLE, title="Needed", help="What it takes.",
               quantity=Quantity(1, 9, whole=True, below=True)),
        option("radius", Kind.NUMBER, 2.0, quantity=CLOSED),
        option("above", Kind.NUMBER, optional=True, quantity=Quantity(0, math.inf, above=True)),
        option("switch", Kind.SWITCH, True),
        option("colour", Kind.CHOICE, Colour.BLUE, choices=colours),
        option("word", Kind.CHOICE, "auto", True, choices=words),
        option("number", Kind.CHOICE, 1, choices=(Choice(1, "1", "1"), Choice(2, "2", "2"))),
        option("path", Kind.PATH, optional=True),
        option("text", Kind.TEXT, ""),
        option("window", Kind.NUMBERS, optional=True),
        option("names", Kind.SEVERAL, ()),
        option("mixture", Kind.SEVERAL, (0.0, 0)),
        option("several", Kind.SEVERAL, [1.0]),
        option("pairs", Kind.PAIRS, {}),
        option("either", Kind.WHOLE, 4, mixed=True, quantity=WHOLE),
        option("part", Kind.OTHER, Part()),
        option("free", Kind.OTHER),
    )  # fmt: skip
    assert [field.unit for field in option_fields(Config)][:4] == ["", "µm", "", ""]
