"""Guards: what the size of nuclei says of the scale covers the truth as often as it says, and is no guess of a few."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.domain.statistics.nuclear_scale import (
    LEAST_NUCLEI,
    NUCLEUS_UM,
    OF_COLLECTIONS,
    OF_FIELDS,
    scale_from_nuclei,
    without_debris,
)

TRUE_MPP = 0.23


def fields_of_nuclei(rng: np.random.Generator, fields: int, nuclei: int, debris: int = 0) -> list[np.ndarray]:
    """Diameters, px, as collections, fields and nuclei differ; debris a third as wide lies among them."""
    mean = np.log(NUCLEUS_UM / TRUE_MPP) + rng.normal(0, OF_COLLECTIONS)
    found = []
    for _ in range(fields):
        sizes = rng.normal(mean + rng.normal(0, OF_FIELDS), 0.24, nuclei)
        small = rng.normal(mean - np.log(3), 0.1, debris)
        found.append(np.exp(np.concatenate([sizes, small])))
    return found


@pytest.mark.parametrize(("fields", "nuclei", "debris"), [(1, 30, 0), (8, 12, 8)])
def test_the_interval_covers_the_truth(fields: int, nuclei: int, debris: int) -> None:
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(200):
        found = scale_from_nuclei(fields_of_nuclei(rng, fields, nuclei, debris))
        assert found.low is not None
        assert found.high is not None
        covered.append(found.low <= TRUE_MPP <= found.high)
    # 95 % of 200 has a standard error of 1.5 %.
    assert 0.905 <= np.mean(covered) <= 0.99


def test_more_fields_say_more_but_never_all() -> None:
    rng = np.random.default_rng(1)
    one = scale_from_nuclei(fields_of_nuclei(rng, 1, 40))
    many = scale_from_nuclei(fields_of_nuclei(rng, 40, 40))
    widths = [np.log(e.high / e.low) for e in (one, many)]
    assert widths[1] < widths[0]
    assert widths[1] > 3.9 * OF_COLLECTIONS * 0.9


def test_the_sentence_has_estimate_number_and_interval() -> None:
    found = scale_from_nuclei([np.full(74, NUCLEUS_UM / TRUE_MPP)] * 2)
    assert found.sentence.startswith("About 0.23 µm per px, from 148 nuclei in 2 fields; 95 % 0.")
    assert found.to_json()["nuclei"] == 148


@pytest.mark.parametrize("fields", [[], [np.empty(0)], [np.full(LEAST_NUCLEI - 1, 30.0)]])
def test_too_few_nuclei_are_a_sentence_and_no_number(fields: list[np.ndarray]) -> None:
    found = scale_from_nuclei(fields)
    assert (found.mpp, found.low, found.high) == (None, None, None)
    assert f"at least {LEAST_NUCLEI} nuclei" in found.sentence


def test_a_scale_of_no_microscope_is_not_offered() -> None:
    found = scale_from_nuclei([np.full(50, 4000.0)])
    assert found.mpp is None
    assert "of no microscope's scale" in found.sentence


def test_debris_is_left_out_whatever_the_scale() -> None:
    sizes = np.concatenate([np.full(30, 30.0), np.full(60, 9.0)])
    for scale in (0.5, 1.0, 4.0):
        (kept,) = without_debris([sizes * scale])
        assert kept.tolist() == [30.0 * scale] * 30
