"""Promise: what is stated of the reliability of scores of slides is true of slides that are not there yet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from napari_cyto.evaluation.classification import auroc
from napari_cyto.evaluation.slide_reliability import HeldOutScores, fitted_calibration, slide_reliability

TRUE_SLOPE, TRUE_INTERCEPT = 0.5, -0.6


def drawn(chance: np.random.Generator, n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Scores that are too sure of themselves: a logit of 4 stands for one of 1.4."""
    logits = chance.normal(0, 3, n)
    return logits, chance.random(n) < expit(TRUE_SLOPE * logits + TRUE_INTERCEPT)


def held(logits: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> HeldOutScores:
    return HeldOutScores(logits, truth, np.arange(len(logits)) % 5, tuple(str(n) for n in range(len(logits))))


def test_intervals_hold_what_the_score_and_its_calibration_are_worth_on_new_slides() -> None:
    chance = np.random.default_rng(3)
    new, outcome = drawn(chance, 40_000)
    true_auroc, true_brier = auroc(outcome, new), np.mean((expit(new) - outcome) ** 2)
    holds: dict[str, list[bool]] = {"auroc": [], "brier": [], "calibrated": []}
    for _ in range(80):
        found = slide_reliability(held(*drawn(chance, 120)))
        assert found.calibration is not None
        assert found.brier_calibrated is not None
        of_new = np.mean((found.calibration(new) - outcome) ** 2)
        for name, stated, true in (
            ("auroc", found.auroc, true_auroc),
            ("brier", found.brier, true_brier),
            ("calibrated", found.brier_calibrated, of_new),
        ):
            holds[name].append(stated.low <= true <= stated.high)
    # 80 repeats of an interval that holds in 95 % are below 0.88 once in two hundred times.
    assert all(np.mean(each) >= 0.88 for each in holds.values()), {k: np.mean(v) for k, v in holds.items()}


def test_of_slides_with_a_calibrated_score_that_share_is_positive() -> None:
    chance = np.random.default_rng(4)
    calibration = fitted_calibration(*drawn(chance, 2_000))
    new, outcome = drawn(chance, 60_000)
    shares = calibration(new)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        within = (shares >= low) & (shares < low + 0.2)
        assert outcome[within].mean() == pytest.approx(shares[within].mean(), abs=0.04)


def test_scores_that_tell_nothing_are_called_so() -> None:
    chance = np.random.default_rng(5)
    certain = []
    for _ in range(40):
        logits = chance.normal(0, 3, 60)
        found = slide_reliability(held(logits, chance.random(60) < 0.5))
        certain.append("tells more than this share. " in found.sentence)
    assert np.mean(certain) <= 0.1
    turned = slide_reliability(held(np.linspace(5, -5, 60), np.arange(60) > 30))
    assert turned.calibration is None
    assert "cannot be calibrated" in turned.sentence


def test_few_slides_are_not_enough_and_separable_ones_stay_finite() -> None:
    few = slide_reliability(held(np.linspace(-5, 5, 30), np.arange(30) > 14))
    assert few.calibration is None
    assert "Not enough slides to tell" in few.sentence
    assert "got 15 positive and 15 negative" in few.sentence
    assert few.brier.value is not None
    same_patients = HeldOutScores(np.linspace(-5, 5, 60), np.arange(60) > 29, np.arange(60) % 5, tuple("abcdef" * 10))
    assert "got 6 positive and 6 negative" in slide_reliability(same_patients).sentence
    apart = slide_reliability(held(np.linspace(-50, 50, 60), np.arange(60) > 29))
    assert apart.calibration is not None
    assert 0 < apart.calibration.slope < 10
