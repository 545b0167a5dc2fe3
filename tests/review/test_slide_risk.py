"""Guards the order of slides: negative ones look negative, what a person accepted comes first, an excess is seen."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.domain.high_grade import high_grade_of
from napari_cyto.domain.presets import preset
from napari_cyto.domain.statistics.excess import SLIDE_VARIATION, FalseRate
from napari_cyto.models.false_calls import false_rate
from napari_cyto.models.library import list_models
from napari_cyto.review.slide_risk import NO_MORE, SlideRisk, risk_words, slide_risk

MODEL = "model:light@0"
CARD = FalseRate(called=10, cells=3255, effective_n=1175.0, groups=174)
"""As a card tells it: of 3,255 normal cells in 174 pictures 10 were called ASC-H or worse."""

HIGH_GRADE_RECALL = 0.95


def slide(cells: int, predicted: int, severity: float = 0.0, rate: FalseRate | None = CARD) -> SlideRisk:
    return slide_risk(severity, {MODEL: predicted}, {MODEL: cells}, {} if rate is None else {MODEL: rate})


@pytest.mark.parametrize("cells", [5000, 8000, 12000])
def test_a_negative_slide_by_the_cards_own_errors_does_not_look_risky(cells: int) -> None:
    """The mean of the ten riskiest cells gave such a slide of 8,000 cells a risk of 0.78."""
    rng = np.random.default_rng(cells)
    flagged = [slide(cells, int(rng.binomial(cells, CARD.value))).is_excess for _ in range(300)]
    assert np.mean(flagged) <= 0.05
    assert NO_MORE in risk_words(slide(cells, round(cells * CARD.value)))


def test_negative_slides_that_differ_from_each_other_are_seldom_flagged() -> None:
    """Slides whose own rate varies as much as is taken for granted, judged by cards that were measured once each."""
    rng = np.random.default_rng(1)
    rate, shape = 0.003, 1 / SLIDE_VARIATION**2
    flagged = []
    for _ in range(400):
        own = min(1.0, rng.gamma(shape, rate / shape))
        card = FalseRate(int(rng.binomial(1175, rate)), 1175, 1175.0, 174)
        flagged.append(slide(8000, int(rng.binomial(8000, own)), rate=card).is_excess)
    assert np.mean(flagged) <= 0.05


@pytest.mark.parametrize(("true_cells", "least", "most"), [(10, 0.0, 0.05), (60, 0.0, 0.3), (200, 0.95, 1.0)])
def test_the_power_to_see_an_excess_is_what_the_page_states(true_cells: int, least: float, most: float) -> None:
    """Of 8,000 cells, 200 of high grade are seen and 10 are not: a handful is for a person to find."""
    rng = np.random.default_rng(true_cells)
    shape = 1 / SLIDE_VARIATION**2
    flagged = []
    for _ in range(300):
        own = min(1.0, rng.gamma(shape, CARD.value / shape))
        predicted = rng.binomial(8000 - true_cells, own) + rng.binomial(true_cells, HIGH_GRADE_RECALL)
        flagged.append(slide(8000, int(predicted)).is_excess)
    assert least <= np.mean(flagged) <= most


def test_what_a_person_accepted_comes_before_any_prediction_and_an_excess_before_none() -> None:
    negative, many = slide(8000, 25), slide(8000, 400)
    handful = slide(8000, 20, severity=0.8)
    small, low_grade = slide(300, 12), slide(8000, 25, severity=0.2)
    nothing = slide(0, 0)
    order = sorted([nothing, negative, many, handful, small, low_grade], key=lambda risk: risk.key)
    assert order == [handful, low_grade, many, small, negative, nothing]


def test_a_card_that_does_not_tell_is_said_and_its_slides_are_ranked_by_what_is_predicted() -> None:
    unknown = slide(8000, 50, rate=None)
    assert unknown.to_json()["expected"] is None
    assert "no false-positive rate for light" in risk_words(unknown)
    assert unknown.key < slide(8000, 25).key
    assert risk_words(slide(0, 0)) == ""


def test_fewer_reviewed_cells_make_a_wider_range() -> None:
    few = FalseRate(1, 325, 117.0, 17)
    assert few.expected(8000).high > CARD.expected(8000).high
    assert FalseRate(0, 325, 117.0, 17).expected(8000).high > 0
    # A million cells are not counted one by one, and come to the same.
    share = CARD.expected(50_000).high / 50_000
    assert CARD.expected(1_000_000).high / 1_000_000 == pytest.approx(share, rel=0.02)


def test_the_models_that_ship_tell_their_rate() -> None:
    for entry in list_models():
        if entry.shipped and entry.manifest is not None and entry.manifest.classes:
            found = false_rate(entry.manifest.card.metrics, entry.manifest.classes)
            assert found is not None, entry.name
            assert 0 < found.effective_n <= found.cells


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"classification": None},
        {"classification": {"classes": ["NILM"], "confusion": [["x"]]}},
        {"classification": {"classes": ["NILM", "HSIL"], "confusion": [[1, 2]]}},
        {"classification": {"classes": ["NILM", "HSIL"], "confusion": [[0, 0], [1, 2]]}},
        {"classification": {"classes": ["NILM", "HSIL"], "confusion": [[-1, 0], [1, 2]]}},
    ],
)
def test_a_foreign_card_that_tells_something_else_tells_no_rate(metrics: dict[str, object]) -> None:
    assert false_rate(metrics, preset("bethesda").classes) is None


def test_high_grade_is_what_a_scheme_has_of_it() -> None:
    assert high_grade_of(preset("bethesda").classes) == ("ASC-H", "HSIL", "SCC")
    assert high_grade_of(preset("bethesda-4").classes) == ("HSIL",)
    assert high_grade_of(preset("apacc").classes) == ("unhealthy",)
    assert high_grade_of(preset("ki67").classes) == ()
