"""Worker processes of this machine: asked through pipes that nobody else can open, and watched.

There is no port and no scheduler: a pipe is open between this process and its child only, so no other user of the
machine can ask a worker for anything, or answer in its place. Each worker says every second that it is there. One that
is frozen is named, then ended; the chunks that a worker had go to others, and it cannot answer any more, so that no
answer comes twice.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError

THREADS = 2
"""Of each worker: one reads while the other computes."""

SILENT_S = 10.0
"""A worker that is not heard of for so long is named, and gets no more chunks."""

GIVEN_UP_S = 30.0
"""After so long it is ended, and others take its chunks."""

_ALIVE_S = 1.0
_LOOK_S = 0.5
_ASLEEP_S = 5.0
"""When this process itself did not run for so long, the silence of others says nothing."""

_MOST_ENDS = 3
"""Of workers on one chunk, and of one worker that never answered."""

_CHUNKS = THREADS + 1
"""In the hands of a worker at a time: those that it works on, and the next one."""


@dataclass(eq=False)
class _Chunk:
    number: int
    work: bytes
    future: Future[Any]
    only_for: int | None = None
    ends: int = 0


@dataclass(eq=False)
class _Worker:
    number: int
    process: Any
    pipe: Connection
    heard_s: float
    ends: int = 0
    chunks: dict[int, _Chunk] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    has_answered: bool = False
    silent: bool = False
    reader: threading.Thread | None = None

    @property
    def name(self) -> str:
        return f"Worker {self.number + 1} (process {self.process.pid})"


class OwnWorkers(Executor):
    """Processes of this machine that compute chunks.

    Parameters
    ----------
    count : int
        How many.
    environment : mapping
        What their environment holds besides this one's.
    log : Path or None
        The file that takes what libraries print there; nowhere when not given.
    """

    def __init__(self, count: int, environment: Mapping[str, str], log: Path | None = None) -> None:
        self._environment, self._log = dict(environment), log
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._waiting: deque[_Chunk] = deque()
        self._numbers = 0
        self._said: deque[str] = deque()
        self._workers: dict[int, _Worker] = {}
        self._closing = self._gone = False
        # What workers said, None at their end; (None, None) when there is something to give out.
        self._inbox: queue.SimpleQueue[tuple[_Worker | None, tuple[Any, ...] | None]] = queue.SimpleQueue()
        self._started = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, args=(count,), name="workers", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._fault is not None:
            raise CytoError(f"No worker process could be started here ({self._fault}).") from self._fault

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Give out a chunk to whoever has time."""
        return self.submit_to(None, work, *arguments, **named)

    def submit_to(self, worker: int | None, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Give out a chunk to one worker; when that ends in the middle of it, nobody else takes it."""
        future: Future[Any] = Future()
        blob = pickle.dumps((work, arguments, named))
        with self._lock:
            if self._closing or self._gone:
                raise RuntimeError("the workers are gone")
            self._numbers += 1
            self._waiting.append(_Chunk(self._numbers, blob, future, worker))
        self._wake()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End all workers at once: none of them holds anything that is wanted."""
        self._closing = True
        self._wake()
        self._thread.join()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the workers that are there."""
        return sorted(self._workers)

    def present(self) -> int | None:
        """Return how many workers there are; None when there is none any more, and none will come."""
        return None if self._gone or self._closing else len(self._workers)

    def incidents(self) -> list[str]:
        """Return what happened to workers since the last call, a sentence each."""
        found = []
        while self._said:
            found.append(self._said.popleft())
        return found

    def _wake(self) -> None:
        self._inbox.put((None, None))

    # All that follows runs in one thread, which alone knows the workers.

    def _watch(self, count: int) -> None:
        if sys.platform != "win32":
            # Processes start deaf to Ctrl-C like this thread: the other one hears it, and ends them.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for number in range(count):
                self._workers[number] = self._start(number, 0)
        except OSError as error:
            self._fault, self._closing = error, True
        finally:
            self._started.set()
        looked_s = time.monotonic()
        while not self._closing:
            self._listen()
            now_s = time.monotonic()
            if now_s - looked_s > _ASLEEP_S:
                for worker in self._workers.values():
                    worker.heard_s = now_s
            looked_s = now_s
            self._look_for_silent(now_s)
            self._hand_out()
        self._end()

    def _start(self, number: int, ends: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._log, _ALIVE_S), name=f"worker {number + 1}")
        process.daemon = True
        before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        try:
            process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            theirs.close()
        worker = _Worker(number, process, ours, time.monotonic(), ends)
        worker.reader = threading.Thread(target=self._read, args=(worker,), name=f"worker {number + 1}", daemon=True)
        worker.reader.start()
        return worker

    def _listen(self) -> None:
        """Take what was said, and wait for a while where nothing was."""
        timeout_s = _LOOK_S
        while True:
            try:
                worker, message = self._inbox.get(timeout=timeout_s) if timeout_s else self._inbox.get_nowait()
            except queue.Empty:
                return
            timeout_s = 0.0
            if worker is None or self._workers.get(worker.number) is not worker:
                continue
            if message is None:
                self._lost(worker, f"{worker.name} ended unexpectedly ({_why_ended(worker)})")
            else:
                self._answered(worker, message)

    def _read(self, worker: _Worker) -> None:
        """Pass on what a worker says, in a thread of its own: one that is frozen in its midst holds up no other."""
        try:
            while True:
                self._inbox.put((worker, pickle.loads(worker.pipe.recv_bytes())))
        except (EOFError, OSError, pickle.UnpicklingError):
            self._inbox.put((worker, None))

    def _answered(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        worker.heard_s = time.monotonic()
        if worker.silent:
            worker.silent = False
            self._said.append(f"{worker.name} is responding again.")
        kind, *rest = message
        if kind == "begun":
            worker.begun.add(rest[0])
        elif kind in ("done", "failed"):
            worker.has_answered, worker.ends = True, 0
            worker.begun.discard(rest[0])
            chunk = worker.chunks.pop(rest[0])
            if kind == "done":
                chunk.future.set_result(rest[1])
            else:
                chunk.future.set_exception(rest[1])

    def _look_for_silent(self, now_s: float) -> None:
        for worker in list(self._workers.values()):
            quiet_s = now_s - worker.heard_s
            # Until its first answer it may be busy with the libraries of a slow disk.
            if not worker.has_answered or quiet_s < SILENT_S:
                continue
            if quiet_s >= GIVEN_UP_S:
                self._lost(worker, f"{worker.name} did not respond for {GIVEN_UP_S:.0f} s and was stopped")
            elif not worker.silent:
                worker.silent = True
                self._said.append(
                    f"{worker.name} has not responded for {SILENT_S:.0f} s; after {GIVEN_UP_S:.0f} s other workers "
                    "take over its chunks."
                )

    def _lost(self, worker: _Worker, what: str) -> None:
        """End a worker for good, give its chunks to others, and start a new one in its place."""
        _kill(worker)
        del self._workers[worker.number]
        again = []
        for number, chunk in sorted(worker.chunks.items()):
            chunk.ends += number in worker.begun
            if chunk.only_for is not None:
                chunk.future.set_exception(CytoError(f"{what}."))
            elif chunk.ends >= _MOST_ENDS:
                chunk.future.set_exception(KilledWorker())
            else:
                again.append(chunk)
        with self._lock:
            self._waiting.extendleft(reversed(again))
        if worker.ends + 1 >= _MOST_ENDS:
            then = "it is not replaced, since it ended before it had returned anything"
        else:
            self._workers[worker.number] = self._start(worker.number, worker.ends + 1)
            then = "a new one replaces it"
        chunks = f"{counted(len(again), 'chunk goes', 'chunks go')} to other workers" if again else ""
        self._said.append(f"{what}; {', '.join(part for part in (chunks, then) if part)}.")
        if not self._workers:
            self._fail_all()

    def _fail_all(self) -> None:
        with self._lock:
            self._gone = True
            chunks, self._waiting = list(self._waiting), deque()
        for chunk in chunks:
            if not chunk.future.cancel() and not chunk.future.done():
                chunk.future.set_exception(CancelledError())

    def _hand_out(self) -> None:
        with self._lock:
            chunks, self._waiting = self._waiting, deque()
        left = [chunk for chunk in chunks if not self._given(chunk)]
        with self._lock:
            self._waiting.extendleft(reversed(left))

    def _given(self, chunk: _Chunk) -> bool:
        """Give a chunk to the one with most time; return False where it must wait."""
        if chunk.only_for is None:
            free = [w for w in self._workers.values() if len(w.chunks) < _CHUNKS and not w.silent]
        else:
            free = [w for w in self._workers.values() if w.number == chunk.only_for]
        if not free:
            return False
        # One that was given out before is running already, and cannot be cancelled any more.
        if not chunk.future.running() and not chunk.future.set_running_or_notify_cancel():
            return True
        worker = min(free, key=lambda w: (len(w.chunks), w.number))
        worker.chunks[chunk.number] = chunk
        try:
            worker.pipe.send_bytes(pickle.dumps((chunk.number, chunk.work)))
        except OSError:
            return True  # its end is seen in the next round, which takes the chunk back
        return True

    def _end(self) -> None:
        for worker in self._workers.values():
            _kill(worker)
            for chunk in worker.chunks.values():
                chunk.future.set_exception(CancelledError())
        self._fail_all()
        self._workers.clear()


class KilledWorker(Exception):
    """Several workers ended in the middle of one chunk."""


def _kill(worker: _Worker) -> None:
    # A frozen process can be killed, but not asked to end.
    worker.process.kill()
    worker.process.join()
    if worker.reader is not None:
        worker.reader.join()
    worker.pipe.close()


def _why_ended(worker: _Worker) -> str:
    worker.process.join(1.0)
    code = worker.process.exitcode
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, which the system sends when memory runs out" if name == "SIGKILL" else name


def _serve(pipe: Connection, log: Path | None, alive_s: float) -> None:
    """Do a worker's work, till nobody asks any more."""
    _print_into(log)
    lock = threading.Lock()

    def say(*message: Any) -> None:
        blob = pickle.dumps(message)
        try:
            with lock:
                pipe.send_bytes(blob)
        except OSError:
            os._exit(0)  # whoever asked has gone

    def live() -> None:
        while True:
            say("alive")
            time.sleep(alive_s)

    threading.Thread(target=live, name="alive", daemon=True).start()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="chunk")
    while True:
        try:
            number, work = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            # At once, whatever is computed: nobody waits for it.
            os._exit(0)
        pool.submit(_do, say, number, work)


def _do(say: Callable[..., None], number: int, blob: bytes) -> None:
    say("begun", number)
    try:
        work, arguments, named = pickle.loads(blob)
        answer = ("done", number, work(*arguments, **named))
        pickle.dumps(answer)
    except BaseException as error:  # noqa: BLE001  whatever it is, it is the chunk's answer
        answer = ("failed", number, _that_travels(error))
    say(*answer)


def _that_travels(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  an error of any library
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _print_into(log: Path | None) -> None:
    """Keep what libraries print out of the way of the one sentence."""
    try:
        target = os.open(os.devnull if log is None else log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        target = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)
