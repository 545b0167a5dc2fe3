"""Guards the JSON of predictions: run folders and scripts of earlier versions read and write these very names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from napari_cyto.errors import CytoError
from napari_cyto.inference.orders import Answer, Order
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.results import (
    ModelUsed,
    SlideLeftOut,
    SlidePrediction,
    SlidesPrediction,
    StoredCells,
    UnreadableArea,
)
from napari_cyto.jobs.events import Cancelled

AS_JSON: dict[str, Any] = {
    "slide": "a.svs",
    "cells": 9,
    "detector": {"id": "finder", "sha256": "0"},
    "device": "cpu",
    "runtime": ["PyTorch fp32"],
    "classifier": None,
    "mpp": 0.5,
    "score_from": 0.3,
    "tiles": 4,
    "tiles_without_stain": 1,
    "left_out_not_scanned": 0,
    "remarks": ["one"],
    "tiles_done_before": 2,
    "megapixels": 1.25,
    "seconds": 2.5,
    "unreadable": [{"bounds_yxyx": [0, 0, 16, 8.5], "reason": "gone"}],
    "generation": 3,
    "project": "p.cyto",
    "slide_id": "1",
    "added": 5,
    "there_before": 3,
    "judged_before": 1,
    "replaced": 2,
    "classes": {"HSIL": 4, "NILM": 5},
}
NEW_NAMES: dict[str, Any] = {"ambiguous": None, "sets_void": ""}
"""What came since, after all that the version before knows."""

SLIDE = SlidePrediction(
    slide="a.svs",
    cells=9,
    detector=ModelUsed("finder", "0"),
    device="cpu",
    runtime=("PyTorch fp32",),
    mpp=0.5,
    score_from=0.3,
    tiles=4,
    tiles_without_stain=1,
    remarks=("one",),
    tiles_done_before=2,
    megapixels=1.25,
    seconds=2.5,
    unreadable=(UnreadableArea((0, 0, 16, 8.5), "gone"),),
    generation=3,
    stored=StoredCells(
        project="p.cyto",
        slide_id="1",
        added=5,
        there_before=3,
        judged_before=1,
        replaced=2,
        classes={"HSIL": 4, "NILM": 5},
    ),
)


def test_the_result_of_a_slide_has_the_names_and_order_of_the_version_before() -> None:
    assert json.dumps(SLIDE.to_json()) == json.dumps(AS_JSON | NEW_NAMES)
    assert SlidePrediction.from_json(AS_JSON) == SLIDE
    again = replace(SLIDE, done_before=True)
    assert json.dumps(again.to_json()) == json.dumps(AS_JSON | NEW_NAMES | {"done_before": True})
    assert SlidePrediction.from_json(again.to_json()) == again
    alone = replace(SLIDE, stored=None)
    assert list(alone.to_json())[-1] == "generation"
    assert SlidePrediction.from_json(alone.to_json()) == alone


def test_an_earlier_versions_result_lacks_what_it_did_not_know() -> None:
    known = ("slide", "cells", "detector", "megapixels", "seconds", "from a later version")
    old = SlidePrediction.from_json({name: (AS_JSON | {"from a later version": 1})[name] for name in known})
    assert (old.cells, old.runtime, old.stored) == (9, (), None)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "The result of a slide: expected an object, got \\[\\]"),
        ({**AS_JSON, "cells": "many"}, "expected a value of cells, got 'many'"),
        ({**AS_JSON, "detector": {"id": "finder"}}, "expected a value of detector.sha256, got nothing"),
        ({**AS_JSON, "replaced": None}, "expected a value of replaced, got None"),
    ],
)
def test_what_is_no_result_is_refused_in_a_sentence(value: object, sentence: str) -> None:
    with pytest.raises(CytoError, match=sentence):
        SlidePrediction.from_json(value)


def test_the_result_of_several_slides_comes_back() -> None:
    several = SlidesPrediction(
        out="p.cyto", kind="project", slides=2, done=(SLIDE,), failed=(SlideLeftOut("b.svs", "It is damaged."),)
    )
    result = several.to_json()
    assert list(result) == ["out", "kind", "slides", "workers", "incidents", "done", "failed"]
    assert result["done"] == [AS_JSON | NEW_NAMES]
    assert result["failed"] == [{"slide": "b.svs", "reason": "It is damaged."}]
    assert SlidesPrediction.from_json(json.loads(json.dumps(result))) == several


def test_orders_and_answers_come_through_a_pipe() -> None:
    orders = (Order("run", PredictRequest(slide="a.svs", detector="finder")), Order("cancel", drop=True))
    assert tuple(Order.from_json(json.loads(json.dumps(order.to_json()))) for order in orders) == orders
    answer = Answer(Cancelled("Stopped."), 4)
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer
    assert Answer.from_json({"event": "from a later version", "generation": 1}) is None
