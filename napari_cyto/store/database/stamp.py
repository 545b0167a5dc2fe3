"""The stamp in a database file, renewed by each write, by which a file is known from its earlier states and copies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection

STAMP_TABLE = "generation"
_TOKEN_BYTES, _COUNTER_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class Stamp:
    """What marks one state of a database.

    Parameters
    ----------
    counter : int
        How many writes there were.
    token : bytes
        Of this state alone, 16 random bytes.
    before : bytes
        The token of the state that this one followed.
    """

    counter: int
    token: bytes
    before: bytes

    @classmethod
    def of(cls, value: object) -> Self | None:
        """Return the stamp that was stored as ``value``, or None when it is none."""
        if not isinstance(value, bytes) or len(value) != _COUNTER_BYTES + 2 * _TOKEN_BYTES:
            return None
        token = value[_COUNTER_BYTES : _COUNTER_BYTES + _TOKEN_BYTES]
        return cls(int.from_bytes(value[:_COUNTER_BYTES], "big"), token, value[_COUNTER_BYTES + _TOKEN_BYTES :])

    @classmethod
    def after(cls, last: Stamp | None) -> Self:
        """Return a new stamp for the state that follows ``last``."""
        if last is None:
            return cls(0, os.urandom(_TOKEN_BYTES), bytes(_TOKEN_BYTES))
        return cls(last.counter + 1, os.urandom(_TOKEN_BYTES), last.token)

    def stored(self) -> bytes:
        """Return it as it is stored; always of one length, so that its row never moves."""
        return self.counter.to_bytes(_COUNTER_BYTES, "big") + self.token + self.before


def create_stamp(connection: Connection) -> None:
    """Make the table of the stamp, with a first one.

    It is no part of the project's tables: it is about the file, and another kind of database has none.
    """
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {STAMP_TABLE} (pk INTEGER PRIMARY KEY, stamp BLOB NOT NULL)"
    )
    connection.exec_driver_sql(
        f"INSERT OR IGNORE INTO {STAMP_TABLE} (pk, stamp) VALUES (1, ?)", (Stamp.after(None).stored(),)
    )


def read_stamp(connection: Connection) -> Stamp | None:
    """Return the stamp as a transaction sees it; None where a version without stamps wrote the database."""
    there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.exec_driver_sql(there, (STAMP_TABLE,)).scalar() is None:
        return None
    return Stamp.of(connection.exec_driver_sql(f"SELECT stamp FROM {STAMP_TABLE} WHERE pk = 1").scalar())


def renew_stamp(connection: Connection, last: Stamp | None) -> Stamp:
    """Give the database a new stamp, after ``last``, and return it."""
    if last is None:
        create_stamp(connection)
        last = read_stamp(connection)
    new = Stamp.after(last)
    connection.exec_driver_sql(f"UPDATE {STAMP_TABLE} SET stamp = ? WHERE pk = 1", (new.stored(),))
    return new
