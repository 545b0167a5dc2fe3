"""Names by which the files of labels tell slides apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from napari_cyto.domain.image_names import bare_name, name_parts
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.safe_names import folded, safe_names


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
        groups.setdefault(folded("/".join(name_parts(slide.name))), []).append(slide)
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
        keys = {folded(name) for name in found.values()}
        if len(keys) == len(group) and not keys & taken and all(found.values()):
            taken |= keys
            return found
    found = {slide.id: f"{slide.id[:8]}/{name_parts(slide.name)[-1]}" for slide in group}
    if len(set(found.values())) < len(group):
        found = {slide.id: f"{slide.id}/{name_parts(slide.name)[-1]}" for slide in group}
    taken |= {folded(name) for name in found.values()}
    return found


def _stem(slide: SlideRecord) -> str:
    return bare_name(slide.name) or slide.name
