"""File and folder names that stay inside their folder on every system, and never fall together.

Source: reserved names and characters as in Microsoft's "Naming Files, Paths, and Namespaces".
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_EXTRA = frozenset("-_.+ ()=,@#")
_HASH_DIGITS = 12
_SHORTEST = 24


def safe_name(text: str, max_bytes: int = 120) -> str:
    """Return ``text`` as one file or folder name that is valid everywhere and cannot lead out of its folder.

    An ordinary name comes back unchanged. Any other is cleaned and gets ``~`` and a hash of the original,
    so that two different texts never give the same name (an unchanged name holds no ``~``).

    Parameters
    ----------
    text : str
        A class, slide or smear name from anywhere.
    max_bytes : int
        Longest result, bytes of UTF-8, at least 24.
    """
    limit = max(max_bytes, _SHORTEST)
    cleaned = "".join(c if c.isalnum() or c in _EXTRA else "_" for c in unicodedata.normalize("NFC", text))
    cleaned = cleaned.strip(". ")
    if _RESERVED.fullmatch(cleaned.partition(".")[0].strip()):
        cleaned = "_" + cleaned
    if cleaned == text and cleaned and len(cleaned.encode("utf-8")) <= limit:
        return cleaned
    return _hashed(cleaned or "unnamed", text, limit)


def safe_names(texts: Iterable[str], max_bytes: int = 120) -> dict[str, str]:
    """Return a safe name for each text, all different even where case or accents' spelling do not count.

    ``HSIL`` and ``hsil`` are one folder on Windows and macOS; the second here gets a hash.
    """
    taken: set[str] = set()
    names: dict[str, str] = {}
    for text in texts:
        if text in names:
            continue
        name = safe_name(text, max_bytes)
        if folded(name) in taken:
            name = _hashed(name.partition("~")[0], text, max(max_bytes, _SHORTEST))
        taken.add(folded(name))
        names[text] = name
    return names


def free_place(
    folder: Path, stem: str, suffix: str = "", joint: str = "-", taken: Callable[[Path], bool] = Path.exists
) -> Path:
    """Return a place in ``folder`` that is not taken: ``stem`` and ``suffix``, else with a number from 2 on between.

    Parameters
    ----------
    folder : Path
        Where.
    stem, suffix : str
        The name, and what it ends with.
    joint : str
        Between the name and its number.
    taken : callable
        Whether a place is.
    """
    place, count = folder / f"{stem}{suffix}", 1
    while taken(place):
        count += 1
        place = folder / f"{stem}{joint}{count}{suffix}"
    return place


def folded(name: str) -> str:
    """Return ``name`` as file systems compare it: whatever its case and however its accents are spelled."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _hashed(cleaned: str, original: str, limit: int) -> str:
    digest = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    room = limit - _HASH_DIGITS - 1
    head = cleaned.encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{head}~{digest}"
