"""A module run as a program of its own that may take only so much memory and time: native code on a stranger's file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import psutil

from napari_cyto.jobs.detached_process import child_environment

LOOK_S = 0.05
MOST_OUTPUT_BYTES = 1 << 20
LIMIT_OPTION = "--memory-bytes"
PATIENCE = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How such a program ended.

    Parameters
    ----------
    ended : str
        ``done`` by itself, whatever its exit code; ``memory`` or ``time`` when it was ended for taking too much.
    code : int
        Its exit code; negative for a signal.
    output, errors : str
        What it wrote, the first part.
    peak_bytes : int
        The most memory it was seen with.
    """

    ended: Literal["done", "memory", "time"]
    code: int
    output: str
    errors: str
    peak_bytes: int


def run_limited(module: str, arguments: Sequence[str], memory_bytes: int, seconds: float) -> Outcome:
    """Run ``python -m module arguments`` and wait for its end, which comes at the latest when a limit is passed.

    Parameters
    ----------
    module : str
        One that calls `limit_own_memory` before anything else, so that one large allocation is refused at once.
    arguments : sequence of str
        Its command line, after the module.
    memory_bytes : int
        The most that it may hold.
    seconds : float
        The most of the processor's time that it may take; waiting for others it may take `PATIENCE` times as long.
    """
    command = [sys.executable, "-m", module, LIMIT_OPTION, str(memory_bytes), *arguments]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=child_environment()
        )
        try:
            ended, peak = _watched(process, memory_bytes, seconds)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        return Outcome(ended, process.returncode, _start_of(output), _start_of(errors), peak)


def limit_own_memory(memory_bytes: int) -> None:
    """Have the system refuse this process more memory than it has now and ``memory_bytes``; where it can, at once."""
    try:
        import resource
    except ImportError:  # Windows, where only the parent looks
        return
    with suppress(OSError, ValueError, psutil.Error):
        most = psutil.Process().memory_info().vms + memory_bytes
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def _watched(
    process: subprocess.Popen[bytes], memory_bytes: int, seconds: float
) -> tuple[Literal["done", "memory", "time"], int]:
    peak, used_s, until_s = 0, 0.0, time.monotonic() + PATIENCE * seconds
    while process.poll() is None:
        with suppress(psutil.Error):
            seen = psutil.Process(process.pid)
            peak, used_s = max(peak, int(seen.memory_info().rss)), sum(seen.cpu_times()[:2])
        if peak > memory_bytes:
            return "memory", peak
        if used_s > seconds or time.monotonic() > until_s:
            return "time", peak
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
    return "done", peak


def _start_of(stream: object) -> str:
    stream.seek(0)  # type: ignore[attr-defined]
    content: bytes = stream.read(MOST_OUTPUT_BYTES)  # type: ignore[attr-defined]
    return content.decode("utf-8", "replace")
