"""Whether a database is sound: by SQLite's own checks, and by what its tables say of each other.

SQLite has no checksums, so a value that changed on the disk looks like any other. Much of a project is kept twice (the
present state, its boxes and counts beside the history), and what contradicts its twin is found out.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_cyto.errors import CytoError
from napari_cyto.store._history import check_step
from napari_cyto.store._kept_values import check_kept
from napari_cyto.store._rows import VERSION_COLUMNS, annotation_of
from napari_cyto.store._slide_rows import check_slide
from napari_cyto.store._validity import UNREADABLE, RowFault, json_of
from napari_cyto.store.database.project_row import check_head, scheme_of
from napari_cyto.store.database.schema import REGION, SLIDE_SPACING, WHOLE_PROJECT

_PROBLEMS_AT_MOST = 20
_REFUSALS = (UnicodeDecodeError, sqlite3.DatabaseError)
_Problems = Iterator[str]

# Each gives the first rows that contradict others, and what is wrong with them.
_CONTRADICTIONS = (
    (
        "SELECT seq FROM history WHERE kind = 'edit' AND (state NOT IN ('done', 'undone', 'forgotten') OR target_seq "
        "IS NOT NULL) OR kind <> 'edit' AND (kind NOT IN ('undo', 'redo') OR state <> '' OR target_seq IS NULL) "
        "LIMIT 1",
        "the step {} of the history is neither an edit nor an undo or redo of one",
    ),
    (
        "SELECT u.seq FROM history u LEFT JOIN history e ON e.seq = u.target_seq WHERE u.target_seq IS NOT NULL AND "
        "(e.seq IS NULL OR e.kind <> 'edit' OR e.seq >= u.seq) LIMIT 1",
        "the step {} of the history undoes an edit that is not there",
    ),
)
_THOROUGH_CONTRADICTIONS = (
    (
        "SELECT h.seq FROM history h LEFT JOIN (SELECT seq, count(*) AS n FROM change GROUP BY seq) c ON c.seq = h.seq "
        "WHERE h.amount IS NOT coalesce(c.n, 0) LIMIT 1",
        "the step {} of the history has not as many changes as it says",
    ),
    (
        "SELECT c.seq FROM change c JOIN annotation a ON a.pk = c.annotation_pk LEFT JOIN version b ON b.pk = "
        "c.before_pk LEFT JOIN version v ON v.pk = c.after_pk WHERE coalesce(c.before_pk, c.after_pk) IS NULL OR "
        "(c.before_pk IS NOT NULL AND b.annotation_id IS NOT a.id) OR (c.after_pk IS NOT NULL AND v.annotation_id IS "
        "NOT a.id) LIMIT 1",
        "the step {} of the history refers to versions that are missing",
    ),
    (
        "SELECT a.pk FROM annotation a WHERE a.version_pk IS NOT (SELECT c.after_pk FROM change c WHERE "
        "c.annotation_pk = a.pk ORDER BY c.seq DESC LIMIT 1) LIMIT 1",
        "the annotation in row {} is not what the history made it",
    ),
)
# Source: SQLite, R*Tree: bounds are float32 and rounded outward, except for numbers too small for that.
_SLACK_PX = 1e-6
# All boxes in the order of the index, which takes half as long as a search for each.
_BOXES = (
    "SELECT b.pk FROM box b LEFT JOIN version v ON v.pk = b.pk WHERE v.pk IS NULL OR "
    f"b.y0 > v.y0 + {_SLACK_PX} OR b.x0 > v.x0 + {_SLACK_PX} OR b.y1 < v.y1 - {_SLACK_PX} OR b.x1 < v.x1 - {_SLACK_PX} "
    f"OR b.s0 > v.slide_pk * {SLIDE_SPACING:.0f} OR b.s1 < v.slide_pk * {SLIDE_SPACING:.0f} LIMIT 1",
    "the version in row {} lies outside its box in the index of places",
)
# Each of the annotations from one row to another, in some hundredths of a second.
_ROWS_AT_ONCE = 20_000
_BEYOND = "SELECT pk FROM annotation WHERE pk >= ? ORDER BY pk LIMIT 1 OFFSET ?"
_OF_ANNOTATIONS = (
    (
        "SELECT a.pk FROM annotation a LEFT JOIN version v ON v.pk = a.version_pk WHERE a.pk BETWEEN ? AND ? AND "
        "((a.version_pk IS NOT NULL AND (v.pk IS NULL OR v.annotation_id IS NOT a.id OR v.slide_pk IS NOT a.slide_pk "
        "OR v.class_id IS NOT a.class_id OR v.status IS NOT a.status)) OR (a.version_pk IS NULL AND (a.slide_pk IS NOT "
        "NULL OR a.class_id IS NOT NULL OR a.status IS NOT NULL))) LIMIT 1",
        "the annotation in row {} is not what its last version says",
    ),
    (
        "SELECT a.pk FROM annotation a LEFT JOIN {boxes} b ON b.rowid = a.version_pk WHERE a.pk BETWEEN ? AND ? AND "
        "a.version_pk IS NOT NULL AND b.rowid IS NULL LIMIT 1",
        "the annotation in row {} is not in the index of places",
    ),
)
_ROW_MAX = 2**63 - 1
# As `version_pk` says, too, but answered from an index alone; that both say so is compared above.
_PRESENT = "status IS NOT NULL"


def problems(connection: sqlite3.Connection, thorough: bool) -> list[str]:
    """Return what is wrong with a project's database, the gravest first; empty where it is sound.

    Parameters
    ----------
    connection : sqlite3.Connection
        That reads it; its schema is ours.
    thorough : bool
        Every row, index and reference too, some ten µs for each row; else what SQLite's quick check finds, and
        contradictions between the present state, its counts and its history.

    Raises
    ------
    sqlite3.Error
        When it is so damaged that it cannot be asked.
    """
    found: list[str] = []
    for part in (_of_pages, _of_contradictions, *((_of_references, _of_rows) if thorough else ())):
        found += part(connection, thorough)
        # Rows on pages that are damaged contradict others in many ways, none of which tells more.
        if found:
            break
    return found[:_PROBLEMS_AT_MOST]


def _of_pages(connection: sqlite3.Connection, thorough: bool) -> _Problems:
    pragma = "integrity_check" if thorough else "quick_check"
    for (line,) in connection.execute(f"PRAGMA {pragma}({_PROBLEMS_AT_MOST})"):
        if line != "ok":
            yield " ".join(str(line).split())


def _of_contradictions(connection: sqlite3.Connection, thorough: bool) -> _Problems:
    for found in _compared(connection, thorough):
        yield from found


def _compared(connection: sqlite3.Connection, thorough: bool) -> Iterator[list[str]]:
    """Compare what is kept twice, part by part, each at one moment; yield what was found after each part."""
    for query, words in _CONTRADICTIONS + (_THOROUGH_CONTRADICTIONS if thorough else ()):
        yield _first(connection, query, words)
    for compare in (_of_counts, _of_number_of_boxes):
        with _one_moment(connection):
            found = list(compare(connection))
        yield found
    yield _first(connection, *_BOXES)
    yield from _of_annotations(connection)


def _first(connection: sqlite3.Connection, query: str, words: str, *limits: int) -> list[str]:
    row = connection.execute(query, limits).fetchone()
    return [] if row is None else [words.format(row[0])]


def _of_annotations(connection: sqlite3.Connection) -> Iterator[list[str]]:
    # Where SQLite was built without R*Trees, the boxes are a plain table; else the tree's own list of rows is asked.
    plain = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'box_rowid'").fetchone() is None
    boxes = "box" if plain else "box_rowid"
    start: int | None = -_ROW_MAX - 1
    while start is not None:
        beyond = connection.execute(_BEYOND, (start, _ROWS_AT_ONCE)).fetchone()
        last = _ROW_MAX if beyond is None else beyond[0] - 1
        for query, words in _OF_ANNOTATIONS:
            yield _first(connection, query.replace("{boxes}", boxes), words, start, last)
        start = None if beyond is None else beyond[0]


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Have several questions answered from one state of the database, whatever others write meanwhile."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _of_number_of_boxes(connection: sqlite3.Connection) -> _Problems:
    present = connection.execute(f"SELECT count(*) FROM annotation WHERE {_PRESENT}").fetchone()[0]
    if connection.execute("SELECT count(*) FROM box").fetchone()[0] != present:
        yield "the index of places has not as many boxes as there are annotations"


def _of_counts(connection: sqlite3.Connection) -> _Problems:
    counted: Counter[tuple[Any, ...]] = Counter()
    query = (
        f"SELECT slide_pk, class_id, status, count(*) FROM annotation WHERE {_PRESENT} "
        "GROUP BY slide_pk, class_id, status"
    )
    for slide_pk, class_id, status, n in connection.execute(query):
        counted[slide_pk, class_id, status] += n
        counted[WHOLE_PROJECT, class_id, status] += n
    kept = {
        (slide_pk, class_id, status): n
        for slide_pk, class_id, status, n in connection.execute("SELECT slide_pk, class_id, status, n FROM tally")
    }
    for key in {**counted, **kept}:
        if counted[key] != kept.get(key, 0):
            yield f"{counted[key]} annotations of {key!a:.80} are there, but {kept.get(key, 0)!a:.40} are counted"
            break
    yield from _of_classes(connection, {class_id for _, class_id, _ in counted})


def _of_classes(connection: sqlite3.Connection, used: set[Any]) -> _Problems:
    head = _named(connection, "SELECT * FROM project")
    try:
        for row in head:
            check_head(row)
            scheme = scheme_of(row["pk"], row["scheme"])
            unknown = sorted(repr(each) for each in used if each != REGION and each not in scheme)
            if unknown:
                yield f"annotations have the class {unknown[0]:.60}, which the project's classes lack"
    except CytoError as error:
        yield _words(error)
    if len(head) != 1:
        yield f"it states {len(head)} times which project it is"


def _of_references(connection: sqlite3.Connection, _thorough: bool) -> _Problems:
    for table, row, other, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(_PROBLEMS_AT_MOST):
        yield f"the table '{table}', row {row}, refers to a row of '{other}' that is missing"


def _of_rows(connection: sqlite3.Connection, _thorough: bool) -> _Problems:
    try:
        slides = _named(connection, "SELECT * FROM slide")
        for row in slides:
            check_slide(row)
        ids = {row["pk"]: row["id"] for row in slides}
        columns = ", ".join(column.name for column in VERSION_COLUMNS)
        for row in connection.execute(f"SELECT {columns} FROM version"):
            annotation_of(row, ids)
        for row in _named(connection, "SELECT * FROM history"):
            check_step(row)
        for key, value in connection.execute("SELECT key, value FROM setting"):
            check_kept(str(key), json_of(value, "setting", key, "value"))
        for (value,) in connection.execute("SELECT id FROM annotation WHERE typeof(id) <> 'text' OR id = '' LIMIT 1"):
            yield f"an annotation has the id {value!a:.40}"
    except CytoError as error:
        yield _words(error)
    except UNREADABLE as error:
        yield f"a row cannot be read ({error})"


def _words(error: CytoError) -> str:
    """Return what is wrong, without that the database is damaged or foreign: the sentence round it says so."""
    return error.words if isinstance(error, RowFault) else str(error)


def _named(connection: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def file_problems(path: Path, connection: sqlite3.Connection, thorough: bool) -> list[str]:
    """Return what is wrong with a database file, SQLite's refusals included; empty where it is sound."""
    try:
        return problems(connection, thorough)
    except _REFUSALS as error:
        return _refusal(path, error)


def page_problems(path: Path, connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite's quick check finds in a database file, at some hundreds of MB/s."""
    try:
        return list(_of_pages(connection, thorough=False))
    except _REFUSALS as error:
        return _refusal(path, error)


def comparisons(path: Path, connection: sqlite3.Connection) -> Iterator[list[str]]:
    """Compare what a database file keeps twice, which the quick check does not.

    Yields
    ------
    list of str
        What is wrong, mostly nothing, after each part of some hundredths of a second; between two, others may write.
    """
    try:
        yield from _compared(connection, thorough=False)
    except _REFUSALS as error:
        yield _refusal(path, error)


def _refusal(path: Path, error: Exception) -> list[str]:
    if getattr(error, "sqlite_errorname", "") in ("SQLITE_INTERRUPT", "SQLITE_BUSY", "SQLITE_LOCKED"):
        raise error
    return [f"{path.name} cannot be read in full" + ("" if isinstance(error, UnicodeDecodeError) else f" ({error})")]
