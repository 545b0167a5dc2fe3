"""Going back to a backup; what is there now is kept as one first."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_cyto.errors import CytoError, StoreError
from napari_cyto.store.database.log_owner import beside, set_aside
from napari_cyto.store.database.place import DATABASE_NAME, refusal
from napari_cyto.store.database.sqlite import REFUSALS
from napari_cyto.store.database.stamp import STAMP_TABLE, Stamp
from napari_cyto.store.recovery.backups import (
    BEFORE_RESTORE,
    DAMAGED,
    MOMENT_FORMAT,
    Backup,
    Snapshot,
    backups_of,
    check_copy,
    newest_sound,
)
from napari_cyto.store.recovery.damage_message import BACKUP_FOLDER

_LOGS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Parameters
    ----------
    backup : Backup
        What is there now.
    kept : Path or None
        Where what was there before is kept; None where there was nothing.
    """

    backup: Backup
    kept: Path | None


def backup_named(folder: Path, name: str) -> Backup:
    """Return the backup of a project by its file's name, or by the beginning of that.

    Raises
    ------
    StoreError
        When there is none, or several begin so.
    """
    found = [each for each in backups_of(folder) if each.path.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(each.path.name for each in backups_of(folder)[:3]) or "none"
    raise StoreError(
        f"Expected the name of a backup of {folder}, got {name!r}, with which {len(found)} begin; the newest are "
        f"{known}."
    )


def restore(folder: Path, backup: Backup | None = None) -> Restored:
    """Put a backup in the place of a project's database; no window may have the project open.

    Parameters
    ----------
    folder : Path
        The project's folder.
    backup : Backup, optional
        Which; the newest sound one without.

    Raises
    ------
    StoreError
        When there is no sound backup, the project is open elsewhere, or the place cannot be written; what is there is
        left as it is then.
    """
    path = folder / DATABASE_NAME
    chosen = backup or newest_sound(folder)
    if chosen is None:
        raise StoreError(f"There is no sound backup of {folder}; 'napari-cyto project backup' takes one.")
    found = check_copy(chosen.path)
    if found:
        raise StoreError(
            f"The backup {chosen.path.name} is not sound ({found[0].rstrip('.')}), so nothing was changed; choose "
            "another one."
        )
    what = f"The backup {chosen.path.name} was not restored"
    temporary = folder / f".restore-{os.getpid()}.part"
    try:
        _copy_anew(chosen.path, temporary)
        kept = _keep(path)
        _refuse_open(path)
        logs = tuple(suffix for suffix in _LOGS if beside(path, suffix).exists())
        if logs:
            set_aside(path, logs)
        temporary.replace(path)
    except OSError as error:
        raise refusal(error, what, folder) from error
    except sqlite3.Error as error:
        raise StoreError(f"{what}: {error}; choose another one.") from error
    finally:
        for suffix in ("", "-journal", *_LOGS):
            with contextlib.suppress(OSError):
                temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
    return Restored(chosen, kept)


def _copy_anew(source: Path, temporary: Path) -> None:
    """Copy a backup, with a stamp by which open windows see that it is another file than theirs."""
    shutil.copyfile(source, temporary)
    connection = sqlite3.connect(temporary, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=DELETE").close()
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (STAMP_TABLE,)).fetchone():
            connection.execute(f"UPDATE {STAMP_TABLE} SET stamp = ?", (Stamp.after(None).stored(),))
    finally:
        connection.close()
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())


def _keep(path: Path) -> Path | None:
    """Keep what is there as a backup, bit by bit where it is damaged; return where."""
    if not path.exists():
        return None
    (path.parent / BACKUP_FOLDER).mkdir(exist_ok=True)
    try:
        return Snapshot(path).save(BEFORE_RESTORE).path
    except (CytoError, *REFUSALS):
        moment = datetime.now(UTC).strftime(MOMENT_FORMAT)[:-3]
        kept = path.parent / BACKUP_FOLDER / f"{moment}Z-{DAMAGED}.sqlite"
        shutil.copyfile(path, kept)
        if beside(path, "-wal").exists():
            shutil.copyfile(beside(path, "-wal"), beside(kept, "-wal"))
        return kept


def _refuse_open(path: Path) -> None:
    """Refuse while another program has the database open: it would go on with what is gone."""
    if not path.exists():
        return
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        # Leaving the log behind takes every other connection's consent.
        connection.execute("PRAGMA journal_mode=DELETE").close()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StoreError(
                f"The project {path.parent} is open in another window or program, so nothing was restored; close it "
                "there and try again."
            ) from error
    except sqlite3.DatabaseError:
        # Too damaged to be asked; it was kept bit by bit.
        return
    finally:
        connection.close()
