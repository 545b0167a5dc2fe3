"""Recipes: training configs that ship as YAML files, or are the user's own; nothing here needs torch."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from napari_cyto.domain.resources import resource_path
from napari_cyto.errors import CytoError
from napari_cyto.models.manifest import Kind
from napari_cyto.training.config import TrainConfig

DEFAULTS: Mapping[Kind, str] = {"classifier": "light", "detector": "p2p-light", "encoder": "ibot-vit-tiny"}
"""The recipe of each kind when none is named."""

_OF_OUTLINES = "outline-unet.yaml"
"""Is no `TrainConfig`; `napari_cyto.training.outline.outline_config` reads it."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SUFFIXES = (".yaml", ".yml", ".json")


def all_recipes() -> tuple[TrainConfig, ...]:
    """Return the recipes of cells and encoders that ship: the default of each kind first, then by name.

    Raises
    ------
    CytoError
        When one of them is broken.
    """
    places = sorted(place for place in resource_path("recipes").glob("*.yaml") if place.name != _OF_OUTLINES)
    found = [read_recipe(path) for path in places]
    return tuple(sorted(found, key=lambda c: (c.model.kind, c.name not in DEFAULTS.values(), c.name)))


def recipe(name: str | None, kind: Kind | None) -> TrainConfig:
    """Return a recipe by its name, or from the user's file.

    Parameters
    ----------
    name : str or None
        Of a recipe that ships, or the path of a YAML or JSON file; None for the default of the kind.
    kind : str or None
        ``classifier``, ``detector`` or ``encoder``; None for whichever the recipe trains, a classifier without a name.

    Raises
    ------
    CytoError
        When there is none of that name, it is broken, or it trains the other kind.
    """
    recipe_name = name or DEFAULTS[kind or "classifier"]
    path = Path(recipe_name).expanduser()
    if path.suffix.lower() in _SUFFIXES:
        found = read_recipe(path)
    else:
        shipped = {c.name: c for c in all_recipes()}
        if recipe_name not in shipped:
            names = ", ".join(c.name for c in shipped.values() if kind in (None, c.model.kind))
            those = "built-in:" if kind is None else f"for a {kind}:"
            raise CytoError(f"Expected a recipe ({those} {names}) or a YAML file, got {recipe_name!r}.")
        found = shipped[recipe_name]
    if kind not in (None, found.model.kind):
        raise CytoError(f"Expected a recipe for a {kind}, got {recipe_name!r}, which trains a {found.model.kind}.")
    return found


def read_recipe(path: Path) -> TrainConfig:
    """Return the recipe in a YAML or JSON file.

    Raises
    ------
    CytoError
        When it cannot be read, or a value is unknown or out of its range; the sentence names it.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise CytoError(f"{path}: this recipe cannot be read ({error.strerror or error}).") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CytoError(f"{path}: this recipe is not valid YAML ({' '.join(str(error).split())[:200]}).") from error
    if not isinstance(content, dict):
        raise CytoError(f"{path}: expected a recipe (a mapping with model, phases, batch ...), got {content!r:.60}.")
    return _checked(lambda: TrainConfig.model_validate(content), str(path))


def with_settings(config: TrainConfig, settings: Iterable[str]) -> TrainConfig:
    """Return the recipe with single values changed.

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    settings : iterable of str
        ``key=value``; the key is a path with dots (``model.head``, ``phases.0.lr``, ``split.fold``), the value YAML.
        Of a setting that is a list, one value or several with commas between need no brackets.
        Without ``model.`` or ``phases.0.`` before it, a key that only they have is understood as theirs.

    Raises
    ------
    CytoError
        When a key is unknown or a value out of its range.
    """
    content = config.model_dump(mode="json")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise CytoError(f"--set: expected key=value such as batch=16 or phases.0.lr=1e-4, got {setting!r}.")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # a number of thousands of digits among it
            raise CytoError(f"--set {key}: expected a value in YAML, got {text[:60]!r}.") from error
        _place(content, key.strip(), _number(value))
    return _checked(lambda: TrainConfig.model_validate(content), "--set")


def _place(content: dict[str, Any], key: str, value: Any) -> None:
    """Put ``value`` where ``key`` says; only what is there can be changed."""
    parts = key.split(".")
    for before in ([], ["model"], ["phases", "0"], ["augment"]):
        inner = _inner(content, [*before, *parts[:-1]])
        last: Any = int(parts[-1]) if isinstance(inner, list) and parts[-1].isdigit() else parts[-1]
        known = last in inner if isinstance(inner, dict) else isinstance(last, int) and last < len(inner or ())
        if inner is not None and known:
            inner[last] = _listed(value) if isinstance(inner[last], list) else value
            return
    where = _inner(content, parts[:-1])
    near = where if isinstance(where, dict) and len(parts) > 1 else content
    raise CytoError(f"--set: expected one of {', '.join(map(str, near))}, got {key}.")


def _listed(value: Any) -> Any:
    """Return a list for a setting that is one: ``a`` and ``a,b`` are what people type for ``[a]`` and ``[a, b]``."""
    if isinstance(value, list | dict):
        return value
    if isinstance(value, str):
        return [_number(part.strip()) for part in value.split(",") if part.strip()]
    return [] if value is None else [value]


def _inner(content: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(content, dict):
            content = content.get(part)
        elif isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            return None
    return content if isinstance(content, dict | list) else None


def _number(value: Any) -> Any:
    """Return 1e-4 as the number that everybody means; YAML 1.1 reads it as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _checked(make: Any, where: str) -> TrainConfig:
    try:
        config: TrainConfig = make()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name = ".".join(str(p) for p in fault["loc"] if p not in ("classifier", "detector", "encoder"))
        # A stranger's file may be a few lines of which each repeats the one before tenfold.
        came = f", got {_SHORT.repr(fault['input'])[:60]}" if not isinstance(fault["input"], dict) else ""
        raise CytoError(f"{where}: {name or 'the recipe'}: {fault['msg'].rstrip('.')}{came}.") from error
    return config
