"""The process that opens what a test draws, seen from the test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CHILD = Path(__file__).with_name("opener_child.py")


class Opener:
    """The process that opens what is drawn; started again when a file ended it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process: subprocess.Popen[str] | None = None

    def opened(self, data: bytes | None = None) -> tuple[str, float, float]:
        """Return what came of it (of what is there already, without data), seconds of the processor, and MB."""
        if data is not None:
            self.path.write_bytes(data)
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{self.path}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            self._process = None
            return f"ended with {process.wait()}", 0.0, 0.0
        what, seconds, megabytes = json.loads(answer)
        return what, seconds, megabytes

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(CHILD)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
