"""Images that do not state their scale, brought to it by the size of their nuclei, source by source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.sources import parse_source
from napari_cyto.errors import SlideError
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import open_slide
from napari_cyto.slides.nuclear_scale import estimate_scale
from napari_cyto.slides.pixel_source import Pixels, SlidePixels

MOST_IMAGES = 400
"""Of a source that are looked at; crops of single cells have less than a nucleus each."""


def scaled_by_nuclei(
    slides: Sequence[TrainingSlide], token: Token | None = None
) -> tuple[list[TrainingSlide], list[str]]:
    """Return the slides, those without a scale with that which nuclei say, and what was found, a sentence a source.

    The images of one source are taken for those of one camera. Where nuclei do not tell, the scale stays unknown.

    Parameters
    ----------
    slides : sequence of TrainingSlide
        All of them.
    token : Token, optional
        Asks for a stop.

    Raises
    ------
    JobCancelled
        When the user asked for it.
    """
    lacking: dict[str, list[TrainingSlide]] = defaultdict(list)
    for slide in slides:
        if slide.mpp is None:
            lacking[slide.source].append(slide)
    found: dict[str, float | None] = {}
    said = []
    for source, those in lacking.items():
        order = np.random.default_rng(0).permutation(len(those))[:MOST_IMAGES]
        images = _opened((those[i] for i in order.tolist()), token)
        estimate = estimate_scale(images, pulse=lambda: stop_if_cancelled(token))
        found[source] = estimate.mpp
        said.append(
            f"{PurePath(parse_source(source).path).name} states no µm per px. By its nuclei: {estimate.sentence}"
        )
    scaled = [replace(s, mpp=found[s.source]) if s.mpp is None else s for s in slides]
    return scaled, said


def _opened(slides: Iterable[TrainingSlide], token: Token | None) -> Iterator[Pixels]:
    for slide in slides:
        stop_if_cancelled(token)
        try:
            with open_slide(slide.path) as opened:
                yield SlidePixels(opened)
        except SlideError:
            # Said when its patches are cut.
            continue
