"""Which label format a file or folder is, by what is in it; where several fit or none, it is asked about."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.errors import FormatError
from napari_cyto.formats._registry import FORMATS
from napari_cyto.formats._sniffing_reader import Glimpse

_MOST_NAMED = 3


def fitting_formats(path: Path) -> tuple[str, ...]:
    """Return the names of the formats that a file or folder looks like: one as a rule, none where no labels are."""
    seen = Glimpse(path)
    return tuple(name for name, each in FORMATS.items() if each.sniff(seen))


def format_of(path: Path, how: str = "name the format") -> str:
    """Return the name of the one label format that ``path`` looks like.

    Parameters
    ----------
    path : Path
        A label file or folder.
    how : str
        What a person can do where that is not clear, for the sentence that refuses.

    Raises
    ------
    FormatError
        When it is not there, looks like none or like several; the sentence says what was seen and what is possible.
    """
    if not path.exists():
        raise FormatError("there is no such file or folder.", path)
    found = fitting_formats(path)
    if len(found) == 1:
        return found[0]
    seen = Glimpse(path)
    if found:
        raise FormatError(
            f"its format is ambiguous: it may be {' or '.join(map(_named, found))}; {how}.",
            path,
        )
    raise FormatError(
        f"its format cannot be recognised from its content ({seen.words()}){_inside(seen)}; {how} "
        f"({', '.join(FORMATS)}).",
        path,
    )


def what_came(path: Path, expected: str) -> str:
    """Return the name of the one format that ``path`` looks like if it is another than ``expected``, else nothing."""
    found = fitting_formats(path)
    return found[0] if len(found) == 1 and expected not in found else ""


def _inside(seen: Glimpse) -> str:
    """Return what files of a folder would be read on their own."""
    named = []
    for inner in seen.files():
        found = [name for name, each in FORMATS.items() if each.sniff(inner)]
        if len(found) == 1:
            named.append(f"{inner.path.name} looks like {_named(found[0])}")
        if len(named) == _MOST_NAMED:
            break
    return f"; in it, {', '.join(named)}: choose the file" if named else ""


def _named(name: str) -> str:
    return f"{name} ({FORMATS[name].title})"
