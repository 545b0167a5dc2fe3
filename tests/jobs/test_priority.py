"""Guards that long work is put behind the window, and that a process which has ended is no trouble."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from napari_cyto.jobs.priority import NICENESS, give_way


def test_a_process_is_put_behind_what_people_look_at() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid)
        if sys.platform == "linux":
            assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        else:
            assert psutil.Process(process.pid).nice() == NICENESS
        process.kill()
    give_way(process.pid)
