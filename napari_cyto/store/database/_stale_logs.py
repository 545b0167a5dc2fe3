"""Putting logs out of the way that belong to another database than the one they lie beside, before SQLite sees them."""

from __future__ import annotations

import logging
from pathlib import Path

from napari_cyto.errors import StoreError
from napari_cyto.store.database.log_owner import Belongs, hot_journal, in_log_mode, set_aside, standing

_log = logging.getLogger("napari_cyto.store")


def check_logs(path: Path, writable: bool) -> None:
    """Put the logs beside the database ``path`` aside that are not its own; nothing else is changed before.

    Parameters
    ----------
    path : Path
        The file.
    writable : bool
        Whether it is ours to write; what cannot be written is read without its foreign logs.

    Raises
    ------
    StoreError
        When it cannot be told whose a log is, or a foreign one cannot be put aside; all is left as it was then.
    """
    try:
        foreign = _foreign(path)
        # Looked at twice: another program may just have put it aside, and begun a log of its own.
        if foreign and foreign == _foreign(path):
            _report(path, set_aside(path, foreign) if writable else None)
    except OSError as error:
        raise StoreError(
            f"The project {path.parent} was not opened and is left as it was: beside its database lies a file of "
            f"SQLite that cannot be looked at or put aside ({error.strerror or error}); ask for permission to the "
            "folder and its files."
        ) from error


def _foreign(path: Path) -> tuple[str, ...]:
    suffixes: list[str] = []
    if hot_journal(path):
        if not in_log_mode(path):
            raise StoreError(
                f"The project {path.parent} was not opened and is left as it was: another program changed "
                f"{path.name} and was interrupted, as {path.name}-journal beside it says; go back to your last backup, "
                "or open it with that program first."
            )
        suffixes.append("-journal")
    log = standing(path).log
    if log is Belongs.UNKNOWN:
        raise StoreError(
            f"The project database {path} is damaged: it cannot be told whether the {path.name}-wal beside it belongs "
            "to it; both were left as they are, so keep a copy of them and go back to your last backup."
        )
    if log is Belongs.FOREIGN:
        # The index of a log is worth nothing without it, and worse than nothing beside another one.
        suffixes += ["-wal", "-shm"]
    return tuple(suffixes)


def _report(path: Path, aside: Path | None) -> None:
    where = "where they are left, since the folder cannot be written"
    if aside is not None:
        where = f"and were put aside as {aside.name}"
    _log.warning(
        "Beside %s lie changes of another database, perhaps from before a backup was put there; they are not part of "
        "this project, %s.",
        path,
        where,
    )
