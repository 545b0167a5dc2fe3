"""Promise: the share that the head calls right comes with an interval that holds, though examples were picked."""

from __future__ import annotations

import numpy as np
from planted_lesson import lesson_on, say

from napari_cyto.vectors.teaching.estimate import across_slides, honest_accuracy
from napari_cyto.vectors.teaching.examples import Answer
from napari_cyto.vectors.teaching.sentences import accuracy_words


def taught(seed: int, rounds: int):
    """Label what is suggested, as a person would; return the lesson, the truth and what was drawn at random."""
    lesson, truth = lesson_on(300, seed=seed, spread=0.6, shares=(0.5, 0.3, 0.2))
    drawn: list[str] = []
    rng = np.random.default_rng(seed)
    for name in ("NILM", "LSIL", "HSIL"):
        for row in rng.choice(np.flatnonzero(truth == name), 4, replace=False):
            say(lesson, row, Answer(name))
    for number in range(rounds):
        lesson.learn()
        made = lesson.suggestions(seed=1000 * seed + number)
        drawn += [each.cell_id for each in made if each.is_random]
        for each in made:
            row = lesson.row_of[each.cell_id]
            say(lesson, row, Answer(str(truth[row])))
    lesson.learn()
    return lesson, truth, drawn


def test_the_interval_holds_for_the_waiting_cells():
    held = 0
    estimates, truths = [], []
    for seed in range(20):
        lesson, truth, drawn = taught(seed, 5)
        rows = lesson.example_rows
        groups = {cell: lesson.slide_ids[lesson.row_of[cell]] for cell in lesson.examples.ids}
        found = honest_accuracy(lesson.places[rows], lesson.examples, drawn, groups)
        waiting = lesson.waiting_rows
        right = np.array(lesson.head.classes)[lesson.scores[waiting].argmax(axis=1)] == truth[waiting]
        held += found.low <= right.mean() <= found.high
        estimates.append(found.share)
        truths.append(right.mean())
    # Of 20 runs with 95 % each fewer than 17 hold once in sixty times; the seeds are fixed.
    assert held >= 17
    # It leans, if at all, to the cautious side.
    assert np.mean(truths) - 0.09 < np.mean(estimates) < np.mean(truths) + 0.04


def test_picked_examples_alone_would_mislead():
    gaps = []
    for seed in range(6):
        lesson, truth, _ = taught(seed, 6)
        rows = lesson.example_rows
        everything = {cell: lesson.slide_ids[lesson.row_of[cell]] for cell in lesson.examples.ids}
        naive = honest_accuracy(lesson.places[rows], lesson.examples, lesson.examples.ids, everything)
        waiting = lesson.waiting_rows
        right = np.array(lesson.head.classes)[lesson.scores[waiting].argmax(axis=1)] == truth[waiting]
        gaps.append(right.mean() - naive.share)
    assert np.mean(gaps) > 0.05


def test_too_few_drawn_cells_give_no_figure():
    lesson, truth = lesson_on(100)
    for row in range(40):
        say(lesson, row, Answer(str(truth[row])))
    lesson.learn()
    groups = dict.fromkeys(lesson.examples.ids, "s")
    rows = lesson.example_rows
    assert honest_accuracy(lesson.places[rows], lesson.examples, lesson.examples.ids[:4], groups) is None
    assert accuracy_words(None, 6, 4).startswith("4 of 6 cells drawn at random are labelled")
    assert "no honest estimate" in accuracy_words(None, 0, 0)
    found = honest_accuracy(lesson.places[rows], lesson.examples, lesson.examples.ids[:12], groups)
    said = accuracy_words(found, 14, 12)
    assert "12 cells drawn at random, of 1 slide, so it holds for this slide alone" in said
    assert "2 more were drawn and passed over" in said


def test_across_slides_no_head_sees_the_slide_that_it_calls():
    """A vector that tells the slide and nothing else must not help."""
    rng = np.random.default_rng(0)
    lesson, _truth = lesson_on(300, spread=3.0, slides=6)
    for row in range(300):
        say(lesson, row, Answer(str(rng.choice(["NILM", "HSIL"]))))
    lesson.learn()
    rows = lesson.example_rows
    found = across_slides(lesson.places[rows], lesson.examples, [lesson.slide_ids[row] for row in rows])
    assert 0.35 < found.accuracy.share < 0.65
    assert found.accuracy.low < 0.5 < found.accuracy.high
    assert sum(of for _, of in found.recall.values()) == found.accuracy.of == 300


def test_across_slides_finds_what_is_there():
    lesson, truth = lesson_on(300, spread=0.2, slides=8)
    for row in range(300):
        say(lesson, row, Answer(str(truth[row])))
    lesson.learn()
    rows = lesson.example_rows
    found = across_slides(lesson.places[rows], lesson.examples, [lesson.slide_ids[row] for row in rows])
    assert found.accuracy.share > 0.9
    assert found.macro_f1 > 0.85
    assert found.accuracy.groups == 8
