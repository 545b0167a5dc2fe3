"""The steps of an extraction as rings to be drawn over the slide, and the job that finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.errors import CytoError
from napari_cyto.inference.extract._slices import SliceCells, SliceSteps, is_home
from napari_cyto.inference.extract._steps import Fate
from napari_cyto.inference.extract.job import OneSlide, nuclei_by
from napari_cyto.inference.extract.options import ExtractRequest
from napari_cyto.inference.outline.outlines import ring_of
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Done, Events, Token
from napari_cyto.jobs.outcome import Steps, ending_once
from napari_cyto.slides import Slide, open_slide

Ring = tuple[YX, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSteps(JsonFields):
    """The steps in a part of a slide; rings of (y, x), level-0 px.

    Parameters
    ----------
    dropped : tuple
        Connected components of the mask that are too large.
    kept, by_area, by_roundness : tuple
        Parts that are cells, and those left out by their area and by their roundness.
    boxes_yxyx : tuple
        The padded boxes of the cells.
    """

    dropped: tuple[Ring, ...]
    kept: tuple[Ring, ...]
    by_area: tuple[Ring, ...]
    by_roundness: tuple[Ring, ...]
    boxes_yxyx: tuple[tuple[int, int, int, int], ...]


def show_steps(request: ExtractRequest, token: Token | None = None, models: LoadedModels | None = None) -> Events:
    """Find the steps of an extraction on the first slide of a request, and write nothing; a job.

    Yields
    ------
    Event
        The last is a `Done` with a `ShownSteps`.
    """
    return ending_once(_steps(request, token, models or LoadedModels()))


def _steps(request: ExtractRequest, token: Token | None, models: LoadedModels) -> Steps:
    if request.region_yxyx is None:
        raise CytoError("Expected a part of the slide whose steps are to be shown, got none; zoom to a field.")
    nuclei = nuclei_by(request, models)
    with open_slide(request.slides[0]) as slide:
        drawn = _Drawn(request)
        yield from OneSlide(request, drawn, slide, nuclei, token).steps()
    yield Done(
        ShownSteps(
            dropped=tuple(drawn.dropped),
            kept=tuple(drawn.parts.get(Fate.KEPT, ())),
            by_area=(*drawn.parts.get(Fate.TOO_SMALL, ()), *drawn.parts.get(Fate.TOO_LARGE, ())),
            by_roundness=tuple(drawn.parts.get(Fate.NOT_ROUND, ())),
            boxes_yxyx=tuple(drawn.boxes_yxyx),
        )
    )


@dataclass
class _Drawn:
    """Takes the steps of slices, and turns them into rings."""

    request: ExtractRequest
    kind: str = "rings"
    written: int = 0
    there_before: int = 0
    dropped: list[Ring] = field(default_factory=list)
    parts: dict[Fate, list[Ring]] = field(default_factory=dict)
    boxes_yxyx: list[tuple[int, int, int, int]] = field(default_factory=list)

    def mpp(self, slide: Slide) -> float | None:
        """Return what the user said, or the file."""
        return self.request.mpp or slide.info.mpp

    def begin(self, slide: Slide, mpp: float) -> None:
        """Begin the slide."""

    def put(self, cells: SliceCells, found: SliceSteps) -> None:
        """Take the steps of a slice: of its parts those that are its own."""
        corner, region = cells.corner_yx, self.request.region_yxyx
        for ring, _ in _rings(found.steps.large, found):
            middle = np.mean(ring, axis=0)
            if is_home((float(middle[0]), float(middle[1])), corner, region):
                self.dropped.append(ring)
        middles = found.middles_yx
        for ring, place in _rings(found.steps.parts, found):
            if is_home((float(middles[place, 0]), float(middles[place, 1])), corner, region):
                self.parts.setdefault(Fate(int(found.steps.fates[place])), []).append(ring)
        self.boxes_yxyx += cells.boxes_yxyx

    def end(self) -> None:
        """Do nothing: nothing is written."""


def _rings(labels: npt.NDArray[np.int32], found: SliceSteps) -> Iterator[tuple[Ring, int]]:
    """Yield the ring of each numbered part, level-0 px, and its number less 1."""
    places: Sequence[tuple[slice, slice] | None] = ndimage.find_objects(labels)
    for number, place in enumerate(places):
        if place is None:
            continue
        mask = labels[place] == number + 1
        y, x = (float(v) + 0.5 for v in np.argwhere(mask)[0])
        top, left = (found.window[n] + place[n].start for n in (0, 1))
        ring = tuple(((a + top) * found.step_px, (b + left) * found.step_px) for a, b in ring_of(mask, (y, x)))
        if ring:
            yield ring, number
