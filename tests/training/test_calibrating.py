"""Guards the decision that is fitted on validation cells: known temperatures and priors are found again."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.inference.deciding import probabilities
from napari_cyto.models.manifest import Decision
from napari_cyto.training.calibrating import fitted_decision


def drawn(temperature: float, offsets: list[float], n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits and classes drawn from what they say once divided by the temperature and moved by the offsets."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (n, 1, len(offsets)))
    told = probabilities(logits, Decision(temperature=temperature, logit_offsets=tuple(offsets)))
    return logits, (told.cumsum(1) > rng.random((n, 1))).argmax(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_is_found(temperature: float) -> None:
    logits, truth = drawn(temperature, [0.0, 0.0, 0.0])
    assert fitted_decision(logits, truth, 1).temperature == pytest.approx(temperature, rel=0.12)


def test_offsets_are_found() -> None:
    logits, truth = drawn(1.5, [1.0, 0.0, -1.0])
    found = fitted_decision(logits, truth, 4, offsets=True)
    assert found.temperature == pytest.approx(1.5, rel=0.12)
    np.testing.assert_allclose(found.logit_offsets, [1.0, 0.0, -1.0], atol=0.2)
    assert found.views == 4


def test_nothing_is_fitted_where_nothing_is_to_be_had() -> None:
    assert fitted_decision(np.zeros((0, 1, 3)), np.zeros(0, np.intp), 2) == Decision(views=2)
    broken = np.full((4, 1, 3), np.nan)
    assert fitted_decision(broken, np.zeros(4, np.intp), 1) == Decision()
    logits, truth = drawn(2.0, [0.0, 0.0])
    assert fitted_decision(logits, truth, 1, temperature=False).temperature == 1.0


def test_probabilities_average_the_views() -> None:
    logits = np.array([[[0.0, np.log(3)], [0.0, 0.0]]])
    np.testing.assert_allclose(probabilities(logits, Decision()), [[0.375, 0.625]])
    np.testing.assert_allclose(probabilities(logits * 1e4, Decision()).sum(), 1)
