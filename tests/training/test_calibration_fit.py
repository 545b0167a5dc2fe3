"""Guards the decision of a classifier: known temperatures and priors are found again, sampling is undone, costs act on
calls alone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.inference.probabilities import probabilities, weighed
from napari_cyto.models.manifest import Decision
from napari_cyto.training._calibration_fit import fitted_decision, prior_offsets, sampled_costs, shown_ratios
from napari_cyto.training.cross_fitting import cross_fitted


def drawn(temperature: float, offsets: list[float], n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits and classes drawn from what they say once divided by the temperature and moved by the offsets."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (n, 1, len(offsets)))
    shares = probabilities(logits, Decision(temperature=temperature, logit_offsets=tuple(offsets)))
    return logits, (shares.cumsum(1) > rng.random((n, 1))).argmax(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_is_found(temperature: float) -> None:
    logits, truth = drawn(temperature, [0.0, 0.0, 0.0])
    assert fitted_decision(logits, truth, Decision()).temperature == pytest.approx(temperature, rel=0.12)


def test_offsets_are_found() -> None:
    logits, truth = drawn(1.5, [1.0, 0.0, -1.0])
    found = fitted_decision(logits, truth, Decision(views=4), offsets=True)
    assert found.temperature == pytest.approx(1.5, rel=0.12)
    np.testing.assert_allclose(found.logit_offsets, [1.0, 0.0, -1.0], atol=0.2)
    assert found.views == 4


def test_nothing_is_fitted_where_nothing_is_to_be_had() -> None:
    assert fitted_decision(np.zeros((0, 1, 3)), np.zeros(0, np.intp), Decision(views=2)) == Decision(views=2)
    broken = np.full((4, 1, 3), np.nan)
    assert fitted_decision(broken, np.zeros(4, np.intp), Decision()) == Decision()
    logits, truth = drawn(2.0, [0.0, 0.0])
    assert fitted_decision(logits, truth, Decision(), temperature=False).temperature == 1.0


def test_probabilities_average_the_views() -> None:
    logits = np.array([[[0.0, np.log(3)], [0.0, 0.0]]])
    np.testing.assert_allclose(probabilities(logits, Decision()), [[0.375, 0.625]])
    np.testing.assert_allclose(probabilities(logits * 1e4, Decision()).sum(), 1)


COUNTS = np.array([9000, 900, 100])


def learned_with(sampling: str, n: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits of an ideal network that saw classes as often as ``sampling`` shows them; cells come as often as they are.

    Each cell is a number, normal round its class's place with spread 1, so that the ideal logits are known.
    """
    rng = np.random.default_rng(1)
    truth = rng.choice(3, n, p=COUNTS / COUNTS.sum())
    seen = rng.normal(1.5 * truth, 1.0)
    shown = COUNTS ** {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}[sampling]
    logits = -0.5 * (seen[:, None] - 1.5 * np.arange(3)) ** 2 + np.log(shown / shown.sum())
    return logits[:, None, :], truth


@pytest.mark.parametrize("sampling", ["natural", "sqrt", "balanced"])
def test_probabilities_hold_for_cells_as_often_as_they_say_however_classes_were_sampled(sampling: str) -> None:
    logits, truth = learned_with(sampling)
    shown = shown_ratios(COUNTS, sampling, "none")  # type: ignore[arg-type]
    shares = probabilities(logits, Decision(logit_offsets=prior_offsets(shown)))
    for c in range(3):
        assert shares[:, c].mean() == pytest.approx((truth == c).mean(), abs=0.005)
        near_half = (shares[:, c] > 0.4) & (shares[:, c] < 0.6)
        assert (truth == c)[near_half].mean() == pytest.approx(shares[near_half, c].mean(), abs=0.06)


def test_weights_in_the_loss_are_undone_like_sampling() -> None:
    sampled, weighted = shown_ratios(COUNTS, "balanced", "none"), shown_ratios(COUNTS, "natural", "inverse")
    np.testing.assert_allclose(sampled / sampled[0], weighted / weighted[0])
    assert shown_ratios([5, 0, 5], "sqrt", "sqrt")[1] == 1.0
    assert prior_offsets(shown_ratios(COUNTS, "natural", "none")) == ()


def test_costs_call_as_training_showed_the_classes_and_leave_probabilities_alone() -> None:
    logits, truth = learned_with("sqrt")
    shown = shown_ratios(COUNTS, "sqrt", "none")
    true = Decision(logit_offsets=prior_offsets(shown), miss_costs=sampled_costs(shown))
    shares = probabilities(logits, true)
    np.testing.assert_allclose(shares, probabilities(logits, true.model_copy(update={"miss_costs": ()})))
    called = weighed(shares, true).argmax(axis=1)
    np.testing.assert_array_equal(called, logits[:, 0].argmax(axis=1))
    rare = truth == 2
    assert (called[rare] == 2).mean() > (shares[rare].argmax(axis=1) == 2).mean() + 0.1


def test_a_call_is_the_one_of_least_expected_cost() -> None:
    costs = np.array([1.0, 2.0, 5.0])
    shares = np.random.default_rng(2).dirichlet([1, 1, 1], 500)
    # Calling j costs, of each true class i that is not j, its probability times its cost.
    expected = np.stack([(np.delete(shares * costs, j, axis=1)).sum(axis=1) for j in range(3)], axis=1)
    called = weighed(shares, Decision(miss_costs=tuple(costs))).argmax(axis=1)
    np.testing.assert_array_equal(called, expected.argmin(axis=1))


def test_a_fold_is_evaluated_by_what_the_others_say() -> None:
    """Labels of one fold are made nonsense: its own decision must not see that, those of the others must."""
    logits, truth = drawn(1.5, [1.0, 0.0, -1.0], n=3000)
    fold = np.arange(3000) % 3
    each, _ = cross_fitted(logits, truth, fold, (1.0, 1.0, 1.0))
    spoilt = np.where(fold == 1, (truth + 1) % 3, truth)
    again, of_all = cross_fitted(logits, spoilt, fold, (1.0, 1.0, 1.0))
    assert again[1] == each[1]
    assert again[0] != each[0]
    assert of_all.temperature > 2 * each[1].temperature


def test_cross_fitted_costs_undo_the_offsets_and_add_what_was_requested() -> None:
    logits, truth = drawn(1.0, [1.0, 0.0, -1.0])
    _, plain = cross_fitted(logits, truth, np.arange(len(truth)) % 3, (1.0, 1.0, 1.0))
    called = weighed(probabilities(logits, plain), plain).argmax(axis=1)
    np.testing.assert_array_equal(called, logits[:, 0].argmax(axis=1))
    _, costly = cross_fitted(logits, truth, np.arange(len(truth)) % 3, (1.0, 1.0, 3.0))
    ratio = np.array(costly.miss_costs) / np.array(plain.miss_costs)
    assert ratio[2] / ratio[0] == pytest.approx(3.0)
