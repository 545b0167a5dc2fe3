"""What is remembered of large database files that were looked through and found sound, in the user's cache folder.

A file of which nothing changed since need not be looked through again for a day. Without what is remembered, it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.store.database.log_owner import beside, standing

KEPT_S = 24 * 3600.0
_State = list[int | str]


def state_of(path: Path) -> _State | None:
    """Return what a database file is known by: the very file, its size, times and stamp; None where it cannot be told.

    A file beside which a write-ahead log lies is being written, and its state is not settled.
    """
    try:
        if _size(beside(path, "-wal")):
            return None
        status = path.stat()
        stamp = standing(path).in_file
    except OSError:
        return None
    if stamp is None:
        return None
    looks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return [*looks, stamp.stored().hex()]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_known_sound(path: Path) -> bool:
    """Whether the file was found sound less than a day ago and did not change since."""
    try:
        kept = json.loads(_place(path).read_text(encoding="ascii"))
        state, at_s = kept["state"], float(kept["at_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return 0 <= time.time() - at_s < KEPT_S and state == state_of(path)


def remember(path: Path, state: _State | None, at_s: float) -> None:
    """Keep that the file in this state was found sound, at ``at_s``, s since 1970."""
    if state is None:
        return
    place = _place(path)
    temporary = place.with_suffix(f".{os.getpid()}.part")
    # Without it the next program looks again: no harm.
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"state": state, "at_s": at_s}), encoding="ascii")
        temporary.replace(place)
        _forget_old(place.parent)


def _place(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    return user_cache_dir() / "sound-projects" / f"{name}.json"


def _forget_old(folder: Path) -> None:
    for each in folder.iterdir():
        if time.time() - each.stat().st_mtime > KEPT_S:
            each.unlink(missing_ok=True)
