"""Coarser views of a classifier's classes: the four grades of Bethesda, and normal against abnormal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from napari_cyto.domain import high_grade
from napari_cyto.evaluation.classification import Scores

FOUR = ("NILM", "ASC-US", "LSIL", "HSIL")
"""The classes of the shipped scheme ``bethesda-4``."""

NORMAL, ABNORMAL = "normal", "abnormal"


class Graded(high_grade.Graded, Protocol):
    """What a view must know of a class: its grade, and the class above it."""

    @property
    def parent(self) -> str | None:
        """The class that stands for it in the coarser view."""
        ...


@dataclass(frozen=True, slots=True)
class ClassView:
    """Fewer classes made of more.

    Parameters
    ----------
    classes : tuple of str
        The view's classes, in the order of severity.
    place : tuple of int
        Of each original class its place among ``classes``; -1 for one without a grade, which the view leaves out.
    """

    classes: tuple[str, ...]
    place: tuple[int, ...]

    def scores(self, scores: Scores) -> Scores:
        """Return scores of the view's classes, float64 (n, v), from scores (n, k): those that fall together add up."""
        summed = np.zeros((len(scores), len(self.classes)))
        for column, place in enumerate(self.place):
            if place >= 0:
                summed[:, place] += scores[:, column]
        return summed


def four_class_view(classes: Sequence[Graded]) -> ClassView | None:
    """Return the view in which each class stands under its parent, if that gives the four classes of Bethesda."""
    graded = _graded(classes)
    roots = tuple(dict.fromkeys(c.parent or c.id for c in graded))
    if sorted(roots) != sorted(FOUR):
        return None
    place = {c.id: FOUR.index(c.parent or c.id) for c in graded}
    return ClassView(FOUR, tuple(place.get(c.id, -1) for c in classes))


def normal_abnormal_view(classes: Sequence[Graded]) -> ClassView | None:
    """Return the view of normal (severity 0) against abnormal (any other grade), if there are both."""
    grades = {c.id: int(c.severity > 0) for c in classes if c.severity is not None}
    if len(set(grades.values())) < 2:
        return None
    return ClassView((NORMAL, ABNORMAL), tuple(grades.get(c.id, -1) for c in classes))


def _graded(classes: Sequence[Graded]) -> list[Graded]:
    return sorted((c for c in classes if c.severity is not None), key=lambda c: c.severity or 0)
