"""Between values and JSON: a dataclass as plain values, and plain values as the dataclass or one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from napari_cyto.errors import CytoError

Value = TypeVar("Value")


class JsonFields:
    """What a dataclass inherits whose JSON is its fields, in their order."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON-able values."""
        return cast(dict[str, Any], to_plain(self))


def to_plain(value: Any) -> Any:
    """Return a value as JSON holds it: dataclasses as objects in the order of their fields, tuples as lists.

    What a dataclass holds is written by its own ``to_json`` where it has one.
    """
    if is_dataclass(value):
        return {f.name: _inner(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, list | tuple):
        return [_inner(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _inner(item) for name, item in value.items()}
    return value.value if isinstance(value, Enum) else value


def _inner(value: Any) -> Any:
    return value.to_json() if hasattr(value, "to_json") else to_plain(value)


def from_plain(kind: type[Value], value: object, where: str) -> Value:
    """Return the dataclass that `to_plain` wrote; fields with a default may be missing, unknown ones are left out.

    Parameters
    ----------
    kind : type
        The dataclass; lists become its tuples.
    value : object
        As JSON gave it.
    where : str
        What the value is of, as the sentence begins.

    Raises
    ------
    CytoError
        When a field is missing or not of its type: the first of these, and what came.
    """
    try:
        return cast(Value, _adapter(cast(Any, kind)).validate_python(value))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in fault["loc"])[:120]
        came = "nothing" if fault["type"] in ("missing", "missing_argument") else f"{fault['input']!r:.60}"
        raise CytoError(
            f"{where}: expected {f'a value of {name}' if name else 'an object'}, got {came} ({fault['msg']})."
        ) from error


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
