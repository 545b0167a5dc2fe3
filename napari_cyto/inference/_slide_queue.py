"""Slides one after the other; with workers two at a time, so that these never wait for the end of a slide."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from napari_cyto.domain.counts import counted
from napari_cyto.errors import JobCancelled, ScaleUnknownError
from napari_cyto.inference._job import run
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.results import SlideLeftOut, SlidePrediction
from napari_cyto.inference.runtimes.devices import check_device
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Measured, Noted, Token
from napari_cyto.slides.nuclear_scale import with_offer

SLIDES_AT_ONCE = 2


@dataclass
class _Turn:
    number: int
    events: Events
    begun: bool = False


class Turns:
    """The runs of several slides, interleaved in one thread, which is the only one that writes.

    Parameters
    ----------
    device : str
        What this process computes on, where there are no workers.
    farm : Farm or None
        Workers.
    token : Token, optional
        Asks to stop.

    Raises
    ------
    CytoError
        When there is no such device.
    """

    def __init__(self, device: str, farm: Farm | None, token: Token | None) -> None:
        if farm is None:
            check_device(device)
        self._farm, self._token, self._models = farm, token, LoadedModels()
        self._ends: dict[int, Done | Failed] = {}
        self._requests: Sequence[PredictRequest] = ()

    @property
    def done(self) -> tuple[SlidePrediction, ...]:
        """The results of the slides that came to their end, in the order in which they were asked for."""
        ends = [end for _, end in sorted(self._ends.items()) if isinstance(end, Done)]
        return tuple(SlidePrediction.from_json(end.result) for end in ends)

    @property
    def failed(self) -> tuple[SlideLeftOut, ...]:
        """The slides that were left out, and why."""
        ends = sorted(self._ends.items())
        return tuple(
            SlideLeftOut(str(self._requests[number].slide), end.message)
            for number, end in ends
            if isinstance(end, Failed)
        )

    def events(self, requests: Sequence[PredictRequest]) -> Iterator[Event]:
        """Yield what is to be told of all of them; ends early with the `Failed` of a bug.

        Raises
        ------
        JobCancelled
            When the token says so; what was found is kept.
        WorkersLost
            When there is nobody any more who computes.
        """
        self._requests = requests
        left = deque(enumerate(requests))
        going: deque[_Turn] = deque()
        cancelled: list[str] = []
        while going or (left and not cancelled):
            if left and not cancelled and self._has_room(going):
                number, request = left.popleft()
                going.append(_Turn(number, run(request, self._token, self._models, self._farm)))
            turn = going.popleft()
            match event := next(turn.events):
                case Failed(_, False):
                    yield event
                    return
                case Done() | Failed():
                    yield from self._ended(turn.number, event, said=len(requests) > 1)
                    continue
                case Cancelled(message):
                    cancelled.append(message)
                    continue
                case Advanced(_, total, message):
                    turn.begun |= total > 0
                    yield Advanced(len(self._ends), len(requests), message) if len(requests) > 1 else event
                case Noted():
                    yield event
                case Measured():
                    pass
            going.append(turn)
            yield from self._news()
        if cancelled:
            raise JobCancelled(f"{cancelled[0]} {len(self._ends):,} of {counted(len(requests), 'slide')} done.")

    def _has_room(self, going: deque[_Turn]) -> bool:
        """Whether one more slide may begin: one after the other makes or opens the project."""
        return len(going) < (1 if self._farm is None else SLIDES_AT_ONCE) and all(turn.begun for turn in going)

    def _ended(self, number: int, end: Done | Failed, *, said: bool) -> Iterator[Event]:
        if isinstance(end, Failed):
            if self._farm is not None:
                self._farm.check()
            if isinstance(end.error, ScaleUnknownError):
                end = replace(end, message=with_offer(end.error), without_scale=())
            # Of a single slide it is what the run ends with.
            if said:
                yield Noted(end.message)
        self._ends[number] = end

    def _news(self) -> Iterator[Event]:
        if self._farm is None:
            return
        yield from (Noted(each) for each in self._farm.new_incidents())
        if (news := self._farm.news()) is not None:
            yield Noted(news)
