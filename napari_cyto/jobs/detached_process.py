"""Start a training run as a process of its own, which outlives the window, and see whether it still lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.jobs.priority import give_way

# Python complains of a process that is forgotten while it works; these shall outlive whoever started them.
_STARTED: list[subprocess.Popen[bytes]] = []
_FLAGS = 0
if sys.platform == "win32":
    _FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW


def child_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a run: the user's, with the allocator told to keep memory."""
    return {**environ, **ALLOCATOR, "PYTHONUNBUFFERED": "1"}


def start_detached(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``python -m napari_cyto WORDS`` so that it goes on when its starter ends; returns at once.

    Parameters
    ----------
    words : sequence of str
        The command line after the program's name.
    log : Path
        Where its stdout and stderr go.
    """
    command = [sys.executable, "-m", "napari_cyto", *words]
    with log.open("ab") as target:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=target,
            env=child_environment(),
            creationflags=_FLAGS,
            start_new_session=sys.platform != "win32",
        )
    # The window goes first: a run takes all cores, but only what is left of them.
    give_way(process.pid)
    _STARTED.append(process)
    return process
