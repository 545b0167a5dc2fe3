"""What a project's cells teach: which are of a class, which are of none, and which are only known not to be of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.taught import not_classes

NONE_OF_THEM = ""
"""Stands for cells of no class that is taught: what was rejected, and maybe what is only known not to be of one."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said of one cell.

    Parameters
    ----------
    class_id : str or None
        The class it is of; ``NONE_OF_THEM`` for a rejected one; None where only is known what it is not.
    excluded : frozenset of str
        Classes that it is not.
    """

    class_id: str | None = None
    excluded: frozenset[str] = frozenset()


def answer_of(cell: Annotation) -> Answer | None:
    """Return what a cell teaches; None for one that waits and of which nothing was said, and for a region."""
    if cell.is_region:
        return None
    if cell.status is Status.ACCEPTED:
        return Answer(str(cell.class_id))
    if cell.status is Status.REJECTED:
        return Answer(NONE_OF_THEM)
    excluded = frozenset(not_classes(cell.note)) if cell.note else frozenset()
    return Answer(None, excluded) if excluded else None


@dataclass(frozen=True, slots=True)
class Examples:
    """The cells from which a head learns, in the order of their ids.

    Parameters
    ----------
    ids : tuple of str
        Of the cells.
    classes : tuple of str
        Those that have an example, in the order of the scheme; ``NONE_OF_THEM`` last, if any cell may be of none.
    permitted : ndarray, bool, (n, classes)
        Which classes each cell may be of: one, where that is known.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    permitted: Bools

    def __len__(self) -> int:
        """The number of cells."""
        return len(self.ids)

    @property
    def is_known(self) -> Bools:
        """Of which cells exactly one class is permitted, ``(n,)``."""
        known: Bools = self.permitted.sum(axis=1) == 1
        return known

    @property
    def counts(self) -> dict[str, int]:
        """How many cells are known to be of each class."""
        columns = self.permitted[self.is_known].argmax(axis=1) if len(self.ids) else []
        counted = Counter(self.classes[column] for column in columns)
        return {name: counted[name] for name in self.classes}

    @property
    def taught(self) -> tuple[str, ...]:
        """The classes that have an example, without ``NONE_OF_THEM``."""
        return tuple(name for name in self.classes if name != NONE_OF_THEM)

    def only(self, rows: npt.NDArray[np.intp]) -> Examples:
        """Return some of them, of the same classes."""
        return Examples(tuple(self.ids[row] for row in rows), self.classes, self.permitted[rows])


def examples_of(answers: Mapping[str, Answer], class_order: Iterable[str]) -> Examples:
    """Return what answers teach.

    Parameters
    ----------
    answers : mapping of cell id to Answer
        Of the cells that have a vector.
    class_order : iterable of str
        All classes of the scheme; only those with an example are taken.
    """
    used = {answer.class_id for answer in answers.values() if answer.class_id}
    taught = tuple(class_id for class_id in class_order if class_id in used)
    # What only excludes a class of which there is no example says nothing yet.
    telling = {
        cell: answer
        for cell, answer in sorted(answers.items())
        if answer.class_id == NONE_OF_THEM or answer.class_id in taught or answer.excluded & set(taught)
    }
    has_none = any(not answer.class_id for answer in telling.values())
    classes = (*taught, NONE_OF_THEM) if has_none else taught
    column = {name: number for number, name in enumerate(classes)}
    permitted = np.zeros((len(telling), len(classes)), np.bool_)
    for row, answer in enumerate(telling.values()):
        if answer.class_id is not None:
            permitted[row, column[answer.class_id]] = True
        else:
            permitted[row] = [name not in answer.excluded for name in classes]
    return Examples(tuple(telling), classes, permitted)
