"""The next cells worth a label: undecided, far from each other, severe first, and some drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.vectors.teaching._basis import Floats
from napari_cyto.vectors.teaching._head import Head
from napari_cyto.vectors.teaching.examples import NONE_OF_THEM

Rows = npt.NDArray[np.intp]

COUNT = 20
RANDOM_SHARE = 0.1
"""Of the suggestions; those keep the estimate of the head honest."""

UNLIKE_SHARE = 0.2
"""Of the suggestions while a class that is sought has no example: cells unlike all examples, where it may hide."""

_CANDIDATES = 2
"""Per place, from which those far from each other are taken."""

_RARITY = 0.5
"""A class of n examples and a severity of s (0 to 1) gets places in proportion to ``n ** -_RARITY * (1 + s)``."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One cell worth a label.

    Parameters
    ----------
    cell_id : str
        Its id.
    reason : str
        Why, as a sentence without full stop.
    is_random : bool
        Whether it was drawn at random.
    """

    cell_id: str
    reason: str
    is_random: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """The cells that wait, from which suggestions are made.

    Parameters
    ----------
    ids : sequence of str
        Of all cells that have a vector.
    places : ndarray, float32, (n, d)
        Of all of them.
    waiting : ndarray, intp
        Rows of those that wait.
    examples : ndarray, intp
        Rows of those that teach.
    """

    ids: Sequence[str]
    places: Floats
    waiting: Rows
    examples: Rows


def suggest(
    pool: Pool,
    head: Head | None,
    scores: Floats | None,
    counts: Mapping[str, int],
    severity: Mapping[str, float],
    *,
    sought: Sequence[str] = (),
    pending: Rows | None = None,
    count: int = COUNT,
    seed: int = 0,
) -> tuple[Suggestion, ...]:
    """Return the next cells worth a label, the most severe first, those drawn at random among them.

    Parameters
    ----------
    pool : Pool
        Whence.
    head : Head or None
        What tells classes apart so far; without one, cells unlike each other are suggested.
    scores : ndarray, (n, classes) or None
        What it says of all cells of the pool.
    counts : mapping of class to int
        Examples of each class of the head.
    severity : mapping of class to float
        0 to 1; classes that are missing have none.
    sought : sequence of str
        Classes that are to be taught and may have no example yet.
    pending : ndarray, optional
        Rows that were drawn at random before and still wait: they come first, else the hard ones among them would
        be passed over.
    count, seed : int
        How many, and of the draw.

    Notes
    -----
    For each class, the rarest among the examples first, cells are taken that are nearest to the line between this class
    and its strongest rival, and of these the ones farthest from each other. Source: margin sampling (Scheffer et al.
    2001) with a share for each class (as Aggarwal et al. 2020 for imbalanced data) and the greedy k-centre of Sener
    and Savarese 2018. The benchmark of teaching compares it with eight others.
    """
    rng = np.random.default_rng(seed)
    waiting = pool.waiting
    if not len(waiting) or count < 1:
        return ()
    drawn = _drawn(waiting, pending, min(len(waiting), max(1, round(RANDOM_SHARE * count))), rng)
    free = np.setdiff1d(waiting, drawn, assume_unique=True)
    places_left = min(count - len(drawn), len(free))
    chosen: list[tuple[float, Suggestion]] = []
    missing = [name for name in sought if not counts.get(name)]
    undecided = head is not None and scores is not None and len(head.classes) > 1
    unlike_count = places_left if not undecided else round(UNLIKE_SHARE * count) if missing else 0
    unlike = _unlike(pool, free, min(unlike_count, places_left))
    for row in unlike:
        grade = max((severity.get(name, 0.0) for name in missing), default=0.0)
        chosen.append((grade, Suggestion(pool.ids[row], _unlike_words(missing, bool(len(pool.examples))))))
    if undecided:
        assert head is not None
        assert scores is not None
        free = np.setdiff1d(free, unlike, assume_unique=True)
        chosen += _undecided(pool, free, head, scores, counts, severity, places_left - len(unlike))
    chosen.sort(key=lambda pair: -pair[0])
    random = [Suggestion(pool.ids[row], "drawn at random, for the estimate", is_random=True) for row in drawn]
    return _strewn([suggestion for _, suggestion in chosen], random)


def _drawn(waiting: Rows, pending: Rows | None, count: int, rng: np.random.Generator) -> Rows:
    earlier = np.intersect1d(waiting, pending)[:count] if pending is not None and len(pending) else waiting[:0]
    rest = np.setdiff1d(waiting, earlier, assume_unique=True)
    more = rng.choice(rest, min(count - len(earlier), len(rest)), replace=False)
    return np.concatenate([earlier, more]).astype(np.intp)


def _undecided(
    pool: Pool,
    free: Rows,
    head: Head,
    scores: Floats,
    counts: Mapping[str, int],
    severity: Mapping[str, float],
    count: int,
) -> list[tuple[float, Suggestion]]:
    shares = scores[free]
    found: list[tuple[float, Suggestion]] = []
    open_ = np.ones(len(free), np.bool_)
    for column, of_class in _quotas(head.classes, counts, severity, count):
        own = shares[:, column]
        rivals = shares.copy()
        rivals[:, column] = -1.0
        rival = rivals.argmax(axis=1)
        gap = np.abs(own - rivals[np.arange(len(free)), rival])
        gap[~open_] = np.inf
        near = np.argsort(gap, kind="stable")[: min(of_class * _CANDIDATES, int(open_.sum()))]
        for at in near[_far_apart(pool.places[free[near]], of_class)]:
            open_[at] = False
            names = (head.classes[column], head.classes[rival[at]])
            grade = max(severity.get(name, 0.0) for name in names)
            words = _undecided_words(names, (float(own[at]), float(shares[at, rival[at]])))
            found.append((grade, Suggestion(pool.ids[free[at]], words)))
    return found


def _quotas(
    classes: Sequence[str], counts: Mapping[str, int], severity: Mapping[str, float], count: int
) -> list[tuple[int, int]]:
    """Return how many places each class gets, the rarest first, of equally rare ones the most severe."""
    sizes = np.array([max(1, counts.get(name, 0)) for name in classes], np.float64)
    grades = np.array([severity.get(name, 0.0) for name in classes])
    weights = sizes**-_RARITY * (1 + grades)
    exact = weights / weights.sum() * count
    quota = np.floor(exact).astype(int)
    for column in np.argsort(-(exact - quota), kind="stable")[: count - int(quota.sum())]:
        quota[column] += 1
    order = sorted(range(len(classes)), key=lambda column: (sizes[column], -grades[column]))
    return [(column, int(quota[column])) for column in order if quota[column]]


def _far_apart(places: Floats, count: int) -> list[int]:
    """Return positions of ``count`` cells far from each other, beginning with the first.

    Source: the greedy k-centre of Gonzalez 1985.
    """
    got: list[int] = []
    distance = np.full(len(places), np.inf, np.float32)
    while len(got) < min(count, len(places)):
        at = int(distance.argmax()) if got else 0
        got.append(at)
        step = places - places[at]
        distance = np.minimum(distance, np.einsum("ij,ij->i", step, step))
        distance[at] = -1
    return got


def _unlike(pool: Pool, free: Rows, count: int) -> Rows:
    """Return cells that are far from all examples and from each other."""
    if count < 1:
        return free[:0]
    places = pool.places[free]
    if len(pool.examples):
        distance = _nearest(places, pool.places[pool.examples])
    else:
        # Nothing is known: from the middle of all outwards.
        distance = np.einsum("ij,ij->i", places, places)
        distance = distance.max() - distance
    got: list[int] = []
    while len(got) < min(count, len(free)):
        at = int(distance.argmax())
        got.append(at)
        step = places - places[at]
        own = np.einsum("ij,ij->i", step, step)
        distance = own if len(got) == 1 and not len(pool.examples) else np.minimum(distance, own)
        distance[got] = -1
    return free[got]


def _nearest(places: Floats, others: Floats) -> Floats:
    """Return the square distance of each place to the nearest of the others, ``(n,)``."""
    found = np.full(len(places), np.inf, np.float32)
    lengths = np.einsum("ij,ij->i", places, places)
    for start in range(0, len(others), 256):
        part = others[start : start + 256]
        squares = lengths[:, None] - 2 * places @ part.T + np.einsum("ij,ij->i", part, part)
        found = np.minimum(found, squares.min(axis=1))
    return found


def class_words(name: str) -> str:
    """Return what people read for a class of the head."""
    return "none of them" if name == NONE_OF_THEM else name


def _undecided_words(names: tuple[str, str], shares: tuple[float, float]) -> str:
    (one, first), (other, second) = sorted(zip(map(class_words, names), shares, strict=True), key=lambda p: -p[1])
    return f"{one} or {other}: {100 * first:.0f} % against {100 * second:.0f} %"


def _unlike_words(missing: Sequence[str], has_examples: bool) -> str:
    if not has_examples:
        return "unlike the others suggested here"
    return f"unlike every example: may be {' or '.join(missing)}" if missing else "unlike every example"


def _strewn(ranked: Sequence[Suggestion], random: Sequence[Suggestion]) -> tuple[Suggestion, ...]:
    """Put those drawn at random at even distances among the others."""
    total = len(ranked) + len(random)
    at = {int((n + 0.5) * total / len(random)) for n in range(len(random))} if random else set()
    one, other = iter(ranked), iter(random)
    return tuple(next(other) if place in at else next(one) for place in range(total))
