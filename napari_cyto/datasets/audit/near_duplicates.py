"""Crops of one side that occur, exactly or nearly, on the other.

Copies come in crowds: an image that was exported twice, a cell that an augmentation turned a hundred ways. Comparing
each with each would take the square of their number, so a crop is compared only until its question is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.audit._thumb_agreement import Sketches, correlation, sketches
from napari_cyto.datasets.audit.crop_prints import HASH_BITS, CropPrints, Hashes, Thumbs, hashes, orientations
from napari_cyto.datasets.audit.subject import Tick, no_tick

MAX_DIFFERENT_BITS = 10
MIN_CORRELATION = 0.975
"""Thumbnails that agree better than this are the same cell; different cells of the CRIC and Herlev sets do not."""

_BOUND = MIN_CORRELATION - 1e-4  # less what single precision may round off
_BANDS = 6
_BAND_BITS = HASH_BITS // _BANDS
_BAND_MASK = np.uint64((1 << _BAND_BITS) - 1)
_PAIRS_AT_ONCE = 1 << 19
_CORRELATED_AT_ONCE = 1 << 10
_FIRST_REACH = 64

Indices = npt.NDArray[np.intp]
PairFilter = Callable[[Indices, Indices], npt.NDArray[np.bool_]]
"""Which of some pairs (first and second index of each) still have something to tell."""


@dataclass(frozen=True, slots=True)
class CropPair:
    """Two crops that show the same: ``correlation`` 1 for identical pixels."""

    train: str
    test: str
    correlation: float

    @property
    def identical(self) -> bool:
        """Whether the pixels are the same."""
        return self.correlation >= 1


def pairs_across(train: CropPrints, test: CropPrints, tick: Tick = no_tick) -> tuple[CropPair, ...]:
    """Return, for each test crop that shows the same cell as some train crop, one pair: identical pixels come first.

    A pair is named by the hash (at most 10 of 60 bits differ, in any of eight orientations of the test crop, and one
    of six bands of 10 bits agrees fully, which is what makes the search far cheaper than every pair) and confirmed
    when the thumbnails' correlation is at least 0.975. A test crop that has its pair is compared no further. Plain
    glass is never compared.

    Parameters
    ----------
    train, test : CropPrints
        The crops of each side.
    tick : callable
        Called several times a second; what it raises ends the search.
    """
    found = {j: (1.0, i) for i, j in _identical(train, test)}
    of_train, of_test = _first_of_each(train), np.flatnonzero(test.telling)
    alone = np.ones(len(test), dtype=np.bool_)
    alone[list(found)] = False
    of_test = of_test[alone[of_test]]
    unanswered = np.ones(len(of_test), dtype=np.bool_)
    parts = train.thumbs[of_train], test.thumbs[of_test]
    for i, j, likeness in _similar(*parts, lambda _, second: unanswered[second], tick):
        unanswered[j] = False
        found.setdefault(int(of_test[j]), (min(likeness, 0.9999), int(of_train[i])))
    return tuple(CropPair(train.names[i], test.names[j], c) for j, (c, i) in sorted(found.items()))


def owners_that_share(
    prints: CropPrints, owners: npt.NDArray[np.intp], tick: Tick = no_tick
) -> frozenset[tuple[int, int]]:
    """Return the pairs of owners (the lower first) that have a cell in common, found as `pairs_across` does.

    Parameters
    ----------
    prints : CropPrints
        The crops.
    owners : ndarray, (crops,), intp
        What each was cut from, from 0; crops of one owner are not compared.
    tick : callable
        Called several times a second; what it raises ends the search.
    """
    telling = np.flatnonzero(prints.telling)
    if not len(telling):
        return frozenset()
    thumbs, own = prints.thumbs[telling], owners[telling]
    count = int(own.max()) + 1
    known: set[int] = set()

    def is_open_pair(first: Indices, second: Indices) -> npt.NDArray[np.bool_]:
        a, b = own[first], own[second]
        fresh = a < b
        if known:
            fresh &= ~np.isin(a * count + b, np.fromiter(known, dtype=np.intp, count=len(known)))
        return fresh

    for i, j, _ in _similar(thumbs, thumbs, is_open_pair, tick):
        known.add(int(own[i]) * count + int(own[j]))
    return frozenset(divmod(code, count) for code in known)


def _first_of_each(prints: CropPrints) -> Indices:
    """Return the first crop of each that are identical, plain glass left out."""
    first: dict[bytes, int] = {}
    for i, digest in enumerate(prints.digests):
        if prints.telling[i]:
            first.setdefault(digest, i)
    return np.fromiter(first.values(), dtype=np.intp, count=len(first))


def _identical(train: CropPrints, test: CropPrints) -> Iterator[tuple[int, int]]:
    first = {train.digests[i]: i for i in reversed(range(len(train))) if train.telling[i]}
    for j, digest in enumerate(test.digests):
        if test.telling[j] and digest in first:
            yield first[digest], j


def _similar(first: Thumbs, second: Thumbs, is_open_pair: PairFilter, tick: Tick) -> Iterator[tuple[int, int, float]]:
    """Yield pairs that show the same cell, each as soon as it is confirmed and only while it is ``is_open_pair``."""
    if not len(first) or not len(second):
        return
    plain, sketched = hashes(first), sketches(first, tick)
    for turned in orientations(second):
        tick()
        images = _Thumbnails(first, turned, sketched, sketches(turned, tick, shifted=True))
        for i, j in _candidates(plain, hashes(turned), is_open_pair, tick):
            yield from _confirmed(images, i, j, is_open_pair, tick)


@dataclass(frozen=True, slots=True)
class _Thumbnails:
    """Thumbnails to compare, and their sketches."""

    first: Thumbs
    second: Thumbs
    sketched_first: Sketches
    sketched_second: Sketches

    def agreeing(self, i: Indices, j: Indices, tick: Tick) -> Iterator[tuple[int, int, float]]:
        """Yield the pairs that show the same cell, with their correlation."""
        could = np.flatnonzero(self.sketched_first.could_agree(self.sketched_second, i, j) >= _BOUND)
        i, j = i[could], j[could]
        for start in range(0, len(i), _CORRELATED_AT_ONCE):
            tick()
            part = slice(start, start + _CORRELATED_AT_ONCE)
            found = correlation(self.first[i[part]], self.second[j[part]])
            for k in np.flatnonzero(found >= MIN_CORRELATION) + start:
                yield int(i[k]), int(j[k]), float(found[k - start])


def _candidates(
    first: Hashes, second: Hashes, is_open_pair: PairFilter, tick: Tick
) -> Iterator[tuple[Indices, Indices]]:
    """Yield each wanted pair whose hashes are near and agree in one band, once, the nearest of a batch first."""
    for band in range(_BANDS):
        shift = np.uint64(band * _BAND_BITS)
        keys = (first >> shift) & _BAND_MASK
        order = np.argsort(keys, kind="stable")
        sought = (second >> shift) & _BAND_MASK
        ends = np.searchsorted(keys[order], sought, side="right")
        starts = np.searchsorted(keys[order], sought, side="left")
        for places, j in _in_reach(starts, ends, is_open_pair, order):
            tick()
            i = order[places]
            differing = first[i] ^ second[j]
            bits = np.bitwise_count(differing)
            near = np.flatnonzero(bits <= MAX_DIFFERENT_BITS)
            near = near[~_agreed_before(differing[near], band)]
            near = near[np.argsort(bits[near], kind="stable")]
            near = near[is_open_pair(i[near], j[near])]
            if len(near):
                yield i[near], j[near]


def _in_reach(
    starts: Indices, ends: Indices, is_open_pair: PairFilter, order: Indices
) -> Iterator[tuple[Indices, Indices]]:
    """Yield places in ``order`` with the second crop that they are to be compared to, in batches of growing reach.

    What a crop asks is most often answered by the first few of its bucket, so that the rest is not looked at.
    """
    everyone = np.arange(len(starts))
    reach, done = _FIRST_REACH, 0
    while True:
        everyone = everyone[starts[everyone] + done < ends[everyone]]
        if not len(everyone):
            return
        for part in _parts(everyone, np.minimum(ends[everyone] - starts[everyone] - done, reach)):
            counts = np.minimum(ends[part] - starts[part] - done, reach)
            j = np.repeat(part, counts)
            within = np.arange(len(j)) - np.repeat(np.cumsum(counts) - counts, counts)
            places = starts[j] + done + within
            open_now = is_open_pair(order[places], j)
            yield places[open_now], j[open_now]
        done += reach
        reach *= 4


def _parts(members: Indices, counts: Indices) -> list[Indices]:
    """Cut ``members`` where the sum of their counts would pass what is compared at once."""
    batch = np.cumsum(counts) // _PAIRS_AT_ONCE
    return np.split(members, np.flatnonzero(np.diff(batch)) + 1)


def _agreed_before(differing: Hashes, band: int) -> npt.NDArray[np.bool_]:
    """Return which pairs an earlier band has named already."""
    agreed = np.zeros(len(differing), dtype=np.bool_)
    for earlier in range(band):
        agreed |= ((differing >> np.uint64(earlier * _BAND_BITS)) & _BAND_MASK) == 0
    return agreed


def _confirmed(
    images: _Thumbnails, i: Indices, j: Indices, is_open_pair: PairFilter, tick: Tick
) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs that the thumbnails confirm: the first candidate of each second crop, then the next two ..."""
    by_second = np.argsort(j, kind="stable")
    _, begins, counts = np.unique(j[by_second], return_index=True, return_counts=True)
    rank = np.empty(len(j), dtype=np.intp)
    rank[by_second] = np.arange(len(j)) - np.repeat(begins, counts)
    low, high = 0, 1
    while low < counts.max():
        turn = np.flatnonzero((rank >= low) & (rank < high))
        turn = turn[is_open_pair(i[turn], j[turn])]
        yield from images.agreeing(i[turn], j[turn], tick)
        low, high = high, 2 * high + 1
