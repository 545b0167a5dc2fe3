"""Guards the scores of a detector bundle: at its threshold, at budgets, of its boxes, of what it called found cells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.statistics.bootstrap import Resampling
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detector_scores import detector_scores

SIX = preset("bethesda").classes[:6]
QUICK = Resampling(draws=60)


def field(
    truth: list[tuple[float, float]],
    found: list[tuple[float, float, float]],
    classes: str = "NILM",
    called: int = 0,
    name: str = "f",
    **more: object,
) -> DetectedField:
    truth_yx = np.asarray(truth, np.float64).reshape(-1, 2)
    rows = np.asarray(found, np.float64).reshape(-1, 3)
    none = {"truth_boxes_yxyx": np.full((len(truth), 4), np.nan), "found_boxes_yxyx": np.full((len(rows), 4), np.nan)}
    settings = {"mpp": 0.5, "group": name, "class_scores": np.tile(np.eye(6)[called], (len(rows), 1))} | none | more
    return DetectedField(
        name=name,
        truth_yx=truth_yx,
        truth_classes=(classes,) * len(truth),
        found_yx=rows[:, :2],
        scores=rows[:, 2],
        **settings,  # type: ignore[arg-type]
    )


def boxes(centres: np.ndarray, side: float) -> np.ndarray:
    return np.concatenate([centres - side / 2, centres + side / 2], axis=1)


def test_counts_recall_and_error_at_the_threshold() -> None:
    fields = [
        field([(10, 10), (50, 50)], [(10, 14, 0.9), (50, 80, 0.8), (50, 50, 0.2)], name="one"),
        field([(20, 20)], [(20, 20, 0.6)], name="two"),
    ]
    result = detector_scores(fields, SIX, 0.5, 6.0, QUICK).to_json()["detection"]
    assert [result[k] for k in ("tp", "fp", "fn")] == [2, 1, 1]
    assert result["recall"] == result["recall_interval"]["value"] == pytest.approx(2 / 3)
    assert result["median_error_um"] == pytest.approx(1.0)
    assert (result["cells"], result["detections"], result["detections_per_cell"]) == (3, 3, 1.0)
    assert result["precision_is"] == "a lower bound"
    assert result["per_class"]["NILM"]["tp"] == 2
    json.dumps(result, allow_nan=False)


def test_the_radius_is_in_micrometres() -> None:
    one = field([(10, 10)], [(10, 22, 1.0)])
    assert detector_scores([one], SIX, 0.5, 6.0, QUICK).to_json()["detection"]["tp"] == 1
    assert detector_scores([one], SIX, 0.5, 5.9, QUICK).to_json()["detection"]["tp"] == 0
    with pytest.raises(CytoError, match="radius"):
        detector_scores([one], SIX, 0.5, 0, QUICK).to_json()


def test_a_budget_takes_the_surest_and_is_never_overrun() -> None:
    """One cell allows three detections; the right one is third, or shares its score with too many."""
    rows = [(90, 90, 0.9), (80, 80, 0.8), (10, 10, 0.7), (70, 70, 0.1)]
    result = detector_scores([field([(10, 10)], rows)], SIX, 0.5, 6.0, QUICK).to_json()["detection"][
        "at_detections_per_cell"
    ]
    assert (result["recall"], result["detections"]) == (1.0, 3)
    assert 0.1 < result["threshold"] <= 0.7
    tied = [(90, 90, 0.9), (80, 80, 0.7), (10, 10, 0.7), (70, 70, 0.7)]
    result = detector_scores([field([(10, 10)], tied)], SIX, 0.5, 6.0, QUICK).to_json()["detection"][
        "at_detections_per_cell"
    ]
    assert (result["recall"], result["detections"]) == (0.0, 1)


def test_a_fixed_number_of_each_image() -> None:
    rows = [(90.0, 3.0 * i, 0.9) for i in range(20)] + [(10.0, 10.0, 0.5)]
    result = detector_scores([field([(10, 10)], rows)], SIX, 0.5, 6.0, QUICK).to_json()["detection"][
        "at_detections_per_field"
    ]
    assert [(row["per_field"], row["recall"], row["detections"]) for row in result[:2]] == [
        (10, 0.0, 10),
        (25, 1.0, 21),
    ]


def test_regions_limit_what_is_false_and_make_precision_a_measurement() -> None:
    region = (Polygon(((0, 0), (0, 40), (40, 40), (40, 0))),)
    one = field([(10, 10)], [(10, 10, 1.0), (90, 90, 1.0), (30, 30, 1.0)], regions=region)
    result = detector_scores([one], SIX, 0.5, 6.0, QUICK).to_json()["detection"]
    assert [result[k] for k in ("tp", "fp", "fn")] == [1, 1, 0]
    assert result["precision_is"] == "measured"
    assert result["fields_with_regions"] == 1


def test_the_classes_of_found_cells_are_evaluated_like_a_classifiers() -> None:
    fields = [
        field([(10, 10)], [(10, 10, 0.9)], "HSIL", called=4, name="a"),
        field([(10, 10)], [(10, 10, 0.9)], "HSIL", called=0, name="b"),
        field([(10, 10)], [(10, 10, 0.9)], "rubbish", called=0, name="c"),
        field([(10, 10)], [], "SCC", name="d"),
    ]
    result = detector_scores(fields, SIX, 0.5, 6.0, QUICK).to_json()
    found = result["found_cells"]
    assert found["classification"]["n"] == 2
    screening = found["screening"]
    assert (screening["recall"]["value"], screening["recall"]["n"]) == (pytest.approx(1 / 3), 3), "SCC was missed"
    assert (screening["fnr"]["value"], screening["missed"]["value"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert screening["undercall"]["value"] == pytest.approx(2 / 3), "one called NILM, one that nobody is shown"
    assert result["detection"]["per_class"]["HSIL"]["recall"] == 0.5
    json.dumps(result, allow_nan=False)


def test_a_detector_without_classes_has_none_of_their_scores() -> None:
    one = field([(10, 10)], [(10, 10, 0.9)], class_scores=np.empty((1, 0)))
    result = detector_scores([one], (), 0.5, 6.0, QUICK).to_json()
    assert result["found_cells"] is None
    assert result["detection"]["per_class"] == {}
    assert result["detection"]["f1"] == 1


def test_box_scores_where_every_cell_has_a_box() -> None:
    centres = np.asarray([[20.0, 20.0], [60.0, 60.0]])
    found = [(*c, 0.9) for c in centres]
    exact = {"truth_boxes_yxyx": boxes(centres, 20), "found_boxes_yxyx": boxes(centres, 20)}
    loose = {"truth_boxes_yxyx": boxes(centres, 20), "found_boxes_yxyx": boxes(centres, 25)}
    result = detector_scores([field(list(centres), found, **exact)], SIX, 0.5, 6.0, QUICK).to_json()["detection"][
        "boxes"
    ]
    assert result["class_agnostic"] == {"ap": 1.0, "ap50": 1.0, "ap75": 1.0}
    assert result["per_class"]["NILM"]["ap"] == 1.0
    assert result["per_class"]["HSIL"]["ap"] is None
    result = detector_scores([field(list(centres), found, **loose)], SIX, 0.5, 6.0, QUICK).to_json()["detection"][
        "boxes"
    ]
    assert result["class_agnostic"]["ap50"] == 1.0
    assert result["class_agnostic"]["ap75"] == 0.0
    points = field(list(centres), found)
    assert detector_scores([points], SIX, 0.5, 6.0, QUICK).to_json()["detection"]["boxes"] is None


@pytest.mark.parametrize(
    ("truth", "found", "counts"),
    [([], [], [0, 0, 0]), ([(1, 1)], [], [0, 0, 1]), ([], [(1, 1, 0.9)], [0, 1, 0])],
)
def test_empty_sides(truth: list, found: list, counts: list[int]) -> None:
    result = detector_scores([field(truth, found)], SIX, 0.5, 6.0, QUICK).to_json()
    assert [result["detection"][k] for k in ("tp", "fp", "fn")] == counts
    json.dumps(result, allow_nan=False)
    assert detector_scores([], SIX, 0.5, 6.0, QUICK).to_json()["detection"]["fields"] == 0


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(CytoError, match="expected a centre and a box"):
        field([(1, 1)], [], truth_boxes_yxyx=np.empty((0, 4)))


def test_the_intervals_are_those_of_whole_images() -> None:
    """One picture without a miss and one without a hit: over whole pictures, F1 is anything from 0 to 1."""
    good = field([(10, 10), (50, 50)], [(10, 12, 0.9), (50, 50, 0.9)], name="good")
    bad = field([(10, 10), (50, 50)], [(90, 10, 0.9), (10, 90, 0.9), (90, 90, 0.9)], name="bad")
    result = detector_scores([good, bad], SIX, 0.5, 6.0, QUICK).to_json()["detection"]
    spans = result["intervals"]
    assert [spans[name]["value"] for name in ("precision", "f1", "macro_f1")] == [
        result["precision"],
        result["f1"],
        result["macro_f1"],
    ]
    assert (spans["f1"]["low"], spans["f1"]["high"]) == (pytest.approx(0.0, abs=1e-6), pytest.approx(1.0, abs=1e-6))
    assert spans["per_class_f1"]["NILM"]["value"] == result["per_class"]["NILM"]["f1"]
    assert spans["detections_per_cell"]["value"] == 5 / 4
    assert (spans["detections_per_cell"]["low"], spans["detections_per_cell"]["high"]) == (1.0, 1.5)
    assert spans["median_error_um"]["value"] == result["median_error_um"] == 0.5
    alone = detector_scores([good], SIX, 0.5, 6.0, QUICK).to_json()["detection"]["intervals"]
    assert alone["f1"]["low"] is None
    none = detector_scores([field([], [])], SIX, 0.5, 6.0, QUICK).to_json()["detection"]["intervals"]
    assert none["median_error_um"]["value"] is none["detections_per_cell"]["value"] is None
    assert none["per_class_f1"] == {}


def test_each_interval_tells_what_its_value_rests_on() -> None:
    """Two of three cells are found, by two of five detections of which one outside the region does not count."""
    region = (Polygon(((0, 0), (0, 95), (95, 95), (95, 0))),)
    two = field([(10, 10), (50, 50)], [(10, 12, 0.9), (50, 50, 0.9), (90, 10, 0.9)], name="two", regions=region)
    one = field([(10, 10)], [(90, 90, 0.9), (99, 99, 0.9)], "HSIL", called=4, name="one", regions=region)
    spans = detector_scores([two, one], SIX, 0.5, 6.0, QUICK).to_json()["detection"]["intervals"]
    rests = {name: spans[name]["n"] for name in ("precision", "f1", "macro_f1", "median_error_um")}
    assert rests == {"precision": 4, "f1": 3, "macro_f1": 3, "median_error_um": 2}
    assert spans["detections_per_cell"]["n"] == 3
    assert {name: span["n"] for name, span in spans["per_class_f1"].items()} == {"NILM": 2, "HSIL": 1}


def test_each_image_may_have_a_threshold_of_its_own() -> None:
    fields = [field([(10, 10)], [(10, 10, 0.4)], name=name) for name in "ab"]
    result = detector_scores(fields, SIX, [0.3, 0.5], 6.0, QUICK).to_json()["detection"]
    assert (result["tp"], result["fn"], result["detections"]) == (1, 1, 1)
    with pytest.raises(ValueError, match="shorter"):
        detector_scores(fields, SIX, [0.3], 6.0, QUICK).to_json()
