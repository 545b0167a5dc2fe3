"""What a command costs: it runs in a process of its own, whose core seconds and memory the system counts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def child_cost(words: tuple[str, ...], *, may_refuse: bool = False) -> tuple[dict[str, Any], str]:
    """Return what `python WORDS` costs, and what it printed.

    Parameters
    ----------
    words : tuple of str
        What follows the interpreter.
    may_refuse : bool
        Whether exit code 2, a judgement in words, is as good as 0.

    Returns
    -------
    dict
        ``core_s`` (user and system, ended children included), ``wall_s``, ``peak_mb`` (10^6 bytes of resident memory of
        the largest process).
    str
        The standard output.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryFile() as out:
        # What the program remembers on its way is none of the person's.
        environment = {**os.environ, "NAPARI_CYTO_DATA": str(Path(data))}
        child = subprocess.Popen([sys.executable, *words], stdout=out, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - started
        out.seek(0)
        said = out.read().decode("utf-8")
    if child.returncode and not (may_refuse and child.returncode == 2):
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}.")
    peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    core_s = used.ru_utime + used.ru_stime
    return {"core_s": round(core_s, 2), "wall_s": round(wall_s, 2), "peak_mb": round(peak_bytes / 1e6)}, said
