"""Tell files and folders from what only looks like them: opening a named pipe would wait for ever."""

from __future__ import annotations

import os
import stat

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: str | os.PathLike[str]) -> str:
    """Return what a path is when it is neither file nor folder, as "a named pipe"; empty for those and for nothing.

    Raises
    ------
    OSError
        When it is there but cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - it takes a text as well
    except FileNotFoundError:
        return ""
    return next((name for is_one, name in _KINDS if is_one(mode)), "")
