"""Promises: an encoder that says nothing of an image scores 0.5, and one cell that tells is found by attention."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.evaluation.encoders._bags import Bags, _logits, _parts, bag_scores
from napari_cyto.evaluation.encoders.table import BagScores
from napari_cyto.jobs.events import Advanced, CancelToken
from napari_cyto.models.attention_mil import GatedAttention

pytestmark = pytest.mark.networks


def bags(rng: np.random.Generator, many: int, signal: float, images: int = 1) -> Bags:
    """Images of 12 cells, ``images`` of one patient; one cell of a positive image lies ``signal`` off.

    Cells of a patient resemble each other, and all of his images have one label: what leaks between parts would show.
    """
    groups = np.arange(many) // images
    positive = groups % 3 == 0
    bag = np.repeat(np.arange(many), 12)
    vectors = (
        rng.normal(0, 1, (len(bag), 8))
        + (rng.normal(0, 3, (groups.max() + 1, 8)) if images > 1 else np.zeros((many, 8)))[groups[bag]]
    )
    vectors[np.flatnonzero(positive) * 12, 0] += signal
    return Bags(vectors.astype(np.float32), bag, positive, tuple(f"patient {group}" for group in groups))


def scored(made: Bags, splits: int, seed: int = 0) -> BagScores:
    steps = bag_scores(made, splits, seed, "a cell that lies off")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("images", [1, 3])
def test_without_a_signal_the_score_is_chance_also_when_images_of_a_patient_are_alike(images: int) -> None:
    found = [scored(bags(np.random.default_rng(k), 90, 0.0, images=images), 1, k) for k in range(36)]
    # Six patients, or 18, to measure by: one set's AUROC varies by 0.26 or 0.15, the mean of 36 by 0.04 or less. Of 700
    # sets of single images it was 0.497, standard error 0.004.
    assert abs(np.mean([each.auroc for each in found]) - 0.5) < 0.1
    assert abs(np.mean([each.balanced for each in found]) - 0.5) < 0.1


def test_one_cell_in_twelve_is_found_and_the_spread_is_that_over_splits() -> None:
    made = bags(np.random.default_rng(0), 120, 8.0)
    found = scored(made, 4)
    assert found.auroc > 0.9
    assert (found.bags, found.positive, found.splits) == (120, 40, 4)
    each = [scored(made, k).auroc * k for k in (1, 2, 3, 4)]
    alone = np.diff([0.0, *each])
    assert found.auroc_sd == pytest.approx(alone.std(ddof=1), abs=1e-9)


def test_no_patient_is_in_two_parts_and_each_part_has_both_labels() -> None:
    made = bags(np.random.default_rng(1), 60, 0.0, images=3)
    for split in range(5):
        parts = _parts(made, 0, split)
        for group in set(made.groups):
            assert len({int(p) for p, g in zip(parts, made.groups, strict=True) if g == group}) == 1
        assert 0.1 < (parts == 0).mean() < 0.35


def test_all_bags_at_once_score_as_one_by_one() -> None:
    import torch

    network = GatedAttention(8, 16, 8, 0.0).eval()
    made = bags(np.random.default_rng(2), 5, 1.0)
    with torch.inference_mode():
        together = _logits(network, torch.from_numpy(made.vectors), torch.from_numpy(made.bag), 5)
        alone = [network(torch.from_numpy(made.vectors[made.bag == k]))[0] for k in range(5)]
    assert together.tolist() == pytest.approx([float(each) for each in alone], abs=1e-5)


def test_too_few_positive_images_are_refused_in_a_sentence() -> None:
    made = bags(np.random.default_rng(0), 9, 1.0)
    with pytest.raises(CytoError, match=r"Expected positive images .* got 3"):
        scored(made, 1)


def test_each_split_is_said_and_a_stop_is_heard_between_them() -> None:
    token = CancelToken()
    steps = bag_scores(bags(np.random.default_rng(0), 60, 8.0), 3, 0, "HSIL", "Attention", token)
    assert [next(steps), next(steps)] == [Advanced(1, 3, "Attention"), Advanced(2, 3, "Attention")]
    token.cancel()
    with pytest.raises(JobCancelled, match="Vectors that are finished stay"):
        next(steps)
