"""The outlines of many cells of an open slide, in an order in which neighbours share tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YXYX, bounds_of, grown
from napari_cyto.inference.outline.outlines import OutlinedCell, OutlineMethod, outlines_at
from napari_cyto.slides import Slide
from napari_cyto.slides.pixel_source import SlidePixels

_ROWS_PX = 1024
_AROUND_PX = 32.0


@dataclass(frozen=True, slots=True)
class FoundOutline:
    """What lies under a click, and whether the file is damaged there, so that it is not to be trusted."""

    cell: OutlinedCell
    is_damaged: bool


def outlines_on(
    slide: Slide, clicks_yx: npt.NDArray[np.float64], mpp: float | None, method: OutlineMethod
) -> Iterator[FoundOutline]:
    """Yield the outline under each click on an open slide, in their order.

    Parameters
    ----------
    slide : Slide
        Open.
    clicks_yx : ndarray, float64 (n, 2)
        Places in nuclei, level-0 px.
    mpp : float or None
        µm per level-0 px, where known.
    method : OutlineMethod
        What draws them.

    Raises
    ------
    CytoError
        When a click does not lie on the slide, or it cannot be read.
    """
    places = [(float(y), float(x)) for y, x in clicks_yx]
    for cell in outlines_at(SlidePixels(slide), places, mpp, method):
        yield FoundOutline(cell, bool(slide.unreadable and slide.unreadable_in(_seen(cell))))


def by_neighbours(places_yx: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the order in which places, float64 (n, 2), level-0 px, follow their neighbours."""
    order: npt.NDArray[np.intp] = np.lexsort((places_yx[:, 1], places_yx[:, 0] // _ROWS_PX))
    return order


def _seen(cell: OutlinedCell) -> YXYX:
    ring = cell.cytoplasm_yx or cell.nucleus_yx
    y, x = cell.click_yx
    around = grown((y, x, y, x), _AROUND_PX)
    return bounds_of([around, *((py, px, py, px) for py, px in ring)])
