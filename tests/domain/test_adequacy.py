"""Guards the Bethesda thresholds: which counts are enough, and what is said of them."""

from __future__ import annotations

import pytest

from napari_cyto.domain.adequacy import Preparation, Reached, cellularity, obscured_words

LIQUID, CONVENTIONAL = Preparation.LIQUID_BASED, Preparation.CONVENTIONAL


@pytest.mark.parametrize(
    ("cells", "preparation", "reached"),
    [
        (4_999, LIQUID, Reached.NO),
        (5_000, LIQUID, Reached.YES),
        (7_999, CONVENTIONAL, Reached.NO),
        (8_000, CONVENTIONAL, Reached.WITHIN),
        (12_000, CONVENTIONAL, Reached.WITHIN),
        (12_001, CONVENTIONAL, Reached.YES),
        (0, LIQUID, Reached.NO),
        (50_000, None, Reached.UNKNOWN),
    ],
)
def test_thresholds(cells, preparation, reached):
    found = cellularity(cells, preparation)
    assert found.reached is reached
    assert f"{cells:,} cells" in found.sentence
    assert "satisfactory" not in found.sentence


def test_what_is_said():
    assert "fewer than the 5,000" in cellularity(10, LIQUID).sentence
    assert "at least the 5,000" in cellularity(6_000, LIQUID).sentence
    assert "within the minimum of 8,000 to 12,000" in cellularity(9_000, CONVENTIONAL).sentence
    assert "more than the 8,000 to 12,000" in cellularity(20_000, CONVENTIONAL).sentence
    assert "Specify the preparation" in cellularity(20_000, None).sentence


def test_abnormal_cells_make_any_slide_satisfactory():
    assert "satisfactory whatever their number" in cellularity(10, LIQUID, has_abnormal=True).sentence


def test_obscured():
    assert "not limiting" in obscured_words(0.49)
    assert "partially" in obscured_words(0.5)
    assert "partially" in obscured_words(0.75)
    assert "unsatisfactory" in obscured_words(0.76)
