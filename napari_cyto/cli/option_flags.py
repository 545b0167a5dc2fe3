"""Command-line options made from the fields of a frozen model, so that title, unit, range and help are written once."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from napari_cyto.cli.numbers import number
from napari_cyto.domain.quantities import Quantity
from napari_cyto.errors import CytoError

Model = TypeVar("Model", bound=BaseModel)


SHORTHANDS = {"class_map": ("--map",)}


def with_options(
    function: Callable[..., None], *models: type[BaseModel], skip: frozenset[str] = frozenset()
) -> Callable[..., None]:
    """Return ``function`` with an option for each field of ``models``, collected into its ``given`` argument.

    Parameters
    ----------
    function : callable
        Takes its own arguments and ``given``, a dict of the fields that the user named.
    *models : type of BaseModel
        Whose fields become options; of fields with the same name the first one's.
    skip : frozenset of str
        Fields that the command line offers otherwise, or not at all.
    """
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "given"]
    every = {n: f for model in reversed(models) for n, f in model.model_fields.items()}
    fields = {n: f for n, f in every.items() if n not in skip and n not in {p.name for p in own}}
    options = [_parameter(name, field) for name, field in fields.items()]

    def command(**values: Any) -> None:
        named = {n: values.pop(n) for n in fields}
        given = {n: _unfolded(fields[n], value) for n, value in named.items() if value not in (None, [])}
        function(**values, given=given)

    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *options)}
    return command


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return the model made of ``values``.

    Raises
    ------
    CytoError
        Naming the first option that is out of its range, and what came.
    """
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "options"
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise CytoError(f"{_flag(name)} cannot be {values.get(name)!r}: {reason}.") from error


def quantity_of(field: FieldInfo) -> Quantity | None:
    """Return the range of a field that is a number; what it does not say is open."""
    kind, rules = _number_and_rules(field.annotation, list(field.metadata))
    if kind is None:
        return None
    limits = {b: getattr(r, b) for r in rules for b in ("ge", "gt", "le", "lt") if getattr(r, b, None) is not None}
    return Quantity(
        low=limits.get("ge", limits.get("gt", -math.inf)),
        high=limits.get("le", limits.get("lt", math.inf)),
        unit=next((rule.unit for rule in rules if isinstance(rule, Quantity)), ""),
        whole=kind is int,
        above="gt" in limits,
        below="lt" in limits,
    )


def _number_and_rules(annotation: Any, rules: list[Any]) -> tuple[type | None, list[Any]]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _number_and_rules(next(a for a in args if a is not type(None)), rules)
    if origin is Annotated:
        return _number_and_rules(args[0], [*rules, *args[1:]])
    return (annotation if annotation in (int, float) else None), rules


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    kind, metavar = _kind(field.annotation)
    default = field.get_default(call_default_factory=True)
    shown = ("on" if default else "off") if isinstance(default, bool) else default
    help_text = " ".join(part for part in (_sentence(field.title), field.description) if part)
    flag = _flag(name) + (f"/--no-{name.replace('_', '-')}" if kind is bool else "")
    if shown not in (None, (), {}, [], ""):
        help_text += f" [default: {shown}]"
    quantity = quantity_of(field)
    parser = None if quantity is None else number(flag, quantity)
    option = typer.Option(
        flag, *SHORTHANDS.get(name, ()), help=help_text, metavar=metavar, show_default=False, parser=parser
    )
    annotation: Any = list[str] if kind is list else kind
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation | None, option]
    )


def _sentence(title: str | None) -> str:
    return f"{title}." if title else ""


def _kind(annotation: Any) -> tuple[Any, str | None]:
    """Return what the command line parses a field as, and the word that stands for it in the help."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _kind(next(a for a in args if a is not type(None)))
    if origin is Annotated:
        return _kind(args[0])
    if origin is Literal:
        return str, "|".join(str(a) for a in args)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return str, "|".join(str(member.value) for member in annotation)
    if origin is dict:
        return list, "NAME=VALUE"
    if origin in (tuple, list, frozenset, set):
        return list, None
    if annotation in (int, float):
        return annotation, "NUMBER"
    if annotation is bool:
        return bool, None
    return (Path, None) if annotation is Path else (str, None)


def _unfolded(field: FieldInfo, value: Any) -> Any:
    """Return ``NAME=VALUE`` words as a dict where the field is one."""
    kind, metavar = _kind(field.annotation)
    if kind is not list or metavar is None:
        return value
    pairs = [word.partition("=") for word in value]
    wrong = next((name for name, sign, _ in pairs if not sign), None)
    if wrong is not None:
        raise CytoError(f"Expected NAME=VALUE, got {wrong!r}; put an = between the two.")
    return {name: text for name, _, text in pairs}
