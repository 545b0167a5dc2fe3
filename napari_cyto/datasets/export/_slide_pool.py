"""Slices of many slides written side by side, with few slides open and few slices in memory at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from napari_cyto.datasets.export._apacc_plan import SlicePlan, SlidePlan
from napari_cyto.datasets.export._open_slides import OpenSlides
from napari_cyto.datasets.export.slice_writer import SliceWriter, Written
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import UNTOUCHED, stop_if_cancelled
from napari_cyto.slides import UnreadableTile

WORKERS = min(8, os.cpu_count() or 1)
"""PNG encoding is what takes the time, and it releases the interpreter."""

_POLL_S = 0.05


def write_slices(
    plans: tuple[SlidePlan, ...],
    splits: Mapping[str, str],
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
    splits : mapping
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
    slides = OpenSlides(unreadable)

    def write(plan: SlidePlan, piece: SlicePlan) -> Written:
        slide = None if plan.path is None else slides.get(plan.slide.id, plan.path)
        written = writer.write(slide, plan, piece, splits[plan.slide.id])
        slides.one_done(plan.slide.id, len(plan.slices))
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
