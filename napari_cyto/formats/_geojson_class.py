"""What kind of object a feature of QuPath is, and which class it has, in all the ways that tools write them.

Source: QuPath's ``PathObjectTypeAdapters``; before 0.3 the feature's id was the type of the object
(github.com/qupath/qupath/issues/698). GeoPandas writes nested properties as text.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from napari_cyto.formats.text import Fault, class_name, free_text, shown

OTHER_OBJECTS = frozenset({"tile", "tma_core", "root"})
"""Kinds of objects that are neither cells nor regions."""

_KINDS = {
    "pathcellobject": "cell",
    "pathdetectionobject": "detection",
    "pathtileobject": "tile",
    "pathannotationobject": "annotation",
    "pathrootobject": "root",
    "tmacoreobject": "tma_core",
    "tmacore": "tma_core",
    "tma core": "tma_core",
}
_CLASS_KEYS = ("classification", "class", "class_name", "label", "category")
_MOST_TEXT = 10_000
_MOST_NESTED = 4


def kind_of(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Return the kind of object: ``annotation`` (where nothing says otherwise), ``detection``, ``cell``, ``tile``."""
    said = properties.get("objectType") or properties.get("object_type")
    if not said and str(feature.get("id", "")).lower() in _KINDS:
        said = feature["id"]
    if not said:
        return "annotation"
    return _kind(said) if isinstance(said, str) else ""


@lru_cache(maxsize=256)
def _kind(said: str) -> str:
    kind = free_text(said, 40).strip().lower()
    return _KINDS.get(kind, kind)


def classification_of(properties: Mapping[str, Any], fault: Fault) -> tuple[str | None, Mapping[str, Any]]:
    """Return the class of a feature, None where it has none, and the mapping that holds its colour.

    Raises
    ------
    FormatError
        When there is a classification that says no name.
    """
    found: object = properties.get("classification")
    if found is None or found == "":
        found = next((properties[key] for key in _CLASS_KEYS if properties.get(key) not in (None, "")), None)
    holder: Mapping[str, Any] = {}
    for _ in range(_MOST_NESTED):
        if isinstance(found, str):
            found = _unpacked(found)
        if not isinstance(found, dict):
            break
        holder = found
        names = found.get("names")
        found = found.get("name") or found.get("classification") or (names if isinstance(names, list) else None)
    if isinstance(found, list):
        found = ": ".join(part for part in found[:20] if isinstance(part, str)) or None
    if found is None or found == "":
        return None, holder
    if not isinstance(found, str):
        raise fault(f"expected a classification given as a name or as a mapping with a name, got {shown(found)}.")
    return class_name(found, fault), holder


def _unpacked(text: str) -> object:
    """Return what a text holds that is a mapping in JSON or Python, else the text."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > _MOST_TEXT:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return text
