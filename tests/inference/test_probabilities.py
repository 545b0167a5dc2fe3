"""Guards that probabilities are those of the calibrated network, and that costs act on the call alone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.inference.probabilities import probabilities, weighed
from napari_cyto.models.manifest import Decision

LOGITS = np.array([[[1.0, 3.0, 0.0], [2.0, -1.0, 4.0]], [[0.0, 0.0, 0.0], [5.0, 1.0, 1.0]]])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.5])
@pytest.mark.parametrize("offsets", [(), (0.5, -1.0, 0.0)])
def test_views_are_averaged_as_probabilities_after_temperature_and_offsets(
    temperature: float, offsets: tuple[float, ...]
) -> None:
    decision = Decision(temperature=temperature, logit_offsets=offsets, miss_costs=(1.0, 9.0, 2.0))
    found = probabilities(LOGITS, decision)
    for cell, shares in zip(LOGITS, found, strict=True):
        views = []
        for view in cell:
            odds = [np.exp(x / temperature + (offsets[k] if offsets else 0.0)) for k, x in enumerate(view)]
            views.append([each / sum(odds) for each in odds])
        assert shares == pytest.approx(np.mean(views, axis=0))
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_costs_weigh_what_is_called_and_nothing_without_them() -> None:
    scores = [[0.5, 0.3, 0.2], [0.2, 0.7, 0.1]]
    assert weighed(scores, Decision(miss_costs=(1.0, 2.0, 4.0))).tolist() == [[0.5, 0.6, 0.8], [0.2, 1.4, 0.4]]
    assert weighed(scores, Decision()).tolist() == scores
    assert weighed(scores, Decision()).dtype == np.float64
