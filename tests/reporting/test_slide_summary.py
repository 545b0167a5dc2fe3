"""Promise: the figures of a result are those of the stored cells, by the formula that is told with them."""

from __future__ import annotations

import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.adequacy import Preparation, Reached
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.domain.statistics.excess import FalseRate
from napari_cyto.models.false_calls import keep_false_rate
from napari_cyto.reporting.images import best_words
from napari_cyto.reporting.slide_summary import BEST_CELLS, Grade, gather_result, quick_counts
from napari_cyto.reporting.stored_facts import magnification_for, preparation_of, say_preparation
from napari_cyto.review.slide_risk import risk_words

SCORES = (("HSIL", 0.6), ("NILM", 0.2))


def put(session, *cells) -> list[Annotation]:
    made = [
        Annotation(
            slide_id=session.slide.id,
            geometry=Point(10.0 + n, 20.0),
            class_id=class_id,
            status=status,
            scores=scores,
            origin="model:finder@0" if scores else "drawn",
        )
        for n, (class_id, status, scores) in enumerate(cells)
    ]
    session.project.apply(edits.add(made, "Put"), "anna")
    return made


def result(session):
    return gather_result(session.project, session.slide.id)


P, A, R = Status.UNREVIEWED, Status.ACCEPTED, Status.REJECTED


def test_counts_and_corrections(session):
    put(
        session,
        ("HSIL", A, ()),
        ("HSIL", A, SCORES),
        ("LSIL", A, SCORES),
        ("HSIL", P, SCORES),
        ("NILM", R, SCORES),
    )
    region = Polygon(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0)))
    whole = Annotation(slide_id=session.slide.id, geometry=region, class_id=None)
    session.project.apply(edits.add([whole], "Region"), "anna")
    found = result(session)
    by_class = {c.class_id: (c.accepted, c.corrected, c.proposed, c.rejected) for c in found.counts}
    assert by_class["HSIL"] == (2, 0, 1, 0)
    assert by_class["LSIL"] == (1, 1, 0, 0)
    assert by_class["NILM"] == (0, 0, 0, 1)
    assert (found.cells, found.proposed_cells) == (4, 1)
    assert quick_counts(session.project, session.slide.id, found.corrected) == found.counts
    assert found.origins == {"drawn": 1, "model:finder@0": 4}


def test_a_slide_of_a_model_without_a_rate_is_reported_and_ranked_by_what_it_predicts(session):
    put(session, ("HSIL", P, SCORES), ("NILM", P, (("NILM", 1.0),)), ("SCC", R, (("SCC", 1.0),)), ("HSIL", A, ()))
    risk = result(session).risk
    assert (risk.predicted, risk.of) == (1, 3)
    assert (risk.excess, risk.is_excess, risk.models_without_rate) == (None, None, ("finder",))
    assert risk_words(risk).endswith(
        "The number expected on a negative slide is unknown: no false-positive rate for finder."
    )


def test_an_excess_is_what_exceeds_the_errors_of_the_model(session):
    put(session, *[("HSIL", P, SCORES)] * 6, *[("NILM", P, (("NILM", 1.0),))] * 94)
    keep_false_rate(session.project, "model:finder@0", FalseRate(10, 3255, 1200.0, 174))
    risk = result(session).risk
    assert risk.is_excess
    assert risk.expected.high < 6
    put(session, *[("NILM", P, (("NILM", 1.0),))] * 900)
    risk = result(session).risk
    assert not risk.is_excess
    assert risk_words(risk).startswith(
        "6 unreviewed of 1,000 cells predicted as high grade; expected on a negative slide:"
    )
    assert risk_words(risk).endswith("No more than expected on a negative slide.")


def test_a_persons_correction_has_no_score_of_the_model(session):
    """ "HSIL, best score 0.00" told of a cell that a person called HSIL against the model."""
    put(session, ("HSIL", A, (("HSIL", 0.0), ("NILM", 0.98))), ("LSIL", A, (("LSIL", 0.9),)))
    found = result(session)
    assert found.accepted == Grade("HSIL", 1, None)
    assert (found.best[0].score, found.best[0].is_corrected) == (None, True)
    assert best_words(found.best[0]) == "HSIL, corrected"


def test_highest_grade_and_its_best_cells(session):
    lows = [("LSIL", A, (("LSIL", 0.1 * n),)) for n in range(1, 9)]
    put(session, *lows, ("HSIL", P, (("HSIL", 0.3), ("NILM", 0.4))), ("HSIL", P, (("HSIL", 0.7),)), ("SCC", R, ()))
    found = result(session)
    assert (found.accepted.class_id, found.accepted.cells) == ("LSIL", 8)
    assert (found.proposed.class_id, found.proposed.cells, found.proposed.score) == ("HSIL", 2, 0.7)
    assert [c.class_id for c in found.best] == ["HSIL", "HSIL", *["LSIL"] * BEST_CELLS]
    assert [c.score for c in found.best][:4] == pytest.approx([0.7, 0.3, 0.8, 0.7])


def test_a_blind_result_says_nothing_of_what_a_model_said(session):
    put(session, ("HSIL", P, SCORES), ("LSIL", A, SCORES), ("NILM", A, ()))
    blind = result(session).blinded()
    assert blind.is_blind
    assert blind.proposed is None
    assert blind.order_key[1:] == (0.0, 0.0)
    assert all(c.proposed == c.corrected == 0 for c in blind.counts)
    assert blind.proposed_cells == 1
    assert [(c.class_id, c.score) for c in blind.best] == [("LSIL", None)]


def test_adequacy_counts_cells_with_a_grade(session):
    put(session, ("NILM", A, ()), ("NILM", P, SCORES), ("HSIL", R, ()))
    found = result(session).cellularity(Preparation.LIQUID_BASED)
    assert (found.cells, found.reached, found.has_abnormal) == (2, Reached.NO, False)
    put(session, ("LSIL", A, ()))
    assert result(session).cellularity(None).has_abnormal


def test_preparation_is_kept_with_who_said_it(session):
    project, slide_id = session.project, session.slide.id
    assert preparation_of(project, slide_id) == (None, "")
    say_preparation(project, [slide_id], Preparation.CONVENTIONAL, "anna")
    assert preparation_of(project, slide_id) == (Preparation.CONVENTIONAL, "anna")
    say_preparation(project, [slide_id], None, "ben")
    assert preparation_of(project, slide_id) == (None, "")
    assert magnification_for(project) == 10.0


def test_reading_stops_on_request(session):
    put(session, ("NILM", A, ()))
    assert gather_result(session.project, session.slide.id, lambda: False) is None
