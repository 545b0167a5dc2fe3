"""Guards that only where every cell is marked a detection can be false, in every score and from label files too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.comparison import compare
from napari_cyto.evaluation.detected_field import is_known_area
from napari_cyto.evaluation.detection import score_detections

LEFT = Polygon(((0, 0), (0, 50), (100, 50), (100, 0)))
points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from("ab")), max_size=15)


def label_set(slide: SlideRecord, cells: list[tuple[float, float, str]], *regions: Polygon, **more: Status) -> LabelSet:
    marks = [Annotation(slide_id=slide.id, geometry=Point(y, x), class_id=c) for y, x, c in cells]
    marks += [Annotation(slide_id=slide.id, geometry=region, class_id=None, **more) for region in regions]
    return LabelSet((slide,), tuple(marks))


def test_outside_the_regions_only_what_finds_an_annotated_cell_counts() -> None:
    slide = SlideRecord(name="a", size_hw=(100, 100), mpp=1.0)
    truth = label_set(slide, [(10, 10, "a"), (10, 80, "a"), (50, 80, "a")], LEFT)
    found = label_set(slide, [(10, 10, "a"), (30, 30, "b"), (10, 80, "a"), (50, 80, "b"), (90, 90, "b")])
    result = compare(truth, found, 3)
    assert (result.detection.overall.tp, result.detection.overall.fp, result.detection.overall.fn) == (3, 1, 0)
    # (50, 80) is marked as a, so b there is known to be wrong; (90, 90) is not known to be anything.
    b = result.detection.per_class["b"]
    assert (b.tp, b.fp, b.fn) == (0, 2, 0)
    assert "does not count as false" in result.remarks[0]


def test_a_rejected_region_and_one_of_the_prediction_limit_nothing() -> None:
    slide = SlideRecord(name="a", size_hw=(100, 100), mpp=1.0)
    found = label_set(slide, [(90, 90, "b")], LEFT)
    rejected = compare(label_set(slide, [], LEFT, status=Status.REJECTED), found, 3)
    assert rejected.detection.overall.fp == 1
    assert not any("count as false" in remark for remark in rejected.remarks)
    assert compare(label_set(slide, [], LEFT), found, 3).detection.overall.fp == 0


@given(points, points, st.sampled_from([1.0, 3.0]))
def test_when_all_is_evaluated_nothing_changes(truth: list, found: list, radius_px: float) -> None:
    sides = [([t[:2] for t in side], [t[2] for t in side]) for side in (truth, found)]
    plain = score_detections(*sides[0], *sides[1], radius_px)
    everywhere = score_detections(*sides[0], *sides[1], radius_px, np.ones(len(found), bool))
    nowhere = score_detections(*sides[0], *sides[1], radius_px, np.zeros(len(found), bool))
    assert (plain.overall, dict(plain.per_class)) == (everywhere.overall, dict(everywhere.per_class))
    assert nowhere.overall.fp == 0
    assert (nowhere.overall.tp, nowhere.overall.fn) == (plain.overall.tp, plain.overall.fn)
    for name, counts in nowhere.per_class.items():
        assert (counts.tp, counts.fn) == (plain.per_class[name].tp, plain.per_class[name].fn)
        assert counts.fp <= plain.per_class[name].fp


def test_without_regions_everything_is_evaluated() -> None:
    where = np.asarray([[10.0, 10.0], [10.0, 80.0]])
    assert is_known_area(where, ()).all()
    assert is_known_area(where, (LEFT,)).tolist() == [True, False]
    assert is_known_area(np.empty((0, 2)), (LEFT,)).tolist() == []
    with pytest.raises(CytoError, match="2 values, whether each detection counts"):
        score_detections([], [], where, ["a", "a"], 1, [True])
