"""Saving what can be read of a damaged or foreign project into a new one, and listing what is gone."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from napari_cyto.domain.annotation import new_id, now_utc
from napari_cyto.domain.annotation_rows import to_us
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.store._history import check_step
from napari_cyto.store._history_replay import put_boxes
from napari_cyto.store._kept_values import check_kept
from napari_cyto.store._rows import annotation_of
from napari_cyto.store._slide_rows import check_slide, path_columns, shown_path
from napari_cyto.store._validity import UNREADABLE, is_number, json_of, need
from napari_cyto.store.database import creation as making
from napari_cyto.store.database.connection import open_file
from napari_cyto.store.database.place import DATABASE_NAME
from napari_cyto.store.database.project_row import check_head, scheme_of
from napari_cyto.store.database.schema import (
    REGION,
    SCHEMA_VERSION,
    WHOLE_PROJECT,
    annotation,
    change,
    history,
    project,
    setting,
    slide,
    tally,
    version,
)
from napari_cyto.store.recovery._page_carver import Carved, Values, carve
from napari_cyto.store.recovery.integrity import problems

_TABLES = {table.name: table for table in (project, setting, slide, version, annotation, history, change)}
_REALS = {name: [c.name for c in table.c if "DOUBLE" in str(c.type).upper()] for name, table in _TABLES.items()}
_BY_ROWID = {"project": "pk", "slide": "pk", "version": "pk", "annotation": "pk", "history": "seq"}
# What a row may lose and still be worth keeping, and what stands there instead.
_SLIDE_DEFAULTS: dict[str, Any] = {
    "name": "slide of an unreadable name", "path": "", "path_absolute": "", "height": None, "width": None, "mpp": None,
    "mpp_source": "", "smear": "", "patient": "", "stem": "", "offset_y": None, "offset_x": None, "side": "",
    "fingerprint": "", "progress": "todo",
}  # fmt: skip
_VERSION_DEFAULTS: dict[str, Any] = {
    "note": "",
    "scores": "",
    "author": "",
    "origin": "rescued",
    "created_us": 0,
    "class_id": "unreadable class",
}
_GREY = "#8c8c8c"
_RESCUER = "rescue"
_AT_ONCE = 5_000
_SPOKEN_OF = 10
Row = dict[str, Any]


@dataclass(slots=True)
class Rescued:
    """What a rescue came to.

    Attributes
    ----------
    slides, annotations, steps : int
        How many slides, annotations that hold, and steps of the history were saved.
    lost : list of str
        What is gone or was replaced, a sentence each; empty where everything was there.
    """

    slides: int = 0
    annotations: int = 0
    steps: int = 0
    lost: list[str] = field(default_factory=list)


def rescue(damaged: Path, out: Path, stop: Callable[[], None] = lambda: None) -> Rescued:
    """Write every row of a damaged project that can be read into a new one.

    Parameters
    ----------
    damaged : Path
        The database file; it is only read.
    out : Path
        The folder of the new project; not there yet, or empty.
    stop : callable
        Asked now and then; what it raises ends the rescue, and nothing of the new project stays.

    Raises
    ------
    StoreError
        When there is something at ``out``, it cannot be written, or nothing can be read.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StoreError(f"{out} already exists; choose a new folder for what is rescued.")
    try:
        carved = carve(damaged, stop)
    except OSError as error:
        raise StoreError(f"{damaged} cannot be read: {error.strerror or error}; check its disk.") from error
    saved = _Saved(damaged, carved)
    scheme = saved.scheme()
    was_there = out.is_dir()
    try:
        making.make(out, scheme, saved.name(), None)
        _write(out, saved, stop)
    except BaseException:
        (out / DATABASE_NAME).unlink(missing_ok=True)
        if not was_there:
            shutil.rmtree(out, ignore_errors=True)
        raise
    return saved.result()


class _Saved:
    """The rows of a damaged database that hold together.

    Raises
    ------
    StoreError
        When there are none.
    """

    def __init__(self, path: Path, carved: Carved) -> None:
        self.path, self.lost = path, list[str]()
        self._raw = _by_table(carved)
        if carved.programs:
            self.lost.append(
                f"the {_some(carved.programs)}, which no project has; what was changed by it before cannot be told"
            )
        if carved.damaged:
            self.lost.append(f"{carved.damaged:,} rows or parts of indexes could not be read")
        if carved.missing_pages:
            self.lost.append("what was at the end of the file, which was cut short")
        if carved.unreadable_pages:
            self.lost.append(f"what was on {carved.unreadable_pages:,} pages of the file")
        self.head = self._head()
        self.slides = self._slides()
        if not self.slides:
            raise StoreError(
                f"Nothing of a project can be read in {path}: neither a slide nor an annotation; go back to a backup."
            )
        self.ids = {pk: row["id"] for pk, row in self.slides.items()}
        self.versions = self._versions()
        self.history = self._history()
        self.annotations = self._numbered()
        self.changes = self._changes()
        self._settle()
        if not self.versions:
            self.lost.append("all annotations, if there were any")
        self.settings = self._settings()

    # Tables

    def _head(self) -> Row:
        for row in self._raw["project"].values():
            with contextlib.suppress(CytoError, *UNREADABLE):
                check_head(row)
                return row
        self.lost.append("the project's name, and when it was made")
        return {"name": "", "created_us": to_us(now_utc()), "scheme": None, "pk": 1}

    def _slides(self) -> dict[int, Row]:
        found: dict[int, Row] = {}
        ids: set[str] = set()
        for pk, row in sorted(self._raw["slide"].items()):
            good = self._mended("slide", row, _SLIDE_DEFAULTS, check_slide)
            if good is not None and good["id"] not in ids:
                ids.add(good["id"])
                found[pk] = good
        known = {row["slide_pk"] for row in self._raw["version"].values() if is_number(row["slide_pk"])}
        most = max(found, default=0)
        gone = sorted({*(set(range(1, most + 1)) - set(found)), *(pk for pk in known - set(found) if 0 < pk < 10**6)})
        for pk in gone:
            name = f"slide {pk}, whose record is lost"
            found[pk] = {"pk": pk, "id": new_id(), **_SLIDE_DEFAULTS, "name": name}
        if gone:
            self.lost.append(f"{len(gone):,} slide records: {_some(gone)}; their annotations are kept under a new name")
        return found

    def _versions(self) -> dict[int, Row]:
        names = [c.name for c in version.c if c.name != "pk"]

        def check(row: Row) -> None:
            class_id = row["class_id"]
            printable = isinstance(class_id, str) and class_id.isprintable() and class_id == class_id.strip()
            need(printable, "version", row["pk"], "class_id", class_id, "printable text")
            annotation_of([row[name] for name in names], self.ids)

        found: dict[int, Row] = {}
        for pk, row in self._raw["version"].items():
            good = self._mended("version", row, _VERSION_DEFAULTS, check)
            if good is not None:
                found[pk] = good
        return found

    def _mended(self, table: str, row: Row, defaults: Row, check: Callable[[Row], None]) -> Row | None:
        """Return a row as it is, or with what is wrong in it replaced; None where it is worth nothing."""
        try:
            check(row)
        except CytoError:
            pass
        else:
            return row
        for names in [*([name] for name in defaults), list(defaults)]:
            mended = row | {name: defaults[name] for name in names}
            if set(names) & {"height", "width"}:
                mended |= {"height": None, "width": None}
            if set(names) & {"offset_y", "offset_x"}:
                mended |= {"offset_y": None, "offset_x": None}
            with contextlib.suppress(CytoError):
                check(mended)
                what = f"the field '{names[0]}'" if len(names) == 1 else "all fields but the most needed"
                self.lost.append(f"{what} of the row {row.get('pk')} of '{table}'")
                return mended
        self.lost.append(f"the row {row.get('pk')} of '{table}', which holds what no project holds")
        return None

    def _history(self) -> dict[int, Row]:
        found: dict[int, Row] = {}
        for seq, row in self._raw["history"].items():
            try:
                pks = check_step(row)
            except CytoError:
                continue
            place = row["place_slide_pk"] if row["place_slide_pk"] in self.slides else next(iter(self.slides))
            shown = json.dumps([pk for pk in pks if pk in self.slides] or [place])
            found[seq] = row | {"slide_pks": shown, "place_slide_pk": place}
        return found

    def _numbered(self) -> dict[int, Row]:
        """Return a row for each annotation of which there is a version, with a number of its own."""
        named: dict[str, int] = {}
        rows: dict[int, Row] = {}
        for pk, row in self._raw["annotation"].items():
            if isinstance(row["id"], str) and row["id"] and row["id"] not in named:
                named[row["id"]] = pk
                rows[pk] = {"pk": pk, "id": row["id"], "version_pk": row["version_pk"], "known": True}
        following = max(rows, default=0) + 1
        orphans = 0
        for each in sorted(self.versions.values(), key=lambda row: int(row["pk"])):
            if each["annotation_id"] not in named:
                named[each["annotation_id"]] = following
                rows[following] = {"pk": following, "id": each["annotation_id"], "version_pk": None, "known": False}
                following += 1
                orphans += 1
        if orphans:
            self.lost.append(
                f"the records of {orphans:,} annotations, which were found by their versions; some may have been "
                "deleted before"
            )
        return rows

    def _changes(self) -> dict[tuple[int, int], Row]:
        found: dict[tuple[int, int], Row] = {}
        for key, row in self._raw["change"].items():
            seq, pk = key
            owner = self.annotations.get(pk)
            states = (row["before_pk"], row["after_pk"])
            good = owner is not None and any(side is not None for side in states) and seq > 0
            good = good and all(
                side is None or (side in self.versions and self.versions[side]["annotation_id"] == owner["id"])  # type: ignore[index]
                for side in states
            )
            if good:
                found[key] = row
        return found

    def _settings(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, row in self._raw["setting"].items():
            try:
                check_kept(str(key), json_of(row["value"], "setting", key, "value"))
                found[str(key)] = row["value"]
            except CytoError:
                self.lost.append(f"what was kept as '{key!a:.60}'")
        return found

    # What holds now

    def _settle(self) -> None:
        last: dict[int, Row] = {}
        for (_, pk), row in sorted(self.changes.items()):
            last[pk] = row
        by_id: dict[str, list[int]] = defaultdict(list)
        for pk, row in self.versions.items():
            by_id[row["annotation_id"]].append(pk)
        older: list[str] = []
        gone: list[str] = []
        for pk, row in list(self.annotations.items()):
            held = self._held(row, last.get(pk), max(by_id[row["id"]], default=None))
            if held is not None and row["known"] and held != row["version_pk"]:
                older.append(row["id"])
            if held is None and row["known"] and row["version_pk"] is not None:
                gone.append(row["id"])
            row["version_pk"] = held
        if older:
            self.lost.append(f"the last state of {len(older):,} annotations, which are kept as they were before")
        if gone:
            self.lost.append(f"{len(gone):,} annotations: {_some(gone)}")
        self._report_gaps()
        self._mend_history(last)

    def _held(self, row: Row, last: Row | None, newest: int | None) -> int | None:
        if row["known"] and (row["version_pk"] is None or row["version_pk"] in self.versions):
            version_pk: int | None = row["version_pk"]
            if version_pk is None or self.versions[version_pk]["annotation_id"] == row["id"]:
                return version_pk
        if last is not None:
            after: int | None = last["after_pk"]
            return after
        return newest

    def _report_gaps(self) -> None:
        """Rows are numbered without gaps, so that a number that is not there was once."""
        spoken_of = {side for row in self._raw["change"].values() for side in (row["before_pk"], row["after_pk"])}
        seen = [pk for pk in (*self._raw["version"], *spoken_of) if is_number(pk) and pk < 10**9]
        missing = max(seen, default=0) - len(set(self.versions))
        if missing > 0:
            self.lost.append(f"{missing:,} states of annotations, present or former")
        steps = [seq for seq in (*self.history, *(seq for seq, _ in self.changes)) if is_number(seq) and seq < 10**9]
        gaps = max(steps, default=0) - len(self.history)
        if gaps > 0:
            self.lost.append(f"{gaps:,} steps of the history")

    def _mend_history(self, last: dict[int, Row]) -> None:
        """Make the history end in what holds: what is missing is one last step, and no broken step can be undone."""
        counts = Counter(seq for seq, _ in self.changes)
        targets = {row["target_seq"] for row in self.history.values() if is_number(row["target_seq"])}
        template = {"author": "", "at_us": to_us(now_utc()), "kind": "edit", "target_seq": None, "amount": 0}
        place = next(iter(self.slides))
        template |= {"slide_pks": json.dumps([place]), "place_slide_pk": place, "place_y": 0.0, "place_x": 0.0}
        for seq in (set(counts) | targets) - set(self.history):
            self.history[seq] = template | {"seq": seq, "label": "A step that is lost", "state": "forgotten"}
        broken = 0
        for seq, row in self.history.items():
            broken += self._mend_step(row, counts[seq])
        if broken:
            self.lost.append(f"parts of {broken:,} steps of the history, which can no longer be undone")
        seq = max(self.history, default=0) + 1
        steps: dict[tuple[int, int], Row] = {}
        for pk, row in self.annotations.items():
            was = last[pk]["after_pk"] if pk in last else None
            if was != row["version_pk"]:
                key = {"seq": seq, "annotation_pk": pk, "before_pk": was, "after_pk": row["version_pk"]}
                steps[seq, pk] = key
        if steps:
            self.changes |= steps
            label = {"seq": seq, "label": "Rescue", "author": _RESCUER, "state": "forgotten", "amount": len(steps)}
            self.history[seq] = template | label

    def _mend_step(self, row: Row, amount: int) -> bool:
        complete = row["amount"] == amount
        row["amount"] = amount
        if row["kind"] == "edit":
            row["target_seq"] = None
            if not complete or row["state"] not in ("done", "undone", "forgotten"):
                row["state"] = "forgotten"
        else:
            row["state"] = ""
            target = self.history.get(row["target_seq"])
            if target is None or target["kind"] != "edit" or target["seq"] >= row["seq"]:
                row |= {"kind": "edit", "target_seq": None, "state": "forgotten"}
        return not complete

    # The project

    def name(self) -> str:
        """What people call the project."""
        return str(self.head["name"])

    def scheme(self) -> ClassScheme:
        """The classes: those of the project, with those that annotations have besides."""
        held = [row["version_pk"] for row in self.annotations.values() if row["version_pk"] is not None]
        used = {self.versions[pk]["class_id"] for pk in held} - {REGION}
        known: ClassScheme | None = None
        with contextlib.suppress(CytoError):
            known = scheme_of(1, self.head["scheme"])
        if known is None:
            self.lost.append("the project's classes, with their names, colours and keys")
            fitting = (preset(name) for name in PRESETS)
            known = next((each for each in fitting if used <= set(each.ids)), None)
        own = () if known is None else known.classes
        added = sorted(used - {each.id for each in own})
        if added and known is not None:
            self.lost.append(f"what the classes {_some(added)} look like")
        classes = (*own, *(CellClass(each, each, _GREY) for each in added))
        name = "rescued" if known is None else known.name
        return ClassScheme(name, 1 if known is None else known.version, classes or preset(PRESETS[0]).classes)

    def result(self) -> Rescued:
        """Return what it came to."""
        held = sum(row["version_pk"] is not None for row in self.annotations.values())
        return Rescued(len(self.slides), held, len(self.history), self.lost)


def _by_table(carved: Carved) -> dict[str, dict[Any, Row]]:
    found: dict[str, dict[Any, Row]] = {name: {} for name in _TABLES}
    # What hangs on a table goes before what only looks like its rows, and may be older.
    for owner in (None, *_TABLES):
        for rowid, values in carved.rows.get(owner, ()):
            name = owner or _table_of(rowid, values)
            if name is not None and len(values) == len(_TABLES[name].c):
                key, row = _keyed(name, rowid, values)
                if key is not None:
                    found[name][key] = row
    return found


def _keyed(name: str, rowid: int | None, values: Values) -> tuple[Any, Row]:
    row = dict(zip(_TABLES[name].c.keys(), values, strict=True))
    for column in _REALS[name]:
        # SQLite stores whole numbers of such columns as such.
        if isinstance(row[column], int):
            row[column] = float(row[column])
    if name in _BY_ROWID:
        row[_BY_ROWID[name]] = rowid
        return (rowid if is_number(rowid) else None), row
    if name == "setting":
        return (row["key"] if isinstance(row["key"], str) else None), row
    whole = is_number(row["seq"]) and is_number(row["annotation_pk"])
    are_numbers = all(row[side] is None or is_number(row[side]) for side in ("before_pk", "after_pk"))
    return ((row["seq"], row["annotation_pk"]) if whole and are_numbers else None), row


def _table_of(rowid: int | None, values: Values) -> str | None:
    """Return the table that a row of an ownless page looks like."""
    kinds = "".join("n" if v is None else "t" if isinstance(v, str) else "i" for v in values)
    if rowid is None:
        return "change" if len(values) == 4 and set(kinds) <= {"n", "i"} and kinds[:2] == "ii" else None
    if len(values) == 2:
        return "setting" if kinds == "tt" else None
    if len(values) == 6:
        return "project" if kinds[1:4] == "itt" else "annotation" if kinds[:2] == "nt" else None
    return {17: "slide", 16: "version", 12: "history"}.get(len(values))


def _some(things: Sequence[object]) -> str:
    shown = ", ".join(str(each) for each in things[:_SPOKEN_OF])
    return f"{shown} ..." if len(things) > _SPOKEN_OF else shown


def _write(out: Path, saved: _Saved, stop: Callable[[], None]) -> None:
    database = open_file(out / DATABASE_NAME, busy_seconds=5.0)
    try:
        with database.write() as connection:
            _fill(connection, out, saved, stop)
        with database.read() as connection:
            raw: Any = connection.connection.dbapi_connection
            found = problems(raw, thorough=True)
        if found:
            raise StoreError(f"What could be read does not hold together ({found[0]}), so nothing was rescued.")
    finally:
        database.close()


def _fill(connection: Connection, out: Path, saved: _Saved, stop: Callable[[], None]) -> None:
    connection.execute(update(project).values(created_us=saved.head["created_us"], schema_version=SCHEMA_VERSION))
    here = saved.path.parent
    slides = (
        row | path_columns(shown_path(row["path"], row["path_absolute"], here), out) for row in saved.slides.values()
    )
    held = (_annotation(row, saved.versions) for row in saved.annotations.values())
    settings = ({"key": key, "value": value} for key, value in saved.settings.items())
    for table, rows in (
        (slide, slides),
        (version, saved.versions.values()),
        (annotation, held),
        (history, saved.history.values()),
        (change, saved.changes.values()),
        (setting, settings),
    ):
        _insert(connection, table, rows, stop)
    put_boxes(connection, 0, max(saved.versions, default=0) + 1)
    connection.exec_driver_sql(
        "DELETE FROM box WHERE pk NOT IN (SELECT version_pk FROM annotation WHERE version_pk IS NOT NULL)"
    )
    connection.execute(delete(tally))
    columns = (annotation.c.class_id, annotation.c.status, func.count())
    there = annotation.c.version_pk.is_not(None)
    for key in (annotation.c.slide_pk, None):
        grouped = select(*((key,) if key is not None else ()), *columns).where(there)
        grouped = grouped.group_by(*((key,) if key is not None else ()), annotation.c.class_id, annotation.c.status)
        counted = [tuple(row) if key is not None else (WHOLE_PROJECT, *row) for row in connection.execute(grouped)]
        named = [dict(zip(("slide_pk", "class_id", "status", "n"), row, strict=True)) for row in counted]
        if named:
            connection.execute(insert(tally), named)


def _annotation(row: Row, versions: dict[int, Row]) -> Row:
    held = None if row["version_pk"] is None else versions[row["version_pk"]]
    copies = {name: None if held is None else held[name] for name in ("slide_pk", "class_id", "status")}
    return {"pk": row["pk"], "id": row["id"], "version_pk": row["version_pk"], **copies}


def _insert(connection: Connection, table: Any, rows: Iterable[Row], stop: Callable[[], None]) -> None:
    waiting: list[Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _AT_ONCE:
            stop()
            connection.execute(insert(table), waiting)
            waiting = []
    if waiting:
        connection.execute(insert(table), waiting)
