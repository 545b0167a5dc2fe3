"""The scale of images that do not state it, estimated from their nuclei; offered to people, never taken silently."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.statistics.nuclear_scale import ScaleEstimate, scale_from_nuclei
from napari_cyto.errors import CytoError, ScaleUnknownError, SlideError
from napari_cyto.slides._nuclei import nuclei_in
from napari_cyto.slides._open_any import open_slide
from napari_cyto.slides.pixel_source import Pixels, SlidePixels
from napari_cyto.slides.stain import stain_of

FIELD_PX = 1024
"""Side of a field that is looked at, level-0 px: 0.25 mm at 40x."""
MOST_FIELDS = 24
"""Of a slide, or images of a collection: more make the interval hardly narrower."""

OFFERED_FIELDS = 8
"""Looked at where nobody asked for an estimate, but would be refused without: some seconds."""
OFFERED_CROPS = 200
"""The same of images that are smaller than a field."""

_TRIED = 400


def estimate_scale(
    images: Iterable[Pixels], seed: int = 0, pulse: Callable[[], None] = lambda: None, most: int = MOST_FIELDS
) -> ScaleEstimate:
    """Return what nuclei say of the µm per level-0 px that images of one scale share.

    Parameters
    ----------
    images : iterable of Pixels
        One slide, or images of one camera. The caller chooses which, where they are many.
    seed : int
        Of the choice of fields.
    pulse : callable
        Called between fields; a job that is to stop raises from it.
    most : int
        Fields of each image that are looked at.

    Raises
    ------
    SlideError
        When an image cannot be read.
    """
    found: list[npt.NDArray[np.float64]] = []
    for pixels in images:
        for y, x, height, width in _fields(pixels, np.random.default_rng(seed), most):
            pulse()
            found.append(nuclei_in(pixels.read(0, y, x, height, width)).diameters_px)
    return scale_from_nuclei(found, seed)


def with_offer(error: ScaleUnknownError) -> str:
    """Return the sentence of a refusal and what the nuclei of its images say of their scale, which nobody takes for it.

    Images of one refusal are those of one camera, unless they are slides: then the first that can be read speaks.
    """
    names: list[str] = []
    with ExitStack() as opened:
        images: list[Pixels] = []
        for path in error.images:
            try:
                slide = opened.enter_context(open_slide(path))
            except (CytoError, OSError):
                continue
            whole = max(slide.info.width, slide.info.height) > 2 * FIELD_PX
            if whole and images:
                continue
            images.append(SlidePixels(slide))
            names.append(slide.info.name)
            small = min(slide.info.width, slide.info.height) < FIELD_PX // 2
            if whole or len(images) >= (OFFERED_CROPS if small else OFFERED_FIELDS):
                break
        if not images:
            return str(error)
        try:
            found = estimate_scale(images, most=OFFERED_FIELDS)
        except SlideError:
            return str(error)
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    use = " It is not used until you state it." if found.mpp is not None else ""
    return f"{error} By the nuclei of {names[0]}{more}: {found.sentence}{use}"


def _fields(pixels: Pixels, rng: np.random.Generator, most: int) -> list[tuple[int, int, int, int]]:
    """Return top, left, height and width of fields to look at: all of a small image, of a slide where stain is."""
    height, width = pixels.size_hw
    rows, columns = max(height // FIELD_PX, 1), max(width // FIELD_PX, 1)
    if max(rows, columns) == 1:
        return [(0, 0, height, width)]
    places = [(r * FIELD_PX, c * FIELD_PX) for r in range(rows) for c in range(columns)]
    if len(places) > most:
        stain = stain_of(pixels, None)
        corners = np.array([places[i] for i in rng.permutation(len(places))[:_TRIED]], dtype=np.float64)
        holds = stain.each_within(np.hstack([corners, corners + FIELD_PX]))
        places = [(int(y), int(x)) for y, x in corners[holds][:most].tolist()]
    return [(y, x, min(FIELD_PX, height - y), min(FIELD_PX, width - x)) for y, x in places]
