"""The engine where others read, compute and classify: it gives out chunks, and takes the answers in their order.

Tiles and batches of cells are the very same as in one process, and so is the order in which they are merged, named
and written: so are the results, bit by bit, on processors of one kind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from napari_cyto.inference._detections import Detections
from napari_cyto.inference.cluster.chunks import Answer, SlideRequest, cells_of, classes_of
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.engine._early_results import Key
from napari_cyto.inference.engine.pipeline import Engine, Idle, Step, TileDone
from napari_cyto.jobs.outcome import stop_if_cancelled

_PATIENCE_S = 0.05
"""How long an answer is waited for before somebody else may go on."""


class FarmedEngine(Engine):
    """One slide's run on workers.

    Parameters
    ----------
    farm : Farm
        Who does the work.
    request : SlideRequest
        What to tell them of the slide.
    *rest, **named
        As of `Engine`.
    """

    def __init__(self, farm: Farm, request: SlideRequest, *rest: Any, **named: Any) -> None:
        super().__init__(*rest, **named)
        self._farm, self._request = farm, request
        self._looking: deque[tuple[int, Future[Answer]]] = deque()
        self._naming: deque[tuple[list[Key], Detections, Future[Answer]]] = deque()

    @property
    def names(self) -> bool:
        """Whether cells are classified."""
        return self._request.classifier is not None

    def _rest(self, todo: list[int]) -> Iterator[Step]:
        left = deque(todo)
        try:
            while left or self._looking or self._naming or self._waiting:
                stop_if_cancelled(self._token, "What was found so far is kept.")
                while left and len(self._looking) < self._farm.ahead:
                    number = left.popleft()
                    future = self._farm.ask(cells_of, self._request, self._plan.tiles[number])
                    self._looking.append((number, future))
                if self._looking and self._looking[0][1].done():
                    yield from self._looked()
                elif self._naming and self._naming[0][2].done():
                    keys, cells, future = self._naming.popleft()
                    yield self._named(keys, cells, self._everything, self._taken_in(future))
                else:
                    yield from self._wait()
                self._ask_names(last=not left and not self._looking)
        finally:
            for future in (*(f for _, f in self._looking), *(f for *_, f in self._naming)):
                future.cancel()

    def _looked(self) -> Iterator[Step]:
        number, future = self._looking.popleft()
        table = self._written(number, self._checked(self._taken_in(future)))
        yield from self._report(self._taken(number, table), self._plan.level0(self._plan.tiles[number]))
        yield TileDone(number)

    def _ask_names(self, last: bool) -> None:
        while self._is_batch(last):
            keys, cells = self._next_batch()
            self._naming.append((keys, cells, self._farm.ask(classes_of, self._request, cells.centres_yx)))

    def _taken_in(self, future: Future[Answer]) -> Any:
        answer = self._farm.answer(future)
        self._take_damage(answer.unreadable)
        return answer.rows

    def _wait(self) -> Iterator[Step]:
        first = [part[0][-1] for part in (self._looking, self._naming) if part]
        if first:
            wait(first, _PATIENCE_S, FIRST_COMPLETED)
            yield Idle()
