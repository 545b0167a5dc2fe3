"""Drawing the cells of a reading, so that what is said of them weighs back to the slides.

Source: Horvitz and Thompson 1952, JASA 47(260) (a cell drawn with probability p counts 1 / p).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_cyto.domain.annotation import Annotation
from napari_cyto.readings.reading import Draw, DrawnCell

SCORE_BANDS = 3
"""Of a class, by score: below 1/3, below 2/3, above."""


def by_place(cells: Sequence[Annotation], slide_ids: Sequence[str]) -> list[Annotation]:
    """Return cells in the order of slide, y and x, which no class, score or history of theirs can change."""
    order = {slide_id: number for number, slide_id in enumerate(slide_ids)}
    return sorted(cells, key=lambda a: (order[a.slide_id], *a.geometry.centre_yx, a.id))


def stratum_of(cell: Annotation) -> str:
    """Return class and score band of a cell: ``HSIL 3 of 3``; without a score, the class alone."""
    score = max((value for _, value in cell.scores), default=None)
    band = "" if score is None else f" {min(SCORE_BANDS, int(score * SCORE_BANDS) + 1)} of {SCORE_BANDS}"
    return f"{cell.class_id}{band}"


def shares(sizes: Sequence[int], count: int) -> list[int]:
    """Return how many to draw from strata of some sizes, as evenly as these allow, ``count`` together at most."""
    drawn = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        open_ = [i for i, size in enumerate(sizes) if drawn[i] < size]
        each = max(1, left // len(open_))
        for i in open_:
            more = min(each, sizes[i] - drawn[i], left)
            drawn[i] += more
            left -= more
    return drawn


def drawn(cells: Sequence[Annotation], count: int, strategy: str, seed: int) -> tuple[list[DrawnCell], Draw]:
    """Draw cells without replacement.

    Parameters
    ----------
    cells : sequence of Annotation
        From which, in the order of `by_place`.
    count : int
        How many, at most.
    strategy : str
        ``all``, ``random`` or ``stratified`` (by class and score, as evenly as the strata allow).
    seed : int
        Of the draw.

    Returns
    -------
    list of DrawnCell
        In no particular order yet, without ids.
    Draw
        With the sizes of the strata alone.
    """
    rng = np.random.default_rng([seed, 1])
    strata: dict[str, list[Annotation]] = {}
    for cell in cells:
        strata.setdefault(stratum_of(cell) if strategy == "stratified" else "all", []).append(cell)
    names = sorted(strata)
    numbers = shares([len(strata[name]) for name in names], len(cells) if strategy == "all" else count)
    found: list[DrawnCell] = []
    for name, number in zip(names, numbers, strict=True):
        places = rng.choice(len(strata[name]), number, replace=False)
        probability = number / len(strata[name])
        found += [_as_drawn(strata[name][int(i)], name, probability) for i in places]
    return found, Draw((), tuple((name, len(strata[name])) for name in names))


def _as_drawn(cell: Annotation, stratum: str, probability: float, truth: str = "") -> DrawnCell:
    y, x = cell.geometry.centre_yx
    # Of an accepted or corrected prediction too: its scores are what the model said, whatever it is called now.
    return DrawnCell("", cell.id, cell.slide_id, float(y), float(x), stratum, probability, truth, cell.scores)


def known(cells: Sequence[Annotation], abnormal: Sequence[str], count: int, seed: int) -> list[DrawnCell]:
    """Draw cells whose class is settled, half of them abnormal as far as there are so many."""
    rng = np.random.default_rng([seed, 2])
    kinds = [[c for c in cells if (c.class_id in abnormal) is is_so] for is_so in (True, False)]
    numbers = shares([len(kind) for kind in kinds], count)
    return [
        _as_drawn(kind[int(i)], "", 0.0, str(kind[int(i)].class_id))
        for kind, number in zip(kinds, numbers, strict=True)
        for i in rng.choice(len(kind), number, replace=False)
    ]


def in_order(cells: Sequence[DrawnCell], seed: int) -> tuple[DrawnCell, ...]:
    """Return cells in an order of their own, with ids that follow from the seed and that order alone."""
    by_yx = sorted(cells, key=lambda c: (c.slide_id, c.y, c.x, c.main_id))
    order = np.random.default_rng([seed, 3]).permutation(len(by_yx))
    return tuple(replace(by_yx[int(i)], id=_cell_id(seed, place)) for place, i in enumerate(order))


def _cell_id(seed: int, place: int) -> str:
    return hashlib.sha256(f"reading {seed} cell {place}".encode()).hexdigest()[:32]
