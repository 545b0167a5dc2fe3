"""Let long work take only the time of the processors that the window leaves."""

from __future__ import annotations

import os
import sys

import psutil

NICENESS = psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else 10


def give_way(pid: int = 0) -> None:
    """Put a process behind all that people look at, as far as the system lets us; by default this one.

    Linux wakes a window at once where the others are idle work; behind merely nicer work it waits for the end of their
    turn, some ms at each of the many times that a painting goes from thread to thread.

    Parameters
    ----------
    pid : int
        The process, before it starts threads, which inherit it; 0 is the caller's.
    """
    try:
        if sys.platform == "linux":
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        else:
            psutil.Process(pid or None).nice(NICENESS)
    except (OSError, psutil.Error):
        # It has ended already, which its watcher will tell, or may not be asked: then it works as any other.
        return
