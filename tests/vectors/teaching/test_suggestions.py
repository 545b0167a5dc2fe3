"""Promise: suggested cells are undecided, far from each other and severe first, and one in ten is drawn at random."""

from __future__ import annotations

import numpy as np
from planted_lesson import lesson_on, say

from napari_cyto.vectors.teaching.examples import Answer


def begun(count: int = 1000):
    lesson, truth = lesson_on(count)
    for name in ("NILM", "LSIL", "HSIL"):
        for row in np.flatnonzero(truth == name)[:6]:
            say(lesson, row, Answer(name))
    lesson.learn()
    return lesson, truth


def test_twenty_waiting_cells_each_once_and_the_same_each_time():
    lesson, _ = begun()
    made = lesson.suggestions(seed=3)
    assert made == lesson.suggestions(seed=3)
    assert len({each.cell_id for each in made}) == 20
    assert all(lesson.row_of[each.cell_id] in lesson.waiting_rows for each in made)
    assert sum(each.is_random for each in made) == 2
    assert all(each.reason for each in made)


def test_they_are_less_sure_than_cells_at_large_and_not_all_alike():
    lesson, _ = begun()
    chosen = [lesson.row_of[each.cell_id] for each in lesson.suggestions() if not each.is_random]
    top = np.sort(lesson.scores, axis=1)
    gaps = top[:, -1] - top[:, -2]
    assert gaps[chosen].mean() < 0.5 * gaps[lesson.waiting_rows].mean()
    undecided = lesson.waiting_rows[np.argsort(gaps[lesson.waiting_rows])[: len(chosen)]]

    def nearest(rows) -> float:
        places = lesson.places[rows]
        between = ((places[:, None] - places[None]) ** 2).sum(axis=2) + 1e9 * np.eye(len(rows))
        return float(between.min(axis=1).mean())

    assert nearest(chosen) > nearest(undecided)


def test_the_severe_come_first_and_the_reason_names_both_classes():
    lesson, _ = begun()
    reasons = [each.reason for each in lesson.suggestions() if not each.is_random]
    severe = ["HSIL" in reason for reason in reasons]
    assert severe == sorted(severe, reverse=True)
    assert all(" or " in reason and "% against" in reason for reason in reasons)


def test_drawn_ones_that_still_wait_come_again():
    lesson, _ = begun()
    first = [each.cell_id for each in lesson.suggestions(seed=1) if each.is_random]
    again = [each.cell_id for each in lesson.suggestions(pending=first, seed=2) if each.is_random]
    assert sorted(again) == sorted(first)
    say(lesson, lesson.row_of[first[0]], Answer("NILM"))
    third = [each.cell_id for each in lesson.suggestions(pending=first, seed=2) if each.is_random]
    assert first[1] in third
    assert first[0] not in third


def test_the_draw_is_even_over_the_waiting_cells():
    lesson, truth = begun(300)
    drawn = [each.cell_id for seed in range(400) for each in lesson.suggestions(seed=seed) if each.is_random]
    share = np.mean([truth[lesson.row_of[cell]] == "HSIL" for cell in drawn])
    assert abs(share - (truth[lesson.waiting_rows] == "HSIL").mean()) < 0.035


def test_before_any_example_cells_unlike_each_other_are_suggested():
    lesson, truth = lesson_on(400)
    lesson.learn()
    made = lesson.suggestions(sought=("HSIL",))
    assert len(made) == 20
    assert len({truth[lesson.row_of[each.cell_id]] for each in made}) >= 2
    assert {each.reason for each in made if not each.is_random} == {"unlike the others suggested here"}


def test_fewer_cells_than_suggestions():
    lesson, _ = lesson_on(7)
    lesson.learn()
    assert len(lesson.suggestions()) == 7
    lesson.is_waiting[:] = False
    assert lesson.suggestions() == ()


def test_of_one_slide():
    lesson, _ = begun()
    made = lesson.suggestions(slide_id="slide2")
    assert {lesson.slide_ids[lesson.row_of[each.cell_id]] for each in made} == {"slide2"}
