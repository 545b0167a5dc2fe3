"""Promise: wrong labels come first, and what is said of the order holds."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.errors import CytoError
from napari_cyto.vectors.label_errors import LabelErrors, label_errors


def planted(
    seed: int, apart: float, shares: list[float] | None = None, cells: int = 600
) -> tuple[LabelErrors, set[str]]:
    """Return the order of cells of four classes, and those whose label was changed; ``apart`` is in spreads."""
    rng = np.random.default_rng(seed)
    true = rng.choice(4, cells, p=shares)
    middles = rng.normal(size=(4, 32))
    middles *= apart / np.linalg.norm(middles, axis=1)[:, None]
    vectors = (middles[true] + rng.normal(size=(cells, 32)) + 1).astype(np.float32)
    labels, changed = true.copy(), rng.permutation(cells)[: cells // 20]
    labels[changed] = (true[changed] + rng.integers(1, 4, len(changed))) % 4
    names = [f"class {code}" for code in labels]
    groups = [str(group) for group in rng.integers(0, 8, cells)]
    made = label_errors([str(n) for n in range(cells)], names, groups, vectors)
    return made, {str(n) for n in changed}


def test_planted_errors_come_first():
    made, wrong = planted(0, 6.0)
    first = [each.id for each in made.suspects[: len(wrong)]]
    assert len(wrong & set(first)) >= 0.95 * len(wrong)
    assert all(each.likelier != each.label for each in made.suspects[:20])
    assert made.by == "patient"
    assert {each.id for each in made.suspects} == {str(n) for n in range(600)}


def test_rare_classes_are_no_errors():
    made, wrong = planted(1, 6.0, [0.8, 0.16, 0.02, 0.02])
    first = {each.id for each in made.suspects[: len(wrong)]}
    assert len(wrong & first) >= 0.85 * len(wrong)


@pytest.mark.parametrize("apart", [6.0, 3.5, 2.5])
def test_what_is_said_of_the_order_holds(apart: float):
    """The share of errors found is the one said, and no more of the first are wrong than said, in 95 of 100."""
    kept, found, least, trials = [], [], [], []
    for seed in range(10):
        made, wrong = planted(100 + seed, apart)
        order = [each.id for each in made.suspects]
        kept += [len(wrong & set(order[:first])) <= made.at_most_wrong(first) for first in (20, 40)]
        found.append(len(wrong & set(order[: made.check.first])) / len(wrong))
        least.append(made.check.at_least)
        trials.append(made.check.found / made.check.planted)
    assert np.mean(kept) >= 0.95
    # Not said too low either: a figure that is always true says nothing.
    assert np.mean(least) <= np.mean(found) <= np.mean(trials) + 0.17


def test_one_slide_and_too_few_cells_have_their_sentences():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    labels = ["a", "b"] * 30
    made = label_errors([str(n) for n in range(60)], labels, ["one"] * 60, vectors, left_out=2)
    assert "One patient or slide only" in made.sentence()
    assert "2 accepted cells without a vector" in made.sentence()
    with pytest.raises(CytoError, match="at least 40 accepted cells of two classes"):
        label_errors(["1"], ["a"], ["one"], vectors[:1])
