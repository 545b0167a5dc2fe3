"""Slices of many slides written side by side, with few slides open and few slices in memory at a time."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from napari_cyto.datasets.export._apacc_plan import SlicePlan, SlidePlan
from napari_cyto.datasets.export.slice_writer import SliceWriter, Written
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import UNTOUCHED, stop_if_cancelled
from napari_cyto.slides import Slide, TileCache, UnreadableTile, open_slide

WORKERS = min(8, os.cpu_count() or 1)
"""PNG encoding is what takes the time, and it releases the interpreter."""

_POLL_S = 0.05
_KEPT_BYTES = 128 * 2**20
"""Of tiles, for slices that share them: a row of them across a large slide is about 80 MB."""


class _OpenSlides:
    """Each slide is opened when its first slice is written and closed after its last."""

    def __init__(self, plans: Iterable[SlidePlan], unreadable: list[UnreadableTile]) -> None:
        self._left = Counter({plan.slide.id: len(plan.slices) for plan in plans})
        self._open: dict[str, Slide] = {}
        self._locks = {slide_id: threading.Lock() for slide_id in self._left}
        self._unreadable = unreadable
        # Not the one of the window: a folder of small fields would push out all that is there, and fill it.
        self._tiles = TileCache(_KEPT_BYTES)

    def get(self, plan: SlidePlan) -> Slide | None:
        if plan.path is None:
            return None
        with self._locks[plan.slide.id]:
            if plan.slide.id not in self._open:
                slide = open_slide(plan.path, self._tiles)
                slide.on_unreadable(self._unreadable.append)
                self._open[plan.slide.id] = slide
            return self._open[plan.slide.id]

    def one_done(self, plan: SlidePlan) -> None:
        with self._locks[plan.slide.id]:
            self._left[plan.slide.id] -= 1
            if not self._left[plan.slide.id] and plan.slide.id in self._open:
                self._open.pop(plan.slide.id).close()

    def close(self) -> None:
        for slide in self._open.values():
            slide.close()


def write_slices(
    plans: tuple[SlidePlan, ...],
    sides: Mapping[str, str],
    writer: SliceWriter,
    stop: threading.Event,
    token: Token | None,
    unreadable: list[UnreadableTile],
) -> Iterator[Written]:
    """Yield each slice as it is written.

    Parameters
    ----------
    plans : tuple of SlidePlan
        What is to be written.
    sides : mapping
        Slide id to side.
    writer : SliceWriter
        Writes one slice.
    stop : threading.Event
        Set here when this ends early, so that the writers do.
    token : Token or None
        Looked at twenty times a second.
    unreadable : list of UnreadableTile
        Gets each damaged tile that was met.

    Raises
    ------
    JobCancelled
        When the user asked for it.
    """
    slides = _OpenSlides(plans, unreadable)

    def write(plan: SlidePlan, piece: SlicePlan) -> Written:
        written = writer.write(slides.get(plan), plan, piece, sides[plan.slide.id])
        slides.one_done(plan)
        return written

    todo = ((plan, piece) for plan in plans for piece in plan.slices)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="export") as pool:
        waiting: set[Future[Written]] = set()
        try:
            while True:
                while len(waiting) < 2 * WORKERS and (job := next(todo, None)) is not None:
                    waiting.add(pool.submit(write, *job))
                if not waiting:
                    break
                done, waiting = wait(waiting, _POLL_S, FIRST_COMPLETED)
                stop_if_cancelled(token, UNTOUCHED)
                for future in done:
                    stop_if_cancelled(token, UNTOUCHED)
                    yield future.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            slides.close()
