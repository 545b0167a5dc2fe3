"""Crops of one side that occur, exactly or nearly, on the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.crop_prints import HASH_BITS, CropPrints, Hashes, Thumbs, hashes, orientations

MAX_DIFFERENT_BITS = 10
MIN_CORRELATION = 0.975
"""Thumbnails that agree better than this are the same cell; different cells of the CRIC and Herlev sets do not."""

_BANDS = 6
_BAND_BITS = HASH_BITS // _BANDS
_PAIRS_AT_ONCE = 1 << 20


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


def pairs_across(train: CropPrints, test: CropPrints) -> tuple[CropPair, ...]:
    """Return the pairs of a train and a test crop that are the same cell, each test crop's nearest one.

    A pair is named by the hash (at most 10 of 60 bits differ, in any of eight orientations of the test crop, and one
    of six bands of 10 bits agrees fully, which is what makes the search far cheaper than every pair) and confirmed
    when the thumbnails' correlation is at least 0.975. Plain glass is only compared to the pixel.

    Parameters
    ----------
    train, test : CropPrints
        The crops of each side.
    """
    found: dict[int, tuple[float, int]] = {}
    for i, j in _identical(train, test):
        found.setdefault(j, (1.0, i))
    for i, j, correlation in _similar(train, test):
        if correlation > found.get(j, (0.0, 0))[0]:
            found[j] = (min(correlation, 0.9999), i)
    return tuple(CropPair(train.names[i], test.names[j], c) for j, (c, i) in sorted(found.items()))


def pairs_among(prints: CropPrints, owners: npt.NDArray[np.intp]) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of crops of two different owners that show the same cell, found and confirmed as `pairs_across` does.

    Parameters
    ----------
    prints : CropPrints
        The crops.
    owners : ndarray, (crops,), intp
        What each was cut from; crops of one owner are not compared.

    Yields
    ------
    (int, int, float)
        Two crops, that of the lower owner first, and their correlation; a pair may come more than once.
    """
    telling = np.flatnonzero(prints.telling)
    if not len(telling):
        return
    thumbs, own = prints.thumbs[telling], owners[telling]
    plain = hashes(thumbs)
    for turned in orientations(thumbs):
        for i, j in _candidates(plain, hashes(turned)):
            apart = own[i] < own[j]
            one, other = i[apart], j[apart]
            correlation = _correlation(thumbs[one], turned[other])
            for k in np.flatnonzero(correlation >= MIN_CORRELATION):
                yield int(telling[one[k]]), int(telling[other[k]]), float(correlation[k])


def _identical(train: CropPrints, test: CropPrints) -> Iterator[tuple[int, int]]:
    first: dict[bytes, int] = {}
    for i, digest in enumerate(train.digests):
        if train.telling[i]:
            first.setdefault(digest, i)
    for j, digest in enumerate(test.digests):
        if test.telling[j] and digest in first:
            yield first[digest], j


def _similar(train: CropPrints, test: CropPrints) -> Iterator[tuple[int, int, float]]:
    of_train, of_test = np.flatnonzero(train.telling), np.flatnonzero(test.telling)
    if not len(of_train) or not len(of_test):
        return
    train_thumbs, test_thumbs = train.thumbs[of_train], test.thumbs[of_test]
    train_hashes = hashes(train_thumbs)
    for turned in orientations(test_thumbs):
        turned_hashes = hashes(turned)
        for i, j in _candidates(train_hashes, turned_hashes):
            correlation = _correlation(train_thumbs[i], turned[j])
            for k in np.flatnonzero(correlation >= MIN_CORRELATION):
                yield int(of_train[i[k]]), int(of_test[j[k]]), float(correlation[k])


def _candidates(train: Hashes, test: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield index pairs whose hashes differ in at most ``MAX_DIFFERENT_BITS`` and agree in one band."""
    mask = np.uint64((1 << _BAND_BITS) - 1)
    for band in range(_BANDS):
        shift = np.uint64(band * _BAND_BITS)
        buckets: dict[int, list[int]] = defaultdict(list)
        for j, key in enumerate(((test >> shift) & mask).tolist()):
            buckets[key].append(j)
        keys = (train >> shift) & mask
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], np.arange((1 << _BAND_BITS) + 1, dtype=np.uint64))
        for key, members in buckets.items():
            rows = order[starts[key] : starts[key + 1]]
            if len(rows):
                yield from _close(train, test, rows, np.array(members, dtype=np.intp))


def _close(
    train: Hashes, test: Hashes, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    step = max(1, _PAIRS_AT_ONCE // len(rows))
    for start in range(0, len(columns), step):
        part = columns[start : start + step]
        different = np.bitwise_count(train[rows][:, None] ^ test[part][None])
        i, j = np.nonzero(different <= MAX_DIFFERENT_BITS)
        if len(i):
            yield rows[i], part[j]


def _correlation(a: Thumbs, b: Thumbs) -> npt.NDArray[np.float32]:
    """Return Pearson's correlation of each pair of thumbnails ((n, 32, 32), uint8), the best of nine small shifts."""
    smooth_a, smooth_b = _smoothed(a), _smoothed(b)
    inner = _normalised(smooth_a[:, 1:-1, 1:-1])
    side = inner.shape[1]
    best = np.full(len(a), -1.0, dtype=np.float32)
    for y, x in np.ndindex(3, 3):
        shifted = _normalised(smooth_b[:, y : y + side, x : x + side])
        np.maximum(best, np.einsum("nij,nij->n", inner, shifted), out=best)
    return best


def _smoothed(thumbs: Thumbs) -> npt.NDArray[np.float32]:
    # A shift by half a thumbnail px must not cost the edges of a nucleus their agreement.
    wide = thumbs.astype(np.float32)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return np.asarray(rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:])


def _normalised(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = windows - windows.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(norm, 1e-6), dtype=np.float32)
