"""Where training data comes from, as one short text: ``cric:DIR``, ``apacc:DIR``, ``folders:DIR`` or a project.

What is learned without labels, by an encoder, may also come from ``images:DIR``: slides and images as they lie there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from napari_cyto.errors import CytoError
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM

SourceKind = Literal["cric", "apacc", "folders", "project", "images"]
KINDS: tuple[SourceKind, ...] = get_args(SourceKind)

SOURCE_HELP = (
    "cric:DIR, apacc:DIR, folders:DIR (one folder per class, one cell per image), a project folder or, for an encoder "
    "only, images:DIR (slides and images without labels). Options may follow an @, with commas between: the µm per px "
    "where the data does not state it (0.25 or mpp=0.25), map=NAME or map=FILE (a built-in class map such as herlev, "
    "or a YAML or JSON file), OWN=CLASS for single classes (OWN= leaves one out), smear=PATTERN for class folders (a "
    "regular expression on file names; its group names the smear)."
)
"""What a source is, whole, for the sentence that refuses one; ``--help`` says it in brief."""

_NUMBER = re.compile(r"[0-9]*\.?[0-9]+")
_WORDS = ("mpp", "map", "smear")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of labelled cells.

    Parameters
    ----------
    kind : str
        ``cric``, ``apacc``, ``folders``, ``project``, or ``images``, which has no labels.
    path : Path
        Its folder.
    class_map : tuple of (str, str)
        The source's class to the class it becomes; ``""`` leaves its cells out on purpose. Goes before any map.
    mpp : float or None
        µm per px of its pictures where neither files nor labels say it.
    map_name : str
        A map that ships (``herlev``) or a YAML or JSON file of pairs; empty for the usual one.
    smear : str
        For class folders: a regular expression; its first group, matched on file names, names the smear.
    """

    kind: SourceKind
    path: Path
    class_map: tuple[tuple[str, str], ...] = ()
    mpp: float | None = None
    map_name: str = ""
    smear: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CytoError(f"Expected a source of the kind {', '.join(KINDS)}, got {self.kind!r}.")
        if self.mpp is not None and not MPP_MIN_UM <= self.mpp <= MPP_MAX_UM:
            raise CytoError(f"{self.path}: expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g} µm per px, got {self.mpp:g}.")
        if self.smear:
            _check_pattern(self.smear)

    def __str__(self) -> str:
        """The text that `parse_source` makes this source of."""
        options = [] if self.mpp is None else [f"mpp={self.mpp!r}"]
        options += [f"{word}={value}" for word, value in (("map", self.map_name), ("smear", self.smear)) if value]
        options += [f"{own}={becomes}" for own, becomes in self.class_map]
        kind = "" if self.kind == "project" else f"{self.kind}:"
        return f"{kind}{self.path}" + (f"@{','.join(options)}" if options else "")


def parse_source(text: str) -> SourceSpec:
    """Return the source that ``text`` means.

    Parameters
    ----------
    text : str
        ``cric:DIR``, ``apacc:DIR``, ``folders:DIR`` or a project folder; options follow after an ``@`` with commas
        between, as in ``apacc:slices@0.25`` or ``folders:herlev@map=herlev,normal_columnar=``. A path that exists as
        it stands is never cut at an ``@``.

    Raises
    ------
    CytoError
        When there is no path, or an option is wrong.
    """
    kind, colon, rest = text.partition(":")
    named: SourceKind | None = next((k for k in KINDS if colon and k == kind.strip().lower()), None)
    place, options = _cut(rest if named else text)
    if not place.strip():
        raise CytoError(f"Expected a source with a folder, got {text!r}. A source is {SOURCE_HELP}")
    return _with_options(named or "project", Path(place).expanduser(), options, text)


def _cut(text: str) -> tuple[str, list[str]]:
    """Return the path and the options behind its last ``@`` that is followed by nothing but options."""
    place, at, tail = text.rpartition("@")
    options = [option.strip() for option in tail.split(",")]
    if not at or not all("=" in o or _NUMBER.fullmatch(o) for o in options) or _is_there(text):
        return text, []
    return place, options


def _is_there(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _with_options(kind: SourceKind, path: Path, options: list[str], text: str) -> SourceSpec:
    words: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("mpp", option)
        into = words if name in _WORDS else pairs
        if not name or name in into:
            raise CytoError(
                f"{text!r}: expected each option once, got {option!r}, which is unknown or twice there. A source is "
                f"{SOURCE_HELP}"
            )
        into[name] = value
    mpp = words.get("mpp")
    if mpp is not None and not _NUMBER.fullmatch(mpp):
        raise CytoError(f"{text!r}: expected a number of µm per px such as 0.25, got {mpp!r}.")
    return SourceSpec(
        kind,
        path,
        tuple(pairs.items()),
        None if mpp is None else float(mpp),
        words.get("map", ""),
        words.get("smear", ""),
    )


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise CytoError(f"Expected a regular expression after smear=, got {pattern!r} ({error}).") from error
    if groups < 1:
        raise CytoError(f"Expected a regular expression with a group in brackets after smear=, got {pattern!r}.")
