"""A review: a frozen list of cells, the verdicts on them, and how far one has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.edits import Change
from napari_cyto.domain.taught import not_classes
from napari_cyto.errors import CytoError, StaleEditError
from napari_cyto.review.control_cells import ACCEPT_ALL, ControlCells, Estimate, control_cells, keep_limit, limit_of
from napari_cyto.review.order import Gathered, Tally, gather, order_by_likeness
from napari_cyto.review.predictions import with_review
from napari_cyto.review.query import Likeness, ReviewQuery
from napari_cyto.session._session import Session
from napari_cyto.store import HistoryEntry


class Review:
    """The list of cells that the dock Review shows; its order stays until it is asked for anew.

    Edits go through the project, so they are on the disk and can be undone like any other.
    """

    renewed = Signal()
    reordered = Signal()  # the same cells stand in another order
    changed = Signal(object)  # list of int: rows whose cell changed
    progressed = Signal()
    pointed = Signal(object)  # (y, x): level-0 px of the slide on screen, where a crosshair is wanted; None for none

    def __init__(self, session: Session) -> None:
        self.session = session
        self.query = ReviewQuery()
        self.cells: list[Annotation] = []
        self.controls: frozenset[str] = frozenset()
        self.tally = Tally()
        self.left_out = 0
        self.unscored = 0
        self.unmeasured = 0
        # Whether somebody went to a cell of this list or judged one: from then on it stays as it is.
        self.is_begun = False
        self._newcomers: set[str] = set()
        self.is_changed_elsewhere = False
        # Where each cell stood when the list was made, and where it stands now, if that is elsewhere: an order that
        # follows each verdict must not name 40,000 cells anew.
        self._rows: dict[str, int] = {}
        self._moved_to: npt.NDArray[np.intp] | None = None
        self._gone: set[str] = set()
        # A byte a row, 1 where nobody has judged the cell: the next one is looked for at each key, among 200,000.
        self._unreviewed = bytearray()
        # Ids of cells with a note, which may say that they are not of the class that is taught.
        self._noted: set[str] = set()
        # Where the list's cells stand in what a likeness tells of, by whose rows: the same for each of a lesson.
        self._places: tuple[object, npt.NDArray[np.intp]] | None = None
        self._trail: list[int] = []
        self._missed: list[Change] | None = None
        self._slide_id = ""
        self._followed: ControlCells | None = None
        # A step that cannot be followed cell by cell, such as an undo: the history is read again when one asks.
        self._is_behind = False
        session.annotations_changed.connect(self._on_annotations)

    def let_go(self) -> None:
        """Stop listening."""
        self.session.annotations_changed.disconnect(self._on_annotations, missing_ok=True)

    # The list

    def refresh(self, query: ReviewQuery | None = None) -> None:
        """Read the list anew, in its order of now.

        Raises
        ------
        StoreError
            When no project is open, or it cannot be read.
        """
        self.begin(query)
        self.take(gather(self.session.need_project(), self.query))

    def begin(self, query: ReviewQuery | None = None) -> None:
        """Note that a list is being made elsewhere: edits from now on are caught up with by `take`."""
        self.query = self.query if query is None else query
        self._missed = []

    def take(self, gathered: Gathered) -> None:
        """Show a list that `gather` made."""
        missed, self._missed = self._missed or [], None
        self.query, self.cells = gathered.query, list(gathered.cells)
        self.controls, self.tally = gathered.controls, gathered.tally
        self.left_out, self.unscored = gathered.left_out, gathered.unscored
        self.unmeasured = gathered.unmeasured
        self._rows = {cell.id: row for row, cell in enumerate(self.cells)}
        self._moved_to = None
        self._gone.clear()
        self._followed, self._is_behind = gathered.followed, bool(missed)
        self._unreviewed = bytearray(cell.status is Status.UNREVIEWED for cell in self.cells)
        self._noted = {cell.id for cell in self.cells if cell.note}
        self._places = None
        self._trail.clear()
        self.is_begun = False
        self._newcomers.clear()
        self.is_changed_elsewhere = False
        self._slide_id = self.session.slide.id if self.session.slide is not None else ""
        for change in missed:
            self._follow(change, counts=False)
        self.renewed.emit()
        self.progressed.emit()

    def clear(self) -> None:
        """Show nothing, as without a project."""
        self.take(Gathered(self.query, (), frozenset(), Tally()))

    def row_of(self, cell_id: str) -> int | None:
        """Return where a cell stands in the list."""
        made = self._rows.get(cell_id)
        return made if made is None or self._moved_to is None else int(self._moved_to[made])

    def _row(self, cell_id: str) -> int:
        row = self.row_of(cell_id)
        assert row is not None, "a cell of the list"
        return row

    def is_gone(self, row: int) -> bool:
        """Whether the cell was deleted since the list was made."""
        return self.cells[row].id in self._gone

    def is_unreviewed(self, row: int) -> bool:
        """Whether nobody has judged the cell yet."""
        return bool(self._unreviewed[row])

    @property
    def newcomers(self) -> int:
        """How many cells came since the list was made and are not in it."""
        return len(self._newcomers)

    @property
    def is_outdated(self) -> bool:
        """Whether a list made now would hold other cells."""
        return bool(self._newcomers or self._gone) or self.is_changed_elsewhere

    @property
    def is_being_made(self) -> bool:
        """Whether a list was begun and has not been taken yet."""
        return self._missed is not None

    def compare(self, gathered: Gathered) -> None:
        """Take note of what a list made now would hold, without changing the one that is gone through."""
        self._missed = None
        self.tally, self.is_changed_elsewhere = gathered.tally, False
        self._newcomers = {cell.id for cell in gathered.cells if cell.id not in self._rows}
        self.progressed.emit()

    @property
    def unreviewed(self) -> int:
        """How many cells of the list nobody has judged yet."""
        return self._unreviewed.count(1)

    def reorder(self, likeness: Likeness) -> None:
        """Put the list in the order of a likeness, the cells of which something was said last; the cells stay the same.

        Parameters
        ----------
        likeness : Likeness
            By which the list is ordered from now on.
        """
        if not self.cells:
            return
        if self._places is None or self._places[0] is not likeness.rows:
            self._places = (likeness.rows, likeness.places_of(self.cells))
        places = self._places[1]
        is_waiting = np.frombuffer(self._unreviewed, dtype=np.bool_).copy()
        for cell_id in self._noted:
            row = self._row(cell_id)
            is_waiting[row] &= likeness.class_id not in not_classes(self.cells[row].note)
        is_control = np.zeros(len(self.cells), dtype=np.bool_)
        is_control[[self._row(cell_id) for cell_id in self.controls]] = True
        order = order_by_likeness(likeness.at(places), is_waiting, is_control)
        new_row = np.empty_like(order)
        new_row[order] = np.arange(len(order))
        self._moved_to = new_row if self._moved_to is None else new_row[self._moved_to]
        self.cells = np.array(self.cells, dtype=object)[order].tolist()
        self._unreviewed = bytearray(np.frombuffer(self._unreviewed, dtype=np.uint8)[order].tobytes())
        self._places = (likeness.rows, places[order])
        self._trail = [int(new_row[row]) for row in self._trail]
        self.query = replace(self.query, likeness=likeness)
        self.reordered.emit()

    # Verdicts

    def accept(self, rows: Iterable[int]) -> bool:
        """Accept cells in one undo step; return whether anything was changed.

        Raises
        ------
        CytoError
            In a blind reading: nobody accepts a class that is hidden from them.
        """
        self._refuse_blind()
        return self._review(rows, lambda a: with_review(a, self.session.author, Status.ACCEPTED), "Accept {}")

    def reject(self, rows: Iterable[int]) -> bool:
        """Reject cells in one undo step; return whether anything was changed."""
        return self._review(rows, lambda a: with_review(a, self.session.author, Status.REJECTED), "Reject {}")

    def relabel(self, rows: Iterable[int], class_id: str) -> bool:
        """Give cells another class, which accepts them, in one undo step; return whether anything was changed.

        Raises
        ------
        SchemeError
            When the project's scheme has no such class.
        """
        known_class = self.session.need_project().scheme[class_id].id
        author = self.session.author
        return self._review(
            rows, lambda a: with_review(a, author, Status.ACCEPTED, known_class), f"Relabel {{}} as {known_class}"
        )

    def accept_all(self) -> int:
        """Accept all cells of the list that nobody judged yet, in one undo step; return how many."""
        rows = [row for row in range(len(self.cells)) if self.is_unreviewed(row)]
        self._refuse_blind()
        accepted = self._review(
            rows, lambda a: with_review(a, self.session.author, Status.ACCEPTED), f"{ACCEPT_ALL}{len(rows):,} {{}}"
        )
        return len(rows) if accepted else 0

    def _refuse_blind(self) -> None:
        if self.session.shown_filter.blind:
            raise CytoError("This is a blind reading: give the cell its class with 1 to 9 instead, or reject it.")

    def _review(self, rows: Iterable[int], change: Callable[[Annotation], Annotation], label: str) -> bool:
        rows = sorted(set(rows))
        self.is_begun = True
        before = [self.cells[row] for row in rows if not self.is_gone(row)]
        self._trail += rows[-1:]
        pairs = [(a, b) for a in before if (b := change(a)) != a]
        if not pairs:
            return False
        what = str(pairs[0][0].class_id) if len(pairs) == 1 else f"{len(pairs)} cells"
        if self.session.shown_filter.blind and len(pairs) == 1:
            what = "cell"
        try:
            entry = self.session.file.store(edits.replace_all(pairs, label.format(what)))
        except StaleEditError:
            self.read_again([self._row(a.id) for a, _ in pairs])
            raise
        self.session.annotations_changed.emit(entry)
        return True

    # Where to go

    def after(self, row: int) -> int:
        """Return where to go on after a verdict: the next cell that waits, from the start again after the last."""
        following = self._unreviewed.find(1, row + 1)
        if following < 0:
            following = self._unreviewed.find(1, 0, row)
        return following if following >= 0 else min(row + 1, len(self.cells) - 1)

    def back(self) -> int | None:
        """Return the cell judged last, then the one before it; None when there is none."""
        return self._trail.pop() if self._trail else None

    def go(self, row: int) -> None:
        """Put a cell in the middle of its slide, under the crosshair.

        Raises
        ------
        StoreError
            When its slide is not in the project any more.
        """
        cell, session = self.cells[row], self.session
        self.is_begun = True
        session.slides.go_to(cell.slide_id)
        session.jump(cell.geometry.centre_yx)
        following = self.cells[self.after(row)]
        if following.slide_id == cell.slide_id:
            session.next_foreseen.emit(*following.geometry.centre_yx)
        self.pointed.emit(cell.geometry.centre_yx)

    # How far it has come

    def progress(self) -> tuple[int, int]:
        """Return how many proposals are reviewed, and how many there are, on the chosen slides and classes."""
        return sum(self.tally.reviewed.values()), sum(self.tally.total.values())

    def progress_by_class(self) -> list[tuple[str, int, int]]:
        """Return class, reviewed, total of each proposed class, the most severe first."""
        project = self.session.project
        graded = () if project is None else project.scheme.classes
        order = sorted(graded, key=lambda c: -1 if c.severity is None else c.severity, reverse=True)
        return [(c.id, self.tally.reviewed[c.id], n) for c in order if (n := self.tally.total[c.id]) > 0]

    def estimate(self) -> Estimate | None:
        """Return what the control cells that were read say of the cells that were not; None without a list.

        Raises
        ------
        StoreError
            When the project cannot be read.
        """
        project = self.session.project
        if project is None or self._followed is None:
            return None
        if self._is_behind:
            self._followed, self._is_behind = control_cells(project, self.query), False
        return self._followed.estimate(self._slide_id, limit_of(project))

    def keep_limit(self, share: float) -> None:
        """Keep under which share of abnormal cells among the unread one may stop, 0 to 0.5.

        Raises
        ------
        CytoError
            When it is out of this range.
        """
        keep_limit(self.session.need_project(), share)
        self.progressed.emit()

    # What happened elsewhere

    def read_again(self, rows: Sequence[int]) -> None:
        """Ask the store how some cells of the list are now."""
        project = self.session.project
        if project is None:
            return
        ids = [self.cells[row].id for row in rows]
        there = {cell.id: cell for cell in project.annotations_by_id(ids)}
        for row, cell_id in zip(rows, ids, strict=True):
            self._set(row, there.get(cell_id))
        self.changed.emit(list(rows))

    def _on_annotations(self, entry: HistoryEntry | None) -> None:
        slide_id = self.session.slide.id if self.session.slide is not None else ""
        moved, self._slide_id = slide_id != self._slide_id, slide_id
        if entry is None:
            # Said when another slide is shown, too, which changes no cell.
            self.is_changed_elsewhere |= not moved
            self._is_behind |= not moved
            if not moved:
                self.progressed.emit()
            return
        changes = entry.edit.changes
        if self._followed is not None and not self._is_behind:
            self._is_behind = not self._followed.take(entry)
        if self._missed is not None:
            self._missed += changes
        rows = [row for change in changes if (row := self._follow(change)) is not None]
        if rows:
            self.changed.emit(rows)
        self.progressed.emit()

    def _follow(self, change: Change, counts: bool = True) -> int | None:
        """Take in a change; return the row in which it shows."""
        if counts:
            self.tally.count(change.before, self.query, -1)
            self.tally.count(change.after, self.query)
        row = self.row_of(change.annotation_id)
        if row is not None:
            self._set(row, change.after)
        elif change.after is not None and self.query.takes(change.after):
            self._newcomers.add(change.annotation_id)
        else:
            self._newcomers.discard(change.annotation_id)
        return row

    def _set(self, row: int, cell: Annotation | None) -> None:
        if cell is None:
            self._gone.add(self.cells[row].id)
        else:
            self._gone.discard(cell.id)
            self.cells[row] = cell
            (self._noted.add if cell.note else self._noted.discard)(cell.id)
        self._unreviewed[row] = cell is not None and cell.status is Status.UNREVIEWED


def progress_words(review: Review) -> str:
    """Return the progress as a sentence: ``127 of 900 reviewed``."""
    done, total = review.progress()
    if total:
        return f"{done:,} of {total:,} reviewed"
    return f"{counted(len(review.cells), 'cell')}, no predictions" if len(review.cells) else "No predictions here"
