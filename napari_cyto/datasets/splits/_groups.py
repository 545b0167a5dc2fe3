"""Which slides belong together: those of one patient, of one smear, or of the same pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from scipy.cluster.hierarchy import DisjointSet

from napari_cyto.domain.slide_record import SlideRecord

Key = tuple[str, str]


def ties(slide: SlideRecord) -> tuple[Key, ...]:
    """Return what ties a slide to others: (``patient`` | ``smear`` | ``pixels``, value), those that are known.

    The same file under two names ties two slides, but not two slices: many of those are nothing but blank glass.
    """
    pixels = "" if slide.stem else slide.fingerprint
    known = (("patient", slide.patient), ("smear", slide.smear), ("pixels", pixels))
    return tuple((kind, value) for kind, value in known if value)


def slide_groups(slides: Iterable[SlideRecord], together: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the group of each slide (by slide id), such that no tie runs between two groups.

    Two slides share a group when they share the patient, the smear or the fingerprint of their pixels, directly or
    through others; so a smear of which only one slide names the patient still stays together. A group is called
    after its patient, else its smear, else its slide; names that two groups would share get a number.

    Parameters
    ----------
    slides : iterable of SlideRecord
        All slides that a split divides.
    together : iterable of (slide id, slide id)
        Further pairs that must not be divided, because both show the same cells, say.
    """
    records = list(slides)
    tied = DisjointSet()
    pairs = [(("slide", slide.id), tie) for slide in records for tie in ties(slide)]
    pairs += [(("slide", one), ("slide", other)) for one, other in together]
    for key in chain(*pairs, (("slide", slide.id) for slide in records)):
        tied.add(key)
    for one, other in pairs:
        tied.merge(one, other)
    members: dict[Key, list[SlideRecord]] = defaultdict(list)
    for slide in records:
        members[tied["slide", slide.id]].append(slide)
    names = _names(members)
    return {slide.id: names[key] for key, group in members.items() for slide in group}


def _names(members: Mapping[Key, list[SlideRecord]]) -> dict[Key, str]:
    taken: set[str] = set()
    names: dict[Key, str] = {}
    for key, group in members.items():
        patient = next((s.patient for s in group if s.patient), "")
        smear = next((s.smear for s in group if s.smear), "")
        group_name = patient or smear or group[0].name or group[0].id
        name, number = group_name, 1
        while name in taken:
            number += 1
            name = f"{group_name} ({number})"
        taken.add(name)
        names[key] = name
    return names
