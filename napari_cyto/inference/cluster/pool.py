"""Others that do the work: how much they take at a time, and whether they are still there."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.inference.cluster._remote_network import Elsewhere
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.bundle import Bundle

CHUNKS_AHEAD = 3
"""Chunks of a slide that are given out for each worker: one that it computes, and what comes next."""

_LOOK_EVERY_S = 5.0
_PATIENCE_S = 0.05

Part = TypeVar("Part")


class WorkersLost(CytoError):
    """There is nobody any more who could go on."""


@dataclass
class Farm:
    """Workers, and how to ask them.

    Parameters
    ----------
    executor : Executor
        What takes a function and its arguments to one of them.
    workers : int
        How many there were at the start.
    detector : Elsewhere or None
        How they run the detector; None where none is needed.
    tile_px : int or None
        The largest tile that all of them have the memory for; None for this machine's own.
    remarks : tuple of str
        What to know of them.
    present : callable
        Returns how many there are now; None when whoever passes the work on is gone.
    incidents : callable
        Returns what happened to workers since the last call, a sentence each.
    happened : list of str
        What happened so far.
    encoder_title : str
        What people read of how they run the encoder.
    """

    executor: Executor
    workers: int
    detector: Elsewhere | None
    tile_px: int | None = None
    remarks: tuple[str, ...] = ()
    present: Callable[[], int | None] | None = None
    incidents: Callable[[], list[str]] | None = None
    happened: list[str] = field(default_factory=list)
    encoder_title: str = ""
    lost: bool = False
    _looked_s: float = field(default_factory=time.monotonic)
    _missing: bool = False

    @property
    def ahead(self) -> int:
        """How many chunks of a slide are given out at a time."""
        return CHUNKS_AHEAD * self.workers

    def knows(self, bundle: Bundle) -> CellDetector:
        """Return the detector that they have, to plan with."""
        assert self.detector is not None, "whoever predicts asked for a detector"
        return CellDetector.of_runtime(bundle.manifest, self.detector)

    def ask(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Give out a chunk.

        Raises
        ------
        WorkersLost
            When nobody takes it.
        """
        try:
            return self.executor.submit(work, *arguments)
        except (RuntimeError, OSError) as error:
            raise self._lost() from error

    def answer(self, future: Future[Any]) -> Any:
        """Return what came of a chunk that is done.

        Raises
        ------
        CytoError
            What the worker could not do, in its own words; or that several workers died of it.
        WorkersLost
            When there is nobody any more.
        """
        try:
            return future.result()
        except CancelledError as error:
            raise self._lost() from error
        except OSError as error:
            if self.present is not None and self.present() is None:
                raise self._lost() from error
            raise
        except Exception as error:
            if type(error).__name__ == "KilledWorker":
                raise CytoError(
                    "Several workers ended while working on the same chunk, most likely because memory ran out; try "
                    "fewer workers per machine."
                ) from error
            raise

    def new_incidents(self) -> list[str]:
        """Return what happened to workers since the last call, a sentence each."""
        found = [] if self.incidents is None else self.incidents()
        self.happened += found
        return found

    def news(self) -> str | None:
        """Return that all workers went, or that some came back, as a sentence; None when there is nothing new.

        Raises
        ------
        WorkersLost
            When whoever passes the work on is gone.
        """
        if self.present is None or time.monotonic() - self._looked_s < _LOOK_EVERY_S:
            return None
        self._looked_s = time.monotonic()
        present = self.present()
        if present is None:
            raise self._lost()
        was, self._missing = self._missing, not present
        if self._missing and not was:
            return "All workers are gone; waiting for one to join."
        return f"{counted(present, 'worker is', 'workers are')} available again." if was and not self._missing else None

    def check(self) -> None:
        """Do nothing while there is somebody.

        Raises
        ------
        WorkersLost
            When there is not.
        """
        if self.lost or (self.present is not None and self.present() is None):
            raise self._lost()

    def _lost(self) -> WorkersLost:
        self.lost = True
        return WorkersLost(
            "The connection to the workers was lost. What was found is kept; the same command resumes it."
        )


def in_order(
    farm: Farm,
    work: Callable[..., Any],
    request: object,
    chunks: Iterable[tuple[Part, object]],
    token: Token | None,
    kept: str,
) -> Iterator[tuple[Part, Any]]:
    """Give out chunks, as many ahead as the workers need, and yield what came of each, in their order.

    Parameters
    ----------
    farm : Farm
        Who works.
    work : callable
        What a worker does with ``request`` and a chunk.
    request : object
        What all chunks have in common.
    chunks : iterable of (part, chunk)
        Each with what it is to whoever asks.
    token : Token, optional
        Asks to stop.
    kept : str
        What is kept then, as a sentence.

    Raises
    ------
    CytoError
        What a worker could not do, or that there is none any more.
    JobCancelled
        When the token says so.
    """
    left, coming = deque(chunks), deque[tuple[Part, Future[Any]]]()
    try:
        while left or coming:
            while left and len(coming) < farm.ahead:
                part, chunk = left.popleft()
                coming.append((part, farm.ask(work, request, chunk)))
            part, future = coming.popleft()
            while not future.done():
                stop_if_cancelled(token, kept)
                farm.check()
                wait([future], _PATIENCE_S)
            yield part, farm.answer(future)
    finally:
        for _, future in coming:
            future.cancel()
