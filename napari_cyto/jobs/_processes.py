"""Whether a process is still at work: asked of the system, without packages of any kind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_STILL_ACTIVE = 259
_QUERY_LIMITED = 0x1000


def process_mark(pid: int) -> str | None:
    """Return what tells this process from a later one of the same number, where the system says it (Linux)."""
    stat = _stat(pid)
    # Field 22 of proc(5): when the process started, in clock ticks since boot.
    return stat[19] if stat is not None else None


def runs(pid: int, mark: str | None = None) -> bool:
    """Return whether the process ``pid`` works, and is the one of that mark; an ended one that waits for its parent to
    take note does not.
    """
    if pid <= 0:
        return False
    if sys.platform == "win32":
        return _runs_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    stat = _stat(pid)
    return stat is None or (stat[0] not in "ZX" and mark in (None, stat[19]))


def _stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third on: the name before them may hold blanks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _runs_on_windows(pid: int) -> bool:
    # os.kill would end the process there.
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(_QUERY_LIMITED, False, pid)
    if not handle:
        return False
    try:
        code = ctypes.c_ulong()
        return bool(kernel.GetExitCodeProcess(handle, ctypes.byref(code))) and code.value == _STILL_ACTIVE
    finally:
        kernel.CloseHandle(handle)
