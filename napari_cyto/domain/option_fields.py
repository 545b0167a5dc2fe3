"""The options of a config as values, read once from its fields, for the docks' forms and the command line's flags."""

from __future__ import annotations

import math
import types
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_cyto.domain.quantities import Quantity


class Kind(StrEnum):
    """What an option takes."""

    SWITCH = "switch"
    CHOICE = "choice"
    WHOLE = "whole number"
    NUMBER = "number"
    TEXT = "text"
    PATH = "path"
    NUMBERS = "numbers"
    SEVERAL = "several words"
    PAIRS = "names with values"
    OTHER = "something else, such as a config of its own"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values to choose from: what the program gets, what is typed, what a form shows."""

    value: Any
    word: str
    label: str


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option of a config.

    Parameters
    ----------
    name : str
        Of the field.
    kind : Kind
        What it takes.
    title, help : str
        In a form's label and tooltip, in the help of the command line; empty where the field says none.
    default : object
        Where nothing is given; None where something must be.
    optional : bool
        Whether it may be left open (None).
    mixed : bool
        Whether it takes values of several types, of which the other values here describe the first.
    choices : tuple of Choice
        Of a `Kind.CHOICE`.
    quantity : Quantity or None
        Range and unit of a number.
    """

    name: str
    kind: Kind
    title: str
    help: str
    default: Any
    optional: bool
    mixed: bool = False
    choices: tuple[Choice, ...] = ()
    quantity: Quantity | None = None

    @property
    def unit(self) -> str:
        """What its number counts; empty where it is none, or has none."""
        return self.quantity.unit if self.quantity else ""


def option_fields(model: type[BaseModel]) -> tuple[OptionField, ...]:
    """Return the options of a config, in the order of its fields."""
    return tuple(option_field(name, field) for name, field in model.model_fields.items())


def option_field(name: str, field: FieldInfo) -> OptionField:
    """Return one field as an option."""
    annotation, rules, optional = _bare(field.annotation, list(field.metadata))
    kind, choices = _kind(annotation), _choices(annotation)
    return OptionField(
        name=name,
        kind=kind,
        title=field.title or "",
        help=field.description or "",
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        optional=optional,
        mixed=_is_mixed(field.annotation),
        choices=choices,
        quantity=_quantity(rules, kind is Kind.WHOLE) if kind in (Kind.WHOLE, Kind.NUMBER) else None,
    )


def _bare(annotation: Any, rules: list[Any]) -> tuple[Any, list[Any], bool]:
    """Return a type without its range and without None, its rules, and whether None is among what it takes."""
    optional = False
    while True:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            optional = optional or type(None) in args
            annotation = next(a for a in args if a is not type(None))
        elif origin is Annotated:
            annotation, rules = args[0], [*rules, *args[1:]]
        else:
            return annotation, rules, optional


def _is_mixed(annotation: Any) -> bool:
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
    return len([a for a in members if a is not type(None)]) > 1


def _kind(annotation: Any) -> Kind:
    origin = get_origin(annotation)
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return Kind.CHOICE
    if origin is dict:
        return Kind.PAIRS
    if origin in (tuple, list, frozenset, set):
        members = [_bare(a, [])[0] for a in get_args(annotation) if a is not Ellipsis]
        return Kind.NUMBERS if origin is tuple and members and all(m is float for m in members) else Kind.SEVERAL
    kinds = {bool: Kind.SWITCH, int: Kind.WHOLE, float: Kind.NUMBER, Path: Kind.PATH, str: Kind.TEXT}
    return kinds.get(annotation, Kind.OTHER)


def _choices(annotation: Any) -> tuple[Choice, ...]:
    if get_origin(annotation) is Literal:
        return tuple(Choice(v, str(v), str(v).replace("_", " ")) for v in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(Choice(m, str(m.value), m.name.lower().replace("_", " ")) for m in annotation)
    return ()


def _quantity(rules: list[Any], whole: bool) -> Quantity:
    limits = {b: getattr(r, b) for r in rules for b in ("ge", "gt", "le", "lt") if getattr(r, b, None) is not None}
    return Quantity(
        low=limits.get("ge", limits.get("gt", -math.inf)),
        high=limits.get("le", limits.get("lt", math.inf)),
        unit=next((rule.unit for rule in rules if isinstance(rule, Quantity)), ""),
        whole=whole,
        above="gt" in limits,
        below="lt" in limits,
    )
