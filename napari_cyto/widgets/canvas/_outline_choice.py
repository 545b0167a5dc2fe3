"""Whether cells show their boxes or only dots: an outline helps when it is large enough and not one of a heap."""

from __future__ import annotations

import math
from collections.abc import Iterable

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YXYX, Box

SMALLEST_SCREEN_PX = 6.0
"""Of a usual box: below, an outline says no more than its dot."""

SURE_SCREEN_PX = 60.0
"""From here on outlines are shown however many there are: who is so near looks at single cells."""

CROWDED_SHARE = 0.4
"""Of what is in view; where boxes cover more, outlines cross each other and hide the cells."""


def is_crowded(cells: Iterable[Annotation], box_yxyx: YXYX | None) -> bool:
    """Whether the boxes of ``cells`` cover so much of a part of the slide, level-0 px, that they heap up there."""
    if box_yxyx is None:
        return False
    y0, x0, y1, x1 = box_yxyx
    areas = (math.prod(c.geometry.size_hw) for c in cells if isinstance(c.geometry, Box))
    return sum(areas) > CROWDED_SHARE * (y1 - y0) * (x1 - x0)


def outlines_show(usual_screen_px: float, *, crowded: bool) -> bool:
    """Whether boxes are outlined where a usual one is so large on the screen."""
    return usual_screen_px >= (SURE_SCREEN_PX if crowded else SMALLEST_SCREEN_PX)
