"""Guards the processes that share work: a frozen or killed one is named, its chunks come once, nobody else can ask.

What they are given are functions of the standard library, which a process that starts anew can import.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import psutil
import pytest

from napari_cyto.errors import CytoError
from napari_cyto.inference.cluster import _local_workers as own_workers
from napari_cyto.inference.cluster._local_workers import KilledWorker, OwnWorkers

PATIENCE_S = 60.0


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnWorkers]:
    """Two workers that have answered, watched by people of little patience."""
    monkeypatch.setattr(own_workers, "_ALIVE_S", 0.05)
    monkeypatch.setattr(own_workers, "_LOOK_S", 0.05)
    workers = OwnWorkers(2, {"OMP_NUM_THREADS": "1"})
    try:
        for number in (0, 1):
            workers.submit_to(number, os.getpid).result(PATIENCE_S)
        monkeypatch.setattr(own_workers, "SILENT_S", 1.0)
        monkeypatch.setattr(own_workers, "GIVEN_UP_S", 2.0)
        yield workers
    finally:
        workers.shutdown()


def until(done: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_work_is_shared_errors_travel_and_nobody_listens(two: OwnWorkers) -> None:
    assert {two.submit(os.getpid).result(PATIENCE_S) for _ in range(2)} <= {p.pid for p in _children()}
    with pytest.raises(ZeroDivisionError):
        two.submit(divmod, 1, 0).result(PATIENCE_S)
    # What a worker cannot even read is an error of that chunk, and no end of the worker.
    with pytest.raises(Exception, match="napari_cyto_is_not_there"):
        two.submit(__import__, "napari_cyto_is_not_there").result(PATIENCE_S)
    for process in (psutil.Process(), *_children()):
        # Older versions of psutil call it otherwise.
        connections = getattr(process, "net_connections", None) or process.connections
        ports = [c for c in connections() if c.status == psutil.CONN_LISTEN]
        assert ports == [], "whoever can reach a port could have a worker run what they like"
    assert two.present() == 2
    assert two.incidents() == []


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be frozen here")
def test_a_frozen_worker_is_named_its_chunks_go_to_others_and_come_once(two: OwnWorkers) -> None:
    frozen = two.submit_to(0, os.getpid).result(PATIENCE_S)
    os.kill(frozen, signal.SIGSTOP)
    answers = [two.submit(os.getpid) for _ in range(8)]
    by = [future.result(PATIENCE_S) for future in answers]
    assert frozen not in by
    until(lambda: two.present() == 2 and not psutil.pid_exists(frozen))
    said = two.incidents()
    assert f"Worker 1 (process {frozen}) has not responded for 1 s; after" in said[0]
    assert f"Worker 1 (process {frozen}) did not respond for 2 s and was stopped; " in said[1]
    assert "a new one replaces it" in said[1]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be frozen here")
def test_one_that_wakes_in_time_goes_on(two: OwnWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_workers, "GIVEN_UP_S", PATIENCE_S)
    pid = two.submit_to(0, os.getpid).result(PATIENCE_S)
    os.kill(pid, signal.SIGSTOP)
    said: list[str] = []
    until(lambda: said.extend(two.incidents()) or said)
    os.kill(pid, signal.SIGCONT)
    assert two.submit_to(0, os.getpid).result(PATIENCE_S) == pid
    said += two.incidents()
    assert said[-1] == f"Worker 1 (process {pid}) is responding again."


def test_a_killed_worker_is_named_and_its_chunks_are_done_by_others(two: OwnWorkers) -> None:
    pid = two.submit_to(0, os.getpid).result(PATIENCE_S)
    answers = [two.submit(time.sleep, 0.2) for _ in range(6)]
    psutil.Process(pid).kill()
    assert [future.result(PATIENCE_S) for future in answers] == [None] * 6
    said: list[str] = []
    until(lambda: said.extend(two.incidents()) or said)
    assert said[0].startswith(f"Worker 1 (process {pid}) ended unexpectedly (")
    if sys.platform != "win32":
        assert "SIGKILL, which the system sends when memory runs out" in said[0]
    assert two.submit_to(0, os.getpid).result(PATIENCE_S) != pid


def test_what_ends_one_worker_after_the_other_is_given_up(two: OwnWorkers) -> None:
    deadly = two.submit(os._exit, 3)
    with pytest.raises(KilledWorker):
        deadly.result(PATIENCE_S)
    assert two.submit(divmod, 7, 3).result(PATIENCE_S) == (2, 1)
    assert sum("exit code 3" in sentence for sentence in two.incidents()) == 3


def test_work_that_is_for_one_worker_ends_with_it(two: OwnWorkers) -> None:
    with pytest.raises(CytoError, match=r"Worker 2 .* ended unexpectedly"):
        two.submit_to(1, os._exit, 3).result(PATIENCE_S)


def test_at_the_end_no_process_and_no_thread_is_left(two: OwnWorkers) -> None:
    waiting = [two.submit(time.sleep, 30) for _ in range(9)]
    pids = [p.pid for p in _children()]
    until(lambda: waiting[0].running())
    two.shutdown()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not [t for t in threading.enumerate() if t.name.startswith("worker")]
    for future in waiting:
        with pytest.raises(CancelledError):
            future.result(PATIENCE_S)
    with pytest.raises(RuntimeError):
        two.submit(os.getpid)
    assert two.present() is None


def _children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
