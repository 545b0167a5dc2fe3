"""File and folder names that stay inside their folder on every system, and never fall together.

Source: reserved names and characters as in Microsoft's "Naming Files, Paths, and Namespaces".
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from napari_cyto.domain.image_names import bare_name, name_parts
from napari_cyto.domain.slide_record import SlideRecord

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
        if _folded(name) in taken:
            name = _hashed(name.partition("~")[0], text, max(max_bytes, _SHORTEST))
        taken.add(_folded(name))
        names[text] = name
    return names


def slide_stems(slides: Iterable[SlideRecord], max_bytes: int = 120) -> dict[str, str]:
    """Return a safe, distinct file stem for each slide, by its id: the name without extension where that will do."""
    listed = list(slides)
    stems = Counter(_stem(s) for s in listed)
    names = Counter(s.name for s in listed)
    texts = {}
    for slide in listed:
        text = _stem(slide) if stems[_stem(slide)] == 1 else slide.name
        texts[slide.id] = text if stems[_stem(slide)] == 1 or names[slide.name] == 1 else f"{slide.name} {slide.id}"
    safe = safe_names(texts.values(), max_bytes)
    return {slide_id: safe[text] for slide_id, text in texts.items()}


def distinct_names(slides: Iterable[SlideRecord]) -> dict[str, str]:
    """Return a name for each slide, by its id, by which files of labels tell it from all others.

    Slides of one name (whatever its case and how its accents are spelled) are named with as many of their folders as
    tell them apart; those whose files are not known, with the beginning of their id.
    """
    listed = list(slides)
    groups: dict[str, list[SlideRecord]] = {}
    for slide in listed:
        groups.setdefault(_folded("/".join(name_parts(slide.name))), []).append(slide)
    names = {slide.id: slide.name for slide in listed}
    taken = {key for key, group in groups.items() if len(group) == 1}
    for group in groups.values():
        if len(group) > 1:
            names |= _with_folders(group, taken)
    return names


def _with_folders(group: list[SlideRecord], taken: set[str]) -> dict[str, str]:
    """Return names for slides of one name, none of them among ``taken``, which grows by them."""
    parts = {slide.id: name_parts(slide.path) for slide in group}
    longest = max(map(len, parts.values()))
    for depth in range(2, longest + 1):
        found = {slide_id: "/".join(each[-depth:]) for slide_id, each in parts.items()}
        keys = {_folded(name) for name in found.values()}
        if len(keys) == len(group) and not keys & taken and all(found.values()):
            taken |= keys
            return found
    found = {slide.id: f"{slide.id[:8]}/{name_parts(slide.name)[-1]}" for slide in group}
    if len(set(found.values())) < len(group):
        found = {slide.id: f"{slide.id}/{name_parts(slide.name)[-1]}" for slide in group}
    taken |= {_folded(name) for name in found.values()}
    return found


def _stem(slide: SlideRecord) -> str:
    return bare_name(slide.name) or slide.name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _hashed(cleaned: str, original: str, limit: int) -> str:
    digest = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    room = limit - _HASH_DIGITS - 1
    head = cleaned.encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{head}~{digest}"
