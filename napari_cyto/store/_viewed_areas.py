"""What each person has looked at of each slide, kept with the project's small values.

It is no edit: it has no history, cannot be undone, and other windows need not hear of it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, select

from napari_cyto.domain.coverage import Coverage
from napari_cyto.store._settings import read_setting, write_setting
from napari_cyto.store._validity import json_of, row_of
from napari_cyto.store.database.schema import setting

COVERAGE_PREFIX = "coverage"
_OF_SLIDE = select(setting.c.key, setting.c.value).where(
    setting.c.key >= bindparam("first"), setting.c.key < bindparam("beyond")
)


def read_all(connection: Connection, slide_id: str, size_hw: tuple[int, int]) -> dict[str, Coverage]:
    """Return what was looked at of a slide of a size (level-0 px), by person."""
    start = f"{COVERAGE_PREFIX}/{slide_id}/"
    # All keys that begin so: "0" is the sign after "/".
    rows = connection.execute(_OF_SLIDE, {"first": start, "beyond": f"{start[:-1]}0"})
    return {
        key.removeprefix(start): _kept(key, json_of(value, "setting", key, "value"), size_hw) for key, value in rows
    }


def _kept(key: str, value: Any, size_hw: tuple[int, int]) -> Coverage:
    with row_of("setting", key, "value", "what was looked at of a slide"):
        return Coverage.from_dict(value, size_hw)


def add(connection: Connection, slide_id: str, author: str, seen: Coverage) -> None:
    """Keep what a person looked at of a slide, together with what is kept already."""
    key = f"{COVERAGE_PREFIX}/{slide_id}/{author}"
    kept = read_setting(connection, key)
    if kept is not None:
        seen = seen.merged(_kept(key, kept, seen.size_hw))
    write_setting(connection, key, seen.to_dict())
