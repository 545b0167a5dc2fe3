"""Outlines as shapely's areas, many in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from napari_cyto.domain.geometry._shapes import YX


def areas_of(outlines_yx: Sequence[Sequence[YX] | npt.NDArray[np.float64]]) -> npt.NDArray[Any]:
    """Return the areas within closed outlines, shapely Polygons in an object array (n,).

    The same as ``shapely.Polygon(outline)`` of each, in a tenth of the time.

    Parameters
    ----------
    outlines_yx : sequence of sequences of (y, x) or of ndarrays (k, 2)
        Of each at least three corners.
    """
    if not len(outlines_yx):
        return np.empty(0, dtype=object)
    corners = [np.asarray(outline, np.float64) for outline in outlines_yx]
    of = np.repeat(np.arange(len(corners)), [len(each) for each in corners])
    areas: npt.NDArray[Any] = shapely.polygons(shapely.linearrings(np.concatenate(corners), indices=of))
    return areas
