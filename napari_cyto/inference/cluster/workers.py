"""Workers: processes of this machine's own, or those of a dask cluster that is there already."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from napari_cyto import __version__
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.files.user_folders import log_path
from napari_cyto.inference.cluster._local_workers import OwnWorkers
from napari_cyto.inference.cluster._watch import ClusterWatch
from napari_cyto.inference.cluster.chunks import ModelReference, WorkerFacts, facts
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.engine.tile_memory import BYTES_PER_PX, SPARE_BYTES, free_bytes, tile_side
from napari_cyto.inference.request import ComputesOn
from napari_cyto.inference.runtimes.devices import configured_threads
from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled

CONNECT_S = 10.0
CLOSE_S = 5.0
FACTS_S = 180.0
"""The first time a worker imports torch, from a shared disk at that."""


@contextmanager
def workers_for(
    request: ComputesOn,
    models: tuple[ModelReference, ...],
    workers: int | None,
    scheduler: str | None,
    token: Token | None = None,
    tile_px: int | None = None,
) -> Iterator[Farm]:
    """Have workers while the block runs: ``workers`` of this machine's own, else those behind ``scheduler``.

    Parameters
    ----------
    request : ComputesOn
        What they will compute on and in which precision.
    models : tuple of ModelReference
        What they will be asked to compute with.
    workers : int or None
        Processes of this machine.
    scheduler : str or None
        Address of the scheduler of a cluster.
    token : Token, optional
        Asks to stop.
    tile_px : int, optional
        The tiles of an unfinished run, which need memory in each.

    Raises
    ------
    CytoError
        When dask.distributed is missing, nobody answers at the address, or a worker cannot do the work.
    """
    if scheduler is None:
        with _own(request, models, workers or 1, token, tile_px) as farm:
            yield farm
        return
    distributed = _distributed()
    with ExitStack() as stack:
        remarks = []
        client = stack.enter_context(_connected(distributed, scheduler))

        def ask(worker: str) -> Future[WorkerFacts]:
            submitted: Future[WorkerFacts] = client.submit(facts, request, models, workers=[worker], pure=False)
            return submitted

        watch = ClusterWatch(client, scheduler)
        stack.callback(watch.close)
        known = _facts(ask, list(client.nthreads()), token, watch.check)
        watch.have_loaded()
        if not all(each.quick_memory for each in known):
            settings = " ".join(f"{name}={value}" for name, value in ALLOCATOR.items())
            remarks.append(f"Workers compute faster when they are started with {settings} in their environment.")
        ways = sorted({_way(each) for each in known})
        if len(ways) > 1:
            remarks.append(f"Workers compute in different ways ({', '.join(ways)}); results differ in the last digits.")
        remarks += _trusted(scheduler)
        executor = client.get_executor(pure=False)
        stack.callback(shut_down, executor)
        yield Farm(
            executor,
            workers=len(known),
            detector=known[0].detector,
            tile_px=min(each.tile_px for each in known),
            remarks=tuple(remarks),
            present=watch.present,
            incidents=watch.incidents,
            encoder_title=known[0].encoder_title,
        )


def shut_down(executor: Any) -> None:
    """Give up what was asked of a cluster and not answered; one that is gone has given it up already.

    Parameters
    ----------
    executor : distributed.cfexecutor.ClientExecutor
        That asked.
    """
    gone = _distributed().client.ClosedClientError
    with suppress(gone, OSError, TimeoutError):
        executor.shutdown(wait=False)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise CytoError(
            'Working on a cluster needs dask.distributed: pip install "napari-cyto[cluster]" installs it.'
        ) from error
    return distributed


def _that_fit(workers: int, tile_px: int | None) -> int:
    """Return for how many workers with tiles as large as one process would take there is memory, at least one."""
    free, side = free_bytes(), tile_px or tile_side()
    if free is None:
        return workers
    return max(1, min(workers, (free - SPARE_BYTES) // (side * side * BYTES_PER_PX)))


@contextmanager
def _own(
    request: ComputesOn,
    models: tuple[ModelReference, ...],
    n_workers: int,
    token: Token | None,
    tile_px: int | None,
) -> Iterator[Farm]:
    """Start worker processes and leave none behind; one that dies is started anew."""
    workers = _that_fit(n_workers, tile_px)
    remarks = (
        [f"There is memory for {counted(workers, 'worker')} here, not for {n_workers}."] if workers < n_workers else []
    )
    threads = str(configured_threads() or max(1, _cores() // workers))
    environment = {**ALLOCATOR, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"}
    executor = OwnWorkers(workers, environment, log_path("workers"))
    try:

        def ask(worker: int) -> Future[WorkerFacts]:
            return executor.submit_to(worker, facts, request, models)

        known = _facts(ask, executor.numbers, token)
        executor.incidents()
        yield Farm(
            executor,
            workers=len(known),
            detector=known[0].detector,
            # Tiles are those of one process, so that the answers are the same; the workers are fewer if need be.
            tile_px=None,
            remarks=tuple(remarks),
            present=executor.present,
            incidents=executor.incidents,
            encoder_title=known[0].encoder_title,
        )
    finally:
        executor.shutdown()


@contextmanager
def _connected(distributed: Any, address: str) -> Iterator[Any]:
    with _quiet():
        try:
            client = distributed.Client(address, timeout=CONNECT_S)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CytoError(
                f"No dask scheduler answers at {address!r}; it is started by `dask scheduler`, which prints its "
                "address, like tcp://10.0.0.5:8786."
            ) from error
        try:
            if not _present(client):
                raise CytoError(f"The scheduler at {address} has no workers; start some with `dask worker {address}`.")
            yield client
        finally:
            # Of a scheduler that is gone nobody takes leave.
            with suppress(Exception):
                client.close(timeout=CLOSE_S)


def _trusted(address: str) -> list[str]:
    """Return what is trusted of a cluster, where others could be in its place."""
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    if not address.startswith("tcp://") or host in ("localhost", "::1") or host.startswith("127."):
        return []
    return [
        f"The connection to {address} is not encrypted: scheduler and workers run whatever reaches their ports, and "
        "what they answer is trusted; have it in a network of your own only, or use tls:// (docs/safety.md)."
    ]


def _facts(
    ask: Callable[[Any], Future[WorkerFacts]],
    workers: Sequence[object],
    token: Token | None,
    taken_out: Callable[[], Collection[object]] = tuple,
) -> list[WorkerFacts]:
    """Ask all workers what they are, but for those that are taken out; they load their models, the first one alone.

    What is made of a model once and kept beside it is then made by one of them, and found by the others.

    Raises
    ------
    CytoError
        When one cannot do the work; the sentence says which and why.
    JobCancelled
        When the token says so.
    """
    known: list[WorkerFacts] = []
    for some in (workers[:1], workers[1:]):
        new = {each: ask(each) for each in some}
        until_s = time.monotonic() + FACTS_S
        while not all(future.done() for future in new.values()) and time.monotonic() < until_s:
            stop_if_cancelled(token, "Nothing was found yet.")
            for silent in new.keys() & set(taken_out()):
                del new[silent]
            time.sleep(0.05)
        for worker, future in new.items():
            known.append(_fact(_called(worker), future))
            if (version := known[-1].version) != __version__:
                raise CytoError(
                    f"The worker {_called(worker)} has napari-cyto {version}, but this machine has {__version__}; "
                    "install the same version on both."
                )
    if not known:
        raise CytoError("No worker of the cluster responds; check that they are running, and the network.")
    return known


def _way(known: WorkerFacts) -> str:
    detector = known.detector
    parts = ["" if detector is None else f"{detector.title} on {detector.device}", known.encoder_title]
    return ", ".join(part for part in parts if part)


def _called(worker: object) -> str:
    return str(worker + 1) if isinstance(worker, int) else str(worker)


def _fact(address: str, future: Any) -> WorkerFacts:
    if not future.done():
        raise CytoError(f"The worker {address} did not respond in {FACTS_S:.0f} s; check whether it is busy or stuck.")
    try:
        found: WorkerFacts = future.result()
    except CytoError as error:
        raise CytoError(f"The worker {address} cannot do this: {error}") from error
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        raise CytoError(
            f"The worker {address} cannot do this ({type(error).__name__}: {message}); scheduler and workers need the "
            f'same napari-cyto as here, {__version__}: pip install "napari-cyto[models,cluster]".'
        ) from error
    return found


def _present(client: Any) -> int | None:
    """Return how many workers there are; None when the scheduler is gone."""
    if client.status != "running":
        return None
    try:
        return len(client.nthreads())
    except OSError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dask's log to itself: what matters is told in sentences."""
    logs = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio", "bokeh")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
