"""Make several smears as steps of a job: progress comes out, a wish to stop goes in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_cyto.jobs.events import Advanced, Token
from napari_cyto.synthesis._cache import MadeSmear, obtain_smear
from napari_cyto.synthesis._layout import SmearSpec

_POLL_S = 0.1


@dataclass(slots=True)
class _Stop:
    """Stops the work when the job's user asks for it, or when nobody listens to the job any more."""

    token: Token | None
    abandoned: threading.Event = field(default_factory=threading.Event)

    def cancelled(self) -> bool:
        return self.abandoned.is_set() or (self.token is not None and self.token.cancelled())


def make_smears(
    specs: Mapping[str, SmearSpec], cache_dir: Path | None = None, token: Token | None = None
) -> Generator[Advanced, None, tuple[MadeSmear, ...]]:
    """Yield how far it is, in thousand px rows of all smears together, and return the smears, made or from the cache.

    Raises
    ------
    JobCancelled
        When asked to stop; no half-made smear is left behind.
    CytoError
        When the cache cannot be written.
    """
    total = sum(spec.size_hw[0] for spec in specs.values())
    behind = 0
    made: list[MadeSmear] = []
    for name, spec in specs.items():
        yield Advanced(behind, total, f"Preparing {name}.")
        made.append((yield from _make_one(name, spec, cache_dir, token, behind, total)))
        behind += spec.size_hw[0]
    yield Advanced(total, total, "The smears are ready.")
    return tuple(made)


def _make_one(
    name: str, spec: SmearSpec, cache_dir: Path | None, token: Token | None, behind: int, total: int
) -> Generator[Advanced, None, MadeSmear]:
    stop = _Stop(token)
    rows: queue.SimpleQueue[int] = queue.SimpleQueue()

    def work() -> MadeSmear:
        return obtain_smear(spec, name, cache_dir, advance=lambda done, _: rows.put(done), token=stop)

    worker = _Worker(work)
    worker.start()
    try:
        while worker.is_alive():
            try:
                done = rows.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            yield Advanced(behind + done, total, f"Drawing {name}.")
    finally:
        stop.abandoned.set()
        worker.join()
    return worker.outcome()


class _Worker(threading.Thread):
    """Runs one function; its value, or what it raised, is asked for when it is over."""

    def __init__(self, work: Callable[[], MadeSmear]) -> None:
        super().__init__(name="make a smear")
        self._work = work
        self._made: MadeSmear | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the work and keep its outcome."""
        try:
            self._made = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked for the work
            self._error = error

    def outcome(self) -> MadeSmear:
        """Return what was made, or raise what went wrong."""
        if self._made is None:
            raise self._error or RuntimeError("The smear's thread ended without an outcome.")
        return self._made
