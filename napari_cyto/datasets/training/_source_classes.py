"""Which class of the training set each class of a source becomes; what has none is listed, never dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.presets import shipped_maps
from napari_cyto.errors import SchemeError
from napari_cyto.formats.text import read_json, read_yaml

LEFT_OUT = ""
"""What a class becomes whose cells a person leaves out on purpose."""


@dataclass(frozen=True, slots=True)
class SourceMap:
    """The map that a source is read by.

    Parameters
    ----------
    name : str
        For the record: a shipped map with its version, a file, ``same names``; ``and own pairs`` where some were given.
    pairs : mapping
        The source's class to the class it becomes, ``LEFT_OUT`` where its cells are left out on purpose.
    """

    name: str
    pairs: Mapping[str, str]

    def unmapped(self, used: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``used`` that this map has no answer for, sorted."""
        return tuple(sorted({c for c in used if c not in self.pairs}))


def source_map(spec: SourceSpec, scheme_name: str, used: Iterable[str], target: ClassScheme) -> SourceMap:
    """Return the map by which a source is read.

    Parameters
    ----------
    spec : SourceSpec
        The source, with what a person said of its classes.
    scheme_name : str
        The scheme that the source's own classes belong to; empty for class folders, whose names may be anyone's.
    used : iterable of str
        Its classes that have cells.
    target : ClassScheme
        What the training set speaks.

    Raises
    ------
    SchemeError
        When the map that was asked for is not there, or leads to classes that ``target`` lacks.
    FormatError
        When its file cannot be read.
    """
    used = set(used)
    same = {class_id: class_id for class_id in target.ids}
    own = dict(spec.class_map)
    name, pairs = "same names", same
    if spec.map_name:
        name, pairs = _requested_pairs(spec.map_name, target)
    elif shipped := _shipped(scheme_name, target, used - set(own)):
        name, pairs = shipped
    wrong = sorted({c for c in (*own.values(), *pairs.values()) if c != LEFT_OUT and c not in target})
    if wrong:
        raise SchemeError(
            f"{spec}: the map leads to {', '.join(wrong)}, but the scheme {target.name!r} has {', '.join(target.ids)}."
        )
    return SourceMap(f"{name} and own pairs" if own else name, {**pairs, **own})


def refuse_unmapped(missing: Mapping[str, tuple[str, ...]], target: ClassScheme) -> None:
    """Refuse when any source has classes without counterpart.

    Parameters
    ----------
    missing : mapping
        Source to its classes that nothing is said of.
    target : ClassScheme
        What the training set speaks.

    Raises
    ------
    SchemeError
        Listing them all.
    """
    listed = [f"{source}: {', '.join(classes)}" for source, classes in missing.items() if classes]
    if listed:
        source, first = next((source, classes) for source, classes in missing.items() if classes)
        # The whole source, so that what is typed keeps the options that it came with.
        spec = parse_source(source)
        renamed, left_out = (
            str(replace(spec, class_map=(*spec.class_map, *((c, to) for c in first))))
            for to in (target.ids[0], LEFT_OUT)
        )
        raise SchemeError(
            f"Expected classes of the scheme {target.name!r} ({', '.join(target.ids)}), got others in "
            f"{'; '.join(listed)}. Name the new class of each after the source, as in {renamed} , "
            f"or leave their cells out with {left_out} ."
        )


def _shipped(scheme_name: str, target: ClassScheme, used: set[str]) -> tuple[str, dict[str, str]] | None:
    """Return the shipped map of a scheme; for names of anyone's, the first that knows more of them than ``target``."""
    if scheme_name == target.name or (not scheme_name and used <= set(target.ids)):
        return None
    for candidate in shipped_maps():
        fits = candidate.source == scheme_name if scheme_name else not candidate.unmapped(used)
        if fits and candidate.target == target.name:
            return f"{candidate.name}, version {candidate.version}", dict(candidate.pairs)
    return None


def _requested_pairs(name: str, target: ClassScheme) -> tuple[str, dict[str, str]]:
    maps = shipped_maps()
    for candidate in maps:
        if candidate.target == target.name and name in (candidate.source, candidate.name):
            return f"{candidate.name}, version {candidate.version}", dict(candidate.pairs)
    path = Path(name).expanduser()
    if path.suffix.lower() not in (".json", ".yaml", ".yml"):
        known = ", ".join(sorted({m.source for m in maps if m.target == target.name}))
        raise SchemeError(
            f"Expected a class map to the scheme {target.name!r}, built-in (from {known or 'none'}) or a .yaml or "
            f".json file of pairs, got {name!r}."
        )
    content = read_json(path) if path.suffix.lower() == ".json" else read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(v, str) for pair in content.items() for v in pair):
        raise SchemeError(f"{path}: expected pairs of class names, such as light_dysplastic: LSIL, got something else.")
    return path.name, dict(content)
