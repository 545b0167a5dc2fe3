"""Guards which cells an epoch shows: the same for the same seed, rare classes as often as asked, none left out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.training._sampler import class_weights, epoch_order

LABELS = np.repeat([0, 1, 2], [900, 90, 10])


def test_the_same_seed_and_epoch_give_the_same_order() -> None:
    one = epoch_order(LABELS, "sqrt", 3, 5)
    np.testing.assert_array_equal(one, epoch_order(LABELS, "sqrt", 3, 5))
    assert not np.array_equal(one, epoch_order(LABELS, "sqrt", 3, 6))
    assert not np.array_equal(one, epoch_order(LABELS, "sqrt", 4, 5))


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [("natural", [0.9, 0.09, 0.01]), ("sqrt", [0.703, 0.222, 0.074]), ("balanced", [1 / 3, 1 / 3, 1 / 3])],
)
def test_classes_are_shown_as_often_as_requested(sampling: str, shares: list[float]) -> None:
    order = epoch_order(LABELS, sampling, 0, 0)  # type: ignore[arg-type]
    assert len(order) == len(LABELS)
    np.testing.assert_allclose(np.bincount(LABELS[order]) / len(order), shares, atol=0.002)


def test_a_rare_cell_comes_again_only_after_all_of_its_class() -> None:
    order = epoch_order(LABELS, "balanced", 0, 0)
    times = np.bincount(order, minlength=len(LABELS))[LABELS == 2]
    assert times.min() >= times.max() - 1 >= 32
    assert (np.bincount(epoch_order(LABELS, "natural", 0, 0)) == 1).all()


def test_a_class_without_cells_is_no_trouble() -> None:
    assert len(epoch_order([0, 0, 2, 2], "balanced", 0, 0)) == 4
    weights = class_weights([4, 0, 1], "inverse")
    assert weights[1] == 0
    assert np.isfinite(weights).all()


def test_weights_are_one_on_average_over_the_cells() -> None:
    counts = np.array([900, 90, 10])
    for weighting in ("none", "sqrt", "inverse"):
        weights = class_weights(counts, weighting)  # type: ignore[arg-type]
        assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    inverse = class_weights(counts, "inverse") * counts
    np.testing.assert_allclose(inverse, inverse[0])
