"""From the slide's frame to napari's and back, the one place that knows how they differ; and how near the view is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YX

# napari puts the centre of pixel i at i, the slide's frame at i + 0.5.
PIXEL_CENTRE = 0.5


def frame_to_data(frame_yx: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return napari data coordinates of places on the slide.

    Parameters
    ----------
    frame_yx : array-like (..., 2)
        Level-0 px, pixel centres at integers + 0.5.

    Returns
    -------
    numpy.ndarray (..., 2), float64
        napari data coordinates of our layers, pixel centres at integers.
    """
    return np.asarray(frame_yx, dtype=np.float64) - PIXEL_CENTRE


def world_to_frame(world: Sequence[float], mpp: float) -> YX:
    """Return the place on the slide of a napari world position.

    Parameters
    ----------
    world : sequence of float
        napari world coordinates, of which the last two are ``y, x``; µm where the pixel size is known, else px.
    mpp : float
        The scale of our layers: µm per level-0 px, 1 where it is not known.

    Returns
    -------
    tuple of float
        ``(y, x)``, level-0 px.
    """
    return (float(world[-2]) / mpp + PIXEL_CENTRE, float(world[-1]) / mpp + PIXEL_CENTRE)


def frame_to_world(yx: YX, mpp: float) -> YX:
    """Return the napari world position of a place on the slide (level-0 px); ``mpp`` as in `world_to_frame`."""
    return ((yx[0] - PIXEL_CENTRE) * mpp, (yx[1] - PIXEL_CENTRE) * mpp)


def turned(yx: YX, degrees: float) -> YX:
    """Return ``(y, x)``, y downwards, turned clockwise round the origin; exact for quarter turns."""
    quarter, rest = divmod(degrees, 90.0)
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[int(quarter) % 4] if not rest else _cos_sin(degrees)
    return (sin * yx[1] + cos * yx[0], cos * yx[1] - sin * yx[0])


def _cos_sin(degrees: float) -> tuple[float, float]:
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def around_turned(size_yx: YX, degrees: float) -> YX:
    """Return height and width of the upright box round one that is turned."""
    (a, b), (c, d) = turned((size_yx[0], 0), degrees), turned((0, size_yx[1]), degrees)
    return (abs(a) + abs(c), abs(b) + abs(d))


def within_turned(size_yx: YX, degrees: float) -> YX:
    """Return height and width of an upright box that lies within one that is turned, all of it at quarter turns."""
    if degrees % 90 == 0:
        return around_turned(size_yx, degrees)
    around = around_turned(size_yx, degrees)
    share = min(size_yx[0] / around[0], size_yx[1] / around[1])
    return (size_yx[0] * share, size_yx[1] * share)


_USUAL_UM = 40.0
# Most slides whose scale is not told were scanned at 40x.
_USUAL_PX = _USUAL_UM / 0.25
# As wide on the screen is a usual cell that the view jumps to; who is a little nearer or farther keeps the zoom.
_JUMP_SCREEN_PX = 150.0
_JUMP_KEEPS = (0.4, 6.0)


def usual_world(mpp: float | None) -> float:
    """Return the side of a usual cell's box in world units: µm, or px where the slide's ``mpp`` is not known."""
    return _USUAL_UM if mpp else _USUAL_PX


def zoom_to_see(zoom: float, mpp: float | None) -> float | None:
    """Return the zoom (canvas px per world unit) that shows a cell well; None where ``zoom`` does already."""
    target = _JUMP_SCREEN_PX / usual_world(mpp)
    low, high = _JUMP_KEEPS
    return None if low * target <= zoom <= high * target else target
