"""Slides that show the same cells although they are different pictures: overlapping fields, the same cell cut twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from napari_cyto.datasets.audit.crop_prints import CropPrints
from napari_cyto.datasets.audit.near_duplicates import owners_that_share
from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.crop_cache import readable_crops
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.set_fingerprint import set_fingerprint
from napari_cyto.errors import SlideError
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import open_slide, pass_cache

WINDOW_UM = 45.0
"""A nucleus looks like many others; with what lies round it, it does not. On CRIC's 175 fields this names the one pair
that shows the same place and no other, where 15 µm names twelve."""

_WINDOW_PX = 200.0
_PRINT_PX = 32
_MOST_OF_A_SLIDE = 512
_REMEMBERED = 8

Pairs = tuple[tuple[str, str], ...]
_known: OrderedDict[str, Pairs] = OrderedDict()


def twin_slides(slides: Sequence[TrainingSlide], token: Token | None = None) -> Pairs:
    """Return the pairs of slides (by key) that share at least one cell.

    Parameters
    ----------
    slides : sequence of TrainingSlide
        The slides; of each at most 512 cells are compared, evenly spread over its list. What cannot be read is no
        one's twin. The answer is remembered while the process lives.
    token : Token, optional
        Asks for a stop.

    Raises
    ------
    JobCancelled
        When the user asked for it.
    """
    name = set_fingerprint("twins", (), slides)
    if name not in _known:
        _known[name] = _look(slides, token)
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return _known[name]


def _look(slides: Sequence[TrainingSlide], token: Token | None) -> Pairs:
    prints = CropPrints()
    owners: list[int] = []
    for number, slide in enumerate(slides):
        stop_if_cancelled(token)
        if len(slide):
            _add(prints, slide)
            owners += [number] * (len(prints) - len(owners))
    pairs = owners_that_share(prints, np.array(owners, dtype=np.intp), lambda: stop_if_cancelled(token))
    return tuple(sorted((slides[i].key, slides[j].key) for i, j in pairs))


def _add(prints: CropPrints, slide: TrainingSlide) -> None:
    chosen = np.unique(np.linspace(0, len(slide) - 1, min(len(slide), _MOST_OF_A_SLIDE)).astype(np.intp))
    rule = CropRule(
        windows=(WINDOW_UM if slide.mpp else _WINDOW_PX,), unit="um" if slide.mpp else "px", size_px=_PRINT_PX
    )
    try:
        with open_slide(slide.path, pass_cache()) as opened:
            crops, fine = readable_crops(opened, rule, slide.centres_yx[chosen], slide.mpp, None)
    except SlideError:  # said when its cells are cut out
        return
    for crop in crops[fine][:, 0]:
        prints.add(slide.key, crop)
