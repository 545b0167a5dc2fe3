"""Which image of one label set is which of another, by the rule of ``domain.image_names``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from napari_cyto.domain.fingerprints import same_fingerprint, sampled_part
from napari_cyto.domain.image_names import Closeness, closest, lookup_keys, name_parts
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError

ImagePair: TypeAlias = tuple[str, SlideRecord | None, SlideRecord | None]
"""A name of its own for the image, its slide of the truth, its slide of the prediction."""

_SHOWN = 5


def paired_images(truth: Sequence[SlideRecord], pred: Sequence[SlideRecord]) -> list[ImagePair]:
    """Return each image once, with None for the side that lacks it.

    Fingerprints go first, then whole names with their folders, then names that agree but for folders that only one
    side names, known suffixes, and upper and lower case.

    Raises
    ------
    CytoError
        When an image may be any of several; the sentence names them.
    """
    partner: dict[str, SlideRecord] = {}
    taken: set[str] = set()
    for found in (_by_print(truth, pred), _by_whole_name(truth, pred)):
        for right, left in found:
            if right.id not in partner and left.id not in taken:
                partner[right.id] = left
                taken.add(left.id)
    partner |= _by_name(truth, [right for right in pred if right.id not in partner], taken)
    of_truth = {partner[right.id].id: right for right in pred if right.id in partner}
    rows: list[tuple[SlideRecord | None, SlideRecord | None]] = [(left, of_truth.get(left.id)) for left in truth]
    rows += [(None, right) for right in pred if right.id not in partner]
    return _named(rows)


def _by_print(truth: Sequence[SlideRecord], pred: Sequence[SlideRecord]) -> list[tuple[SlideRecord, SlideRecord]]:
    sampled: dict[str, list[SlideRecord]] = {}
    for left in truth:
        sampled.setdefault(sampled_part(left.fingerprint), []).append(left)
    near = ((right, left) for right in pred for left in sampled.get(sampled_part(right.fingerprint), ()))
    pairs = [(right, left) for right, left in near if same_fingerprint(left.fingerprint, right.fingerprint)]
    # Two images that one fingerprint cannot tell apart are left to their names.
    counts = Counter(slide.id for pair in pairs for slide in pair)
    return [pair for pair in pairs if all(counts[slide.id] == 1 for slide in pair)]


def _by_whole_name(truth: Sequence[SlideRecord], pred: Sequence[SlideRecord]) -> list[tuple[SlideRecord, SlideRecord]]:
    lefts, rights = (Counter(name_parts(slide.name) for slide in slides) for slides in (truth, pred))
    known = {name_parts(left.name): left for left in truth}
    names = ((right, name_parts(right.name)) for right in pred)
    return [
        (right, known[name])
        for right, name in names
        if lefts[name] == rights[name] == 1 and _may_be(known[name], right)
    ]


def _by_name(truth: Sequence[SlideRecord], pred: Sequence[SlideRecord], taken: set[str]) -> dict[str, SlideRecord]:
    index: dict[str, list[SlideRecord]] = {}
    for left in truth:
        for key in lookup_keys(left.name):
            index.setdefault(key, []).append(left)
    wishes: list[tuple[Closeness, SlideRecord, SlideRecord]] = []
    for right in pred:
        near = {left.id: left for key in lookup_keys(right.name) for left in index.get(key, ())}
        slides = [left for left in near.values() if _may_be(left, right)]
        found = closest(right.name, ([left.name] for left in slides), either_way=True)
        if len(found.places) > 1:
            raise _unclear(right, [slides[place] for place in found.places], "prediction", "truth")
        wishes += [(found.closeness, right, slides[place]) for place in found.places]
    chosen: dict[str, SlideRecord] = {}
    for close, right, left in sorted(wishes, key=lambda wish: -wish[0]):
        rivals = [other for level, other, wished in wishes if level == close and wished.id == left.id]
        if len(rivals) > 1 and left.id not in taken:
            raise _unclear(left, rivals, "truth", "prediction")
        if left.id not in taken:
            taken.add(left.id)
            chosen[right.id] = left
    return chosen


def _may_be(left: SlideRecord, right: SlideRecord) -> bool:
    prints = left.fingerprint, right.fingerprint
    return not all(prints) or same_fingerprint(*prints)


def _unclear(slide: SlideRecord, others: Sequence[SlideRecord], what: str, side: str) -> CytoError:
    some = ", ".join(repr(other.name) for other in others[:_SHOWN]) + (" ..." if len(others) > _SHOWN else "")
    return CytoError(
        f"It is not clear which image of the {side} {slide.name!r} of the {what} is: {some}; name each with its folder "
        "and suffix in both files."
    )


def _named(rows: Sequence[tuple[SlideRecord | None, SlideRecord | None]]) -> list[ImagePair]:
    """Return the rows, each with a name of its own, in the order of their names."""
    seen: Counter[str] = Counter()
    pairs: list[ImagePair] = []
    for left, right in rows:
        slide = left or right
        assert slide is not None
        seen[slide.name] += 1
        number = seen[slide.name]
        pairs.append((slide.name if number == 1 else f"{slide.name} ({number})", left, right))
    return sorted(pairs, key=lambda pair: pair[0])
