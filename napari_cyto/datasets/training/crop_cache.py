"""All cells of a training set cut out once, each picture opened and decoded once, ready to be drawn from."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets._pixel_room import pixel_room
from napari_cyto.datasets.colour_match import ColourMatch, LabStatistics, match_for
from napari_cyto.datasets.crop_rule import CropRule, Crops
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError, ScaleUnknownError, SlideError
from napari_cyto.jobs.events import Advanced, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import Slide, open_slide, pass_cache

WORKERS = min(8, os.cpu_count() or 1)
"""Decoding and resampling release the interpreter."""

_AT_ONCE = 32
_POLL_S = 0.05

Cutting = Generator[Advanced | Noted, None, "CropSet"]


@dataclass(frozen=True, eq=False)
class CropSet:
    """Cells as a network's inputs.

    Parameters
    ----------
    crops : ndarray, (n, windows, size_px, size_px, 3), uint8, RGB
        As the crop rule cuts them; in memory, or on the disk where they are many. Not to be written to.
    class_index : ndarray, (n,), intp
        Their classes, as the training set counts them.
    slide_number : ndarray, (n,), intp
        The slide of each, counted in ``slides``.
    centres_yx : ndarray, (n, 2), float64
        Level-0 px of that slide.
    slides : tuple of TrainingSlide
        All that were asked for, also those that gave no crop.
    remarks : tuple of str
        What was left out and why.
    """

    crops: Crops
    class_index: npt.NDArray[np.intp]
    slide_number: npt.NDArray[np.intp]
    centres_yx: npt.NDArray[np.float64]
    slides: tuple[TrainingSlide, ...]
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.class_index)


def cut_all(
    slides: Iterable[TrainingSlide],
    rule: CropRule,
    token: Token | None = None,
    colour: LabStatistics | None = None,
    memory_bytes: int | None = None,
) -> Cutting:
    """Cut out every cell, as a part of a job that says ``yield from`` and gets the crops.

    A picture that cannot be read is left out with one remark; of a slide with single damaged tiles, only the cells
    that lie on them.

    Parameters
    ----------
    slides : iterable of TrainingSlide
        Whose cells.
    rule : CropRule
        How.
    token : Token, optional
        Asks for a stop.
    colour : LabStatistics, optional
        What the colours of each slide are brought to.
    memory_bytes : int, optional
        Crops of more than this go to a temporary file; a quarter of the machine's memory unless told.

    Yields
    ------
    Advanced | Noted
        Cells that are cut; remarks.

    Raises
    ------
    CytoError
        When the rule is in µm and the scale of a slide is unknown, nothing could be read, or the disk is too small.
    JobCancelled
        When the user asked for it.
    """
    chosen = tuple(slides)
    _refuse_without_scale(chosen, rule)
    lengths = [len(slide) for slide in chosen]
    cells = sum(lengths)
    shape = (cells, len(rule.windows), rule.size_px, rule.size_px, 3)
    crops = pixel_room(shape, f"{cells:,} cells", "choose a smaller input", memory_bytes)
    cutter = _Cutter(chosen, rule, colour, crops)
    done = 0
    for cut, remark in _side_by_side(cutter, token):
        done += cut
        if remark:
            yield Noted(remark)
        yield Advanced(done, len(crops), "Cutting out cells.")
    kept = cutter.kept
    if len(crops) and not kept.any():
        raise CytoError("None of the cells could be cut out. " + " ".join(cutter.remarks[:5]))
    return CropSet(
        _only(crops, kept),
        np.concatenate([np.empty(0, np.intp), *(s.class_index for s in chosen)])[kept],
        np.repeat(np.arange(len(chosen)), lengths)[kept],
        np.concatenate([np.empty((0, 2)), *(s.centres_yx for s in chosen)])[kept],
        chosen,
        tuple(cutter.remarks),
    )


def readable_crops(
    slide: Slide, rule: CropRule, centres_yx: npt.NDArray[np.float64], mpp: float | None, colour: ColourMatch | None
) -> tuple[Crops, npt.NDArray[np.bool_]]:
    """Return crops as `CropRule.cut` gives them, and which of them show no damaged tile."""
    crops = rule.cut(slide, centres_yx, mpp, colour)
    fine = np.ones(len(centres_yx), dtype=np.bool_)
    reach = max(rule.sides_px(mpp, slide.info.name, [slide.info.path])) / 2 + 1
    for tile in slide.unreadable:
        y0, x0, y1, x1 = tile.bounds_yxyx
        y, x = centres_yx[:, 0], centres_yx[:, 1]
        fine &= ~((y + reach > y0) & (y - reach < y1) & (x + reach > x0) & (x - reach < x1))
    return crops, fine


class _Cutter:
    """Cuts one slide after another into its own part of the room; safe from several threads."""

    def __init__(
        self, slides: tuple[TrainingSlide, ...], rule: CropRule, colour: LabStatistics | None, crops: Crops
    ) -> None:
        self.slides = slides
        self._rule, self._colour, self._crops = rule, colour, crops
        self._starts = np.cumsum([0, *(len(slide) for slide in slides)])
        self.kept = np.zeros(len(crops), dtype=np.bool_)
        self.remarks: list[str] = []
        self.stop = threading.Event()

    def cut(self, number: int) -> tuple[int, str]:
        """Cut one slide; return how many cells it has, and what a person should know."""
        slide = self.slides[number]
        remark = ""
        try:
            with open_slide(slide.path, pass_cache()) as opened:
                lost = self._cut(number, opened)
                if lost:
                    what = (
                        "the slide was left out"
                        if lost == len(slide)
                        else f"{lost} of its {len(slide)} cells were left out"
                    )
                    remark = f"{opened.unreadable[0]}; {what}."
        except SlideError as error:
            remark = f"{error} The slide was left out with its {counted(len(slide), 'cell')}."
        if remark:
            self.remarks.append(remark)
        return len(slide), remark

    def _cut(self, number: int, opened: Slide) -> int:
        slide, start = self.slides[number], self._starts[number]
        colour = match_for(opened, self._colour, self._rule.icc)
        # Neighbours one after the other, so that they find their tiles in the cache.
        order = np.lexsort((slide.centres_yx[:, 1], slide.centres_yx[:, 0] // 1024))
        for first in range(0, len(order), _AT_ONCE):
            if self.stop.is_set():
                break
            part = order[first : first + _AT_ONCE]
            crops, fine = readable_crops(opened, self._rule, slide.centres_yx[part], slide.mpp, colour)
            self._crops[start + part] = crops
            self.kept[start + part] = fine
        return len(slide) - int(self.kept[start : start + len(slide)].sum())


def _side_by_side(cutter: _Cutter, token: Token | None) -> Iterator[tuple[int, str]]:
    todo = iter([n for n, slide in enumerate(cutter.slides) if len(slide)])
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="crops") as pool:
        waiting: set[Future[tuple[int, str]]] = set()
        try:
            while True:
                while len(waiting) < 2 * WORKERS and (number := next(todo, None)) is not None:
                    waiting.add(pool.submit(cutter.cut, number))
                if not waiting:
                    return
                done, waiting = wait(waiting, _POLL_S, FIRST_COMPLETED)
                stop_if_cancelled(token)
                for future in done:
                    yield future.result()
        finally:
            cutter.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _refuse_without_scale(slides: Sequence[TrainingSlide], rule: CropRule) -> None:
    unknown = [slide for slide in slides if slide.mpp is None and len(slide)]
    if unknown and rule.unit == "um":
        shown = ", ".join(slide.name for slide in unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        raise ScaleUnknownError(
            "Expected the µm per px of each slide, since cells are cut out in µm, got "
            f"{counted(len(unknown), 'slide')} without ({shown}); enter it after the source, as in apacc:DIR@0.25, or "
            "for the slides in their project.",
            [slide.path for slide in unknown],
        )


def _only(crops: Crops, kept: npt.NDArray[np.bool_]) -> Crops:
    """Return the crops that are kept, moved together in place: there may be no room for a second copy."""
    if kept.all():
        return crops
    rows = np.flatnonzero(kept)
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        crops[first : first + len(part)] = crops[part]
    return crops[: len(rows)]
