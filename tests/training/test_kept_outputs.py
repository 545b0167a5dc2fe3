"""Guards that what a run was judged on is kept whole, and pooled without loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.training._kept_outputs import pooled

TWO = preset("bethesda").classes[:2]


def cells(n: int, seed: int) -> ScoredCells:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([1.0, 1.0], n)
    names = tuple(f"{seed}-{i}" for i in range(n))
    return ScoredCells(TWO, rng.integers(0, 2, n), probabilities, names, names, rng.uniform(0, 99, (n, 2)))


def test_folds_are_pooled_to_the_last_cell() -> None:
    whole = pooled([cells(3, 0), cells(30_000, 1)])
    assert isinstance(whole, ScoredCells)
    assert len(whole.truth) == len(whole.groups) == 30_003
    assert np.array_equal(whole.probabilities[3:], cells(30_000, 1).probabilities)


def test_each_fold_keeps_its_own_costs() -> None:
    costly = replace(cells(3, 0), costs=np.tile([1.0, 5.0], (3, 1)))
    whole = pooled([costly, cells(2, 1)])
    assert isinstance(whole, ScoredCells)
    assert whole.costs is not None
    np.testing.assert_array_equal(whole.costs[:, 1], [5, 5, 5, 1, 1])
    np.testing.assert_array_equal(whole.answers[:3], (costly.probabilities * [1.0, 5.0]).argmax(axis=1))
    assert pooled([cells(3, 0), cells(2, 1)]).costs is None  # type: ignore[union-attr]


def test_cells_and_images_are_not_pooled() -> None:
    field = DetectedField("p", 0.5, "p", np.zeros((0, 2)), (), np.zeros((0, 4)))
    with pytest.raises(CytoError, match="cannot be pooled"):
        pooled([cells(3, 0), (field,)])
