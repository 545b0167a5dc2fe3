"""What a training set is recognised by: the pixels, cells and classes it holds, not where or in which order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import numpy as np

from napari_cyto.datasets.training.labelled_slide import TrainingSlide

_DECIMALS = 3


def set_fingerprint(scheme_name: str, classes: Sequence[str], slides: Iterable[TrainingSlide]) -> str:
    """Return 32 hexadecimal digits.

    Parameters
    ----------
    scheme_name : str
        The scheme's name.
    classes : sequence of str
        The classes that the slides' ``class_index`` counts.
    slides : iterable of TrainingSlide
        In any order; places are compared to a thousandth of a level-0 px.
    """
    digest = hashlib.sha256(json.dumps([scheme_name, *classes]).encode())
    for of_slide in sorted(_slide_digest(slide) for slide in slides):
        digest.update(of_slide)
    return digest.hexdigest()[:32]


def _slide_digest(slide: TrainingSlide) -> bytes:
    boxes = np.nan_to_num(slide.boxes_yxyx, nan=-1.0)
    cells = np.round(np.hstack([slide.centres_yx, boxes, slide.class_index[:, None]]), _DECIMALS)
    regions = sorted(np.round(np.array(region.vertices_yx), _DECIMALS).tolist() for region in slide.regions)
    content = [slide.fingerprint, slide.mpp, sorted(cells.tolist()), regions, slide.centred]
    if len(slide.rejected_yx):  # data without any keeps the fingerprint that models recorded of it
        content.append(sorted(np.round(slide.rejected_yx, _DECIMALS).tolist()))
    return hashlib.sha256(json.dumps(content).encode()).digest()
