"""A project: a folder with one database of slides, annotations and their history, in which every edit is safe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import Connection, Row, bindparam, select

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.edits import Edit
from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.reader import reader_name
from napari_cyto.store import _edit_writer as writing
from napari_cyto.store import _interpretations as interpretations
from napari_cyto.store import _queries as queries
from napari_cyto.store import _removal as removing
from napari_cyto.store import _slides as slides
from napari_cyto.store import columns, reading_gate
from napari_cyto.store import project_copy as copying
from napari_cyto.store import step_origin as readings
from napari_cyto.store._bulk_insert import Bulk
from napari_cyto.store._core import ProjectCore, scheme_text
from napari_cyto.store._history import HistoryEntry, Kind, changes_of, entry_of, steps_of
from napari_cyto.store._slide_rows import absolute_path
from napari_cyto.store._stored_annotations import OnBatch, StoredAnnotations
from napari_cyto.store._validity import moment_of
from napari_cyto.store.database import creation as making
from napari_cyto.store.database import open_project as opening
from napari_cyto.store.database import sqlite
from napari_cyto.store.database.connection import Database
from napari_cyto.store.database.links import address_of, folder_of, is_address
from napari_cyto.store.database.schema import history
from napari_cyto.store.recovery.backup_keeper import BULK_FROM
from napari_cyto.store.step_origin import ReviewStep

_STEP = select(history).where(history.c.seq == bindparam("step"))
_LAST_STEPS = select(history).order_by(history.c.seq.desc()).limit(bindparam("at_most"))
_NO_LIMIT = 2**31 - 1


class Project(ProjectCore):
    """An open project, made by `Project.create` or `Project.open`; safe for use from several threads.

    Nothing is loaded ahead: each question is answered from what is committed at that moment, by this window or
    another. All places are level-0 px of their slide, ``(y, x)``.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder, database)
        self._numbers = slides.SlideNumbers(database)
        self._given_ids: frozenset[str] | None = None

    @classmethod
    def create(
        cls,
        folder: Path | str,
        scheme: ClassScheme,
        name: str = "",
        url: str | None = None,
        called: Path | str | None = None,
    ) -> Self:
        """Make a new project and open it.

        Parameters
        ----------
        folder : Path or str
            Where; by convention ``NAME.cyto``. Made if it is not there.
        scheme : ClassScheme
            The classes that its annotations can have.
        name : str
            What people call it; the folder's name if empty.
        url : str, optional
            The SQLAlchemy URL of an empty database to use instead of an SQLite file in the folder.
        called : Path or str, optional
            What sentences call the folder, when it is made under another name first.

        Raises
        ------
        ProjectThereError
            When there is a project already, perhaps since a moment ago; it is left as it is.
        StoreError
            When the place cannot be written or the disk is full; nothing of the new project stays then.
        """
        making.make(absolute_path(folder), scheme, name, url, None if called is None else Path(called))
        return cls.open(folder, url)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        url: str | None = None,
        busy_seconds: float = 5.0,
        even_damaged: bool = False,
        reader: str | None = None,
        past_gate: bool = False,
    ) -> Self:
        """Open the project in ``folder`` (or whose database file that is), or at a database URL.

        One that cannot be written is opened for reading: `writable` says so, and each change is refused.

        Parameters
        ----------
        folder : Path or str
            The project's folder.
        url : str, optional
            The SQLAlchemy URL of its database, when that is not the file in the folder.
        busy_seconds : float
            How long a write waits for that of another program, s.
        even_damaged : bool
            Open a damaged one for reading only, as far as it can be read; `damage` says what is wrong. A large file
            is looked through in the background, and nothing is stored before that is done.
        reader : str, optional
            Who opens it; this user's reader (`napari_cyto.files.reader`) unless given.
        past_gate : bool
            Open it even for who has begun a reading in it: for what keeps the readings, and shows nothing else.

        Raises
        ------
        StoreError
            When the reader has begun a reading in it and not finished it (`reading_gate`).
            When it is no project, of a newer version, foreign or damaged; it is then left untouched.
        """
        place, database = opening.reach(absolute_path(folder), url, busy_seconds, even_damaged)
        try:
            project = cls(place, database)
            if not past_gate:
                reading_gate.check_reader(project, absolute_path(folder), reader or reader_name())
            return project
        except BaseException:
            database.close()
            raise

    @staticmethod
    def folder_of(place: Path | str) -> Path:
        """Return the folder of a project from what a person names it by: the folder, or the address of a database.

        Raises
        ------
        StoreError
            When it is an address, but not of a database that can be used.
        """
        return folder_of(place) if isinstance(place, str) and is_address(place) else Path(place)

    @staticmethod
    def stands_for_database(folder: Path) -> bool:
        """Whether a folder stands for a database at an address, as `folder_of` returns it."""
        return address_of(folder) is not None

    @staticmethod
    def is_empty_database(folder: Path) -> bool:
        """Whether a folder stands for a database in which there is no project yet."""
        return opening.is_empty_database(folder)

    @staticmethod
    def is_project(path: Path | str) -> bool:
        """Whether ``path`` is a project folder or the database file of one."""
        return opening.is_project(Path(path))

    def save_copy(self, folder: Path | str) -> None:
        """Write all that is stored, as this window sees it, into a new project folder.

        Raises
        ------
        StoreError
            When there is something already, the place cannot be written, or what is open was destroyed.
        """
        copying.save_copy(self._database, absolute_path(folder))

    # Slides

    def slides(self) -> tuple[SlideRecord, ...]:
        """Return the records of all slides, in the order in which they were added, with absolute paths."""
        with self._database.read() as connection:
            return slides.read_all(connection, self._folder)

    def slide(self, slide_id: str) -> SlideRecord:
        """Return the record of one slide.

        Raises
        ------
        StoreError
            When the project has no such slide.
        """
        with self._database.read() as connection:
            return slides.read_one(connection, slide_id, self._folder)

    def find_slide(self, *, fingerprint: str = "", path: Path | str = "") -> SlideRecord | None:
        """Return the slide with a fingerprint, else the one whose pixel file has a path."""
        with self._database.read() as connection:
            return slides.find(connection, fingerprint, str(path), self._folder)

    def add_slides(self, records: Iterable[SlideRecord]) -> None:
        """Add slides, all or none.

        Raises
        ------
        StoreError
            When one is in the project already.
        """
        with self._writing() as connection:
            slides.write_new(connection, records, self._folder)

    def update_slide(self, record: SlideRecord) -> None:
        """Replace the record of the slide with the same id: its progress, mpp, path.

        Raises
        ------
        StoreError
            When the project has no such slide.
        """
        with self._writing() as connection:
            slides.write_changed(connection, record, self._folder)

    def interpret(self, said: Mapping[str, Interpretation | None], entered_by: str) -> dict[str, Interpretation | None]:
        """Keep what is said of slides as wholes, all or nothing; None withdraws what was said.

        Parameters
        ----------
        said : mapping
            By slide id.
        entered_by : str
            Who enters it, which need not be who said it.

        Returns
        -------
        dict
            What held before, of the slides of which something else is said now.

        Raises
        ------
        StoreError
            When the project has no such slide.
        """
        with self._writing() as connection:
            held = {each: slides.read_one(connection, each, self._folder).interpretation for each in said}
            changed = {each: held[each] for each, new in said.items() if new != held[each]}
            interpretations.add(connection, {each: said[each] for each in changed}, entered_by)
        return changed

    def interpretation_history(self, slide_id: str) -> tuple[interpretations.Entry, ...]:
        """Return who said what of a slide as a whole, the first entry first."""
        with self._database.read() as connection:
            return interpretations.read_history(connection, slide_id)

    def remove_slide(self, slide_id: str) -> None:
        """Take a slide without marks out of the project; its file and the history stay as they are.

        Its record is kept, so that an undo which brings marks back to it brings the slide back too.

        Raises
        ------
        StoreError
            When the project has no such slide, or the slide has marks; the sentence counts them.
        """
        with self._writing() as connection:
            removing.take_out(connection, slide_id)

    def restore_slide(self, slide_id: str) -> None:
        """Show a slide again that was taken out."""
        with self._writing() as connection:
            removing.bring_back(connection, (slide_id,))

    def slide_path(self, record: SlideRecord) -> Path:
        """Return where the pixel file of a slide lies now.

        Raises
        ------
        StoreError
            When it is missing; the sentence names it.
        """
        with self._database.read() as connection:
            return slides.locate(connection, record, self._folder)

    # Edits

    def apply(self, edit: Edit, author: str) -> HistoryEntry:
        """Apply an edit; it is on the disk when this returns, all of it, or nothing is when it raises.

        Raises
        ------
        StaleEditError
            When an annotation is not, or no longer, what the edit was made against.
        StoreError
            When a slide or class is not in the project, or the database cannot be written.
        """
        if self._of_reading:
            reading_gate.check_edit(edit, author, self._of_reading, self._given())
        if len(edit.changes) >= BULK_FROM:
            self.back_up_before("bulk-edit", edit.label)
        with self._writing() as connection:
            seq = writing.write_edit(connection, self._known(), edit, author)
            row = connection.execute(_STEP, {"step": seq}).one()
            removing.bring_back_touched(connection, row.slide_pks)
        return entry_of(row, self._numbers.ids, lambda: edit)

    @contextmanager
    def bulk(self) -> Iterator[Bulk]:
        """Give what takes in slides, classes and any number of annotations: all of it when the block ends, or nothing.

        Other programs cannot write meanwhile. What they wrote since `revision` was last asked shows in the
        ``revision`` of what is given.

        Raises
        ------
        StoreError
            When the database cannot be written; nothing is changed then.
        """
        reading_gate.refuse_import(self._of_reading)
        self.back_up_before("import")
        with self._writing() as connection, sqlite.roomy(connection):
            bulk = Bulk(connection, self._folder, self._scheme, self._look(connection) - 1)
            yield bulk
            bulk.finish()
        if bulk.scheme != self._scheme:
            self._scheme, self._scheme_text = bulk.scheme, scheme_text(bulk.scheme)

    def undo(self, author: str) -> HistoryEntry | None:
        """Take back the author's last edit that is not undone; None when there is none.

        Raises
        ------
        StaleEditError
            When one of its annotations was changed since by another edit.
        """
        return self._return("undo", author)

    def redo(self, author: str) -> HistoryEntry | None:
        """Do again the author's edit that was undone last; None when there is none.

        Raises
        ------
        StaleEditError
            When one of its annotations was changed since by another edit.
        """
        return self._return("redo", author)

    def can_undo(self, author: str) -> str | None:
        """Return the label of the edit that `undo` would take back."""
        with self._database.read() as connection:
            return self._label(connection, writing.next_to_undo(connection, author))

    def can_redo(self, author: str) -> str | None:
        """Return the label of the edit that `redo` would do again."""
        with self._database.read() as connection:
            return self._label(connection, writing.next_to_redo(connection, author))

    def amount_to_return(self, kind: Literal["undo", "redo"], author: str) -> int:
        """Return how many annotations `undo` or `redo` would change; 0 when there is nothing to do."""
        search = writing.next_to_undo if kind == "undo" else writing.next_to_redo
        with self._database.read() as connection:
            target = search(connection, author)
            amount: int = 0 if target is None else connection.execute(_STEP, {"step": target}).one().amount
        return amount

    def _return(self, kind: Kind, author: str) -> HistoryEntry | None:
        search = writing.next_to_undo if kind == "undo" else writing.next_to_redo
        amount = self.amount_to_return("undo" if kind == "undo" else "redo", author)
        if not amount:
            return None
        if amount >= BULK_FROM:
            self.back_up_before(kind)
        with self._writing() as connection, sqlite.roomy(connection):
            # Looked up again, now that nobody else can write.
            target = search(connection, author)
            if target is None:
                return None
            seq = writing.write_return(connection, self._known(), target, kind, author)
            row = connection.execute(_STEP, {"step": seq}).one()
            removing.bring_back_touched(connection, row.slide_pks)
        return self._entry(row)

    def _label(self, connection: Connection, seq: int | None) -> str | None:
        return None if seq is None else connection.execute(_STEP, {"step": seq}).one().label

    def _given(self) -> frozenset[str]:
        """Return the ids of the cells that a reading gives, which never change once it is begun."""
        if self._given_ids is None:
            self._given_ids = frozenset(cell[0] for cell in self.setting(reading_gate.GIVEN, []))
        return self._given_ids

    def _known(self) -> writing.Known:
        return writing.Known(self._numbers, self._numbers.ids, self._scheme.ids)

    # History

    def history(self, limit: int | None = None) -> tuple[HistoryEntry, ...]:
        """Return the last ``limit`` steps that anyone took, the latest first."""
        with self._database.read() as connection:
            rows = connection.execute(_LAST_STEPS, {"at_most": _NO_LIMIT if limit is None else limit}).all()
        return tuple(self._entry(row) for row in rows)

    def history_of(self, annotation_id: str) -> tuple[HistoryEntry, ...]:
        """Return the steps that touched an annotation, oldest first; the edit of each holds that annotation only."""
        with self._database.read() as connection:
            rows = steps_of(connection, annotation_id)
        return tuple(self._entry(row, annotation_id) for row in rows)

    @property
    def saved_at(self) -> datetime | None:
        """When the last edit, undo or redo was committed, aware, UTC; None before the first."""
        with self._database.read() as connection:
            row = connection.execute(_LAST_STEPS, {"at_most": 1}).first()
        return None if row is None else moment_of(row.at_us, "history", row.seq, "at_us")

    def _entry(self, row: Row[Any], annotation_id: str | None = None) -> HistoryEntry:
        def load() -> Edit:
            with self._database.read() as connection:
                return Edit(row.label, tuple(changes_of(connection, row.seq, self._numbers.ids, annotation_id)))

        return entry_of(row, self._numbers.ids, load)

    # Annotations

    def annotation(self, annotation_id: str) -> Annotation | None:
        """Return an annotation by its id, or None when it is not there."""
        with self._database.read() as connection:
            return queries.one(connection, annotation_id, self._numbers.ids)

    def annotations_by_id(self, annotation_ids: Iterable[str]) -> list[Annotation]:
        """Return those of the annotations that are there, in the order of ``annotation_ids``."""
        with self._database.read() as connection:
            return queries.some(connection, tuple(annotation_ids), self._numbers.ids)

    def annotations(self, slide_id: str | None = None) -> Iterator[Annotation]:
        """Yield the annotations of a slide, or of all, in order of creation, as they were at the first of them."""
        pks = None if slide_id is None else (self._numbers[slide_id],)
        with self._database.read() as connection:
            yield from queries.stream(connection, self._numbers.ids, pks)

    def cell_rows(self, slide_id: str) -> Iterator[list[columns.CellRow]]:
        """Yield the cells of a slide in parts, as bare rows: id, y, x (level-0 px), class, status, scores."""
        with self._database.read() as connection:
            yield from columns.cell_rows(connection, self._numbers[slide_id])

    def origins(self, slide_id: str) -> dict[str, int]:
        """Return how many cells of a slide came from where: drawn, a file, each model."""
        with self._database.read() as connection:
            return columns.origins(connection, self._numbers[slide_id])

    def cell_authors(self, slide_id: str) -> dict[str, str]:
        """Return whose each cell of a slide is, by its id: a person, or the model that nobody followed yet."""
        with self._database.read() as connection:
            return columns.authors(connection, self._numbers[slide_id])

    def review_steps(self, slide_id: str) -> Iterator[ReviewStep]:
        """Yield the steps that made or judged the annotations of a slide and were not undone, in their order."""
        with self._database.read() as connection:
            yield from readings.review_steps(connection, self._numbers[slide_id])

    def label_set(self, slide_ids: Collection[str] | None = None) -> LabelSet:
        """Return some slides, or all, with their annotations and the project's classes, as of one moment."""
        pks = None if slide_ids is None else [self._numbers[slide_id] for slide_id in slide_ids]
        with self._database.read() as connection:
            records = slides.read_all(connection, self._folder)
            found = tuple(queries.stream(connection, self._numbers.ids, pks))
        if slide_ids is not None:
            records = tuple(record for record in records if record.id in slide_ids)
        return LabelSet(records, found, self._scheme.ids)

    @contextmanager
    def labels_now(
        self, slide_ids: Collection[str] | None = None, on_batch: OnBatch = lambda _number: None
    ) -> Iterator[LabelSet]:
        """Give what `label_set` returns without holding it: within the block, annotations are read as they are used.

        Parameters
        ----------
        slide_ids : collection of str, optional
            Of which slides; of all without.
        on_batch : callable
            Told how many annotations more were read, some thousand times a million; what it raises ends the reading.
        """
        with self._database.read() as connection:
            records = slides.read_all(connection, self._folder)
            chosen = [record for record in records if slide_ids is None or record.id in slide_ids]
            found = StoredAnnotations(connection, {self._numbers[s.id]: s for s in chosen}, on_batch)
            yield LabelSet(tuple(chosen), found, self._scheme.ids)

    def in_box(self, slide_id: str, box_yxyx: YXYX, limit: int | None = None) -> list[Annotation]:
        """Return the annotations whose bounds meet a half-open box; at most ``limit``, whichever come first.

        Parameters
        ----------
        slide_id : str
            The slide.
        box_yxyx : tuple of float
            ``(y0, x0, y1, x1)``, level-0 px. A point lies in it when ``y0 <= y < y1`` and ``x0 <= x < x1``.
        limit : int, optional
            How many are enough.
        """
        with self._database.read() as connection:
            return queries.in_box(connection, self._numbers[slide_id], box_yxyx, limit, self._numbers.ids)

    def regions(self, slide_id: str, limit: int | None = None) -> list[Annotation]:
        """Return the regions of a slide (polygons without a class), in order of creation, at most ``limit``."""
        with self._database.read() as connection:
            at_most = _NO_LIMIT if limit is None else limit
            return queries.regions(connection, self._numbers[slide_id], at_most, self._numbers.ids)

    def count_in_box(self, slide_id: str, box_yxyx: YXYX, at_most: int | None = None) -> int:
        """Return how many annotations `in_box` would find, counting no further than ``at_most``."""
        with self._database.read() as connection:
            enough = _NO_LIMIT if at_most is None else at_most
            return queries.count_in_box(connection, self._numbers[slide_id], box_yxyx, enough)

    def nearest(
        self, slide_id: str, yx: YX, radius_px: float, passes: Callable[[Annotation], bool] = lambda _: True
    ) -> Annotation | None:
        """Return the annotation that a click at ``yx`` means, within ``radius_px`` (level-0 px), of those that pass.

        A cell wins over a region, the nearer over the farther, the smaller over the larger.
        """
        with self._database.read() as connection:
            return queries.nearest(connection, self._numbers[slide_id], yx, radius_px, self._numbers.ids, passes)

    def cell_at(
        self,
        slide_id: str,
        yx: YX,
        radius_px: float,
        passes: Callable[[Annotation], bool] = lambda _: True,
        among: Collection[str] | None = None,
        *,
        bounds_count: bool = False,
    ) -> Annotation | None:
        """Return the cell whose middle is nearest to a place and within reach of it; None where there is none.

        Parameters
        ----------
        slide_id : str
            The slide.
        yx : tuple of float
            The place, level-0 px.
        radius_px : float
            The reach, level-0 px.
        passes : callable
            Whether a cell counts at all.
        among : collection of str, optional
            Ids of those that count at all; quicker than to look at each.
        bounds_count : bool
            Whether a cell is also within reach where the place lies in its bounds, edges and all.
        """
        with self._database.read() as connection:
            return queries.cell_at(
                connection,
                self._numbers[slide_id],
                yx,
                radius_px,
                self._numbers.ids,
                passes,
                among,
                bounds_count=bounds_count,
            )

    def neighbour(
        self,
        slide_id: str,
        after: Annotation | None,
        step: int = 1,
        class_id: str | None = None,
        unreviewed: bool = False,
    ) -> Annotation | None:
        """Return the next (``step`` > 0) or previous annotation of a slide, in order of creation.

        Parameters
        ----------
        slide_id : str
            The slide.
        after : Annotation or None
            Where to go on from, even if it was deleted since; None starts at the first, or the last.
        step : int
            Forward if positive, back if negative.
        class_id : str, optional
            Only this class.
        unreviewed : bool
            Only what no person has accepted or rejected.
        """
        start = None if after is None else after.id
        statuses = (Status.UNREVIEWED,) if unreviewed else None
        with self._database.read() as connection:
            pk = self._numbers[slide_id]
            return queries.neighbour(connection, pk, start, step, class_id, statuses, self._numbers.ids)

    # Counts

    def counts(self, slide_id: str | None = None, statuses: Collection[Status] | None = None) -> dict[str | None, int]:
        """Return how many annotations each class has, regions under None; classes without any are left out."""
        result: Counter[str | None] = Counter()
        for class_id, status, n in self._tallies(slide_id):
            if statuses is None or status in statuses:
                result[class_id] += n
        return dict(result)

    def status_counts(self, slide_id: str | None = None) -> dict[Status, int]:
        """Return how many annotations each status has; those without any are left out."""
        result: Counter[Status] = Counter()
        for _, status, n in self._tallies(slide_id):
            result[status] += n
        return dict(result)

    def slide_counts(self, statuses: Collection[Status] | None = None) -> dict[str, int]:
        """Return how many annotations each slide has, by slide id; slides without any are left out."""
        with self._database.read() as connection:
            found = queries.slide_tallies(connection, statuses)
        return {self._numbers.ids[pk]: n for pk, n in found}

    def _tallies(self, slide_id: str | None) -> list[tuple[str | None, Status, int]]:
        with self._database.read() as connection:
            return queries.tallies(connection, None if slide_id is None else self._numbers[slide_id])
