"""Keeps the lesson of a session: read in a thread, learnt anew after each example, judged when the hand rests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qtpy.QtCore import QObject, Signal

from napari_cyto.datasets.splits.split_slides import grouped
from napari_cyto.errors import CytoError
from napari_cyto.review.query import Likeness
from napari_cyto.session import Session
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.vectors import VectorKind, vector_kinds
from napari_cyto.vectors.teaching.lesson import Lesson
from napari_cyto.vectors.teaching.project_lesson import (
    Worth,
    drawn_cells,
    encoder_remark,
    features_of,
    keep_encoder,
    open_lesson,
    worth_of,
)
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.latest import Latest

LARGE_STEP = 500
"""Cells in a step from which on the lesson is read anew in the background."""

WORTH_AFTER_MS = 500


@dataclass(frozen=True, slots=True)
class _Read:
    project: Project
    kind: VectorKind | None
    lesson: Lesson | None
    remark: str = ""
    problem: str = ""


class LessonKeeper(QObject):
    """Holds the lesson on the newest vectors of the session's project.

    Parameters
    ----------
    session : Session
        Whose project, and whose class that is taught.
    parent : QObject
        What it belongs to.
    """

    opened = Signal()
    """There is another lesson, or none: `lesson` and `problem` say which."""
    learnt = Signal()
    estimated = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self.session = session
        self.lesson: Lesson | None = None
        self.kind: VectorKind | None = None
        self.remark = self.problem = ""
        self.worth: Worth | None = None
        self.is_reading = False
        self._missed: list[HistoryEntry] = []
        self._reader = Latest("lesson", self)
        self._estimate = Latest("lesson estimate", self)
        self._reader.made.connect(self._take)
        self._estimate.made.connect(self._take_worth)
        self._rest = later(self, self._ask_worth, WORTH_AFTER_MS)

    def let_go(self) -> None:
        """Stop reading."""
        self._rest.stop()
        self._reader.close()
        self._estimate.close()

    def read(self) -> None:
        """Read the lesson anew, in a thread."""
        project = self.session.project
        self._estimate.drop()
        if project is None:
            self.drop()
            return
        self.is_reading, self._missed = True, []
        self._reader.ask(lambda _: _read(project))

    def drop(self) -> None:
        """Have no lesson."""
        self._reader.drop()
        self._estimate.drop()
        self.is_reading = False
        self.lesson = self.kind = self.worth = None
        self.remark = self.problem = ""
        self.session.teaching.likeness = None
        self.opened.emit()

    def follow(self, entry: HistoryEntry | None) -> None:
        """Learn from an edit, at once; from a large one, or one that moved cells, in the background."""
        if self.is_reading:
            if entry is None:
                self.read()
            else:
                self._missed.append(entry)
            return
        lesson = self.lesson
        if lesson is None:
            return
        if entry is None or entry.count > LARGE_STEP or _moves(entry):
            self.read()
            return
        changes = entry.edit.changes
        lesson.without += sum(c.before is None and c.annotation_id not in lesson.row_of for c in changes)
        if lesson.take((change.annotation_id, change.after) for change in changes):
            self.learn()

    def learn(self) -> None:
        """Fit the head to all that was said, and tell who orders by it."""
        if self.lesson is None:
            return
        self.lesson.learn()
        self.tell()
        self.learnt.emit()
        self._rest.start()

    def tell(self) -> None:
        """Give the session the likeness to the class that is taught now."""
        lesson, class_id = self.lesson, self.session.teaching.class_id
        values = None if lesson is None or not class_id else lesson.likeness(class_id)
        self.session.teaching.likeness = (
            None if lesson is None or values is None else Likeness(class_id, lesson.row_of, values)
        )

    def _take(self, read: _Read) -> None:
        self.is_reading = False
        if read.project is not self.session.project:
            return
        self.lesson, self.kind, self.remark, self.problem = read.lesson, read.kind, read.remark, read.problem
        self.worth = None
        missed, self._missed = self._missed, []
        for entry in missed:
            self.follow(entry)
        if self.is_reading:
            return
        self.tell()
        self.opened.emit()
        self._rest.start()

    def _ask_worth(self) -> None:
        project, lesson = self.session.project, self.lesson
        if project is None or lesson is None:
            return
        taught = lesson.snapshot()
        self._estimate.ask(lambda _: worth_of(taught, drawn_cells(project), _groups(project)))

    def _take_worth(self, worth: Worth) -> None:
        self.worth = worth
        self.estimated.emit()


def _read(project: Project) -> _Read:
    kind = None
    try:
        kinds = vector_kinds(project)
        if not kinds:
            return _Read(project, None, None)
        kind = kinds[0]
        lesson = open_lesson(project, kind, features_of(project))
        lesson.learn()
        remark = encoder_remark(project, kind)
        keep_encoder(project, kind)
    except CytoError as error:
        return _Read(project, kind, None, problem=str(error))
    return _Read(project, kind, lesson, remark)


def _groups(project: Project) -> Mapping[str, str]:
    """Return what is kept together with each slide: those of one patient, and the same pixels."""
    return grouped(project.slides(), "auto")


def _moves(entry: HistoryEntry) -> bool:
    return any(
        c.before is not None and c.after is not None and c.before.geometry != c.after.geometry
        for c in entry.edit.changes
    )
