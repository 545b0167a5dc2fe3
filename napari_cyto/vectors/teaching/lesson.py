"""A lesson: the cells of a project, what was said of them, the head that follows, and what it says of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.vectors.teaching._basis import AnyVectors, Basis, Floats, fit_basis
from napari_cyto.vectors.teaching._head import Head, fit_head
from napari_cyto.vectors.teaching._measured import MeasuredFeatures
from napari_cyto.vectors.teaching.examples import NONE_OF_THEM, Answer, Examples, answer_of, examples_of
from napari_cyto.vectors.teaching.suggestions import COUNT, Pool, Suggestion, suggest

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The examples of a lesson as they were at a moment, for who judges them meanwhile.

    Parameters
    ----------
    examples : Examples
        The cells.
    places : ndarray, float32, (n, d)
        Of each.
    slide_ids : tuple of str
        Of each.
    known : frozenset of str
        Ids of all cells that have a vector.
    """

    examples: Examples
    places: Floats
    slide_ids: tuple[str, ...]
    known: Container[str]


class Lesson:
    """What is taught on one kind of vectors; nothing in it reads or writes the project.

    Parameters
    ----------
    ids, slide_ids : sequence of str
        Cells that have a vector, and the slide of each.
    vectors : ndarray, float16 or float32, (n, length)
        Their vectors, as the encoder gave them.
    scheme : ClassScheme
        The project's classes.
    measured : MeasuredFeatures, optional
        What is measured on the cells, to be learnt from, too.
    """

    def __init__(
        self,
        ids: Sequence[str],
        slide_ids: Sequence[str],
        vectors: AnyVectors,
        scheme: ClassScheme,
        measured: MeasuredFeatures | None = None,
    ) -> None:
        self.ids, self.slide_ids, self.scheme = tuple(ids), tuple(slide_ids), scheme
        self.row_of: Mapping[str, int] = {cell: row for row, cell in enumerate(self.ids)}
        self.basis: Basis = fit_basis(vectors)
        self.places: Floats = self.basis.project(vectors)
        self.measured = measured
        if measured is not None:
            self.places = np.hstack([self.places, measured.places])
        self.is_waiting = np.zeros(len(self.ids), np.bool_)
        self.without = 0
        """Cells of the project that have no vector, or an old one."""
        self.examples = Examples((), (), np.zeros((0, 0), np.bool_))
        self.head: Head | None = None
        self.scores: Floats | None = None
        self._answers: dict[str, Answer] = {}

    # What was said

    def take(self, changes: Iterable[tuple[str, Annotation | None]]) -> bool:
        """Take in cells as they are now, by id, None for deleted ones; return whether that teaches anything."""
        teaches = False
        for cell_id, cell in changes:
            row = self.row_of.get(cell_id)
            if row is not None:
                self.is_waiting[row] = cell is not None and cell.status is Status.UNREVIEWED
                teaches |= self.teach(cell_id, None if cell is None else answer_of(cell))
        return teaches

    def teach(self, cell_id: str, answer: Answer | None) -> bool:
        """Take in what was said of a cell that has a vector, None for nothing; return whether that is news."""
        if answer == self._answers.get(cell_id):
            return False
        if answer is None:
            del self._answers[cell_id]
        else:
            self._answers[cell_id] = answer
        return True

    def forget(self) -> None:
        """Forget all that was said."""
        self._answers.clear()
        self.head = self.scores = None

    def learn(self, *, afresh: bool = False) -> Head | None:
        """Fit the head to what was said so far, and let it score all cells; from where it was, unless ``afresh``."""
        self.examples = examples_of(self._answers, self.scheme.ids)
        rows = self.example_rows
        self.head = fit_head(self.places[rows], self.examples, None if afresh else self.head)
        self.scores = None if self.head is None else self.head.scores(self.places)
        return self.head

    @property
    def example_rows(self) -> Rows:
        """The row of each example, in their order."""
        return np.array([self.row_of[cell] for cell in self.examples.ids], dtype=np.intp)

    @property
    def waiting_rows(self) -> Rows:
        """The rows of the cells that wait and of which nothing was said."""
        waits = self.is_waiting.copy()
        waits[[self.row_of[cell] for cell in self._answers]] = False
        return np.flatnonzero(waits)

    def snapshot(self) -> Snapshot:
        """Return the examples as they are now; the lesson may go on meanwhile."""
        rows = self.example_rows
        return Snapshot(self.examples, self.places[rows], tuple(self.slide_ids[row] for row in rows), self.row_of)

    # What follows

    def likeness(self, class_id: str) -> Floats | None:
        """Return how like a class all cells are, ``(n,)``: its probability, or how near the examples they lie.

        None where there is no example of it.
        """
        if self.head is None or self.scores is None or class_id not in self.head.classes:
            return None
        return self.scores[:, self.head.classes.index(class_id)]

    def most_like(self, class_id: str, count: int, slide_id: str = "") -> list[tuple[str, float]]:
        """Return the waiting cells most like a class, of all slides or of one, with their scores."""
        likeness = self.likeness(class_id)
        if likeness is None:
            return []
        rows = self.waiting_rows
        if slide_id:
            rows = rows[[self.slide_ids[row] == slide_id for row in rows]]
        best = rows[np.argsort(-likeness[rows], kind="stable")[:count]]
        return [(self.ids[row], float(likeness[row])) for row in best]

    def called(self, class_id: str) -> Counter[str]:
        """Return how many waiting cells of each slide the head calls a class; empty where it tells no classes apart."""
        if self.head is None or self.scores is None or self.head.is_likeness or class_id not in self.head.classes:
            return Counter()
        rows = self.waiting_rows
        called = rows[self.scores[rows].argmax(axis=1) == self.head.classes.index(class_id)]
        return Counter(self.slide_ids[row] for row in called)

    def suggestions(
        self,
        sought: Sequence[str] = (),
        pending: Iterable[str] = (),
        count: int = COUNT,
        seed: int = 0,
        slide_id: str = "",
    ) -> tuple[Suggestion, ...]:
        """Return the next cells worth a label; see `suggest`.

        Parameters
        ----------
        sought : sequence of str
            Classes that are to be taught.
        pending : iterable of str
            Cells that were drawn at random before.
        count, seed : int
            How many, and of the draw.
        slide_id : str
            Only of this slide; of all without.
        """
        waiting = self.waiting_rows
        if slide_id:
            waiting = waiting[[self.slide_ids[row] == slide_id for row in waiting]]
        drawn = np.array([self.row_of[cell] for cell in pending if cell in self.row_of], dtype=np.intp)
        pool = Pool(self.ids, self.places, waiting, self.example_rows)
        grades = severities(self.scheme)
        return suggest(
            pool,
            self.head,
            self.scores,
            self.examples.counts,
            grades,
            sought=sought,
            pending=drawn,
            count=count,
            seed=seed,
        )

    def is_none_known(self) -> bool:
        """Whether any cell is known to be of no class that is taught, or not to be of one."""
        return NONE_OF_THEM in self.examples.classes


def severities(scheme: ClassScheme) -> dict[str, float]:
    """Return how severe each class is, 0 to 1; classes without a grade are left out."""
    graded = {c.id: c.severity for c in scheme.classes if c.severity is not None}
    worst = max(graded.values(), default=0)
    return {class_id: grade / worst for class_id, grade in graded.items()} if worst else {}
