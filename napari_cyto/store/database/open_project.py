"""Finding project databases and opening them, to write or only to read."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.files.special_files import special_kind
from napari_cyto.store.database import inspection, sqlite
from napari_cyto.store.database._read_only import ReadingDatabase
from napari_cyto.store.database.connection import Database, open_file, open_url
from napari_cyto.store.database.links import address_of
from napari_cyto.store.database.migration import prepare
from napari_cyto.store.database.place import DATABASE_NAME, check_length
from napari_cyto.store.database.schema import project


def is_project(path: Path) -> bool:
    """Whether ``path`` is a project folder or the database file of one, or stands for a database at an address.

    A folder whose database may not be looked at is one too: opening it says what is missing.
    """
    if address_of(path) is not None:
        return True
    file = path / DATABASE_NAME if path.is_dir() else path
    try:
        header = None if special_kind(file) else sqlite.read_header(file)
    except PermissionError:
        return file.name == DATABASE_NAME
    except OSError:
        return False
    return header is not None and header.application_id == sqlite.APPLICATION_ID


def is_empty_database(path: Path) -> bool:
    """Whether ``path`` stands for a database in which a project can be made.

    One that cannot be reached may hold one: opening it says what is the matter.
    """
    address = address_of(path)
    if address is None:
        return False
    database = open_url(address)
    try:
        with database.read() as connection:
            return not inspect(connection).has_table(project.name)
    except StoreError:
        return False
    finally:
        database.close()


def reach(folder: Path, url: str | None, busy_seconds: float, even_damaged: bool = False) -> tuple[Path, Database]:
    """Return the folder of a project and its database, brought up to date.

    With ``even_damaged``, a damaged one is opened for reading only, as far as it can be read.

    Raises
    ------
    StoreError
        When it is no project, of a newer version or damaged; it is then left untouched.
    """
    url = url or address_of(folder)
    if url is not None:
        return folder, open_url(url, busy_seconds)
    path = folder if folder.is_file() else folder / DATABASE_NAME
    check_length(path, path.parent)
    for each in (folder, path):
        if special := _special(each):
            raise StoreError(f"{each} is {special}, but the folder of a project was expected.")
    writable = prepare(path)
    damage = inspection.inspect(path) if writable else ""
    may_write = writable and not damage
    database: Database = open_file(path, busy_seconds) if may_write else ReadingDatabase(path)
    try:
        if not writable:
            damage = inspection.inspect_opened(database)
        if damage and not even_damaged:
            raise DamagedError(damage)
    except BaseException:
        database.close()
        raise
    if damage:
        database.open_though(damage)
    elif not inspection.is_small(path):
        database.check_in_background(path)
    return path.parent, database


def _special(path: Path) -> str:
    try:
        return special_kind(path)
    except OSError:  # told with its reason when it is opened
        return ""
