"""Where the database of a project lies, and the sentences for places that will not do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from pathlib import Path

from napari_cyto.errors import StoreError

DATABASE_NAME = "project.sqlite"
# What a database is called while it is made; with what SQLite adds to that.
_UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.part(-wal|-shm|-journal)?")
_MADE_WITHIN_SECONDS = 600
# SQLite's limit on Linux and macOS, less its longest suffix.
_LONGEST_BYTES = 504
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WHY = {
    errno.EROFS: "its disk can only be read; choose a place on another disk",
    errno.EACCES: "you may not write there; ask for permission, or choose another place",
    errno.EPERM: "you may not write there; ask for permission, or choose another place",
    errno.ENAMETOOLONG: "a name in its path is too long; choose a shorter one",
    errno.ENOTDIR: "a file is in the way, where a folder is needed; choose another place",
    errno.ENOENT: "its folder disappeared in the meantime; check where it is, and try again",
    errno.ENOTEMPTY: "something else was put there in the meantime; check what it is, or choose another place",
    errno.EIO: "its disk refused to read or write; check the disk, and try again",
}


def unfinished_name() -> str:
    """Return a name for a database that is being made; no longer than the final one, as SQLite limits paths."""
    return f".{secrets.token_hex(4)}.part"


def is_free(folder: Path, but: str = "") -> bool:
    """Whether a project can be made in ``folder`` that has it for itself: there is nothing, or what a kill left.

    Parameters
    ----------
    folder : Path
        The project's folder.
    but : str
        The name of what may be there, since the same work left it.

    Raises
    ------
    OSError
        When it cannot be looked at.
    """
    if not folder.exists():
        return True
    return folder.is_dir() and all(_UNFINISHED.fullmatch(each.name) or each.name == but for each in folder.iterdir())


def sweep(folder: Path) -> None:
    """Remove what programs that were killed while they made a project left in its folder."""
    with contextlib.suppress(OSError):
        for each in folder.iterdir():
            with contextlib.suppress(OSError):
                if _UNFINISHED.fullmatch(each.name) and time.time() - each.stat().st_mtime > _MADE_WITHIN_SECONDS:
                    each.unlink()


def check_length(path: Path, called: Path) -> None:
    """Refuse a path that SQLite cannot open.

    Raises
    ------
    StoreError
        When it is too long.
    """
    length = len(os.fsencode(os.path.realpath(path)))
    if os.name == "posix" and length > _LONGEST_BYTES:
        raise StoreError(
            f"The path of the project {called} is too long: with its database it has {length} bytes, and there may be "
            f"{_LONGEST_BYTES}; choose a shorter one."
        )


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no more room."""
    return error.errno in _FULL


def refusal(error: OSError, what: str, called: Path) -> StoreError:
    """Return the sentence for what the system refused.

    Parameters
    ----------
    error : OSError
        What it said.
    what : str
        What did not happen: the beginning of the sentence.
    called : Path
        What the user knows the place as.
    """
    if is_full(error):
        return StoreError(f"{what}: the disk that holds {called} is full; free some space and try again.")
    why = _WHY.get(error.errno or 0, f"the system refused it ({error.strerror or error}); choose another place")
    return StoreError(f"{what}: {why}.")
