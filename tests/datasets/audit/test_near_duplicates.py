"""Promise: every crop that shows a cell of the other side is found, and copies in crowds cost no more than others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets.audit import _thumb_agreement as thumb_agreement
from napari_cyto.datasets.audit import near_duplicates
from napari_cyto.datasets.audit._thumb_agreement import correlation, sketches
from napari_cyto.datasets.audit.crop_prints import HASH_BITS, CropPrint, CropPrints, hashes, orientations
from napari_cyto.datasets.audit.near_duplicates import MIN_CORRELATION, owners_that_share, pairs_across
from napari_cyto.errors import JobCancelled

SEEDS = st.integers(0, 2**32 - 1)


def cell(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A pale body with a dark nucleus, as all cells look alike to a hash of low frequencies."""
    y, x = np.mgrid[:48, :48]
    grey = np.full((48, 48), 235.0)
    grey[np.hypot(y - 24, (x - 24) * rng.uniform(0.8, 1.2)) < rng.uniform(15, 22)] = rng.uniform(160, 210)
    middle = rng.uniform(18, 30, 2)
    grey[np.hypot(y - middle[0], (x - middle[1]) * rng.uniform(0.7, 1.3)) < rng.uniform(4, 8)] = rng.uniform(50, 120)
    chromatin = Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
    shown = np.clip(grey + (np.asarray(chromatin, np.float64) - 128) * 0.2, 0, 255)
    return np.repeat(shown.astype(np.uint8)[..., None], 3, axis=2)


def copied(crop: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    turned = np.rot90(crop, rng.integers(4))
    if rng.integers(2):
        turned = turned[:, ::-1]
    return np.clip(turned + rng.normal(0, 2, turned.shape), 0, 255).astype(np.uint8)


@given(SEEDS)
def test_the_bound_never_lies_below_the_correlation(seed: int) -> None:
    """Else a copy would be passed over without a word."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (12, 32, 32), dtype=np.uint8)
    blurred = [np.asarray(Image.fromarray(t).resize((6, 6)).resize((32, 32))) for t in a]
    b = np.stack([np.roll(t, rng.integers(-2, 3, 2), axis=(0, 1)) for t in blurred])
    first = np.concatenate([a, blurred, blurred])
    second = np.concatenate([b, b, blurred])
    i = np.arange(len(first))
    bound = sketches(first).could_agree(sketches(second, shifted=True), i, i)
    assert (bound >= correlation(first, second) - 1e-5).all()


def test_a_crowd_of_copies_is_found_whole_and_compared_about_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cells, 500 times each, took 101 s and 1.5 GB: every copy was compared with every other."""
    rng = np.random.default_rng(0)
    originals = [cell(rng) for _ in range(4)]
    train, test = CropPrints(), CropPrints()
    for n in range(2000):
        (test if n % 3 == 0 else train).add(str(n), copied(originals[n % 4], rng))
    compared = 0

    def counting(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> thumb_agreement.Floats:
        nonlocal compared
        compared += len(a)
        return correlation(a, b)

    monkeypatch.setattr(near_duplicates, "correlation", counting)
    pairs = pairs_across(train, test)
    assert [pair.test for pair in pairs] == test.names
    assert all(int(pair.train) % 4 == int(pair.test) % 4 for pair in pairs)
    assert compared < 4 * len(test)


def plainly_alike(prints: CropPrints) -> npt.NDArray[np.bool_]:
    """Compare every crop with every other in every orientation, by the published rule and without a shortcut."""
    thumbs, count = prints.thumbs, len(prints)
    i, j = (part.ravel() for part in np.indices((count, count)))
    alike = np.zeros(count * count, dtype=np.bool_)
    for turned in orientations(thumbs):
        differing = hashes(thumbs)[i] ^ hashes(turned)[j]
        bands = (differing[:, None] >> np.arange(0, HASH_BITS, 10, dtype=np.uint64)) & np.uint64(1023)
        named = (np.bitwise_count(differing) <= 10) & (bands == 0).any(axis=1)
        alike |= named & (correlation(thumbs[i], turned[j]) >= MIN_CORRELATION)
    return alike.reshape(count, count)


@settings(max_examples=10)
@given(SEEDS)
def test_the_same_is_found_as_when_every_pair_is_compared(seed: int) -> None:
    rng = np.random.default_rng(seed)
    originals = [cell(rng) for _ in range(4)]
    prints = CropPrints()
    for n in range(16):
        prints.add(str(n), copied(originals[n % 4], rng))
    owners = rng.integers(0, 5, 16)
    alike = plainly_alike(prints)
    expected = {(int(owners[a]), int(owners[b])) for a, b in np.argwhere(alike) if owners[a] < owners[b]}
    assert owners_that_share(prints, owners) == expected
    train, test = CropPrints(), CropPrints()
    for n in range(16):
        (train if n < 8 else test).add_print(str(n), made_of(prints, n))
    assert {int(pair.test) for pair in pairs_across(train, test)} == set(np.flatnonzero(alike[:8, 8:].any(axis=0)) + 8)


def made_of(prints: CropPrints, n: int) -> CropPrint:
    return CropPrint(prints.digests[n], prints.thumbs[n], prints.telling[n])


@pytest.mark.parametrize("search", [pairs_across, lambda a, b, tick: owners_that_share(a, np.arange(len(a)), tick)])
def test_a_search_can_be_ended(search) -> None:
    rng = np.random.default_rng(0)
    prints = CropPrints()
    for n in range(20):
        prints.add(str(n), cell(rng))

    def stop() -> None:
        raise JobCancelled("Cancelled.")

    other = CropPrints()
    for n in range(20):
        other.add(str(n), copied(cell(rng), rng))
    with pytest.raises(JobCancelled):
        search(prints, other, stop)


def test_different_cells_are_no_pairs() -> None:
    rng = np.random.default_rng(3)
    train, test = CropPrints(), CropPrints()
    for n in range(600):
        (test if n % 2 else train).add(str(n), cell(rng))
    assert len(pairs_across(train, test)) <= 3
    assert MIN_CORRELATION < 1
