"""Guards the order of a review: what is sorted by what, who passes a filter, and which control cells are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.review.order import gather, ordered
from napari_cyto.review.query import (
    ReviewQuery,
    Sort,
    disagreements,
    entropies,
    label_score,
    margins,
    model_class,
    score_table,
)
from napari_cyto.session import Session

SCHEME = preset("bethesda")
MODEL = origin_of_model("finder", "0" * 64)


def cell(scores: dict[str, float] | None = None, class_id: str = "", slide: str = "s", **fields) -> Annotation:
    scores = scores or {}
    fields = {"geometry": Point(10, 10), "status": Status.UNREVIEWED, "origin": MODEL} | fields
    label = class_id or max(scores, key=scores.__getitem__)
    return Annotation(slide_id=slide, class_id=label, scores=tuple(scores.items()), **fields)


def order(cells: Sequence[Annotation], slides: Sequence[str] = ("s",), **fields) -> list[int]:
    """Where each place of the list came from, without control cells."""
    query = ReviewQuery(**{"control_share": 0.0} | fields)
    found, _ = ordered(cells, query, SCHEME, {slide: n for n, slide in enumerate(slides)})
    return [cells.index(c) for c in found]


def test_risk_is_severity_times_probability():
    """A less likely severe cell comes before a nearly sure mild one; a person's own mark counts by its class."""
    cells = [
        cell({"NILM": 0.99, "HSIL": 0.01}),
        cell({"HSIL": 0.9, "NILM": 0.1}),
        cell({"LSIL": 1.0}),
        cell({"NILM": 0.55, "SCC": 0.45}),
        cell(class_id="SCC", origin="drawn"),
    ]
    assert order(cells, sort=Sort.RISK) == [4, 1, 3, 2, 0]


def test_uncertainty_by_entropy_and_by_margin_differ():
    two_alike = cell({"NILM": 0.49, "LSIL": 0.49, "HSIL": 0.02})
    spread = cell({"NILM": 0.4, "LSIL": 0.2, "HSIL": 0.2, "SCC": 0.2})
    sure = cell({"NILM": 0.97, "LSIL": 0.03})
    drawn = cell(class_id="NILM")
    assert order([drawn, sure, spread, two_alike], sort=Sort.ENTROPY) == [2, 3, 1, 0]
    assert order([drawn, sure, spread, two_alike], sort=Sort.MARGIN) == [3, 2, 1, 0]


def test_the_numbers_are_those_of_the_literature():
    table = score_table([cell(dict.fromkeys(SCHEME.ids, 1.0)), cell({"NILM": 2.0}), cell(class_id="NILM")], SCHEME)
    assert entropies(table)[:2] == pytest.approx([1.0, 0.0])
    assert margins(table)[:2] == pytest.approx([0.0, 1.0])
    assert np.isnan(table[2]).all()
    assert np.isnan(entropies(table)[2])
    half = score_table([cell({"NILM": 0.5, "HSIL": 0.5})], SCHEME)
    assert entropies(half)[0] == pytest.approx(math.log(2) / math.log(len(SCHEME.ids)))


def test_disagreement_is_how_much_likelier_the_models_class_is():
    cells = [
        cell({"NILM": 0.6, "HSIL": 0.4}),
        cell({"NILM": 0.9, "HSIL": 0.1}, class_id="HSIL", status=Status.ACCEPTED),
        cell({"NILM": 0.5, "HSIL": 0.4}, class_id="HSIL", status=Status.ACCEPTED),
        cell(class_id="HSIL", status=Status.ACCEPTED),
    ]
    assert order(cells, sort=Sort.DISAGREEMENT, statuses=tuple(Status)) == [1, 2, 0, 3]
    assert disagreements(cells, score_table(cells, SCHEME), SCHEME) == pytest.approx([0, 0.8, 1 / 9, 0])
    assert (model_class(cells[1]), label_score(cells[1])) == ("NILM", 0.1)
    assert (model_class(cells[3]), label_score(cells[3])) == ("HSIL", None)


def test_by_class_the_severe_come_first_and_by_place_neighbours_stay_together():
    cells = [cell({"NILM": 0.9}), cell({"HSIL": 0.6}), cell({"HSIL": 0.8}), cell({"rubbish": 1.0})]
    assert order(cells, sort=Sort.CLASS) == [2, 1, 0, 3]
    places = [Point(10, 900), Point(1500, 100), Point(20, 100), Point(1500, 900)]
    placed = [cell({"NILM": 1.0}, geometry=place) for place in places]
    assert order(placed, sort=Sort.PLACE) == [2, 0, 3, 1]


def test_slides_can_be_kept_together():
    cells = [
        cell({"HSIL": 0.5}, slide="b"),
        cell({"HSIL": 0.9}, slide="a"),
        cell({"HSIL": 0.7}, slide="b"),
        cell({"HSIL": 0.1}, slide="a"),
    ]
    assert order(cells, "ab") == [1, 2, 0, 3]
    assert order(cells, "ab", by_slide=True) == [1, 3, 2, 0]


def test_filters_by_status_class_slide_and_score():
    cells = [
        cell({"HSIL": 0.9}),
        cell({"HSIL": 0.3}),
        cell({"NILM": 0.9}),
        cell({"HSIL": 0.9}, slide="t"),
        cell({"HSIL": 0.9}, status=Status.REJECTED),
        cell(class_id="HSIL"),
        Annotation(slide_id="s", geometry=Polygon(((0, 0), (0, 9), (9, 9))), class_id=None, status=Status.UNREVIEWED),
    ]
    assert set(order(cells)) == {0, 1, 2, 3, 5}
    assert set(order(cells, class_ids=("HSIL",), slide_ids=("s",))) == {0, 1, 5}
    assert set(order(cells, score_range=(0.5, 1.0))) == {0, 2, 3}
    assert set(order(cells, statuses=(Status.REJECTED,))) == {4}
    with pytest.raises(ValueError, match="low to high"):
        ReviewQuery(score_range=(0.5, 0.1))


def test_control_cells_are_drawn_once_for_all_and_strewn_evenly():
    rng = np.random.default_rng(1)
    pool = [cell({"HSIL": float(s), "NILM": float(1 - s)}, class_id="HSIL") for s in rng.uniform(size=1000)]
    query = ReviewQuery(control_share=0.1)
    found, controls = ordered(pool, query, SCHEME, {"s": 0})
    again, drawn_again = ordered(pool[::-1], query, SCHEME, {"s": 0})
    assert len(controls) == 100
    assert drawn_again == controls
    assert {c.id for c in found} == {c.id for c in again} == {c.id for c in pool}
    for start in range(0, 1000, 100):
        assert sum(c.id in controls for c in found[start : start + 100]) == 10
    ranked = [dict(c.scores)["HSIL"] for c in found if c.id not in controls]
    assert ranked == sorted(ranked, reverse=True)
    # The order must not tell which they are like.
    assert np.mean([dict(c.scores)["HSIL"] for c in found if c.id in controls]) == pytest.approx(0.5, abs=0.1)
    assert ordered(pool, ReviewQuery(control_share=0.1, seed=1), SCHEME, {"s": 0})[1] != controls


def test_control_cells_are_drawn_whatever_their_score():
    pool = [cell({"HSIL": 0.9}) for _ in range(200)] + [cell({"HSIL": 0.1}) for _ in range(200)]
    found, controls = ordered(pool, ReviewQuery(score_range=(0.5, 1.0), control_share=0.2), SCHEME, {"s": 0})
    scores = [dict(c.scores)["HSIL"] for c in found if c.id in controls]
    assert {0.1, 0.9} == set(scores)
    assert {dict(c.scores)["HSIL"] for c in found if c.id not in controls} == {0.9}


def test_a_list_is_bounded_and_holds_the_foremost(session: Session):
    project, slide = session.need_project(), session.need_slide()
    rng = np.random.default_rng(2)
    cells = [
        cell({"HSIL": float(s)}, slide=slide.id, geometry=Point(*rng.uniform(1, 3999, 2))) for s in rng.uniform(size=95)
    ]
    project.apply(edits.add(cells, "Run detection"), "finder")
    gathered = gather(project, ReviewQuery(control_share=0.0), most=10)
    best = sorted(cells, key=lambda c: -dict(c.scores)["HSIL"])[:10]
    assert [c.id for c in gathered.cells] == [c.id for c in best]
    assert gathered.left_out == 85
    assert sum(gathered.tally.total.values()) == 95
