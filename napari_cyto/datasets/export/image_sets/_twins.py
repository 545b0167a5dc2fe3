"""Slides that show the same cells, looked for before a data set is divided; some cells of each are compared."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.audit.crop_prints import CropPrints
from napari_cyto.datasets.audit.near_duplicates import owners_that_share
from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.crop_cache import readable_crops
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SlideError
from napari_cyto.jobs.events import Advanced
from napari_cyto.slides import open_slide, pass_cache

MOST_OF_A_SLIDE = 256
MOST_TOGETHER = 100_000
"""Cells compared of one slide, and of all: about 1.1 KB each."""

_WINDOW_UM, _WINDOW_PX, _PRINT_PX = 45.0, 200.0, 32
"""A nucleus looks like many others; with what lies round it, it does not."""
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class CellPlaces:
    """Where cells of a slide lie: ``centres_yx`` (n, 2), float64, level-0 px."""

    slide: SlideRecord
    path: Path
    centres_yx: npt.NDArray[np.float64]


def some_of(boxes_yxyx: npt.NDArray[np.float64], slides: int) -> npt.NDArray[np.float64]:
    """Return the centres of those cells of a slide that are compared, evenly spread over its list."""
    most = max(1, min(MOST_OF_A_SLIDE, MOST_TOGETHER // max(slides, 1)))
    chosen = np.unique(np.linspace(0, len(boxes_yxyx) - 1, min(len(boxes_yxyx), most)).astype(np.intp))
    return np.asarray((boxes_yxyx[chosen, :2] + boxes_yxyx[chosen, 2:]) / 2)


def find_twins(
    places: Sequence[CellPlaces], tick: Callable[[], None]
) -> Generator[Advanced, None, tuple[tuple[str, str], ...]]:
    """Return the pairs of slides (by id) that share a cell; yields how far the look is.

    Parameters
    ----------
    places : sequence of CellPlaces
        The slides; what cannot be read is no one's twin, and is refused when it is written.
    tick : callable
        Called several times a second; what it raises ends the look.
    """
    prints, owners = CropPrints(), list[int]()
    for number, each in enumerate(places):
        yield Advanced(number, len(places), f"Comparing cells: {each.slide.name}.")
        tick()
        rule = CropRule(
            windows=(_WINDOW_UM if each.slide.mpp else _WINDOW_PX,),
            unit="um" if each.slide.mpp else "px",
            size_px=_PRINT_PX,
        )
        try:
            with open_slide(each.path, pass_cache()) as opened:
                for start in range(0, len(each.centres_yx), _AT_ONCE):
                    tick()
                    some = each.centres_yx[start : start + _AT_ONCE]
                    crops, fine = readable_crops(opened, rule, some, each.slide.mpp, None)
                    for crop in crops[fine][:, 0]:
                        prints.add(each.slide.id, crop)
        except SlideError:
            pass
        owners += [number] * (len(prints) - len(owners))
    pairs = owners_that_share(prints, np.array(owners, dtype=np.intp), tick)
    return tuple(sorted((places[i].slide.id, places[j].slide.id) for i, j in pairs))
