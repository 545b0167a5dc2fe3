"""What the bytes of an SQLite file and of its write-ahead log say, read without SQLite, which would change them.

Only as much as it takes to find one row of a small table. Nothing in the files is trusted.

Source: SQLite, "Database File Format", sections 1.3 (header), 1.6 (b-tree pages), 2.1 (records), 4 (the WAL).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_cyto.store.database.raw_read import Reader

_WAL_MAGIC = (0x377F0682, 0x377F0683)
_WAL_HEADER, _FRAME_HEADER = 32, 24
_LEAF, _INTERIOR = 0x0D, 0x05
_MOST_PAGES = 2_000
_MOST_PAYLOAD = 1 << 24
_BLOCK_BYTES, _READ_WHOLE_BYTES = 1 << 22, 1 << 24
_INT_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

Value = int | bytes | None
Pages = Callable[[int], bytes]


class NotReadableError(ValueError):
    """The bytes are not what the format says."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A page in a write-ahead log.

    Parameters
    ----------
    page : int
        The number of the page in the database, from 1.
    ends : bool
        Whether a transaction is complete with it.
    offset : int
        Where its content lies in the log, bytes.
    """

    page: int
    ends: bool
    offset: int


def page_size(read: Reader) -> int:
    """Return the size of the pages of a database file, bytes.

    Raises
    ------
    NotReadableError
        When it has none.
    """
    head = read(16, 2)
    if len(head) < 2:
        raise NotReadableError
    size = int.from_bytes(head, "big")
    size = 65_536 if size == 1 else size
    if size < 512 or size & (size - 1):
        raise NotReadableError
    return size


def frames(read: Reader, size: int) -> Iterator[Frame]:
    """Yield the pages of a write-ahead log that were written since it began anew, in their order.

    Checksums are left to SQLite: what it stops at has no bearing on whose log it is.

    Parameters
    ----------
    read : Reader
        Of the log.
    size : int
        The size of the database's pages, bytes.

    Raises
    ------
    NotReadableError
        When it is no log of a database with such pages.
    """
    head = read(0, _WAL_HEADER)
    if not any(head):
        return
    if len(head) < _WAL_HEADER or struct.unpack_from(">I", head)[0] not in _WAL_MAGIC:
        raise NotReadableError
    if struct.unpack_from(">I", head, 8)[0] not in (size, 1 if size == 65_536 else size):
        raise NotReadableError
    salts, step = head[16:24], _FRAME_HEADER + size
    offset = _WAL_HEADER
    while block := _frame_heads(read, offset, step):
        for head in block:
            if head[8:16] != salts:
                return
            page, pages_after = struct.unpack_from(">II", head)
            yield Frame(page, pages_after != 0, offset + _FRAME_HEADER)
            offset += step


def _frame_heads(read: Reader, offset: int, step: int) -> list[bytes]:
    """Return the headers of some frames that are there in whole; a kill leaves half of one at the end."""
    if offset < _READ_WHOLE_BYTES:
        block = read(offset, max(1, _BLOCK_BYTES // step) * step)
        return [block[at : at + _FRAME_HEADER] for at in range(0, len(block) - step + 1, step)]
    # Of a log as large as an import leaves it, only what tells the pages is read.
    return [read(offset, _FRAME_HEADER)] if read(offset + step - 1, 1) else []


def pages_of(read: Reader, size: int, log: Reader | None = None, newer: Mapping[int, int] | None = None) -> Pages:
    """Return a function of a page's number that gives its content, from the log where ``newer`` says so.

    Parameters
    ----------
    read, log : Reader
        Of the database and of its log.
    size : int
        The size of a page, bytes.
    newer : mapping of int to int
        Where in the log which page lies, bytes.
    """

    def page(number: int) -> bytes:
        if log is not None and newer and number in newer:
            content = log(newer[number], size)
        else:
            content = read((number - 1) * size, size)
        if number < 1 or len(content) < size:
            raise NotReadableError
        return content

    return page


def root_of(pages: Pages, table: str) -> int | None:
    """Return the page at which a table begins, or None when there is no such table.

    Raises
    ------
    NotReadableError
        When the list of tables cannot be read.
    """
    table_bytes = table.encode()
    for kind, name, _, root, *_ in rows_of(pages, 1, 5):
        if kind == b"table" and name == table_bytes and isinstance(root, int):
            return root
    return None


def rows_of(pages: Pages, root: int, columns: int) -> Iterator[Sequence[Value]]:
    """Yield the rows of the table that begins at page ``root``: numbers, and texts and blobs as bytes.

    Raises
    ------
    NotReadableError
        When a page or row is not what the format says.
    """
    seen: set[int] = set()
    waiting = [root]
    try:
        while waiting:
            number = waiting.pop()
            if number in seen or len(seen) > _MOST_PAGES:
                raise NotReadableError
            seen.add(number)
            page = pages(number)
            start = 100 if number == 1 else 0
            kind, cells = page[start], int.from_bytes(page[start + 3 : start + 5], "big")
            if kind == _INTERIOR:
                spots = struct.unpack_from(f">{cells}H", page, start + 12)
                children = [struct.unpack_from(">I", page, spot)[0] for spot in spots]
                waiting += [struct.unpack_from(">I", page, start + 8)[0], *reversed(children)]
            elif kind == _LEAF:
                for spot in struct.unpack_from(f">{cells}H", page, start + 8):
                    yield _row(pages, page, spot, columns)
            else:
                raise NotReadableError
    except (IndexError, struct.error) as error:
        raise NotReadableError from error


def _row(pages: Pages, page: bytes, spot: int, columns: int) -> list[Value]:
    length, at = varint(page, spot)
    _, at = varint(page, at)
    usable = len(page)
    most = usable - 35
    if length > _MOST_PAYLOAD:
        raise NotReadableError
    if length <= most:
        return _values(page[at : at + length], columns)
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    local = local if local <= most else least
    parts, have = [page[at : at + local]], local
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    while have < length:
        overflow = pages(following)
        following = int.from_bytes(overflow[:4], "big")
        parts.append(overflow[4:])
        have += usable - 4
    return _values(b"".join(parts)[:length], columns)


def _values(payload: bytes, columns: int) -> list[Value]:
    head, at = varint(payload, 0)
    kinds: list[int] = []
    while at < head and len(kinds) < columns:
        kind, at = varint(payload, at)
        kinds.append(kind)
    at, values = head, []
    for kind in kinds:
        size = _INT_SIZES.get(kind, 8 if kind == 7 else (kind - 12) // 2 if kind >= 12 else 0)
        content = payload[at : at + size]
        at += size
        if len(content) < size:
            raise NotReadableError
        values.append(_value(kind, content))
    return values + [None] * (columns - len(values))


def _value(kind: int, content: bytes) -> Value:
    if kind in _INT_SIZES:
        return int.from_bytes(content, "big", signed=True)
    if kind in (8, 9):
        return kind - 8
    return content if kind >= 12 else None


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number of variable length at a place, and the place behind it.

    Raises
    ------
    NotReadableError, IndexError
        When there is none.
    """
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + count + 1
    raise NotReadableError
