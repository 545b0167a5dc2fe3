"""Saving what an open project holds as a new project beside it, whatever became of the file on its path."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from napari_cyto.errors import ProjectThereError, StoreError
from napari_cyto.files.safe_names import free_place
from napari_cyto.store.database.connection import Database
from napari_cyto.store.database.creation import give_name
from napari_cyto.store.database.log_owner import beside
from napari_cyto.store.database.place import DATABASE_NAME, check_length, refusal, unfinished_name
from napari_cyto.store.database.stamp import STAMP_TABLE, Stamp


def free_copy_folder(folder: Path) -> Path:
    """Return the name of a folder, beside a project's, for a copy of what was open; there is none of that name."""
    stem = folder.name.removesuffix(".cyto")
    moment = datetime.now().astimezone().strftime("%Y-%m-%d %H.%M.%S")
    # Beside it, so that the slides' relative paths hold.
    return free_place(folder.parent, f"{stem} as it was open {moment}", ".cyto", " ")


def save_copy(database: Database, folder: Path) -> None:
    """Write what a database holds, as this program sees it, into a new project folder: all of it or nothing.

    Parameters
    ----------
    database : Database
        Open; the file itself is read, not what lies on its path now.
    folder : Path
        Not there yet.

    Raises
    ------
    StoreError
        When there is something already, the place cannot be written, or what is open was destroyed.
    """
    path = folder / DATABASE_NAME
    check_length(path, folder)
    temporary = folder / unfinished_name()
    what = f"What was open cannot be saved in {folder}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise refusal(error, what, folder) from error
    done = False
    try:
        _copy(database, temporary, folder)
        give_name(temporary, path)
        done = True
    except FileExistsError:
        raise ProjectThereError(f"{what}: somebody else has created a project there meanwhile; try again.") from None
    except sqlite3.Error as error:
        sentence = database.explain(error)
        raise StoreError(f"{what}: {sentence or error}") from error
    except OSError as error:
        raise refusal(error, what, folder) from error
    finally:
        for each in (temporary, *(beside(temporary, suffix) for suffix in ("-wal", "-shm", "-journal"))):
            with contextlib.suppress(OSError):
                each.unlink(missing_ok=True)
        if not done:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _copy(database: Database, temporary: Path, folder: Path) -> None:
    new = sqlite3.connect(temporary, isolation_level=None)
    try:
        with database.read() as connection:
            source = connection.connection.dbapi_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(new)
        said = new.execute("PRAGMA integrity_check(1)").fetchone()
        if said != ("ok",):
            raise StoreError(
                f"What was open cannot be saved in {folder}: something was written over the file itself, and with it "
                "went what this window had not read; go back to your last backup."
            )
        # Another file from now on, even if it goes on from the same state.
        if new.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (STAMP_TABLE,)).fetchone():
            new.execute(f"UPDATE {STAMP_TABLE} SET stamp = ?", (Stamp.after(None).stored(),))
    finally:
        new.close()
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
