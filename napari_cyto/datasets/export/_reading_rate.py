"""Work that goes through a project's annotations, followed from outside: how far, how fast, and a stop.

Who shows it reckons the time that is left from the share that is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import Advanced, Token
from napari_cyto.jobs.outcome import stop_if_cancelled

_POLL_S = 0.2
_RATE_AFTER_S = 1.0

Result = TypeVar("Result")


class Reading:
    """Counts the annotations that are read and ends the work when its user asks for it.

    Parameters
    ----------
    token : Token, optional
        Asks for a stop.
    """

    def __init__(self, token: Token | None = None) -> None:
        self._token = token
        self._done = 0
        self._left = False

    def take(self, number: int) -> None:
        """Count annotations that were read.

        Raises
        ------
        JobCancelled
            When the user asked for a stop.
        """
        self._done += number
        stop_if_cancelled(self._token)
        if self._left:
            raise JobCancelled("Cancelled. Nothing was written.")

    def follow(
        self, work: Callable[[], Result], words: str, total: int, part: tuple[float, float]
    ) -> Generator[Advanced, None, Result]:
        """Do ``work`` in a thread of its own and tell meanwhile how far it is.

        Parameters
        ----------
        work : callable
            Goes through ``total`` annotations and says so to `take`.
        words : str
            What it does.
        total : int
            How many there are.
        part : tuple of float
            Which part of the whole this is, from and to, as shares of the time.

        Yields
        ------
        Advanced
            A few times a second.

        Returns
        -------
        object
            What ``work`` returned.
        """
        self._done, began_s = 0, time.monotonic()
        begin, end = part
        yield Advanced(round(begin * total), total, f"{words}.")
        with ThreadPoolExecutor(1, "export") as pool:
            future = pool.submit(work)
            try:
                while not wait([future], _POLL_S).done:
                    share = begin + (end - begin) * min(self._done / max(total, 1), 1.0)
                    rate = _rate(self._done, time.monotonic() - began_s)
                    yield Advanced(round(share * total), total, f"{words}{rate}.")
            finally:
                self._left = not future.done()
        return future.result()


def _rate(done: int, took_s: float) -> str:
    return "" if took_s < _RATE_AFTER_S or not done else f": {done / took_s:,.0f} annotations a second"
