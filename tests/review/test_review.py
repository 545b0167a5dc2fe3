"""Promise: verdicts are on the disk at once, the order stays until it is asked for, and progress is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.statistics import share_interval
from napari_cyto.errors import CytoError, StaleEditError
from napari_cyto.review.control_cells import FEW_AT_ONCE, control_cells, estimate_words, limit_of, stop_words
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.session import Session
from napari_cyto.session.review_progress import Review, progress_words
from napari_cyto.store import Project

SCORES = (0.9, 0.7, 0.5, 0.3, 0.1)
RISKIEST_FIRST = ReviewQuery(control_share=0.0)


def add_predictions(session: Session, scores=SCORES, slide_id: str = "") -> list[Annotation]:
    cells = [
        Annotation(
            slide_id=slide_id or session.need_slide().id,
            geometry=Point(100 + 100 * n, 200),
            class_id="HSIL",
            status=Status.UNREVIEWED,
            author="finder",
            origin=origin_of_model("finder", "0" * 64),
            scores=(("HSIL", score), ("NILM", round(1 - score, 4))),
        )
        for n, score in enumerate(scores)
    ]
    session.need_project().apply(edits.add(cells, "Run detection"), "finder")
    return cells


@pytest.fixture
def review(session: Session) -> Review:
    add_predictions(session)
    made = Review(session)
    made.refresh(RISKIEST_FIRST)
    return made


def stored(review: Review, row: int) -> Annotation:
    found = review.session.need_project().annotation(review.cells[row].id)
    assert found is not None
    return found


def test_reviews_are_stored_with_who_gave_them_and_the_model_stays_known(review):
    assert review.accept([0])
    assert review.reject([1])
    assert review.relabel([2], "LSIL")
    assert [(stored(review, n).status, stored(review, n).class_id) for n in range(4)] == [
        (Status.ACCEPTED, "HSIL"),
        (Status.REJECTED, "HSIL"),
        (Status.ACCEPTED, "LSIL"),
        (Status.UNREVIEWED, "HSIL"),
    ]
    assert stored(review, 2).author == "anna"
    assert stored(review, 2).origin.startswith("model:finder@")
    assert review.cells[:3] == [stored(review, n) for n in range(3)]
    assert not review.accept([0])


def test_a_rejected_cell_that_gets_a_class_is_accepted(review):
    review.reject([0])
    review.relabel([0], "HSIL")
    assert stored(review, 0).status is Status.ACCEPTED


def test_the_order_stays_until_refreshed(review):
    before = [cell.id for cell in review.cells]
    review.relabel([0], "NILM")
    review.reject([3])
    assert [cell.id for cell in review.cells] == before
    review.refresh()
    assert [cell.id for cell in review.cells] == [before[1], before[2], before[4]]


def test_progress_counts_predictions_by_the_class_predicted(review):
    assert progress_words(review) == "0 of 5 reviewed"
    review.relabel([0], "NILM")
    review.reject([1])
    assert progress_words(review) == "2 of 5 reviewed"
    # The two with a low score of HSIL were more likely NILM to the model.
    assert review.progress_by_class() == [("HSIL", 2, 3), ("NILM", 0, 2)]
    review.refresh()
    assert progress_words(review) == "2 of 5 reviewed"
    review.session.history.undo()
    assert progress_words(review) == "1 of 5 reviewed"


def test_a_list_without_predictions_is_not_said_to_be_empty(session):
    made = Review(session)
    made.refresh(replace(RISKIEST_FIRST, statuses=(Status.ACCEPTED,)))
    assert progress_words(made) == "No predictions here"
    drawn = [
        Annotation(slide_id=session.need_slide().id, geometry=Point(9 + n, 9), class_id="HSIL", author="anna")
        for n in range(2)
    ]
    session.need_project().apply(edits.add(drawn, "Draw"), "anna")
    made.refresh()
    assert progress_words(made) == "2 cells, no predictions"


def test_accept_all_is_one_undo_step_and_spares_what_was_reviewed(review):
    review.reject([1])
    steps = len(review.session.need_project().history())
    assert review.accept_all() == 4
    assert len(review.session.need_project().history()) == steps + 1
    assert [cell.status for cell in review.cells].count(Status.ACCEPTED) == 4
    assert review.unreviewed == 0
    assert review.accept_all() == 0
    review.session.history.undo()
    assert review.unreviewed == 4
    assert review.cells[1].status is Status.REJECTED


def test_several_cells_are_one_step(review):
    heard = []
    review.changed.connect(heard.append)
    review.relabel([4, 0, 2], "LSIL")
    assert [sorted(rows) for rows in heard] == [[0, 2, 4]]
    assert review.session.need_project().can_undo("anna") == "Relabel 3 cells as LSIL"


def test_after_a_review_the_next_that_waits_and_back_the_way_one_came(review):
    review.reject([1])
    review.accept([0])
    assert review.after(0) == 2
    assert review.after(4) == 2
    assert [review.back(), review.back(), review.back()] == [0, 1, None]
    review.accept_all()
    assert review.after(0) == 1
    assert review.after(4) == 4


def test_going_to_a_cell_changes_the_slide_and_points_at_it(session):
    other = session.need_project().slides()[1]
    here = session.need_slide().id
    add_predictions(session, (0.4,))
    [far] = add_predictions(session, (0.8,), other.id)
    review, pointed, jumps = Review(session), [], []
    review.pointed.connect(pointed.append)
    session.jump_requested.connect(lambda y, x: jumps.append((y, x)))
    review.refresh(RISKIEST_FIRST)
    review.go(0)
    assert session.need_slide().id == other.id
    assert pointed == jumps == [far.geometry.centre_yx]
    assert not review.is_outdated, "to look at another slide changes no cell"
    review.go(1)
    assert session.need_slide().id == here


def test_going_to_a_cell_tells_where_one_goes_next(session):
    cells = add_predictions(session, (0.9, 0.8, 0.7))
    review, foreseen = Review(session), []
    session.next_foreseen.connect(lambda y, x: foreseen.append((y, x)))
    review.refresh(RISKIEST_FIRST)
    review.reject([1])
    review.go(0)
    assert foreseen == [cells[2].geometry.centre_yx]


def test_a_cell_on_another_slide_is_not_foreseen_on_this_one(session):
    add_predictions(session, (0.9,))
    add_predictions(session, (0.8,), session.need_project().slides()[1].id)
    review, foreseen = Review(session), []
    session.next_foreseen.connect(lambda y, x: foreseen.append((y, x)))
    review.refresh(RISKIEST_FIRST)
    review.go(0)
    assert not foreseen


def test_blind_readers_do_not_accept_what_they_cannot_see(review):
    review.session.view.show_only(replace(review.session.shown_filter, blind=True))
    with pytest.raises(CytoError, match="blind"):
        review.accept([0])
    assert review.relabel([0], "LSIL")
    assert review.reject([1])
    assert review.session.need_project().can_undo("anna") == "Reject cell"


def test_a_review_of_what_another_window_changed_is_refused_and_shown_as_it_is(review):
    with Project.open(review.session.need_project().folder) as elsewhere:
        theirs = elsewhere.annotation(review.cells[0].id)
        elsewhere.apply(edits.replace_all([(theirs, replace(theirs, status=Status.REJECTED))], "Theirs"), "ben")
        gone = elsewhere.annotation(review.cells[1].id)
        elsewhere.apply(edits.remove([gone], "Theirs"), "ben")
    with pytest.raises(StaleEditError):
        review.accept([0, 1])
    assert review.cells[0].status is Status.REJECTED
    assert review.is_gone(1)
    assert review.unreviewed == 3
    assert review.reject([0, 1]) is False


def test_new_cells_wait_for_a_refresh(review):
    assert not review.is_outdated
    new = Annotation(
        slide_id=review.session.need_slide().id, geometry=Point(900, 900), class_id="SCC", status=Status.UNREVIEWED
    )
    entry = review.session.need_project().apply(edits.add([new], "Run detection"), "finder")
    review.session.annotations_changed.emit(entry)
    assert review.is_outdated
    assert len(review.cells) == 5
    assert progress_words(review) == "0 of 6 reviewed"
    review.refresh()
    assert review.cells[0].id == new.id


def test_edits_while_a_long_list_is_made_are_not_lost(review):
    from napari_cyto.review.order import gather

    cell = review.cells[0]
    review.begin()
    gathered = gather(review.session.need_project(), review.query)
    review.reject([0])
    review.take(gathered)
    assert review.cells[review.row_of(cell.id)].status is Status.REJECTED
    assert review.accept([review.row_of(cell.id)])


def in_chance_order(review: Review) -> list[int]:
    """Return the rows in the order by chance, in which a reader of control cells meets them."""
    review.refresh(ReviewQuery(sort=Sort.RANDOM))
    return list(range(len(review.cells)))


def test_control_cells_bound_what_nobody_looks_at(session):
    add_predictions(session, [0.9] * 400)
    review = Review(session)
    review.refresh(ReviewQuery(control_share=0.25))
    rows = [n for n, cell in enumerate(review.cells) if cell.id in review.controls]
    assert len(rows) == 100
    before = review.estimate()
    assert estimate_words(before) == "No control cell reviewed yet: nothing is known about 400 unreviewed cells."
    assert stop_words(before) == ""
    for row in rows[:99]:
        review.relabel([row], "NILM")
    review.accept(rows[99:])
    estimate = review.estimate()
    assert (estimate.bound.drawn, estimate.bound.abnormal, estimate.corrected) == (100, 1, 99)
    assert estimate.bound.unread == 300
    assert 0 < estimate.bound.most < 60
    words = estimate_words(estimate)
    assert words.startswith("100 control cells reviewed: 1 abnormal")
    assert f"At most {estimate.bound.most} abnormal" in words
    assert "among 300 unreviewed (95 %, whenever you stop)" in words
    assert stop_words(estimate).startswith("Limit of 1 % not reached: about ")


def test_accepting_all_reads_no_control_cell(session):
    """A bulk verdict is one on cells that nobody looked at: the dock must not count its control cells as read."""
    add_predictions(session, [0.9] * 60)
    review = Review(session)
    review.refresh(ReviewQuery(control_share=0.25))
    assert review.accept_all() == 60
    estimate = review.estimate()
    assert (estimate.bound.drawn, estimate.bound.unread, estimate.bulk) == (0, 0, 60)
    assert not estimate.may_stop
    assert estimate_words(estimate) == "60 cells accepted or rejected in bulk: no figure covers them."
    # A second look at one of them, alone, reads it.
    review.relabel([0], "NILM")
    assert review.estimate().bulk == 59
    session.history.undo()
    session.history.undo()
    assert review.estimate().bulk == 0
    assert review.estimate().bound.unread == 60


def test_a_few_cells_reviewed_together_are_read_and_many_are_not(session):
    add_predictions(session, [0.9] * 60)
    review = Review(session)
    rows = in_chance_order(review)
    review.accept(rows[:FEW_AT_ONCE])
    assert review.estimate().bound.drawn == FEW_AT_ONCE
    review.reject(rows[FEW_AT_ONCE : 2 * FEW_AT_ONCE + 1])
    estimate = review.estimate()
    assert (estimate.bulk, estimate.bound.drawn) == (FEW_AT_ONCE + 1, 0)
    assert estimate.bound.unread == 60 - 2 * FEW_AT_ONCE - 1
    in_chance_order(review)
    for row in range(len(review.cells) - 2):
        review.accept([row])
    review.refresh()
    # All that is left, however few.
    assert review.accept_all() == 2
    assert review.estimate().bulk == FEW_AT_ONCE + 3


def test_a_control_cell_that_is_passed_over_stays_the_next(session):
    """Whoever could leave out what looks bad would draw a sample of what looks good."""
    add_predictions(session, [0.9] * 60)
    review = Review(session)
    rows = in_chance_order(review)
    review.relabel(rows[:1], "NILM")
    for row in rows[2:12]:
        review.relabel([row], "NILM")
    assert review.estimate().bound.drawn == 1
    review.accept(rows[1:2])
    assert (review.estimate().bound.drawn, review.estimate().bound.abnormal) == (2, 1)
    review.relabel(rows[12:13], "NILM")
    assert review.estimate().bound.drawn == 3


def test_what_was_read_is_the_same_after_a_restart_and_an_undo(session):
    add_predictions(session, [0.9] * 80)
    review = Review(session)
    rows = in_chance_order(review)
    for row in rows[:20]:
        review.relabel([row], "NILM")
    review.accept(rows[20:21])
    live = review.estimate()
    assert live.bound.drawn == 21
    review.accept(rows[40:60])
    session.history.undo()
    assert review.estimate() == live
    session.history.undo()
    assert (review.estimate().bound.drawn, review.estimate().bound.abnormal) == (20, 0)
    session.history.redo()
    folder = session.need_project().folder
    with Project.open(folder) as again:
        assert control_cells(again, review.query).estimate(limit=limit_of(again)) == live


def test_new_predictions_begin_the_count_anew(session):
    """What was drawn before they came says nothing of them."""
    add_predictions(session, [0.9] * 60)
    review = Review(session)
    for row in in_chance_order(review)[:10]:
        review.relabel([row], "NILM")
    add_predictions(session, [0.8] * 30)
    session.annotations_changed.emit(None)
    estimate = review.estimate()
    assert (estimate.bound.drawn, estimate.bound.unread) == (0, 80)


def test_missed_abnormal_cells_are_counted_apart(session):
    add_predictions(session, [0.9] * 30)
    add_predictions(session, [0.1] * 30)
    review = Review(session)
    in_chance_order(review)
    for row in range(30):
        review.relabel([row], "HSIL")
    estimate = review.estimate()
    missed = sum(dict(cell.scores)["NILM"] > 0.5 for cell in review.cells[:30])
    assert (estimate.bound.abnormal, estimate.missed) == (30, missed)
    assert 0 < missed < 30
    assert f"30 abnormal ({missed} missed by the model)" in estimate_words(estimate)


def test_the_limit_is_kept_and_a_wrong_one_refused(session):
    add_predictions(session, [0.9] * 400)
    review = Review(session)
    for row in in_chance_order(review)[:120]:
        review.relabel([row], "NILM")
    assert not review.estimate().may_stop
    review.keep_limit(0.1)
    assert limit_of(session.need_project()) == 0.1
    assert review.estimate().may_stop
    assert stop_words(review.estimate()) == "You may stop: within your limit of 10 %."
    for wrong in (0.0, -0.1, 0.6, float("nan")):
        with pytest.raises(CytoError, match="limit above 0"):
            review.keep_limit(wrong)


def test_slide_by_slide_each_slide_has_its_own_bound(session):
    add_predictions(session, [0.9] * 40)
    review = Review(session)
    review.refresh(ReviewQuery(by_slide=True, control_share=0.5))
    rows = [n for n, cell in enumerate(review.cells) if cell.id in review.controls]
    for row in rows[:5]:
        review.accept([row])
    assert review.estimate().bound.drawn == 5
    assert review.estimate().bound.unread == 35


def test_the_interval_is_wilsons():
    """Newcombe 1998, Statistics in Medicine 17(8), table I, method 3."""
    assert share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert share_interval(0, 0) is None
