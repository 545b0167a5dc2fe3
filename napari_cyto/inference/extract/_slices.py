"""One slice of a slide: its steps, and the boxes of its cells."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.inference.extract._masks import Corner, MaskSource, Window
from napari_cyto.inference.extract._steps import Fate, Steps, steps_from
from napari_cyto.inference.extract.extraction import Fates
from napari_cyto.inference.extract.options import Limits

WholeBox = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class SliceCells:
    """The cells of a slice.

    Parameters
    ----------
    corner_yx : tuple of int
        The slice's, level-0 px.
    boxes_yxyx : tuple
        Half-open boxes with their padding, whole level-0 px, within the slice and the slide.
    fates : Fates
        What became of the parts whose middle lies in the slice.
    clipped : int
        Boxes that lost a part.
    """

    corner_yx: Corner
    boxes_yxyx: tuple[WholeBox, ...]
    fates: Fates
    clipped: int


@dataclass(frozen=True, slots=True, eq=False)
class SliceSteps:
    """The steps of a slice and where they lie: window of the mask, and level-0 px per px of it."""

    steps: Steps
    window: Window
    step_px: float

    @property
    def level0_boxes_yxyx(self) -> npt.NDArray[np.float64]:
        """Half-open boxes of the parts, level-0 px, float64 (n, 4)."""
        return np.asarray((self.steps.boxes_yxyx + np.tile(self.window[:2], 2)) * self.step_px, np.float64)

    @property
    def middles_yx(self) -> npt.NDArray[np.float64]:
        """Middles of those boxes, level-0 px, float64 (n, 2)."""
        boxes = self.level0_boxes_yxyx
        return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def steps_of_slice(
    source: MaskSource, corner_yx: Corner, size_hw: tuple[int, int], step_px: float, limits: Limits
) -> SliceSteps:
    """Return the steps of a slice with its halo.

    Parameters
    ----------
    source : MaskSource
        Gives the mask.
    corner_yx : tuple of int
        The slice's, level-0 px.
    size_hw : tuple of int
        The slide's, level-0 px.
    step_px : float
        Level-0 px per px of the mask.
    limits : Limits
        In µm.
    """
    halo = math.ceil(limits.halo_um / limits.um_per_px)
    whole = [math.ceil(length / step_px) for length in size_hw]
    starts = [max(math.floor(v / step_px) - halo, 0) for v in corner_yx]
    stops = [
        min(math.ceil((v + SLICE_SIDE) / step_px) + halo, length) for v, length in zip(corner_yx, whole, strict=True)
    ]
    window = (*starts, *(b - a for a, b in zip(starts, stops, strict=True)))
    goes_on = (starts[0] > 0, starts[1] > 0, stops[0] < whole[0], stops[1] < whole[1])
    assert len(window) == 4
    return SliceSteps(steps_from(source.mask(window), limits, goes_on), window, step_px)


def cells_of_slice(
    found: SliceSteps,
    corner_yx: Corner,
    size_hw: tuple[int, int],
    limits: Limits,
    region_yxyx: YXYX | None,
) -> SliceCells:
    """Return the cells whose middle lies in a slice, and in the region where there is one."""
    steps, boxes = found.steps, found.level0_boxes_yxyx
    here = np.array([is_home((y, x), corner_yx, region_yxyx) for y, x in found.middles_yx.tolist()], np.bool_)
    fates = Counter(steps.fates[here].tolist())
    large = sum(
        is_home((y, x), corner_yx, region_yxyx)
        for y, x in ((steps.large_centres_yx + found.window[:2]) * found.step_px).tolist()
    )
    pad_px = limits.pad_um / limits.um_per_px * found.step_px
    low = np.maximum(corner_yx, 0)
    high = np.minimum(np.add(corner_yx, SLICE_SIDE), size_hw)
    kept, clipped = [], 0
    for box in boxes[here & (steps.fates == Fate.KEPT)].tolist():
        padded = [math.floor(box[0] - pad_px), math.floor(box[1] - pad_px)]
        padded += [math.ceil(box[2] + pad_px), math.ceil(box[3] + pad_px)]
        inside = (
            max(padded[0], int(low[0])),
            max(padded[1], int(low[1])),
            min(padded[2], int(high[0])),
            min(padded[3], int(high[1])),
        )
        clipped += list(inside) != padded
        kept.append(inside)
    counted = Fates(len(kept), fates[Fate.TOO_SMALL], fates[Fate.TOO_LARGE], fates[Fate.NOT_ROUND], large)
    return SliceCells(corner_yx, tuple(kept), counted, clipped)


def is_home(middle_yx: YX, corner_yx: Corner, region_yxyx: YXYX | None) -> bool:
    """Whether a place, level-0 px, lies in a slice, and in the region where there is one."""
    inside = all(v <= m < v + SLICE_SIDE for m, v in zip(middle_yx, corner_yx, strict=True))
    if region_yxyx is None or not inside:
        return inside
    y0, x0, y1, x1 = region_yxyx
    return y0 <= middle_yx[0] < y1 and x0 <= middle_yx[1] < x1
