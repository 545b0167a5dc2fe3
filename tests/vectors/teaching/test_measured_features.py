"""Promise: what is measured on outlines teaches a class that vectors do not show; no unit outweighs another, and cells
without an outline, or with one that nobody accepted, are said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.domain.presets import preset
from napari_cyto.measurements import COLUMNS, CellTable, Measured, Reference, SlideMeasurements
from napari_cyto.vectors.teaching._measured import FEATURES, measured_features
from napari_cyto.vectors.teaching.examples import Answer
from napari_cyto.vectors.teaching.lesson import Lesson
from napari_cyto.vectors.teaching.sentences import limitations

COUNT, WITHOUT, UNACCEPTED = 300, 20, 30
IDS = tuple(f"{n:032x}" for n in range(COUNT))


def table_of(areas: np.ndarray) -> CellTable:
    """A table of all cells but the last ones, which differ in the size of the nucleus alone."""
    count = COUNT - WITHOUT
    values = np.random.default_rng(0).lognormal(2, 0.2, (count, len(COLUMNS)))
    # Area, perimeter, diameter, and both axes.
    values[:, :5] = np.sqrt(areas[:count, None])
    values[:, 0] = areas[:count]
    values[:, [c.name for c in COLUMNS].index("nc_ratio")] = np.nan
    none = np.zeros(count, bool)
    slide = SlideMeasurements(
        *("s", "smear", IDS[:count], ("NILM",) * count, ("proposed",) * count),
        *(np.arange(count) >= UNACCEPTED, values, none, none, none),
        *(Reference(None, 0, "NILM"), 0.25, np.zeros((count, 2))),
    )
    return CellTable(Measured((slide,)))


def test_a_class_is_learnt_from_measurements_that_vectors_do_not_show() -> None:
    rng = np.random.default_rng(1)
    is_large = rng.random(COUNT) < 0.5
    areas = np.where(is_large, 120.0, 40.0) * rng.lognormal(0, 0.1, COUNT)
    vectors = rng.normal(size=(COUNT, 32)).astype(np.float32)
    measured = measured_features(IDS, table_of(areas))
    places = measured.places
    assert places.shape == (COUNT, len(FEATURES))
    assert np.isfinite(places).all()
    assert (places[:-WITHOUT] ** 2).sum(1).mean() == pytest.approx(1, rel=1e-4), "as far apart as vectors are"
    assert (places[-WITHOUT:] == 0).all()
    right = {}
    for features in (None, measured):
        lesson = Lesson(IDS, ("s",) * COUNT, vectors, preset("bethesda"), features)
        for n in range(40):
            lesson.teach(IDS[n], Answer("HSIL" if is_large[n] else "NILM"))
        head = lesson.learn()
        assert head is not None
        called = lesson.scores[40:-WITHOUT].argmax(1) == head.classes.index("HSIL")
        right[features is not None] = float((called == is_large[40:-WITHOUT]).mean())
    assert right[False] < 0.65, "by chance"
    assert right[True] > 0.85
    said = " ".join(limitations(lesson, "HSIL"))
    assert "20 cells without measurements" in said
    assert "30 cells measured on an outline that nobody accepted" in said
