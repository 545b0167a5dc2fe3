"""Databases as a stranger may send them: a sound project with one thing in it that napari-cyto never writes."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

NAN = struct.pack("<6d", float("nan"), 1, 2, 3, 4, 5)
FAR = struct.pack("<6d", 1e300, 1, 2, 3, 4, 5)
_DEEP = "[" * 100_000
_BOMB = base64.b64encode(zlib.compress(bytes(200_000_000), 9)).decode()
_SEEN = {"form": 1, "size_hw": [9, 8], "seen": _BOMB}
_LONG = "x" * 40_000

SCHEMAS = (
    "CREATE TRIGGER t AFTER INSERT ON version BEGIN UPDATE version SET class_id='NILM' WHERE pk=NEW.pk; END",
    "CREATE TRIGGER t AFTER UPDATE ON project BEGIN INSERT INTO setting SELECT 'x'||count(*), '' FROM "
    "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT n FROM c); END",
    "CREATE TRIGGER t AFTER DELETE ON box_rowid BEGIN DELETE FROM tally; END",
    "CREATE VIEW v AS SELECT * FROM version",
    "CREATE VIEW cells AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT n FROM c",
    "ALTER TABLE slide ADD COLUMN evil TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL",
    "ALTER TABLE slide ADD COLUMN evil TEXT DEFAULT 'x'",
    "ALTER TABLE setting ADD COLUMN evil TEXT CHECK (length(evil) < randomblob(3))",
    "CREATE INDEX evil ON version (abs(y0))",
    "CREATE INDEX evil ON version (class_id) WHERE status = 'accepted'",
    "CREATE UNIQUE INDEX evil ON version (class_id, status, y0, x0)",
    "CREATE TABLE extra (a)",
    "CREATE VIRTUAL TABLE extra USING fts5(a)",
    "CREATE VIRTUAL TABLE extra USING rtree(a, b, c)",
    "DROP INDEX annotation_in_order",
    "DROP TABLE tally",
    "DROP TABLE box",
    "DROP TABLE setting; CREATE VIEW setting AS SELECT 'a' AS key, 'b' AS value",
    "ALTER TABLE annotation RENAME COLUMN status TO state",
    "ALTER TABLE project RENAME TO project2",
    'CREATE TABLE " version" (a)',
    "ANALYZE",
    "DROP TABLE tally; CREATE TABLE tally (slide_pk INTEGER NOT NULL, class_id TEXT NOT NULL, status TEXT NOT NULL, "
    "n INTEGER NOT NULL DEFAULT (random()), UNIQUE (slide_pk, class_id, status))",
)

# (table, column, value): every row of the table gets it.
ROWS: tuple[tuple[str, str, object], ...] = (
    ("project", "schema_version", "abc"),
    ("project", "schema_version", 0),
    ("project", "schema_version", 10**15),
    ("project", "name", b"\xff\xfe"),
    ("project", "name", _LONG),
    ("project", "scheme", "{{"),
    ("project", "scheme", b"\x00"),
    ("project", "scheme", "[]"),
    ("project", "scheme", _DEEP),
    ("project", "scheme", '{"name": "a", "version": 1, "classes": []}'),
    ("project", "scheme", '{"name": "a", "version": 1, "classes": [{"id": "NILM", "colour": "red"}]}'),
    ("project", "scheme", '{"name": "a", "version": 1, "classes": [{"id": "A", "colour": "#000000", "box_um": NaN}]}'),
    ("project", "revision", -1),
    ("project", "revision", 2**63 - 1),
    ("project", "revision", "now"),
    ("project", "created_us", 2**63 - 1),
    ("project", "created_us", 1.5),
    ("slide", "id", b"\xff"),
    ("slide", "id", ""),
    ("slide", "name", b"\xff\x00\xfe"),
    ("slide", "name", _LONG),
    ("slide", "path", b"\xff\x00\xfe"),
    ("slide", "path", "a\x00b"),
    ("slide", "path", _LONG),
    ("slide", "path_absolute", b"\xff\x00\xfe"),
    ("slide", "height", -5),
    ("slide", "height", 0),
    ("slide", "height", 2**40),
    ("slide", "height", "tall"),
    ("slide", "height", 1.5),
    ("slide", "height", None),
    ("slide", "width", b"\x01"),
    ("slide", "width", -1),
    ("slide", "mpp", 0),
    ("slide", "mpp", float("inf")),
    ("slide", "mpp", -0.25),
    ("slide", "mpp", "fine"),
    ("slide", "mpp", 1e-300),
    ("slide", "mpp_source", b"\xff"),
    ("slide", "smear", 7.5j.imag.hex().encode()),
    ("slide", "patient", b"\x80"),
    ("slide", "stem", _LONG),
    ("slide", "offset_y", 3),
    ("slide", "offset_x", "left"),
    ("slide", "offset_y", 2**62),
    ("slide", "side", b"train"),
    ("slide", "fingerprint", b"\xff"),
    ("slide", "progress", "hacked"),
    ("slide", "progress", b"done"),
    ("version", "annotation_id", b"\xff"),
    ("version", "annotation_id", ""),
    ("version", "slide_pk", 99),
    ("version", "slide_pk", "one"),
    ("version", "kind", "circle"),
    ("version", "kind", b"box"),
    ("version", "kind", "polygon"),
    ("version", "y0", float("inf")),
    ("version", "y0", "top"),
    ("version", "y0", 1e300),
    ("version", "x1", -1e6),
    ("version", "y1", b"\x00"),
    ("version", "vertices", NAN),
    ("version", "vertices", FAR),
    ("version", "vertices", b"123"),
    ("version", "vertices", "text"),
    ("version", "vertices", b""),
    ("version", "class_id", b"\xff"),
    ("version", "class_id", ""),
    ("version", "class_id", "UNHEARD OF"),
    ("version", "class_id", _LONG),
    ("version", "status", "hacked"),
    ("version", "status", b"accepted"),
    ("version", "author", b"\xff"),
    ("version", "author", _LONG),
    ("version", "origin", b"\xff"),
    ("version", "scores", "{"),
    ("version", "scores", _DEEP),
    ("version", "scores", '[["HSIL", 7]]'),
    ("version", "scores", '[["HSIL", NaN]]'),
    ("version", "scores", '[["HSIL", -0.5]]'),
    ("version", "scores", "[[1, 0.5]]"),
    ("version", "scores", '{"HSIL": 0.5}'),
    ("version", "scores", "7"),
    ("version", "scores", b"\xff"),
    ("version", "created_us", 2**63 - 1),
    ("version", "created_us", -(2**63)),
    ("version", "created_us", "today"),
    ("version", "note", b"\xff\x00"),
    ("version", "note", "n" * 2_000_000),
    ("annotation", "id", b"\xff"),
    ("annotation", "version_pk", 12_345),
    ("annotation", "version_pk", "x"),
    ("annotation", "version_pk", 1),
    ("annotation", "slide_pk", 99),
    ("annotation", "class_id", "UNHEARD OF"),
    ("annotation", "status", "hacked"),
    ("annotation", "version_pk", None),
    ("history", "label", b"\xff"),
    ("history", "author", b"\xff"),
    ("history", "at_us", 2**63 - 1),
    ("history", "at_us", "now"),
    ("history", "kind", "hack"),
    ("history", "target_seq", "x"),
    ("history", "target_seq", 99),
    ("history", "state", "open"),
    ("history", "state", b"done"),
    ("history", "amount", -1),
    ("history", "amount", "many"),
    ("history", "amount", 10**9),
    ("history", "slide_pks", "["),
    ("history", "slide_pks", "[99]"),
    ("history", "slide_pks", '["a"]'),
    ("history", "slide_pks", _DEEP),
    ("history", "slide_pks", "7"),
    ("history", "place_slide_pk", 99),
    ("history", "place_slide_pk", "x"),
    ("history", "place_y", float("inf")),
    ("history", "place_x", b"\x01"),
    ("change", "before_pk", 999),
    ("change", "after_pk", 999),
    ("change", "after_pk", "x"),
    ("change", "after_pk", None),
    ("tally", "n", -5),
    ("tally", "n", "many"),
    ("tally", "n", 10**12),
    ("tally", "class_id", b"\xff"),
    ("tally", "status", "x"),
    ("setting", "value", "{"),
    ("setting", "value", _DEEP),
    ("setting", "value", "[[[1]]]"),
    ("setting", "value", "1" * 5_000),
    ("setting", "value", b"\xff"),
    ("setting", "value", json.dumps(_SEEN)),
    ("setting", "value", '{"form": 1, "size_hw": [9, 8], "seen": "@@@"}'),
    ("setting", "value", '{"form": 1, "size_hw": 7}'),
)


def make_project(folder: Path) -> None:
    """Make a small project with one of everything: shapes, scores, notes, undone and redone steps, kept values."""
    cells = [
        Annotation(slide_id="one", geometry=Point(10, 20), class_id="HSIL", author="Ana"),
        Annotation(slide_id="one", geometry=Box(5, 5, 45, 50), class_id="NILM", author="m", status=Status.UNREVIEWED,
                   origin="model:m@0", scores=(("NILM", 0.75), ("HSIL", 0.25)), note="large"),
        Annotation(slide_id="two", geometry=Polygon(((0, 0), (0, 9), (9, 9))), class_id=None, author="Ana"),
        Annotation(slide_id="two", geometry=Polygon(((20, 20), (20, 29), (29, 29))), class_id="LSIL", author="Ana"),
    ]  # fmt: skip
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides(
            [
                SlideRecord(name="one.svs", id="one", path=str(folder.parent / "one.svs"), size_hw=(9, 8), mpp=0.25),
                SlideRecord(name="two.svs", id="two", size_hw=(100, 200), patient="P1", offset_yx=(3, 4)),
            ]
        )
        project.apply(add(cells, "Draw"), "Ana")
        moved = Annotation(**{f: getattr(cells[0], f) for f in cells[0].__slots__} | {"geometry": Point(30, 40)})
        project.apply(replace_all([(cells[0], moved)], "Move"), "Ana")
        project.undo("Ana")
        project.redo("Ana")
        for key, value in (
            ("session.slide", "one"),
            ("session.class", "HSIL"),
            ("coverage/one/Ana", {"form": 0}),
            ("predictions.miss_costs", {"model:m@0": {"HSIL": 2.0}}),
            ("slides.removed", []),
        ):
            project.set_setting(key, value)


def with_schema(folder: Path, script: str) -> None:
    """Run statements of a stranger in the database of a project."""
    connection = sqlite3.connect(folder / "project.sqlite")
    try:
        connection.executescript(script)
    finally:
        connection.close()


def with_value(folder: Path, table: str, column: str, value: object) -> None:
    """Put a value into each row of a table."""
    connection = sqlite3.connect(folder / "project.sqlite")
    try:
        connection.execute(f"UPDATE OR REPLACE {table} SET {column} = ?", (value,))
        connection.commit()
    finally:
        connection.close()


def ask_everything(project: Project) -> None:
    """Ask a project for all that windows and verbs ask it for."""
    for ask in _QUESTIONS:
        ask(project)


_QUESTIONS: tuple[Callable[[Project], object], ...] = (
    lambda p: p.changed_elsewhere(),
    lambda p: [p.slide(s.id) for s in p.slides()],
    lambda p: p.find_slide(fingerprint="a:1", path="/nowhere/one.svs"),
    lambda p: list(p.annotations()),
    lambda p: p.label_set(),
    lambda p: [list(p.annotations(s.id)) for s in p.slides()],
    lambda p: [list(p.cell_rows(s.id)) for s in p.slides()],
    lambda p: [p.origins(s.id) for s in p.slides()],
    lambda p: [list(p.review_steps(s.id)) for s in p.slides()],
    lambda p: [p.in_box(s.id, (0, 0, 1e6, 1e6)) for s in p.slides()],
    lambda p: [p.count_in_box(s.id, (0, 0, 1e6, 1e6)) for s in p.slides()],
    lambda p: [p.nearest(s.id, (10, 20), 50) for s in p.slides()],
    lambda p: [p.regions(s.id) for s in p.slides()],
    lambda p: [p.neighbour(s.id, None) for s in p.slides()],
    lambda p: (p.counts(), p.status_counts(), p.slide_counts()),
    lambda p: [(entry, entry.edit) for entry in p.history()],
    lambda p: [p.history_of(a.id) for a in p.annotations()],
    lambda p: (p.can_undo("Ana"), p.can_redo("Ana"), p.saved_at),
    lambda p: (p.standing(), p.model_costs(), p.setting("session.slide", ""), p.setting("session.class", "")),
    lambda p: [p.coverage(s.id, s.size_hw or (1, 1)) for s in p.slides()],
)
