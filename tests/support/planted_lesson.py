"""Vectors of planted classes: clusters that overlap as much as one likes."""

from __future__ import annotations

import numpy as np

from napari_cyto.domain.presets import preset
from napari_cyto.vectors.teaching.examples import Answer
from napari_cyto.vectors.teaching.lesson import Lesson

CLASSES = ("NILM", "LSIL", "HSIL")
LENGTH = 24


def cell_id(number: int) -> str:
    """A cell's id."""
    return f"{number:032x}"


def planted(
    count: int, seed: int = 0, spread: float = 0.35, shares: tuple[float, ...] = (0.7, 0.2, 0.1), slides: int = 4
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return vectors (n, LENGTH) in float16, the class of each, and its slide."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(shares), count, p=shares)
    middles = np.eye(LENGTH)[: len(shares)] * 1.0 + 0.5
    vectors = middles[truth] + spread * rng.standard_normal((count, LENGTH))
    of_slide = [f"slide{n}" for n in rng.integers(0, slides, count)]
    return (7.0 * vectors).astype(np.float16), np.array(CLASSES)[truth], of_slide


def lesson_on(count: int, **how: object) -> tuple[Lesson, np.ndarray]:
    """Return a lesson of which all cells wait, and the truth."""
    vectors, truth, slides = planted(count, **how)  # type: ignore[arg-type]
    lesson = Lesson([cell_id(n) for n in range(count)], slides, vectors, preset("bethesda"))
    lesson.is_waiting[:] = True
    return lesson, truth


def say(lesson: Lesson, row: int, answer: Answer) -> None:
    """Answer for a cell."""
    lesson.teach(lesson.ids[row], answer)
    lesson.is_waiting[row] = answer.class_id is None
