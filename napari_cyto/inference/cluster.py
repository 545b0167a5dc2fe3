"""Workers by dask.distributed: some of this machine's own, or those of a cluster that is there already."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from napari_cyto import __version__
from napari_cyto.datasets.job import stop_if_cancelled
from napari_cyto.domain.jobs import Token
from napari_cyto.errors import CytoError
from napari_cyto.inference.allocator import ALLOCATOR
from napari_cyto.inference.chunks import ModelAsked, WorkerFacts, facts
from napari_cyto.inference.devices import threads_told
from napari_cyto.inference.farm import Farm
from napari_cyto.inference.memory import BYTES_PER_PX, SPARE_BYTES, free_bytes, tile_side
from napari_cyto.inference.request import PredictRequest

CONNECT_S = 10.0
FACTS_S = 180.0
"""The first time a worker imports torch, from a shared disk at that."""

THREADS = 2
"""Of each worker process here: one reads while the other computes."""


@contextmanager
def workers_for(
    request: PredictRequest,
    models: tuple[ModelAsked, ...],
    workers: int | None,
    scheduler: str | None,
    token: Token | None = None,
) -> Iterator[Farm]:
    """Have workers while the block runs: ``workers`` of this machine's own, else those behind ``scheduler``.

    Parameters
    ----------
    request : PredictRequest
        What they will compute on and in which precision; the slide does not matter.
    models : tuple of ModelAsked
        What they will be asked to compute with, the detector first.
    workers : int or None
        Processes of this machine.
    scheduler : str or None
        Address of the scheduler of a cluster.
    token : Token, optional
        Asks to stop.

    Raises
    ------
    CytoError
        When dask.distributed is missing, nobody answers at the address, or a worker cannot do the work.
    """
    distributed = _distributed()
    with ExitStack() as stack:
        remarks = []
        if scheduler is None:
            wanted, workers = workers or 1, _that_fit(workers or 1, request.tile_px)
            if workers < wanted:
                remarks.append(f"There is memory for {workers} workers here, not for {wanted}.")
            client = stack.enter_context(_own(distributed, workers))
        else:
            client = stack.enter_context(_connected(distributed, scheduler))
        known = _facts(client, request, models, token)
        if not all(each.quick_memory for each in known):
            settings = " ".join(f"{name}={value}" for name, value in ALLOCATOR.items())
            remarks.append(f"Workers compute faster when they are started with {settings} in their environment.")
        ways = sorted({f"{each.detector.title} on {each.detector.device}" for each in known})
        if len(ways) > 1:
            remarks.append(f"Workers compute in several ways ({', '.join(ways)}), which differ in the last digits.")
        executor = client.get_executor(pure=False)
        stack.callback(executor.shutdown, wait=False)
        yield Farm(
            executor,
            workers=len(known),
            detector=known[0].detector,
            # Here tiles are those of one process, so that the answers are the same; the workers are fewer if need be.
            tile_px=None if scheduler is None else min(each.tile_px for each in known),
            remarks=tuple(remarks),
            present=lambda: _present(client),
        )


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise CytoError(
            'Working on several processes needs dask.distributed: pip install "napari-cyto[cluster]" brings it.'
        ) from error
    return distributed


def _that_fit(workers: int, tile_px: int | None) -> int:
    """Return for how many workers with tiles as large as one process would take there is memory, at least one."""
    free, side = free_bytes(), tile_px or tile_side()
    if free is None:
        return workers
    return max(1, min(workers, (free - SPARE_BYTES) // (side * side * BYTES_PER_PX)))


@contextmanager
def _own(distributed: Any, workers: int) -> Iterator[Any]:
    """Start worker processes and leave none behind; one that dies is started anew."""
    import dask

    threads = str(threads_told() or max(1, _cores() // workers))
    environment = {**ALLOCATOR, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"}
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set({"distributed.nanny.pre-spawn-environ": environment}))
        with _deaf_to_ctrl_c():
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=THREADS,
                    processes=True,
                    memory_limit=0,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(distributed.Client(cluster))
        stack.callback(_end, cluster)
        yield client


def _end(cluster: Any) -> None:
    """End the worker processes at once: none of them holds anything that is wanted."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            try:
                os.kill(nanny.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            except OSError:
                continue


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
        with client:
            if not _present(client):
                raise CytoError(f"The scheduler at {address} has no workers; start some by `dask worker {address}`.")
            yield client


def _facts(
    client: Any, request: PredictRequest, models: tuple[ModelAsked, ...], token: Token | None
) -> list[WorkerFacts]:
    """Ask all workers what they are; they load their models for it, the first one alone.

    What is made of a model once and kept beside it is then made by one of them, and found by the others.

    Raises
    ------
    CytoError
        When one cannot do the work; the sentence says which and why.
    JobCancelled
        When the token says so.
    """
    asked: dict[str, Any] = {}
    known: list[WorkerFacts] = []
    addresses = list(client.nthreads())
    for some in (addresses[:1], addresses[1:]):
        new = {each: client.submit(facts, request, models, workers=[each], pure=False) for each in some}
        until_s = time.monotonic() + FACTS_S
        while not all(future.done() for future in new.values()) and time.monotonic() < until_s:
            stop_if_cancelled(token, "Nothing was found yet.")
            time.sleep(0.05)
        known += [_fact(address, future) for address, future in new.items()]
        asked |= new
    for address, each in zip(asked, known, strict=True):
        if each.version != __version__:
            raise CytoError(f"The worker {address} has napari-cyto {each.version}, but {__version__} asks; use one.")
    return known


def _fact(address: str, future: Any) -> WorkerFacts:
    if not future.done():
        raise CytoError(f"The worker {address} did not answer in {FACTS_S:.0f} s; look whether it is busy, or stuck.")
    try:
        found: WorkerFacts = future.result()
    except CytoError as error:
        raise CytoError(f"The worker {address} cannot do this: {error}") from error
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        raise CytoError(
            f"The worker {address} cannot do this ({type(error).__name__}: {told}); scheduler and workers need "
            f'napari-cyto {__version__} as here: pip install "napari-cyto[models,cluster]".'
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
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C: this one does, and ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
