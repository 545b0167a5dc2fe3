"""Command-line options made from the fields of a frozen model, so that title, unit, range and help are written once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from napari_cyto.cli.numbers import number
from napari_cyto.domain.option_fields import Kind, OptionField, option_fields
from napari_cyto.errors import CytoError

Model = TypeVar("Model", bound=BaseModel)


SHORTHANDS = {"class_map": ("--map",)}
METAVARS = {
    "detector": "MODEL",
    "classifier": "MODEL",
    "encoder": "MODEL",
    "workers": "N",
    "scheduler": "ADDRESS",
    "format": "NAME",
    "pred_format": "NAME",
}
_TYPES: Mapping[Kind, Any] = {
    **dict.fromkeys(Kind, str),
    Kind.SWITCH: bool,
    Kind.WHOLE: int,
    Kind.NUMBER: float,
    Kind.PATH: Path,
    Kind.NUMBERS: list[str],
    Kind.SEVERAL: list[str],
    Kind.PAIRS: list[str],
}
_QUOTED = re.compile(r"'([\w-]+)'")


def with_options(
    function: Callable[..., None],
    *models: type[BaseModel],
    skip: frozenset[str] = frozenset(),
    only: tuple[str, ...] = (),
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
    only : tuple of str
        The fields that it offers, in this order; all when empty.
    """
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "given"]
    every = {option.name: option for model in reversed(models) for option in option_fields(model)}
    offered = {n: every[n] for n in only or every if n not in skip and n not in {p.name for p in own}}

    def command(**values: Any) -> None:
        named = {n: values.pop(n) for n in offered}
        given = {n: _value(offered[n], value) for n, value in named.items() if value not in (None, [])}
        function(**values, given=given)

    options = [_parameter(option) for option in offered.values()]
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
        raise refused(_flag(name), first["msg"], values.get(name)) from error


def refused(flag: str, reason: str, value: object) -> CytoError:
    """Return the error for a value that an option does not take; ``reason`` is pydantic's."""
    words = reason.removeprefix("Value error, ").rstrip(".").replace("Input should be", "expected")
    words = _QUOTED.sub(r"\1", words) if words.startswith("expected") else words[:1].lower() + words[1:]
    return CytoError(f"{flag}: {words}{'' if ', got ' in words else f', got {value!r}'}.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parameter(option: OptionField) -> inspect.Parameter:
    flag, plain = _flag(option.name), _flag(option.name)
    if option.kind is Kind.SWITCH:
        flag += f"/--no-{option.name.replace('_', '-')}"
    shown = ("on" if option.default else "off") if isinstance(option.default, bool) else option.default
    help_text = " ".join(part for part in (f"{option.title}." if option.title else "", option.help) if part)
    if shown not in (None, (), {}, [], ""):
        help_text += f" [default: {shown}]"
    made = typer.Option(
        flag,
        *SHORTHANDS.get(option.name, ()),
        help=help_text,
        metavar=_metavar(option),
        show_default=False,
        parser=None if option.quantity is None else number(plain, option.quantity),
    )
    taken: Any = _TYPES[option.kind] | None
    annotation: Any = Annotated[taken, made]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _metavar(option: OptionField) -> str | None:
    if option.name in METAVARS:
        return METAVARS[option.name]
    if option.choices:
        return "|".join(choice.word for choice in option.choices)
    return {Kind.PAIRS: "NAME=VALUE", Kind.WHOLE: "NUMBER", Kind.NUMBER: "NUMBER"}.get(option.kind)


def _value(option: OptionField, value: Any) -> Any:
    """Return ``NAME=VALUE`` words as a dict where the option is one."""
    if option.kind is not Kind.PAIRS:
        return value
    pairs = [word.partition("=") for word in value]
    wrong = next((name for name, sign, _ in pairs if not sign), None)
    if wrong is not None:
        raise CytoError(f"{_flag(option.name)}: expected NAME=VALUE, got {wrong!r}; put an = between the two.")
    return {name: text for name, _, text in pairs}
