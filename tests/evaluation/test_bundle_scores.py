"""Guards the job that judges a bundle: what it reads, leaves out and warns of, how it stops, what it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_cyto.datasets.training.training_set import TrainingSlide, read_training_set
from napari_cyto.domain.geometry import Polygon
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.evaluation.evaluation_result import ModelEvaluation
from napari_cyto.evaluation.model_answers import group_of, parts_to_search
from napari_cyto.evaluation.training_overlap import choose_slides, recorded_sets
from napari_cyto.jobs.events import Cancelled, CancelToken, Failed, Noted
from napari_cyto.models.bundle import Bundle

QUICK = EvaluateConfig(draws=100, examples=3)


def keys(source: str) -> list[str]:
    return [slide.key for slide in read_training_set([source]).slides]


def test_a_classifier_is_evaluated_on_every_cell(evaluate_source: Any, made: Any, tmp_path: Path) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    found = made.result_of(evaluate_source(made.bundle(), [source], QUICK))
    assert found["kind"] == "classifier"
    assert found["classification"]["n"] == found["data"]["cells"] == 32
    assert found["data"]["groups"] == found["screening"]["n_groups"] == 4
    assert found["data"]["side"] == "all; the model's card does not state what it was trained on"
    (warning,) = found["data"]["warnings"]
    assert "may have seen these slides" in warning
    # The first picture's classes are those that the made-up model sees; each further one's are shifted by one.
    assert found["classification"]["accuracy"] == pytest.approx(8 / 32)
    json.dumps(found, allow_nan=False)


def test_a_detector_is_evaluated_on_every_image(evaluate_source: Any, made: Any, tmp_path: Path) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    found = made.result_of(evaluate_source(made.bundle("detector"), [source], QUICK))
    detection = found["detection"]
    assert (detection["fields"], detection["cells"], detection["tp"], detection["fn"]) == (4, 32, 32, 0)
    assert detection["median_error_um"] == pytest.approx(1.0)
    assert detection["at_detections_per_cell"]["recall"] == 1.0
    assert found["found_cells"]["classification"]["n"] == 32
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_an_evaluation_is_read_back_as_it_was_or_refused_in_a_sentence(
    evaluate_source: Any, made: Any, tmp_path: Path, kind: str
) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    found = json.loads(json.dumps(made.result_of(evaluate_source(made.bundle(kind), [source], QUICK))))
    assert json.dumps(ModelEvaluation.from_json(found).to_json()) == json.dumps(found)
    for change, words in (
        ({"kind": "other"}, "kind classifier or detector, got 'other'"),
        ({"data": found["data"] | {"cells": "many"}}, "expected a value of data.cells, got 'many'"),
        ({"classification": None, "detection": None}, "got None"),
    ):
        with pytest.raises(CytoError, match=words):
            ModelEvaluation.from_json(found | change, "tested.json")


def test_cells_of_classes_that_the_model_lacks_are_left_out_and_reported(
    evaluate_source: Any, made: Any, tmp_path: Path
) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    found = made.result_of(evaluate_source(made.bundle(classes=made.SIX[:5]), [source], QUICK))
    assert found["classification"]["n"] < 32
    assert any("SCC" in remark for remark in found["data"]["remarks"])


def test_a_model_of_a_users_own_scheme_is_evaluated_by_its_own_classes(
    evaluate_source: Any, made: Any, tmp_path: Path
) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    own = made.bundle()
    own = Bundle(own.path, own.manifest.model_copy(update={"scheme": "our laboratory"}))
    assert made.result_of(evaluate_source(own, [source], QUICK))["classification"]["n"] == 32


def test_slides_that_had_a_say_are_left_out_with_a_warning(evaluate_source: Any, made: Any, tmp_path: Path) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    names = keys(source)
    split = {"sides": dict(zip(names, ("train", "validation", "test", "test"), strict=True))}
    events = list(evaluate_source(made.bundle(split=split), [source], QUICK))
    found = events[-1].to_json()
    assert found["data"]["slides"] == 2
    assert found["data"]["side"] == "test"
    (warning,) = found["data"]["warnings"]
    assert "2 of 4 slides were used to train or tune" in warning
    assert any(isinstance(e, Noted) and e.message == warning for e in events)
    every = made.result_of(
        evaluate_source(made.bundle(split=split), [source], QUICK.model_copy(update={"side": "all"}))
    )
    assert (every["data"]["slides"], every["data"]["seen_in_training"]) == (4, 2)
    assert "these scores are too good" in every["data"]["warnings"][0]
    train = made.result_of(
        evaluate_source(made.bundle(split=split), [source], QUICK.model_copy(update={"side": "train"}))
    )
    assert (train["data"]["slides"], train["data"]["seen_in_training"]) == (1, 1)


def test_when_all_had_a_say_it_refuses_and_says_how_to_see_it(evaluate_source: Any, made: Any, tmp_path: Path) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    split = {"sides": {"train": keys(source)}}
    (last,) = [e for e in evaluate_source(made.bundle(split=split), [source], QUICK) if isinstance(e, Failed)]
    assert last.expected
    assert "--side all" in last.message
    same = read_training_set([source]).fingerprint
    (last,) = [
        e for e in evaluate_source(made.bundle(data={"fingerprint": same}), [source], QUICK) if isinstance(e, Failed)
    ]
    assert "--side all" in last.message
    requested = QUICK.model_copy(update={"side": "test"})
    (last,) = [e for e in evaluate_source(made.bundle(), [source], requested) if isinstance(e, Failed)]
    assert "None of the 4 slides" in last.message


def test_only_a_model_that_tells_its_slides_is_said_not_to_have_seen_others() -> None:
    """Neither a card without sides nor one that says nothing at all is a reason to believe that a slide is new."""
    one = slide(key="a", side="test")
    found = choose_slides([one], {"split": {"sides": {"b": "train"}}}, "x", "auto")
    assert (found.side, found.warnings) == ("all, none of which the model has seen", ())
    for card in ({}, {"split": {"seed": 0}, "data": {"fingerprint": "other"}}):
        for side in ("auto", "all", "test"):
            chosen = choose_slides([one], card, "x", side)
            assert "does not state what it was trained on" in chosen.warnings[0]
            assert "none of which" not in chosen.side
        assert choose_slides([one], card, "x", "auto").side.startswith("all; the model's card does not state")


@pytest.mark.parametrize("sides", [None, 7, [], {"a": 3}, {"train": None}, "train"])
def test_a_foreign_split_record_is_no_reason_to_stop(sides: Any) -> None:
    assert recorded_sets({"sides": sides}) == {}
    assert recorded_sets({}) == {}


def test_data_that_comes_with_sets_keeps_them() -> None:
    one, two = slide(key="a", side="test"), slide(key="b", side="train")
    assert choose_slides([one, two], {}, "", "test").slides == (one,)
    assert choose_slides([one, two], {"split": {"sides": {"a": "train"}}}, "", "auto").slides == (two,)
    with pytest.raises(CytoError, match="None of the 2"):
        choose_slides([one, two], {"split": {"sides": {"a": "train"}}}, "", "test")


def test_what_a_verb_cannot_do_is_not_advised() -> None:
    one = slide(key="a", side="test")
    with pytest.raises(CytoError, match=r"give other data\.$"):
        choose_slides([one], {"split": {"sides": {"train": ["a"]}}}, "", "auto", may_take_all=False)


def test_other_slides_of_a_training_patient_or_smear_are_seen_too() -> None:
    """Related through a third slide as well: its smear names the patient that another slide lacks."""
    known = slide(key="a", patient="p1")
    same_patient, linked = slide(key="b", patient="p1", smear="s1"), slide(key="c", smear="s1")
    evaluated, foreign = slide(key="d", patient="p2"), slide(key="e")
    card = {"split": {"sides": {"train": ["a"], "test": ["d"]}}}
    chosen = choose_slides([known, same_patient, linked, evaluated, foreign], card, "", "auto")
    assert chosen.slides == (evaluated, foreign)
    assert "3 of 5 slides were used to train or tune" in chosen.warnings[0]
    assert "2 of them through another slide of the same patient or smear" in chosen.warnings[0]
    every = choose_slides([known, same_patient, foreign], card, "", "all")
    assert every.seen == 2
    assert "1 of them through another slide" in every.warnings[0]
    with pytest.raises(CytoError, match="--side all"):
        choose_slides([known, same_patient], card, "", "auto")


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_it_stops_between_two_steps(evaluate_source: Any, made: Any, tmp_path: Path, kind: str) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric', images=2)}"
    token = CancelToken()
    seen = []
    for event in evaluate_source(made.bundle(kind), [source], QUICK, token, tmp_path / "report"):
        seen.append(event)
        if len(seen) == 2:
            token.cancel()
    assert isinstance(seen[-1], Cancelled)
    assert not (tmp_path / "report").exists()


def test_a_slide_that_cannot_be_read_is_left_out_and_reported(evaluate_source: Any, made: Any, tmp_path: Path) -> None:
    folder = made.cric_folder(tmp_path / "cric")
    source = f"cric:{folder}"
    image = folder / "images" / "field_0_1.png"
    image.write_bytes(image.read_bytes()[:400])
    found = made.result_of(evaluate_source(made.bundle(), [source], QUICK))
    assert found["classification"]["n"] == 24
    assert any("field_0_1" in remark for remark in found["data"]["remarks"])


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_the_report_is_one_page_that_fetches_nothing_and_escapes_everything(
    evaluate_source: Any, made: Any, tmp_path: Path, kind: str
) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'a <b> & c')}"
    found = made.result_of(evaluate_source(made.bundle(kind), [source], QUICK, report=tmp_path / "report"))
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert json.loads(Path(found["json"]).read_text(encoding="utf-8"))["kind"] == kind
    assert "<b> & c" not in page
    assert "a &lt;b&gt; &amp; c" in page
    assert "A &lt;model&gt; for tests" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http-equiv", "")
    assert "https://" not in page
    assert page.count("data:image/jpeg;base64,") >= 3
    assert page.index("HSIL+ recall") < page.index("Confusion matrix")
    assert page.count("<svg") == page.count("</svg>") > 3


@pytest.mark.parametrize("requested", ["all", "train", "validation", "test"])
@pytest.mark.parametrize(
    "sides", [("train", "train"), ("train", "test"), ("train", ""), ("", "test"), ("train", "validation")]
)
def test_the_set_that_is_advised_evaluates_something(requested: Any, sides: tuple[str, str]) -> None:
    """A model without a test side was said to be judged on it with --side test, which then was refused."""
    slides = [slide(key=key) for key in "ab"]
    recorded = {side: [key for key, of in zip("ab", sides, strict=True) if of == side] for side in set(sides) - {""}}
    card = {"split": {"sides": recorded}}
    try:
        found = " ".join(choose_slides(slides, card, "", requested).warnings)
    except CytoError as error:
        found = str(error)
    for side in re.findall(r"--side (\w+)", found):
        assert choose_slides(slides, card, "", side).slides


def slide(**more: Any) -> TrainingSlide:
    settings: dict[str, Any] = {
        "key": "k",
        "path": "p.png",
        "name": "p",
        "mpp": 0.5,
        "patient": "",
        "smear": "",
        "source": "",
        "centres_yx": np.empty((0, 2)),
        "boxes_yxyx": np.empty((0, 4)),
        "class_index": np.empty(0, np.intp),
        "size_hw": (100, 100),
    }
    return TrainingSlide(**settings | more)


def square(y: float, x: float, side: float) -> Polygon:
    return Polygon(((y, x), (y, x + side), (y + side, x + side), (y + side, x)))


def test_of_a_whole_slide_only_its_regions_are_searched_each_once() -> None:
    regions = (square(5000, 5000, 1000), square(5900, 5900, 500), square(40_000, 100, 200))
    assert parts_to_search(slide(regions=regions), 0.5) == []
    assert parts_to_search(slide(size_hw=(50_000, 50_000)), 0.5) == []
    parts = parts_to_search(slide(size_hw=(50_000, 50_000), regions=regions), 0.5)
    assert parts == [(4960, 4960, 6440, 6440), (39_960, 60, 40_240, 340)]


def test_intervals_draw_the_patient_else_the_smear_else_the_image() -> None:
    assert group_of(slide(patient="1", smear="2")) == "patient 1"
    assert group_of(slide(smear="2")) == "smear 2"
    assert group_of(slide()) == "image k"
