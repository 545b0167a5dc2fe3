"""The process beside the window that keeps models loaded: asked by lines of JSON on stdin, it answers on stdout.

``{"do": "run", "request": {...}}`` looks for cells, ``{"do": "warm", "request": {...}}`` loads the models only,
``{"do": "outline", "clicks": {...}}`` outlines what lies under clicks, ``{"do": "cancel", "drop": false}`` stops what
is at work. Each answer is an event as in a run's folder, with the
request's generation. When stdin ends, so does the process: a window that is gone leaves none behind.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from napari_cyto.errors import CytoError
from napari_cyto.inference.orders import AT_ONCE, Answer, Order
from napari_cyto.inference.outline.clicks import ClickRequest
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Advanced, Event, Measured
from napari_cyto.jobs.outcome import failed
from napari_cyto.jobs.priority import give_way

PROGRESS_INTERVAL_S = 0.04

Say = Callable[[Answer], None]


class ChildToken:
    """Heard by one run; ``dropped`` says that what it found so far is not wanted any more."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self.dropped = False

    def cancel(self, drop: bool) -> None:
        """Ask the run to stop."""
        self.dropped = self.dropped or drop
        self._cancelled.set()

    def cancelled(self) -> bool:
        """Whether the run shall stop."""
        return self._cancelled.is_set()


class Child:
    """What the process does.

    Parameters
    ----------
    orders : stream
        Lines of JSON.
    say : callable
        Sends an answer.
    """

    def __init__(self, orders: IO[bytes], say: Say) -> None:
        self._orders, self._say = orders, say
        self._todo: queue.Queue[tuple[Order, ChildToken] | None] = queue.Queue()
        self._tokens: list[ChildToken] = []
        # Of the last clicks: newer ones take their place.
        self._clicking = ChildToken()
        self._clicks: Any = None
        self._models: Any = None

    def serve(self) -> None:
        """Work until nobody asks any more."""
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        while (work := self._todo.get()) is not None:
            order, token = work
            if order.clicks is not None:
                self._outline(order.clicks, token)
            elif order.request is not None:
                self._predict(order.request, order.do == "warm", token)

    def _listen(self) -> None:
        for line in self._orders:
            order = Order.from_json(json.loads(line))
            if order.do == "cancel":
                for token in self._tokens:
                    token.cancel(order.drop)
                continue
            token = ChildToken()
            if order.do == "outline":
                self._clicking.cancel(drop=True)
                self._clicking = token
            self._tokens = [t for t in self._tokens if not t.cancelled()] + [token]
            self._todo.put((order, token))
        for token in self._tokens:
            token.cancel(drop=False)
        self._todo.put(None)

    def _outline(self, request: ClickRequest, token: ChildToken) -> None:
        from napari_cyto.inference.outline.warm_clicks import WarmClicks

        self._clicks = self._clicks or WarmClicks()
        try:
            for event in self._clicks.run(request, token):
                self._answer(event, request.generation)
        except CytoError as error:
            self._answer(failed(error), request.generation)
        finally:
            token.cancel(drop=False)

    def _predict(self, request: PredictRequest, is_ahead: bool, token: ChildToken) -> None:
        from napari_cyto.inference._job import run, warm
        from napari_cyto.inference.runtimes.model_cache import LoadedModels

        self._models = self._models or LoadedModels()
        try:
            if is_ahead:
                warm(request, self._models)
                return
            self._forward(run(request, token, self._models), request.generation)
        except CytoError as error:
            if not is_ahead:
                self._answer(failed(error), request.generation)
        finally:
            token.cancel(drop=False)

    def _forward(self, events: Any, generation: int) -> None:
        last_s = 0.0
        for event in events:
            if isinstance(event, Measured) and "stored" not in event.values:
                continue  # the window reads cells from the project
            if isinstance(event, Advanced) and event.done != event.total:
                if time.monotonic() - last_s < PROGRESS_INTERVAL_S:
                    continue
                last_s = time.monotonic()
            self._answer(event, generation)

    def _answer(self, event: Event, generation: int) -> None:
        self._say(Answer(event, generation))


def main() -> None:
    """Serve the window that started this process."""
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not come between the answers.
    os.dup2(2, 1)
    if AT_ONCE not in sys.argv[1:]:
        give_way()

    def say(answer: Answer) -> None:
        answers.write(json.dumps(answer.to_json(), default=str).encode() + b"\n")
        answers.flush()

    try:
        Child(sys.stdin.buffer, say).serve()
    except BrokenPipeError:
        # The window has gone; there is nobody left to tell.
        os._exit(0)


if __name__ == "__main__":
    main()
