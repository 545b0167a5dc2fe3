"""Images onto the disk, side by side: copied, linked or cut out of their slides, with few slides open at a time."""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np

from napari_cyto.datasets._crops import RGB
from napari_cyto.datasets.export._open_slides import OpenSlides
from napari_cyto.datasets.export.image_sets._image_plan import PlannedImage, SlideImages
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import UNTOUCHED, stop_if_cancelled
from napari_cyto.slides import Slide, UnreadableTile
from napari_cyto.slides.scaled_read import read_scaled

WORKERS = min(8, os.cpu_count() or 1)
"""Encoding is what takes the time, and it releases the interpreter."""

_POLL_S = 0.05
_PIECE_BYTES = 2**22
_PNG = {"level": 1, "strategy": imagecodecs.PNG.STRATEGY.RLE, "filter": imagecodecs.PNG.FILTER.PAETH}
_JPEG_QUALITY = 95

Job = tuple[SlideImages, PlannedImage, Path]
"""What an image is of, what it shows, and where it goes."""


def write_images(
    jobs: Iterable[Job], token: Token | None, unreadable: list[UnreadableTile]
) -> Iterator[tuple[SlideImages, PlannedImage]]:
    """Yield each image once it is written, in the order of ``jobs``, which are asked for as they are needed.

    Parameters
    ----------
    jobs : iterable of (SlideImages, PlannedImage, Path)
        All images of one slide follow each other.
    token : Token or None
        Looked at twenty times a second.
    unreadable : list of UnreadableTile
        Gets each damaged tile that was met.

    Raises
    ------
    JobCancelled
        When the user asked for it.
    """
    slides, stop, todo = OpenSlides(unreadable), threading.Event(), iter(jobs)

    def write(of: SlideImages, image: PlannedImage, path: Path) -> None:
        _go_on(stop)
        if image.how == "cut":
            slide = _as_annotated(slides.get(of.slide.id, of.path), of)
            path.write_bytes(encoded(tile_pixels(slide, image), path.suffix))
        elif image.how == "link":
            _link(of.path, path)
        else:
            _copy(of.path, path, stop)
        slides.one_done(of.slide.id, len(of))

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="export") as pool:
        waiting: deque[tuple[SlideImages, PlannedImage, Future[None]]] = deque()
        try:
            while True:
                while len(waiting) < 2 * WORKERS and (job := next(todo, None)) is not None:
                    waiting.append((job[0], job[1], pool.submit(write, *job)))
                if not waiting:
                    break
                while not wait([waiting[0][2]], _POLL_S).done:
                    stop_if_cancelled(token, UNTOUCHED)
                stop_if_cancelled(token, UNTOUCHED)
                of, image, future = waiting.popleft()
                future.result()
                yield of, image
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            slides.close()


def tile_pixels(slide: Slide, image: PlannedImage) -> RGB:
    """Return the pixels of an image, uint8 RGB (h, w, 3), resampled once from the nearest level that is not coarser."""
    scale = image.scale
    level = max((n for n, down in enumerate(slide.info.downsamples) if down <= scale * 1.001), default=0)
    fy, fx = slide.info.factors_yx[level]
    return read_scaled(partial(slide.read_region, level), (scale / fy, scale / fx), *image.corner_yx, *image.size_hw)


def _as_annotated(slide: Slide, of: SlideImages) -> Slide:
    """Return a slide that has the size it had when it was annotated."""
    if slide.info.size_hw != of.slide.size_hw:
        raise CytoError(
            f"Expected {of.slide.name!r} to have {_size(of.slide.size_hw)} px, got {_size(slide.info.size_hw)}; its "
            "file is another one than was annotated."
        )
    return slide


def encoded(pixels: RGB, suffix: str) -> bytes:
    """Return a picture, uint8 RGB (h, w, 3), as the bytes of a file with this ending."""
    pixels = np.ascontiguousarray(pixels)
    if suffix == ".jpg":
        return bytes(imagecodecs.jpeg8_encode(pixels, level=_JPEG_QUALITY))
    return bytes(imagecodecs.png_encode(pixels, **_PNG))


def _copy(source: Path, target: Path, stop: threading.Event) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(_PIECE_BYTES):
            _go_on(stop)
            writing.write(piece)
    shutil.copystat(source, target)
    target.chmod(0o644)


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except (OSError, NotImplementedError) as error:
        raise CytoError(
            f"Expected a place for symbolic links, got one without ({error}); have the images copied (--images copy)."
        ) from error


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise JobCancelled("Cancelled.")


def _size(size_hw: tuple[int, int] | None) -> str:
    return "an unknown size" if size_hw is None else f"{size_hw[0]} x {size_hw[1]}"
