"""Whether a process is still at work."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil


def process_mark(pid: int) -> str | None:
    """Return what tells this process from a later one of the same number; None where there is none or nobody says."""
    if sys.platform == "linux":
        # Field 22 of proc(5), clock ticks since boot: psutil's time since 1970 moves when the clock is set.
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (OSError, IndexError):
            return None
    try:
        return repr(psutil.Process(pid).create_time())
    except (psutil.Error, OverflowError):
        return None


def runs(pid: int, mark: str | None = None) -> bool:
    """Return whether the process ``pid`` works, and is the one of that mark; an ended one that waits for its parent to
    take note does not.
    """
    if pid <= 0:
        return False
    try:
        has_ended = psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.AccessDenied:  # somebody else's
        return True
    except (psutil.NoSuchProcess, OverflowError):
        return False
    here = None if mark is None else process_mark(pid)
    return not has_ended and (here is None or here == mark)
