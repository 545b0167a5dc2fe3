"""Rows cut out of the pages of a damaged database file, page by page, whatever else is damaged.

Source: SQLite, "Database File Format", sections 1.5 (free pages), 1.6 (b-tree pages) and 2.1 (records).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cyto.store.database.log_owner import Belongs, beside, standing
from napari_cyto.store.database.raw_read import reading
from napari_cyto.store.database.sqlite import LONGEST_VALUE_BYTES
from napari_cyto.store.recovery.raw_pages import NotReadableError, frames, varint

_PAGE_BYTES = 4096
_LEAF_TABLE, _INTERIOR_TABLE, _LEAF_INDEX, _INTERIOR_INDEX = 0x0D, 0x05, 0x0A, 0x02
_KINDS = (_LEAF_TABLE, _INTERIOR_TABLE, _LEAF_INDEX, _INTERIOR_INDEX)
_WHOLE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_DAMAGED = (NotReadableError, IndexError, struct.error, ValueError)
Values = tuple[Any, ...]
Pages = Callable[[int], bytes]


@dataclass(slots=True)
class Carved:
    """What was cut out of a file.

    Attributes
    ----------
    rows : dict of (str or None) to list of (int or None, tuple)
        By table, or by None where it cannot be told which table a page belonged to: row number and values.
    damaged : int
        How many rows were there, but could not be read.
    unreadable_pages : int
        How many pages of the file are no pages.
    missing_pages : int
        How many pages the file once had more, as it says itself.
    programs : list of str
        The triggers and views that are in it, which no project has, with their names as Python's ascii() writes them.
    """

    rows: dict[str | None, list[tuple[int | None, Values]]] = field(default_factory=dict)
    damaged: int = 0
    unreadable_pages: int = 0
    missing_pages: int = 0
    programs: list[str] = field(default_factory=list)


def carve(path: Path, stop: Callable[[], None]) -> Carved:
    """Return the rows of all tables that can be read, with what is in the log beside the file.

    Parameters
    ----------
    path : Path
        The file; it is only read.
    stop : callable
        Asked now and then; what it raises ends the work.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    with reading(path) as read:
        count = path.stat().st_size
        size = _page_size(read, count)
        newer = _from_log(path, size)
        total = max([-(-count // size), *newer])

        def page(number: int) -> bytes:
            # A damaged pointer may lead anywhere.
            if not 1 <= number <= total:
                raise NotReadableError
            content = newer.get(number) or read((number - 1) * size, size)
            if len(content) < size:
                raise NotReadableError
            return content

        found = _Carver(page, total, stop).carve()
        # Source: section 1.3.7: the size of the database in pages.
        found.missing_pages = max(0, int.from_bytes(read(28, 4), "big") - total)
        return found


def _page_size(read: Callable[[int, int], bytes], count: int) -> int:
    """The size of which most pages begin as pages do: what the header says may itself be damaged."""
    said = int.from_bytes(read(16, 2), "big")
    said = 65_536 if said == 1 else said
    sizes = {_PAGE_BYTES, said} if 512 <= said <= 65_536 and not said & (said - 1) else {_PAGE_BYTES}

    def share(size: int) -> float:
        places = range(size, min(count, 4_000 * size), size)
        return sum(read(place, 1) in (b"\x0d", b"\x05", b"\x0a", b"\x02") for place in places) / max(1, len(places))

    return max(sizes, key=lambda size: (share(size), size == _PAGE_BYTES))


def _from_log(path: Path, size: int) -> dict[int, bytes]:
    """Return the pages that were committed into the log beside a file, where it belongs to it."""
    log = beside(path, "-wal")
    newer: dict[int, bytes] = {}
    with contextlib.suppress(OSError, NotReadableError):
        if not log.exists() or standing(path).log is Belongs.FOREIGN:
            return newer
        content = log.read_bytes()
        pending: dict[int, bytes] = {}
        for frame in frames(lambda offset, length: content[offset : offset + length], size):
            pending[frame.page] = content[frame.offset : frame.offset + size]
            if frame.ends:
                newer |= pending
                pending = {}
    return newer


class _Carver:
    def __init__(self, page: Pages, total: int, stop: Callable[[], None]) -> None:
        self._page, self._total, self._stop = page, total, stop
        self._found = Carved()
        self._owner: dict[int, str] = {}
        self._programs: list[str] = []

    def carve(self) -> Carved:
        with contextlib.suppress(*_DAMAGED):
            self._own(1, "sqlite_master")
            for _, values in list(self._rows_on(1)):
                self._own_table(values)
        for number, owner in list(self._owner.items()):
            if owner == "sqlite_master" and number != 1:
                for _, values in self._rows_on(number):
                    self._own_table(values)
        free = self._free_pages()
        self._found = Carved(programs=self._programs)
        for number in range(1, self._total + 1):
            if number % 256 == 0:
                self._stop()
            if number in free or self._owner.get(number) == "sqlite_master":
                continue
            rows = list(self._rows_on(number))
            if rows:
                self._found.rows.setdefault(self._owner.get(number), []).extend(rows)
        return self._found

    def _own_table(self, values: Values) -> None:
        if len(values) == 5 and values[0] in ("trigger", "view"):
            self._programs.append(f"{values[0]} {values[1]!a:.60}")
        if len(values) == 5 and values[0] == "table" and isinstance(values[3], int) and values[3] > 1:
            self._own(values[3], str(values[1]))

    def _own(self, root: int, table: str) -> None:
        """Take down which pages hang on the first page of a table."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in self._owner or not 1 <= number <= self._total:
                continue
            try:
                page = self._page(number)
            except NotReadableError:
                continue
            start = 100 if number == 1 else 0
            if page[start] not in _KINDS:
                continue
            self._owner[number] = table
            if page[start] in (_INTERIOR_TABLE, _INTERIOR_INDEX):
                with contextlib.suppress(*_DAMAGED):
                    waiting.append(struct.unpack_from(">I", page, start + 8)[0])
                    waiting += [struct.unpack_from(">I", page, spot)[0] for spot in _spots(page, start, 12)]

    def _free_pages(self) -> set[int]:
        """Return the pages that the file says are free: what is on them was there once."""
        free: set[int] = set()
        with contextlib.suppress(*_DAMAGED):
            trunk = struct.unpack_from(">I", self._page(1), 32)[0]
            while trunk and trunk not in free and trunk not in self._owner:
                page = self._page(trunk)
                free.add(trunk)
                trunk, count = struct.unpack_from(">II", page)
                free |= set(struct.unpack_from(f">{min(count, len(page) // 4 - 2)}I", page, 8))
        return free - set(self._owner)

    def _rows_on(self, number: int) -> Iterator[tuple[int | None, Values]]:
        try:
            page = self._page(number)
        except NotReadableError:
            self._found.unreadable_pages += 1
            return
        start = 100 if number == 1 else 0
        kind = page[start]
        if kind not in (_LEAF_TABLE, _LEAF_INDEX, _INTERIOR_INDEX):
            self._found.unreadable_pages += kind not in (*_KINDS, 0) and self._owner.get(number) is not None
            return
        try:
            spots = _spots(page, start, 12 if kind == _INTERIOR_INDEX else 8)
        except _DAMAGED:
            self._found.unreadable_pages += 1
            return
        for spot in spots:
            try:
                yield self._row(page, kind, spot)
            except _DAMAGED:
                self._found.damaged += 1

    def _row(self, page: bytes, kind: int, spot: int) -> tuple[int | None, Values]:
        at = spot + (4 if kind == _INTERIOR_INDEX else 0)
        length, at = varint(page, at)
        rowid: int | None = None
        usable = len(page)
        most = usable - 35
        if kind == _LEAF_TABLE:
            rowid, at = varint(page, at)
        else:
            most = (usable - 12) * 64 // 255 - 23
        if length > LONGEST_VALUE_BYTES:
            raise NotReadableError
        return rowid, _values(self._payload(page, at, length, most))

    def _payload(self, page: bytes, at: int, length: int, most: int) -> bytes:
        usable = len(page)
        if length <= most:
            return page[at : at + length]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= most else least
        parts, have = [page[at : at + local]], local
        following = struct.unpack_from(">I", page, at + local)[0]
        while have < length:
            if following in self._owner:
                raise NotReadableError
            more = self._page(following)
            following = struct.unpack_from(">I", more)[0]
            parts.append(more[4:])
            have += usable - 4
        return b"".join(parts)[:length]


def _spots(page: bytes, start: int, head: int) -> tuple[int, ...]:
    count = struct.unpack_from(">H", page, start + 3)[0]
    spots: tuple[int, ...] = struct.unpack_from(f">{count}H", page, start + head)
    return spots


def _values(payload: bytes) -> Values:
    head, at = varint(payload, 0)
    kinds: list[int] = []
    while at < head:
        kind, at = varint(payload, at)
        kinds.append(kind)
    if at != head:
        raise NotReadableError
    values: list[Any] = []
    for kind in kinds:
        size = _WHOLE.get(kind, 8 if kind == 7 else (kind - 12) // 2 if kind >= 12 else 0)
        content = payload[at : at + size]
        at += size
        if len(content) < size or kind in (10, 11):
            raise NotReadableError
        values.append(_value(kind, content))
    if at != len(payload):
        raise NotReadableError
    return tuple(values)


def _value(kind: int, content: bytes) -> Any:
    if kind in _WHOLE:
        return int.from_bytes(content, "big", signed=True)
    if kind == 7:
        return struct.unpack(">d", content)[0]
    if kind in (8, 9):
        return kind - 8
    if kind == 0:
        return None
    return content if kind % 2 == 0 else content.decode("utf-8")
