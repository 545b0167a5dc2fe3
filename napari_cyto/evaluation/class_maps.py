"""Class maps for comparing label sets that name classes otherwise: a scheme or map that ships, or a file of pairs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_cyto.domain.classes import SchemeMap
from napari_cyto.domain.presets import PRESETS, preset, shipped_maps
from napari_cyto.errors import SchemeError
from napari_cyto.formats.text import read_json, read_yaml

SUFFIXES = (".json", ".yaml", ".yml")


def class_map(target_name: str, used: Iterable[str]) -> dict[str, str]:
    """Return what each used class becomes.

    Parameters
    ----------
    target_name : str
        A scheme that ships (``bethesda-4``: whatever leads to its classes), a map that ships (``herlev`` or ``herlev
        to bethesda``), or a YAML or JSON file of pairs, in which classes that it does not name stay as they are.
    used : iterable of str
        The classes that occur.

    Raises
    ------
    SchemeError
        When there is no such map, or one that ships lacks a class that occurs: all of these are listed.
    FormatError
        When the file cannot be read.
    """
    names = list(dict.fromkeys(used))
    if Path(target_name).suffix.lower() in SUFFIXES:
        pairs = _pairs_of(Path(target_name))
        return {name: pairs.get(name, name) for name in names}
    maps = [m for m in shipped_maps() if target_name in (m.target, m.source, m.name)]
    # A scheme's name means: into this scheme. Only a source that is no scheme of ours, as herlev, means: out of it.
    into = [m for m in maps if m.target == target_name] if target_name in PRESETS else maps[:1]
    if not into and target_name not in PRESETS:
        known = sorted({*PRESETS, *(m.source for m in shipped_maps())})
        raise SchemeError(
            f"There is no class map {target_name!r}; the built-in maps are {', '.join(known)}, and a map of your own "
            "is a .yaml or .json file of pairs."
        )
    target = set(preset(into[0].target if into else target_name).ids)
    return _mapped(names, into, target, target_name)


def _mapped(names: list[str], maps: list[SchemeMap], target: set[str], target_name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        through = next((m for m in maps if not m.unmapped([name])), None)
        if name in target or through is not None:
            found[name] = name if name in target or through is None else through.apply(name)
    missing = [name for name in names if name not in found]
    if missing:
        raise SchemeError(
            f"The map {target_name!r} has no counterpart for {', '.join(missing)}; give a .yaml or .json file of pairs "
            "that includes it, such as {" + f'"{missing[0]}": "{min(target)}"' + "}."
        )
    return found


def _pairs_of(path: Path) -> dict[str, str]:
    content = read_json(path) if path.suffix.lower() == ".json" else read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(v, str) and v for pair in content.items() for v in pair):
        raise SchemeError(f"{path}: expected a class map of pairs of class names, such as light_dysplastic: LSIL.")
    return dict(content)
