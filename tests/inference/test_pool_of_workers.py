"""Guards that work given to others is answered in their own words, and that a run ends when nobody is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from napari_cyto import __version__
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.cluster import pool, workers
from napari_cyto.inference.cluster._remote_network import Elsewhere
from napari_cyto.inference.cluster.chunks import WorkerFacts
from napari_cyto.inference.cluster.pool import CHUNKS_AHEAD, Farm, WorkersLost
from napari_cyto.inference.engine import tile_memory
from napari_cyto.jobs.events import CancelToken

NETWORK = Elsewhere("PyTorch", "cpu", 64, 32, 300)


class AtOnce(Executor):
    """An executor that has done its work before it is requested for it."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


class Closed(AtOnce):
    """One that takes nothing any more."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def submit(self, work: Callable[..., Any], /, *_: Any, **__: Any) -> Future[Any]:
        raise self.error


def failing(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


class KilledWorker(Exception):
    """Named as dask and this program name it."""


def test_a_chunk_is_answered_by_whoever_computes_it() -> None:
    farm = Farm(AtOnce(), 4, NETWORK)
    assert farm.answer(farm.ask(divmod, 7, 2)) == (3, 1)
    assert farm.ahead == 4 * CHUNKS_AHEAD
    with pytest.raises(ZeroDivisionError):
        farm.answer(farm.ask(divmod, 7, 0))
    with pytest.raises(CytoError, match="in its own words"):
        farm.answer(failing(CytoError("in its own words")))
    with pytest.raises(CytoError, match="Several workers ended while working on the same chunk") as caught:
        farm.answer(failing(KilledWorker()))
    assert not isinstance(caught.value, WorkersLost)
    assert not farm.lost
    farm.check()


@pytest.mark.parametrize("error", [RuntimeError("closed"), OSError("gone")])
def test_workers_that_take_nothing_are_lost(error: Exception) -> None:
    farm = Farm(Closed(error), 1, NETWORK)
    with pytest.raises(WorkersLost, match="the same command resumes it"):
        farm.ask(divmod, 7, 2)
    assert farm.lost
    with pytest.raises(WorkersLost):
        farm.check()


def test_what_is_given_up_and_what_a_disk_refuses_are_distinct() -> None:
    given_up: Future[Any] = Future()
    given_up.cancel()
    with pytest.raises(WorkersLost):
        Farm(AtOnce(), 1, NETWORK).answer(given_up)
    # A worker may fail to read its disk: that is no end of the connection while somebody is there, or nobody can say.
    for present in (None, lambda: 2, lambda: 0):
        farm = Farm(AtOnce(), 1, NETWORK, present=present)
        with pytest.raises(PermissionError):
            farm.answer(failing(PermissionError("a.svs")))
        assert not farm.lost
        farm.check()
    gone = Farm(AtOnce(), 1, NETWORK, present=lambda: None)
    with pytest.raises(WorkersLost):
        gone.answer(failing(ConnectionError("reset")))
    with pytest.raises(WorkersLost):
        Farm(AtOnce(), 1, NETWORK, present=lambda: None).check()


def test_workers_that_go_and_come_back_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, there = [time.monotonic() + 1e6], [2]
    monkeypatch.setattr(pool.time, "monotonic", lambda: now[0])
    farm = Farm(AtOnce(), 2, NETWORK, present=lambda: there[0])

    def later(workers_now: int | None, seconds: float = 5.0) -> str | None:
        now[0] += seconds
        there[0] = workers_now  # type: ignore[call-overload]
        return farm.news()

    assert [later(2), later(0), later(0), later(3), later(3)] == [
        None, "All workers are gone; waiting for one to join.", None, "3 workers are available again.", None,
    ]  # fmt: skip
    # Asked every five seconds, not at each chunk.
    assert later(0, 4.9) is None
    assert later(0, 0.1) == "All workers are gone; waiting for one to join."
    assert later(None, 1.0) is None
    with pytest.raises(WorkersLost):
        later(None)
    assert farm.lost
    assert Farm(AtOnce(), 2, NETWORK).news() is None


def test_what_happened_to_workers_is_reported_once_and_kept() -> None:
    happened = iter([["Worker 1 ended."], [], ["Worker 2 ended."]])
    farm = Farm(AtOnce(), 2, NETWORK, incidents=lambda: next(happened))
    assert [farm.new_incidents() for _ in range(3)] == [["Worker 1 ended."], [], ["Worker 2 ended."]]
    assert farm.happened == ["Worker 1 ended.", "Worker 2 ended."]
    assert Farm(AtOnce(), 2, NETWORK).new_incidents() == []


def fact(version: str = __version__, device: str = "cpu", tile_px: int = 1024, quick: bool = True) -> WorkerFacts:
    return WorkerFacts(version, Elsewhere("PyTorch", device, 64, 32, 300), tile_px, quick)


def ready(answer: WorkerFacts | Exception) -> Future[WorkerFacts]:
    return AtOnce().submit(lambda: answer) if isinstance(answer, WorkerFacts) else failing(answer)


def test_the_first_worker_loads_its_models_before_the_others_get_work() -> None:
    requested: list[object] = []

    def ask(worker: object) -> Future[WorkerFacts]:
        requested.append(worker)
        future: Future[WorkerFacts] = Future()
        if worker == "a":
            assert requested == ["a"]
        future.set_result(fact(tile_px=len(requested)))
        return future

    assert [each.tile_px for each in workers._facts(ask, ["a", "b", "c"], None)] == [1, 2, 3]
    assert requested == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (fact("0.0.1"), rf"worker 2 has napari-cyto 0\.0\.1, but this machine has {__version__}"),
        (CytoError("No such device."), r"worker 2 cannot do this: No such device\.$"),
        (ValueError("one\n two"), r"worker 2 cannot do this \(ValueError: one two\); scheduler and workers need"),
    ],
)
def test_a_worker_that_cannot_do_it_is_named(answer: WorkerFacts | Exception, says: str) -> None:
    with pytest.raises(CytoError, match=says):
        workers._facts(lambda worker: ready(answer if worker == 1 else fact()), [0, 1], None)
    with pytest.raises(CytoError, match=says.replace("worker 2", "worker tcp://b")):
        workers._facts(lambda _: ready(answer), ["tcp://b"], None)


def test_silent_workers_are_waited_for_taken_out_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Future[WorkerFacts] = Future()
    asks = {"a": ready(fact()), "b": silent, "c": ready(fact())}
    assert len(workers._facts(asks.__getitem__, ["a", "b", "c"], None, lambda: {"b"})) == 2
    with pytest.raises(CytoError, match="No worker of the cluster responds"):
        workers._facts(lambda _: silent, ["b"], None, lambda: ["b"])
    with pytest.raises(CytoError, match="No worker of the cluster responds"):
        workers._facts(lambda _: silent, [], None)
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled, match="Nothing was found yet"):
        workers._facts(lambda _: silent, ["b"], token)
    monkeypatch.setattr(workers, "FACTS_S", 0.1)
    begun = time.monotonic()
    with pytest.raises(CytoError, match="worker b did not respond in 0 s"):
        workers._facts(lambda _: silent, ["b"], None)
    assert 0.1 <= time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://10.0.0.5:8786", True),
        ("tcp://node.lab.org:8786", True),
        ("tcp://[2001:db8::1]:8786", True),
        ("tcp://12.0.0.1:8786", True),
        ("tls://10.0.0.5:8786", False),
        ("tcp://localhost:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("inproc://1.2.3.4/1", False),
    ],
)
def test_who_else_could_answer_is_said(address: str, said: bool) -> None:
    remarks = workers._trusted(address)
    assert len(remarks) == said
    assert all(address in remark and "not encrypted" in remark for remark in remarks)


def test_as_many_workers_start_as_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tile = 1000
    each = tile * tile * tile_memory.BYTES_PER_PX
    for free, fits in ((tile_memory.SPARE_BYTES + 3 * each, 3), (tile_memory.SPARE_BYTES + 3 * each - 1, 2),
                       (each, 1), (0, 1), (100 * each, 8), (None, 8)):  # fmt: skip
        monkeypatch.setattr(workers, "free_bytes", lambda free=free: free)
        assert workers._that_fit(8, tile) == fits
    monkeypatch.setattr(workers, "free_bytes", lambda: tile_memory.SPARE_BYTES + 3 * each)
    monkeypatch.setattr(workers, "tile_side", lambda: 2 * tile)
    assert workers._that_fit(8, None) == 1


class Client:
    """What is requested of dask's client."""

    def __init__(self, status: str, threads: int | None) -> None:
        self.status, self.threads = status, threads

    def nthreads(self) -> dict[str, int]:
        if self.threads is None:
            raise OSError
        return dict.fromkeys(map(str, range(self.threads)), 1)


@pytest.mark.parametrize(
    ("client", "present"),
    [
        (Client("running", 2), 2),
        (Client("running", 0), 0),
        (Client("running", None), None),
        (Client("closed", 2), None),
    ],
)
def test_workers_are_counted_while_the_scheduler_is_there(client: Client, present: int | None) -> None:
    assert workers._present(client) == present


@pytest.mark.parametrize(
    ("free_mib", "side"),
    [(None, 2304), (10**6, 2304), (512 + 1400, 1792), (512 + 1200, 1792), (512 + 1050, 1536), (512 + 88, 512)],
)
def test_tiles_are_as_large_as_the_memory_lets_them(
    monkeypatch: pytest.MonkeyPatch, free_mib: int | None, side: int
) -> None:
    free = None if free_mib is None else free_mib * 2**20
    monkeypatch.setattr(tile_memory, "free_bytes", lambda: free)
    room = tile_memory.MOST_BYTES if free is None else min(tile_memory.MOST_BYTES, free - tile_memory.SPARE_BYTES)
    expected = max(each for each in tile_memory.SIDES_PX if each * each * 350 <= room)
    assert tile_memory.tile_side() == expected
    assert expected <= max(side, 2304)
    # A graphics card has memory of its own.
    monkeypatch.setattr(tile_memory, "free_bytes", lambda: 0)
    assert tile_memory.tile_side("cuda") == tile_memory.tile_side("cuda", 350) == 2048
    with pytest.raises(CytoError, match=r"Looking for cells needs about 599 MiB of memory, but only 0 MiB are free"):
        tile_memory.tile_side()


def test_an_unfinished_run_goes_on_with_its_own_tiles_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, of_torch, of_openvino = 2**20, tile_memory.BYTES_PER_PX, tile_memory.OPENVINO_BYTES_PER_PX
    spare = tile_memory.SPARE_BYTES
    for free, each, many in ((None, of_torch, 4), (spare + pixels * of_torch, of_torch, 4),
                             (spare + pixels * of_torch - 1, of_torch, 1), (pixels * of_torch, of_torch, 1),
                             (pixels * of_openvino // 2, of_openvino, 1)):  # fmt: skip
        monkeypatch.setattr(tile_memory, "free_bytes", lambda free=free: free)
        assert tile_memory.tiles_at_a_time(pixels, each, 4) == many
    for each, needed in ((of_torch, 350), (of_openvino, 160)):
        monkeypatch.setattr(tile_memory, "free_bytes", lambda needed=needed: pixels * needed - 1)
        with pytest.raises(CytoError, match=f"about {needed} MiB of memory, but only {needed - 1} MiB are free"):
            tile_memory.tiles_at_a_time(pixels, each, 4)


def test_what_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_memory, "free_bytes", lambda: tile_memory.SPARE_BYTES + 2**20)
    tile_memory.need_memory(2**20, "It")
    with pytest.raises(CytoError, match="It needs about 513 MiB of memory, but only 513 MiB are free"):
        tile_memory.need_memory(2**20 + 1, "It")
    monkeypatch.setattr(tile_memory, "free_bytes", lambda: None)
    tile_memory.need_memory(2**50, "It")


@pytest.mark.parametrize(
    ("size", "reckoned"),
    [((512, 3), (512, 512)), ((3, 513), (768, 768)), ((1024, 1024), (1024, 1024)), ((1025, 31), (1056, 32))],
)
def test_a_field_costs_its_square_and_a_large_tile_itself(size: tuple[int, int], reckoned: tuple[int, int]) -> None:
    assert tile_memory.reckoned_hw(*size, 32) == reckoned


def test_a_system_that_does_not_say_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (tile_memory.free_bytes() or 0) > 0

    def refuse() -> Any:
        raise OSError

    monkeypatch.setattr(tile_memory.psutil, "virtual_memory", refuse)
    assert tile_memory.free_bytes() is None


def test_nothing_is_computed_where_a_network_is_elsewhere() -> None:
    assert Elsewhere.of(NETWORK) == NETWORK  # type: ignore[arg-type]
    NETWORK.ready(1, 1)
    with pytest.raises(AssertionError, match="on workers"):
        NETWORK.cells(None, 0.5)  # type: ignore[arg-type]
