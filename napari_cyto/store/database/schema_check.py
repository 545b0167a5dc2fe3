"""Whether a database file has exactly the tables that this program makes, and nothing that runs by itself.

A database may hold code: triggers, views, generated columns, defaults and indexes that call functions. This program
makes none of these, so whatever differs from its own schema is refused before anything else is read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from sqlalchemy import create_engine

from napari_cyto.errors import DamagedError
from napari_cyto.store.database.connection import create_tables
from napari_cyto.store.database.schema import READABLE_VERSIONS, SCHEMA_VERSION
from napari_cyto.store.database.stamp import STAMP_TABLE, create_stamp
from napari_cyto.store.recovery.damage_message import ways_out

_Objects = Mapping[tuple[str, str], tuple[str, str]]
_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master"
_NAMED_AT_MOST = 3
# How a table's text is laid out differs between releases of SQLAlchemy; what it says does not.
_QUOTED_WORD = re.compile(r'"([A-Za-z_][A-Za-z0-9_]*)"')
_BLANKS = re.compile(r"[ \t\r\n]+")
_BLANKS_AT_SIGNS = re.compile(r" ?([(),]) ?")

# The objects of versions before `SCHEMA_VERSION`, for those that can be brought up to date: a new version adds the
# schema of the one before it here.
OLDER_SCHEMAS: Mapping[int, _Objects] = {}


def refuse_foreign_schema(connection: sqlite3.Connection, place: str, version: int = SCHEMA_VERSION) -> None:
    """Refuse a database that has other tables, or anything besides tables, than a project of a version.

    Parameters
    ----------
    connection : sqlite3.Connection
        A hardened one, see `sqlite.harden`.
    place : str
        What the sentence calls the database.
    version : int
        Whose schema it must have.

    Raises
    ------
    DamagedError
        Naming what there is too much, too little or of another kind.
    sqlite3.Error
        When the schema cannot be read.
    """
    known = _own_schema() if version in READABLE_VERSIONS else OLDER_SCHEMAS.get(version)
    if known is None:
        return
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for kind, name, table, sql in connection.execute(_OBJECTS):
        found[str(kind), str(name)] = (str(table), _plain(sql))
    extra = [f"the {kind} {name!a:.60}" for kind, name in found if (kind, name) not in known]
    if extra:
        raise DamagedError(
            f"The project database {place} is damaged or foreign: it has {_some(extra)}, which no napari-cyto project "
            f"has; it was left as it is. {ways_out(Path(place))}"
        )
    # The stamp comes with the first write of a version that knows it.
    lost = [f"the {kind} {name}" for kind, name in known if (kind, name) not in found and name != STAMP_TABLE]
    other = [f"the {kind} {name}" for (kind, name), text in known.items() if found.get((kind, name), text) != text]
    if lost or other:
        wrong = f"it lacks {_some(lost)}" if lost else f"{_some(other)} is not what napari-cyto makes"
        raise DamagedError(
            f"The project database {place} is damaged or foreign: {wrong}; it was left as it is. "
            f"{ways_out(Path(place))}"
        )


def _some(things: list[str]) -> str:
    rest = len(things) - _NAMED_AT_MOST
    return ", ".join(things[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _plain(sql: object) -> str:
    return _BLANKS_AT_SIGNS.sub(r"\1", _BLANKS.sub(" ", _QUOTED_WORD.sub(r"\1", str(sql or "")))).strip()


@lru_cache(maxsize=1)
def _own_schema() -> _Objects:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            create_tables(connection)
            create_stamp(connection)
            rows = connection.exec_driver_sql(_OBJECTS).all()
    finally:
        engine.dispose()
    return {(str(kind), str(name)): (str(table), _plain(sql)) for kind, name, table, sql in rows}
