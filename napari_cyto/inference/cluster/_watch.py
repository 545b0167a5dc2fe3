"""Looks after the workers and the scheduler of a dask cluster: who is silent is named, and others take the chunks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from napari_cyto.errors import CytoError

SILENT_S = 10.0
"""Who is not heard of for so long is named."""

GIVEN_UP_S = 30.0
"""A worker that is not heard of for so long is taken out of the cluster: the scheduler gives its chunks to others."""

LOADING_S = 150.0
"""The same while workers load their models: the libraries of a slow disk keep one from answering for long."""

SCHEDULER_LOST_S = 60.0
_LOOK_S = 2.0
_ANSWER_S = 5.0
_ASLEEP_S = 20.0
"""When this process itself did not run for so long, the silence of others says nothing."""


class ClusterWatch:
    """Asks the scheduler every two seconds who is there, in a thread of its own: nobody who is frozen holds it up.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    address : str
        Of the scheduler.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._said: deque[str] = deque()
        self._workers: dict[str, tuple[float, float]] | None = None
        self._silent: set[str] = set()
        self._dropped: set[str] = set()
        self._scheduler_silent = self._lost = False
        self._loading = True
        now_s = time.monotonic()
        self._heard_s = self._looked_s = now_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cluster", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._ended.set()
        self._thread.join(_ANSWER_S + _LOOK_S)

    def have_loaded(self) -> None:
        """Expect answers from workers from now on: their models are loaded."""
        self._workers, self._loading = None, False

    def present(self) -> int | None:
        """Return how many workers answer; None when the scheduler is gone."""
        if self._lost or self._client.status not in ("running", "connecting"):
            return None
        return 1 if self._workers is None else len(self._workers)

    def check(self) -> frozenset[str]:
        """Return the workers that were taken out.

        Raises
        ------
        CytoError
            When the scheduler is gone.
        """
        if self.present() is None:
            raise CytoError(
                f"The scheduler at {self._address} no longer responds; check that it is running, and the network."
            )
        return frozenset(self._dropped)

    def incidents(self) -> list[str]:
        """Return what happened since the last call, a sentence each."""
        found = []
        while self._said:
            found.append(self._said.popleft())
        return found

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            last_seen = self._last_seen()
            now_s = time.monotonic()
            if now_s - self._looked_s > _ASLEEP_S:
                self._heard_s = now_s
                self._workers = None
            self._looked_s = now_s
            if last_seen is None:
                self._scheduler_is_silent(now_s)
            else:
                self._heard(last_seen, now_s)

    def _last_seen(self) -> dict[str, float] | None:
        """Return when the scheduler last heard of each worker, by its clock; None when it does not answer."""
        try:
            answer = self._client.sync(self._client.scheduler.identity, callback_timeout=_ANSWER_S)
            return {address: float(worker["last_seen"]) for address, worker in answer["workers"].items()}
        except Exception:  # noqa: BLE001  whatever a broken connection looks like in this version of dask
            return None

    def _scheduler_is_silent(self, now_s: float) -> None:
        quiet_s = now_s - self._heard_s
        if quiet_s >= SCHEDULER_LOST_S:
            self._lost = True
        elif quiet_s >= SILENT_S and not self._scheduler_silent:
            self._scheduler_silent = True
            self._said.append(
                f"The scheduler at {self._address} has not responded for {SILENT_S:.0f} s; after "
                f"{SCHEDULER_LOST_S:.0f} s the run stops and keeps what it has, and the same command resumes it."
            )

    def _heard(self, last_seen: dict[str, float], now_s: float) -> None:
        if self._scheduler_silent:
            self._said.append(f"The scheduler at {self._address} is responding again.")
            # It could not listen to its workers, either.
            self._workers = None
        self._scheduler_silent, self._heard_s = False, now_s
        before, found = self._workers, dict[str, tuple[float, float]]()
        for address, seen in last_seen.items():
            known = (before or {}).get(address)
            # Only that the time changes counts: the clocks of two machines may differ.
            changed_s = now_s if known is None or known[0] != seen else known[1]
            found[address] = (seen, changed_s)
            self._check_silent(address, now_s - changed_s)
            if before is not None and known is None:
                self._said.append(f"The worker {address} has joined.")
        # Whole at once: another thread reads it, and may forget it.
        self._workers = found
        for address in (before or {}).keys() - last_seen.keys() - self._dropped:
            self._said.append(
                f"The worker {address} is gone (it ended, or its connection broke); other workers take over its chunks."
            )

    def _check_silent(self, address: str, quiet_s: float) -> None:
        if quiet_s < SILENT_S:
            if address in self._silent:
                self._silent.discard(address)
                self._said.append(f"The worker {address} is responding again.")
        elif quiet_s >= (LOADING_S if self._loading else GIVEN_UP_S):
            self._drop(address, quiet_s)
        elif address not in self._silent and not self._loading:
            self._silent.add(address)
            self._said.append(
                f"The worker {address} has not responded for {SILENT_S:.0f} s; after {GIVEN_UP_S:.0f} s other "
                "workers take over its chunks."
            )

    def _drop(self, address: str, quiet_s: float) -> None:
        if address in self._dropped:
            return
        try:
            # The scheduler closes the connection to it, so that nothing it still says is heard.
            self._client.sync(self._client._run_on_scheduler, take_out, address, callback_timeout=_ANSWER_S)
        except Exception as error:  # noqa: BLE001  of any kind, from another machine
            answer = " ".join(str(error).split())[:120]
            self._said.append(f"The worker {address} does not respond and could not be removed ({answer}).")
        else:
            self._said.append(
                f"The worker {address} did not respond for {quiet_s:.0f} s and was removed from the cluster; other "
                "workers take over its chunks."
            )
        self._dropped.add(address)


async def take_out(address: str, dask_scheduler: Any = None) -> None:
    """Have the scheduler, on which this runs, take a worker out of its cluster."""
    remove: Callable[..., Any] = dask_scheduler.remove_worker
    await remove(address, stimulus_id="napari-cyto-silent-worker")
