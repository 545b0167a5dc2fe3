"""The class schemes and maps that ship: bethesda, bethesda-full, bethesda-4, apacc, ki67."""

from __future__ import annotations

import json

from napari_cyto.domain.classes import ClassScheme, SchemeMap, identity, scheme_from_dict
from napari_cyto.domain.resources import resource_path
from napari_cyto.errors import SchemeError

PRESETS = ("bethesda", "bethesda-full", "bethesda-4", "apacc", "ki67")


def preset(name: str) -> ClassScheme:
    """Return the shipped scheme called ``name``.

    Raises
    ------
    SchemeError
        When there is none of that name.
    """
    if name not in PRESETS:
        raise SchemeError(f"There is no class scheme {name!r}; the built-in ones are {', '.join(PRESETS)}.")
    return scheme_from_dict(json.loads(resource_path("classes", f"{name}.json").read_text(encoding="utf-8")))


def shipped_maps() -> tuple[SchemeMap, ...]:
    """Return every map that ships."""
    rows = json.loads(resource_path("classes", "maps.json").read_text(encoding="utf-8"))
    return tuple(
        SchemeMap(r["name"], r["version"], r["source"], r["target"], tuple((a, b) for a, b in r["pairs"])) for r in rows
    )


def map_between(source: ClassScheme, target: ClassScheme) -> SchemeMap:
    """Return the map from ``source`` to ``target``: a shipped one, else the identity where all ids agree.

    Raises
    ------
    SchemeError
        When there is no map; the sentence lists the classes that have no counterpart.
    """
    for candidate in shipped_maps():
        if (candidate.source, candidate.target) == (source.name, target.name):
            return candidate
    missing = [i for i in source.ids if i not in target]
    if missing:
        raise SchemeError(
            f"There is no map from {source.name!r} to {target.name!r}, and {', '.join(missing)} have no class of the "
            "same name there; give a map of your own."
        )
    return identity(source)
