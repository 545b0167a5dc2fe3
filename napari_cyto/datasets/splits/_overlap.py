"""What two sides of a split share; nothing, unless somebody asked for less."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from napari_cyto.datasets.training.labelled_slide import TrainingSlide


def overlaps(
    sides: Mapping[str, str],
    groups: Mapping[str, str],
    slides: Iterable[TrainingSlide],
    twins: Iterable[tuple[str, str]],
) -> dict[str, int]:
    """Return how many patients, smears, groups, pictures and near-duplicates are on more than one side.

    Parameters
    ----------
    sides, groups : mapping
        Slide key to its side, and to what is kept together.
    slides : iterable of TrainingSlide
        All slides; those without cells cannot leak a picture.
    twins : iterable of (key, key)
        Slides that show the same cells.

    Notes
    -----
    Source: the set intersections of Coskun et al., section 2.6 (train and validation, train and test, validation and
    test), taken here over every kind of identity that is known.
    """
    on: dict[tuple[str, str], set[str]] = defaultdict(set)
    for slide in slides:
        known = {
            "patients": slide.patient,
            "smears": slide.smear,
            "groups": groups[slide.key],
            "pictures": slide.fingerprint if len(slide) else "",
        }
        for kind, value in known.items():
            if value:
                on[kind, value].add(sides[slide.key])
    found = dict.fromkeys(("patients", "smears", "groups", "pictures"), 0)
    for (kind, _), of in on.items():
        found[kind] += len(of) > 1
    found["near_duplicates"] = sum(sides[a] != sides[b] for a, b in twins)
    return found
