"""What holds an open project together: its classes, settings, and who wrote last."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, func, select, update

from napari_cyto.domain.classes import ClassScheme, scheme_to_dict
from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.decision_rule import Costs
from napari_cyto.errors import DamagedError, ReplacedFileError, StoreError
from napari_cyto.store import _viewed_areas as coverage
from napari_cyto.store import reading_gate
from napari_cyto.store._settings import all_settings, read_setting, write_setting
from napari_cyto.store.database.connection import Database
from napari_cyto.store.database.project_row import check_head, scheme_of
from napari_cyto.store.database.schema import READABLE_VERSIONS, REGION, SCHEMA_VERSION, WHOLE_PROJECT, project, tally
from napari_cyto.store.recovery.backup_keeper import BackupKeeper
from napari_cyto.store.recovery.damage_message import damage_sentence

_log = logging.getLogger("napari_cyto.store")
_BUMP = update(project).values(revision=project.c.revision + 1)
_HEAD = select(project)
_REVISION = select(project.c.revision)
_USED = (
    select(tally.c.class_id, func.sum(tally.c.n))
    .where(tally.c.slide_pk == WHOLE_PROJECT, tally.c.n > 0, tally.c.class_id != REGION)
    .group_by(tally.c.class_id)
)
# A copy of a gigabyte takes about so long; a window that closes waits no longer.
_WAIT_FOR_BACKUP_S = 20.0
_MODEL_COSTS = "predictions.miss_costs"


def scheme_text(scheme: ClassScheme) -> str:
    """Return a class scheme as the text that the database holds."""
    return json.dumps(scheme_to_dict(scheme), ensure_ascii=False)


def write_scheme(connection: Connection, scheme: ClassScheme) -> None:
    """Replace the classes that annotations can have.

    Raises
    ------
    StoreError
        When a class that is in use would be gone; the sentence names it and counts its annotations.
    """
    lost = [f"{class_id} ({n})" for class_id, n in connection.execute(_USED) if class_id not in scheme]
    if lost:
        raise StoreError(
            f"The classes were not changed: annotations still have the class {', '.join(lost)}, which the new "
            f"scheme {scheme.name!r} lacks; relabel or delete those first."
        )
    connection.execute(update(project).values(scheme=scheme_text(scheme)))


class ProjectCore:
    """An open database with a project in it."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._scheme_text = ""
        # The revisions that this window wrote since it last looked for those of others.
        self._own: list[int] = []
        path = database.path
        self._backups = BackupKeeper(path) if path is not None and database.writable else None
        with database.read() as connection:
            self._seen = self._look(connection)
            # Which reading this is the project of; empty for any other.
            self._of_reading: dict[str, Any] = read_setting(connection, reading_gate.OF_READING, {})
            self._is_locked = bool(self._of_reading and read_setting(connection, reading_gate.LOCKED, {}))

    # Coming and going

    def close(self) -> None:
        """Let go of the database; nothing needs saving, but a backup that was begun is finished."""
        if self._backups is not None:
            self._backups.close(_WAIT_FOR_BACKUP_S)
            while self._backups.failures:
                # A verb ends here, and has nobody else who would say so.
                _log.warning("%s", self._backups.failures.popleft())
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                # Whoever comes to a good end has told or written what is in the database.
                self._database.require_sound()
        finally:
            self.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            # First of all, since on PostgreSQL this row is what makes writers wait for each other.
            connection.execute(_BUMP)
            revision = self._look(connection)
            if self._of_reading:
                # Asked within the transaction: another window may have finished the reading just now.
                reading_gate.check_unlocked(connection, self._of_reading)
            yield connection
        # Only now is it committed.
        self._own.append(revision)

    def _look(self, connection: Connection) -> int:
        """Take in the project's name and classes; return its revision."""
        head = connection.execute(_HEAD).one_or_none()
        if head is None:
            raise DamagedError(damage_sentence(Path(self._database.place), ("it does not state which project it is",)))
        if head.schema_version not in READABLE_VERSIONS:
            raise StoreError(
                f"The project {self._folder} has the version {head.schema_version} and this napari-cyto works with "
                f"{SCHEMA_VERSION}: another window may have updated it just now; nothing was changed, so close it "
                "here and open it with the newer napari-cyto."
            )
        check_head(dict(head._mapping))
        self._name: str = head.name
        self._created_us: int = head.created_us
        if head.scheme != self._scheme_text:
            self._scheme = scheme_of(head.pk, head.scheme)
            self._scheme_text = head.scheme
        revision: int = head.revision
        return revision

    @property
    def identity(self) -> str:
        """What tells this project from others, wherever it lies: its birth to the µs, 12 to 16 hexadecimal digits."""
        return f"{self._created_us:012x}"

    def stop_when(self, may_stop: Callable[[], bool] | None) -> None:
        """Give up a statement that runs, with its step, as soon as ``may_stop`` says so, by `JobCancelled`."""
        self._database.stop.when(may_stop)

    # Damage and backups

    @property
    def damage(self) -> str:
        """The sentence about damage in the database, which is open for reading only then; empty while none is known."""
        return self._database.damage

    def report_waiting(self, report: Callable[[str], None]) -> None:
        """Have a sentence told when a change waits noticeably for the look through a large file that was just opened.

        Parameters
        ----------
        report : callable
            Called in the thread that makes the change, which goes on waiting when it returns.
        """
        self._database.waiting = report

    def back_up_before(self, what: str, label: str = "") -> None:
        """Begin a backup of the present state, before a bulk edit; see `BackupKeeper.before`."""
        if self._backups is not None:
            self._backups.before(what, label)

    def back_up_at_opening(self) -> None:
        """Begin a backup when the newest one is older than a day, or there is none."""
        if self._backups is not None:
            self._backups.at_opening()

    def back_up_in_rhythm(self) -> list[str]:
        """Begin a backup when it is time; return sentences about those that could not be written, each once."""
        if self._backups is None:
            return []
        self._backups.in_rhythm()
        failures = self._backups.failures
        return [failures.popleft() for _ in range(len(failures))]

    def changed_elsewhere(self) -> bool:
        """Whether another window or program has written to the project since this was last asked."""
        with self._database.read() as connection:
            revision = self._look(connection)
        own = sum(1 for written in list(self._own) if self._seen < written <= revision)
        changed = revision - self._seen > own
        self._seen = revision
        self._own = [written for written in self._own if written > revision]
        return changed

    def revision(self) -> int:
        """Return the number of the last write by anyone; it grows by one with each."""
        with self._database.read() as connection:
            revision: int = connection.execute(_REVISION).scalar_one()
        return revision

    def check_place(self) -> None:
        """Look whether the database is still the file that was opened.

        Raises
        ------
        ReplacedFileError
            When it was replaced, moved, deleted, or written over; the sentence says which.
        """
        self._database.check_place()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the file that was opened still is somewhere with all that was stored, though not on its path."""
        return self._database.is_elsewhere

    # What the project says of itself

    @property
    def folder(self) -> Path:
        """The project's folder, absolute."""
        return self._folder

    @property
    def name(self) -> str:
        """What people call the project."""
        return self._name

    @property
    def scheme(self) -> ClassScheme:
        """The classes that annotations can have, as of the last write or `changed_elsewhere`."""
        return self._scheme

    def set_scheme(self, scheme: ClassScheme) -> None:
        """Replace the classes that annotations can have.

        Raises
        ------
        StoreError
            When a class that is in use would be gone; the sentence names it and counts its annotations.
        """
        with self._writing() as connection:
            write_scheme(connection, scheme)
        self._scheme, self._scheme_text = scheme, scheme_text(scheme)

    def standing(self) -> object:
        """Return name, classes and all that is kept with the project but what was looked at, to be compared."""
        with self._database.read() as connection:
            return (self.name, self.scheme, all_settings(connection, without=coverage.COVERAGE_PREFIX))

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a value that was kept with the project, or ``default``."""
        with self._database.read() as connection:
            return read_setting(connection, key, default)

    @property
    def writable(self) -> bool:
        """Whether changes can be stored; one that cannot be written, or a finished reading, can only be looked at."""
        return self._database.writable and not self._is_locked

    def remember(self, key: str, value: Any) -> None:
        """Keep where somebody was in the project, if that can be done at once.

        A disk that is full, damage and a replaced file keep nobody from looking at the next slide, and neither does a
        large file that is still looked through. Who only looks leaves the file as it is.
        """
        if self.writable and not self._database.is_looked_through:
            with suppress(StoreError):
                if self.setting(key) == value:
                    return
                self.set_setting(key, value)

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON-able value with the project."""
        with self._writing() as connection:
            write_setting(connection, key, value)

    def append_setting(self, key: str, value: Any) -> None:
        """Add a JSON-able value to a list that is kept with the project; two windows lose nothing of each other's."""
        with self._writing() as connection:
            write_setting(connection, key, [*read_setting(connection, key, []), value])

    def change_setting(self, key: str, change: Callable[[Any], Any], default: Any) -> None:
        """Keep what ``change`` makes of a JSON-able value of the project; no other window can intrude."""
        with self._writing() as connection:
            write_setting(connection, key, change(read_setting(connection, key, default)))

    def model_costs(self) -> dict[str, Costs]:
        """Return what each model of which there are predictions is told that a miss costs, by their origin."""
        kept: dict[str, Costs] = self.setting(_MODEL_COSTS, {})
        return kept

    def keep_model_costs(self, origin: str, costs: Costs) -> None:
        """Keep what a model's classes cost to miss, so that what it called a cell can be told from its scores.

        Parameters
        ----------
        origin : str
            ``model:ID@HASH``, as its predictions have it.
        costs : mapping of class id to float
            As `called_class` takes them; nothing is written where they are kept already, or are empty.
        """
        if not costs or self.model_costs().get(origin) == costs:
            return
        with self._writing() as connection:
            known = read_setting(connection, _MODEL_COSTS, {})
            write_setting(connection, _MODEL_COSTS, known | {origin: dict(costs)})

    def coverage(self, slide_id: str, size_hw: tuple[int, int]) -> dict[str, Coverage]:
        """Return what each person has looked at of a slide of a size (level-0 px), by their name."""
        with self._database.read() as connection:
            return coverage.read_all(connection, slide_id, size_hw)

    def add_coverage(self, slide_id: str, author: str, seen: Coverage) -> None:
        """Keep what a person looked at of a slide, with what is kept already; other windows are not told.

        Nothing is kept where the project cannot be written, or its file was replaced.
        """
        if not self.writable:
            return
        with suppress(ReplacedFileError), self._database.write() as connection:
            if self._of_reading and read_setting(connection, reading_gate.LOCKED, {}):
                return
            coverage.add(connection, slide_id, author, seen)
