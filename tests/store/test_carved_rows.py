"""Promise: rows are read from the bytes of a database, as SQLite itself would read them, whatever else is damaged."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.store.database.raw_read import reading
from napari_cyto.store.recovery import raw_pages
from napari_cyto.store.recovery._page_carver import Carved, carve
from napari_cyto.store.recovery.raw_pages import (
    NotReadableError,
    frames,
    page_size,
    pages_of,
    root_of,
    rows_of,
    varint,
)

_WHOLE = [
    sign * (2**bits + more) for bits in (0, 6, 7, 8, 15, 16, 23, 24, 31, 32, 47, 48, 62) for more in (-1, 0, 1)
    for sign in (-1, 1)
]  # fmt: skip
_LONGEST = 9_000
"""Bytes of a value that goes over several pages."""


def never() -> None:
    """Nobody asks for a stop."""


def values_of(number: int) -> tuple[Any, ...]:
    """A row of all kinds of values; some rows are short, some fill a page, some go over several."""
    size = (number * 97) % 700 if number % 20 else (number * 331) % _LONGEST
    return (
        _WHOLE[number % len(_WHOLE)],
        number / 7,
        None if number % 3 else 1,
        "ö" * (size // 4),
        bytes([number % 256]) * (size // 2),
    )


@pytest.fixture(scope="module", params=[512, 4096, 65_536])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A database of one page size: a table by row number, one by its key, and an empty one."""
    path = tmp_path_factory.mktemp("carved") / "made.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA page_size = {request.param}")
    connection.execute("CREATE TABLE many (pk INTEGER PRIMARY KEY, i, r REAL, n, t TEXT, b BLOB)")
    connection.execute("CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
    connection.execute("CREATE TABLE bare (a)")
    connection.execute("CREATE TABLE small (pk INTEGER PRIMARY KEY, t, b)")
    connection.executemany("INSERT INTO small VALUES (?, '', x'')", [(n,) for n in range(3_000)])
    rows = [(pk, *values_of(pk)) for pk in range(1, 401)]
    rows += [(pk, *values_of(3)) for pk in (0, 2**40)]
    connection.executemany("INSERT INTO many VALUES (?, ?, ?, ?, ?, ?)", rows)
    keyed = [(f"{n:04}" + "k" * (n % 300 if n % 50 else 3_000), n) for n in range(300)]
    connection.executemany("INSERT INTO keyed VALUES (?, ?)", keyed)
    connection.commit()
    connection.close()
    return path, request.param


def selected(path: Path, table: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT * FROM {table}").fetchall()
    finally:
        connection.close()


def by_number(found: Carved, table: str) -> list[tuple[Any, ...]]:
    # The column of the row's number holds nothing in the row itself.
    return sorted((rowid, *values[1:]) for rowid, values in found.rows[table] if rowid is not None)


def test_every_row_is_read_by_its_table(made: tuple[Path, int]) -> None:
    path, _ = made
    found = carve(path, never)
    assert by_number(found, "many") == [(*row[:2], row[2], *row[3:]) for row in selected(path, "many")]
    keyed = sorted(values for rowid, values in found.rows["keyed"])
    assert {rowid for rowid, _ in found.rows["keyed"]} == {None}
    assert keyed == selected(path, "keyed")
    # What is no row hangs on no table: the list of tables is not among them, nor is the index of the keys.
    assert set(found.rows) == {"many", "keyed", "small"}
    assert by_number(found, "small") == selected(path, "small"), "more than 255 rows may be on a page"
    assert (found.damaged, found.unreadable_pages, found.missing_pages, found.programs) == (0, 0, 0, [])


def test_a_table_is_found_and_gone_through_in_order(made: tuple[Path, int]) -> None:
    path, size = made
    with reading(path) as read:
        assert page_size(read) == size
        pages = pages_of(read, size)
        assert root_of(pages, "none") is None
        root = root_of(pages, "many")
        assert root is not None
        expected = [
            (None, i, None if not float(r).is_integer() else int(r), n, t.encode(), b)
            for _, i, r, n, t, b in selected(path, "many")
        ]
        assert [tuple(row) for row in rows_of(pages, root, 6)] == expected
        short = [tuple(row) for row in rows_of(pages, root, 2)]
        assert short == [row[:2] for row in expected]
        small = root_of(pages, "small")
        assert small is not None
        assert [tuple(row) for row in rows_of(pages, small, 3)] == [(None, b"", b"")] * 3_000
        empty = root_of(pages, "bare")
        assert empty is not None
        assert list(rows_of(pages, empty, 1)) == []
        added = [tuple(row) for row in rows_of(pages, root, 8)]
        assert added == [(*row, None, None) for row in expected], "columns that came later hold nothing"
        for nowhere in (0, -1, 10**6):
            with pytest.raises(NotReadableError):
                pages(nowhere)


def test_what_stands_in_the_log_is_newer(
    made: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, size = made
    copy = Path(shutil.copy(path, tmp_path / "logged.sqlite"))
    connection = sqlite3.connect(copy)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE many SET t = 'newer' WHERE pk % 2")
        connection.execute("DELETE FROM many WHERE pk % 5 = 0")
        connection.commit()
        expected = selected(copy, "many")
        assert by_number(carve(copy, never), "many") == expected
        log = copy.with_name("logged.sqlite-wal")
        with reading(log) as read_log, reading(copy) as read:
            listed = list(frames(read_log, size))
            assert len(listed) == (log.stat().st_size - 32) // (size + 24)
            assert [frame.offset for frame in listed] == [32 + 24 + k * (size + 24) for k in range(len(listed))]
            assert [frame.ends for frame in listed[-1:]] == [True]
            newer = {frame.page: frame.offset for frame in listed}
            pages = pages_of(read, size, read_log, newer)
            root = root_of(pages, "many")
            assert root is not None
            assert [row[4] for row in rows_of(pages, root, 6)] == [row[4].encode() for row in expected]
            with pytest.raises(NotReadableError):
                list(frames(read_log, size * 2 if size < 65_536 else 512))
            with monkeypatch.context() as patched:
                patched.setattr(raw_pages, "_READ_WHOLE_BYTES", 0)
                assert list(frames(read_log, size)) == listed, "of a log of many gigabytes, only the heads are read"
        cut = tmp_path / "cut.wal"
        cut.write_bytes(log.read_bytes()[:-1])
        with reading(cut) as read_cut:
            assert list(frames(read_cut, size)) == listed[:-1], "half a page at the end is none"
    finally:
        connection.close()


def harmed(made: tuple[Path, int], place: Path, harm: Callable[[bytearray, int], None]) -> tuple[Carved, Path]:
    path, size = made
    content = bytearray(path.read_bytes())
    harm(content, size)
    place.write_bytes(content)
    return carve(place, never), path


def test_rows_of_other_pages_outlive_a_page(made: tuple[Path, int], tmp_path: Path) -> None:
    """A page of zeros is passed over, a page of garbage and a row of garbage are counted."""
    path, size = made
    with reading(path) as read:
        leaves = [n for n in range(2, path.stat().st_size // size + 1) if read((n - 1) * size, 1) == b"\x0d"]
    middle = leaves[len(leaves) // 2]
    everything = set(by_number(carve(path, never), "many"))

    def zeros(content: bytearray, size: int) -> None:
        content[(middle - 1) * size : middle * size] = bytes(size)

    def garbage(content: bytearray, size: int) -> None:
        content[(middle - 1) * size : middle * size] = b"\x77" * size

    def one_row(content: bytearray, size: int) -> None:
        spot = int.from_bytes(content[(middle - 1) * size + 8 : (middle - 1) * size + 10], "big")
        at = (middle - 1) * size + spot
        content[at : at + 2] = b"\xff\xff"

    for harm, damaged, unreadable in ((zeros, 0, 0), (garbage, 0, (0, 1)), (one_row, (0, 1), 0)):
        found, _ = harmed(made, tmp_path / "harmed.sqlite", harm)
        assert found.damaged in (damaged if isinstance(damaged, tuple) else (damaged,)) or harm is zeros
        assert found.unreadable_pages in (unreadable if isinstance(unreadable, tuple) else (unreadable,))
        left = set(by_number(found, "many"))
        assert left <= everything
        assert len(everything) * (0.2 if size == 65_536 else 0.7) <= len(left) < len(everything)


def test_a_page_that_leads_to_itself_is_refused(made: tuple[Path, int], tmp_path: Path) -> None:
    path, size = made
    with reading(path) as read:
        root = root_of(pages_of(read, size), "many")
    assert root is not None
    content = bytearray(path.read_bytes())
    at = (root - 1) * size
    assert content[at] == 0x05, "it is large enough to have pages below"
    for number in (root, 0):
        content[at + 8 : at + 12] = number.to_bytes(4, "big")
        (tmp_path / "round.sqlite").write_bytes(content)
        with reading(tmp_path / "round.sqlite") as read, pytest.raises(NotReadableError):
            list(rows_of(pages_of(read, size), root, 6))
        assert by_number(carve(tmp_path / "round.sqlite", never), "many")


def test_the_end_that_is_gone_is_counted_in_pages(made: tuple[Path, int], tmp_path: Path) -> None:
    def cut(content: bytearray, size: int) -> None:
        del content[-2 * size - 1 :]

    found, _ = harmed(made, tmp_path / "cut.sqlite", cut)
    assert found.missing_pages == 2
    assert found.unreadable_pages == 1, "half a page is none"


def test_a_free_page_gives_no_row_again(tmp_path: Path) -> None:
    path = tmp_path / "freed.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE a (pk INTEGER PRIMARY KEY, t)")
    connection.executemany("INSERT INTO a VALUES (?, ?)", [(n, "x" * 900) for n in range(600)])
    connection.commit()
    connection.execute("DELETE FROM a WHERE pk > 5")
    connection.execute("CREATE VIEW v AS SELECT 1")
    connection.execute("CREATE TRIGGER tr AFTER INSERT ON a BEGIN SELECT 1; END")
    connection.commit()
    connection.close()
    found = carve(path, never)
    assert [rowid for rowid, _ in found.rows["a"]] == [0, 1, 2, 3, 4, 5]
    assert set(found.rows) == {"a"}
    assert found.programs == ["view 'v'", "trigger 'tr'"]


def test_a_carving_is_stopped_within_a_megabyte(tmp_path: Path) -> None:
    path = tmp_path / "long.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE a (t)")
    connection.executemany("INSERT INTO a VALUES (?)", [("x" * 3000,) for _ in range(600)])
    connection.commit()
    connection.close()
    stops: list[int] = []
    carve(path, lambda: stops.append(0))
    assert len(stops) == path.stat().st_size // 4096 // 256 >= 2


@pytest.mark.parametrize(
    ("data", "number", "end"),
    [
        (b"\x00", 0, 1),
        (b"\x7f", 127, 1),
        (b"\x81\x00", 128, 2),
        (b"\xff\x7f", 16_383, 2),
        (b"\x81\x80\x00", 16_384, 3),
        (b"\xff" * 9, 2**64 - 1, 9),
        (b"\x81" + b"\x80" * 7 + b"\x00", 2**57, 9),
    ],
)
def test_a_number_of_variable_length(data: bytes, number: int, end: int) -> None:
    assert varint(data, 0) == (number, end)
    assert varint(b"\x05" + data, 1) == (number, end + 1)
    with pytest.raises(IndexError):
        varint(data[:-1], 0)


@pytest.mark.parametrize("head", [b"", b"\x10", b"\x00\x00", b"\x01\x00", b"\x0f\xff", b"\x30\x00"])
def test_what_is_no_page_size_is_refused(head: bytes) -> None:
    with pytest.raises(NotReadableError):
        page_size(lambda at, n: head if (at, n) == (16, 2) else b"")
