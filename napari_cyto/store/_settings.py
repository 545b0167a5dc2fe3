"""Small values that are kept with a project, by name."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from napari_cyto.store._kept_values import check_kept
from napari_cyto.store._validity import json_of, need
from napari_cyto.store.database.schema import setting

_ONE = select(setting.c.value).where(setting.c.key == bindparam("of_key"))


def read_setting(connection: Connection, key: str, default: Any = None) -> Any:
    """Return a value that was kept, or ``default``, whose kind it has.

    Raises
    ------
    RowFault
        When what was kept is no JSON, or of another kind.
    """
    text = connection.execute(_ONE, {"of_key": key}).scalar()
    if text is None:
        return default
    value = json_of(text, "setting", key, "value")
    for kind in (dict, list, str, float):
        if isinstance(default, kind):
            fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
            need(fits, "setting", key, "value", text, f"a value like {default!r}")
    check_kept(key, value)
    return value


def all_settings(connection: Connection, without: str) -> tuple[tuple[str, str], ...]:
    """Return names and values of all that is kept, but for names that begin with ``without``, as they are stored."""
    kept = connection.execute(select(setting.c.key, setting.c.value).order_by(setting.c.key))
    return tuple((key, value) for key, value in kept if not key.startswith(without))


def write_setting(connection: Connection, key: str, value: Any) -> None:
    """Keep a JSON-able value."""
    text = json.dumps(value, ensure_ascii=False)
    known = connection.execute(update(setting).where(setting.c.key == key).values(value=text)).rowcount
    if not known:
        connection.execute(insert(setting).values(key=key, value=text))
