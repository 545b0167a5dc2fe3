"""The window's end of the process that keeps models loaded: started when it is needed, seen when it dies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress

from napari_cyto.inference.orders import AT_ONCE, Answer, Order
from napari_cyto.jobs.detached_process import child_environment

WAIT_FOR_END_S = 1.0


class InferenceLink:
    """One warm child process; a new one takes the place of one that has gone.

    Parameters
    ----------
    gives_way : bool
        Whether it works behind everything else on the machine. Not where somebody waits for each of its answers: it
        then also keeps to one thread, for on the few small crops of a click several wait longer for each other than
        they work (2 threads on 2 busy cores take twice as long as one).
    """

    def __init__(self, *, gives_way: bool = True) -> None:
        self._gives_way = gives_way
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._answers: deque[Answer] = deque()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's number, while there is one."""
        return self._process.pid if self._process is not None and self.alive else None

    def send(self, order: Order, start: bool = True) -> bool:
        """Send an order, to a new process where there is none and ``start`` says so; return whether one took it."""
        if not self.alive:
            if not start:
                return False
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order.to_json()).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def answers(self) -> list[Answer]:
        """Return what was answered since the last call; never waits."""
        found = []
        while self._answers:
            found.append(self._answers.popleft())
        return found

    def kill(self) -> None:
        """End the process at once; what it wrote into the project stays."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._listener is not None:
            self._listener.join(WAIT_FOR_END_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What was not taken any more by a process that has gone is nobody's loss.
                with suppress(OSError):
                    pipe.close()
        self._answers.clear()

    def close(self) -> None:
        """Let the process end by itself, and end it when it does not."""
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.close()
            process.wait(WAIT_FOR_END_S)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def _start(self) -> None:
        self.kill()
        self._answers = deque()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "napari_cyto.inference.server", *(() if self._gives_way else (AT_ONCE,))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment() | ({} if self._gives_way else {"OMP_NUM_THREADS": "1"}),
        )
        self._listener = threading.Thread(
            target=_listen, args=(self._process, self._answers), name="answers", daemon=True
        )
        self._listener.start()


def _listen(process: subprocess.Popen[bytes], answers: deque[Answer]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            answer = Answer.from_json(json.loads(line))
        except ValueError:
            # Half a line: the process was killed while it spoke, which is seen by its end.
            return
        if answer is not None:
            answers.append(answer)
