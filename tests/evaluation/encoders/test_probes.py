"""Promises: vectors without a word on classes score at chance, and the intervals of the table hold what they say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_cyto.domain.statistics.bootstrap import Resampling, share_estimate
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.encoders._probes import (
    few_shot_shares,
    group_folds,
    linear_calls,
    mean_share,
    neighbour_calls,
    probe,
    widened,
)
from napari_cyto.evaluation.encoders.encoder_table_config import EncoderTableConfig


def cells(
    rng: np.random.Generator, groups: int, separation: float, classes: int = 3, shared: float = 0.5, size: int = 8
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], list[str]]:
    """Cells of groups that resemble each other; the classes' centres are ``separation`` apart."""
    class_index = rng.integers(classes, size=groups * size)
    centres = separation * np.eye(classes, 6)
    whole = np.repeat(rng.normal(0, shared, (groups, 6)), size, axis=0)
    vectors = centres[class_index] + whole + rng.normal(0, 1, (groups * size, 6))
    return vectors.astype(np.float32), class_index, [f"g{k // size}" for k in range(groups * size)]


def test_a_random_encoder_scores_at_chance() -> None:
    """Vectors that say nothing of classes, but all of whose cell it is, must not profit from cells of one group."""
    rng = np.random.default_rng(3)
    groups = 60
    class_of_group = np.arange(groups) % 3
    class_index = np.repeat(class_of_group, 10)
    vectors = (np.repeat(rng.normal(0, 5, (groups, 20)), 10, axis=0) + rng.normal(0, 1, (600, 20))).astype(np.float32)
    names = [f"g{k // 10}" for k in range(600)]
    found = probe(vectors, class_index, names, EncoderTableConfig(draws=15))
    for each in (found.linear_balanced, found.neighbours_balanced, found.few_balanced):
        assert each.low < 1 / 3 < each.high, each
    # The same cells without their groups: nearest neighbours find their own group, which is the leak.
    leaky = probe(vectors, class_index, [str(k) for k in range(600)], EncoderTableConfig(draws=15))
    assert leaky.neighbours_balanced.value > 0.95


def test_classes_that_lie_apart_are_recognised() -> None:
    vectors, class_index, groups = cells(np.random.default_rng(0), 30, 12.0)
    found = probe(vectors, class_index, groups, EncoderTableConfig(draws=10))
    assert all(e.value > 0.97 for e in (found.linear, found.neighbours, found.few_balanced))
    assert found.linear.groups == 30


@pytest.mark.parametrize("head", ["neighbours", "few"])
def test_intervals_cover_what_new_groups_would_score(head: str) -> None:
    """95 % intervals over groups hold the expected score of the same procedure in at least 90 of 100 data sets."""

    def measured(seed: int) -> tuple[float, float, float]:
        vectors, class_index, groups = cells(np.random.default_rng(seed), 24, 1.5)
        folds = group_folds(class_index, groups, 4)
        if head == "neighbours":
            right = neighbour_calls(vectors, class_index, folds, 10) == class_index
            found = widened(share_estimate(right, np.ones(len(right), bool), groups))
        else:
            shares = few_shot_shares(vectors, class_index, folds, 10, 4, seed)
            found = mean_share(shares, class_index, groups, Resampling())
        assert None not in (found.value, found.low, found.high)
        return found.value, found.low, found.high

    many = np.array([measured(seed) for seed in range(100)])
    expected = many[:, 0].mean()
    covered = ((many[:, 1] <= expected) & (expected <= many[:, 2])).mean()
    assert covered >= 0.9, covered


def test_no_group_is_in_two_folds_and_turning_vectors_changes_no_call() -> None:
    vectors, class_index, groups = cells(np.random.default_rng(5), 20, 2.0)
    folds = group_folds(class_index, groups, 5)
    for group in set(groups):
        assert len({int(f) for f, g in zip(folds, groups, strict=True) if g == group}) == 1
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    turned = (7 * vectors @ turn).astype(np.float32)
    same = linear_calls(vectors, class_index, groups, folds) == linear_calls(turned, class_index, groups, folds)
    assert same.mean() > 0.98


def test_one_class_or_one_group_is_refused_in_a_sentence() -> None:
    with pytest.raises(CytoError, match="Expected cells of two classes"):
        group_folds(np.zeros(4, np.intp), list("abcd"), 5)
    with pytest.raises(CytoError, match="no fold can be kept out"):
        group_folds(np.arange(4) % 2, list("aaaa"), 5)
