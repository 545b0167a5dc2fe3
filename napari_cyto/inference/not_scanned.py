"""Which detections lie where nothing was scanned: in one even colour, over more than a cell, without any texture.

Scanners write black, white or grey where they did not look, and a network that never saw such a thing finds cells in
it. A dark cell, pus or a thick group is no such place: it has texture, or ends within the width of a cell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cyto.inference.detection_tiles import Tile
from napari_cyto.inference.model_view import ModelView
from napari_cyto.slides.backend import RGB

SIDE_UM = 40.0
"""A square of one even colour is at least so large, with the detection's centre in it: twice the largest nucleus."""

EVEN_SHARE = 0.97
"""Share of the square that has the centre's colour; what a compressed edge of the scanned part leaves out is less."""

NEAR, NEAR_ON_BLACK, BLACK = 4, 10, 40
"""Grey levels that count as one colour, in any channel, after averaging to 1 µm; more in black, where noise shows."""

UNKNOWN_MPP = 0.5
_AROUND_UM = 8
_EVEN_AROUND = 0.85

Bools = npt.NDArray[np.bool_]


def not_scanned(points_yx: npt.NDArray[np.float64], tile: Tile, rgb: RGB, view: ModelView, mpp: float | None) -> Bools:
    """Return which detections lie where nothing was scanned, bool ``(n,)``.

    The answer depends on the pixels around a detection alone, not on the tile that told of it.

    Parameters
    ----------
    points_yx : ndarray, float64 (n, 2)
        Centres, px of the model.
    tile : Tile
        Whose ``rgb`` shows them.
    rgb : ndarray, uint8 (h, w, 3)
        The tile's pixels as they are on the slide, before colours are matched.
    view : ModelView
        The slide at the model's scale.
    mpp : float or None
        µm per px of the model.
    """
    per_um = max(1, round(1 / (mpp or UNKNOWN_MPP)))
    um = per_um * (mpp or UNKNOWN_MPP)
    side = max(3, round(SIDE_UM / um))
    reach = side * per_um
    found = np.zeros(len(points_yx), dtype=np.bool_)
    whole = np.floor(points_yx).astype(np.intp)
    half = max(2, round(_AROUND_UM / 2 / um)) * per_um
    corners = whole - half - np.array([tile.y0, tile.x0])
    for n in np.flatnonzero(_maybe(corners, 2 * half, rgb, per_um)):
        y, x = (int(v) - reach for v in whole[n])
        window = _averaged(_window(y, x, 2 * reach, tile, rgb, view), per_um)
        # What lies beyond the slide was not scanned either.
        ys, xs = (at + per_um * np.arange(2 * side) for at in (y, x))
        high, wide = view.size_hw
        beyond = ((ys < 0) | (ys >= high))[:, None] | ((xs < 0) | (xs >= wide))[None]
        found[n] = _is_even(window, side, beyond)
    return found


def _window(y: int, x: int, side: int, tile: Tile, rgb: RGB, view: ModelView) -> RGB:
    """Return a square, out of the tile's pixels where they reach so far."""
    top, left = y - tile.y0, x - tile.x0
    if min(top, left) >= 0 and top + side <= rgb.shape[0] and left + side <= rgb.shape[1]:
        return rgb[top : top + side, left : left + side]
    return view.read(y, x, side, side)


def _maybe(corners: npt.NDArray[np.intp], side: int, rgb: RGB, per_um: int) -> Bools:
    """Return which detections have hardly any texture right around them: nearly all have, and need no second look."""
    if not len(corners):
        return np.zeros(0, dtype=np.bool_)
    steps = np.arange(side)
    ys = np.clip(corners[:, 0, None] + steps, 0, rgb.shape[0] - 1)
    xs = np.clip(corners[:, 1, None] + steps, 0, rgb.shape[1] - 1)
    parts = rgb[ys[:, :, None], xs[:, None, :]]
    near = _near(_averaged_each(parts, per_um))
    even: Bools = near.mean((1, 2)) >= _EVEN_AROUND
    return even


def _is_even(window: npt.NDArray[np.float32], side: int, beyond: Bools) -> bool:
    """Whether a square of ``side`` px with the window's middle in it has the middle's colour.

    The window is float32 ``(2 side, 2 side, 3)``; where it lies ``beyond`` the slide, any colour will do.
    """
    near = _near(window[None])[0] | beyond
    sums = np.pad(near.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return bool(squares.max() >= EVEN_SHARE * side * side)


def _near(windows: npt.NDArray[np.float32]) -> Bools:
    """Return where windows ``(n, h, w, 3)`` have the colour of their middle, bool ``(n, h, w)``."""
    middle_y, middle_x = windows.shape[1] // 2, windows.shape[2] // 2
    centre = windows[:, middle_y - 1 : middle_y + 1, middle_x - 1 : middle_x + 1].mean((1, 2))
    spread = np.abs(windows - centre[:, None, None]).max(-1)
    allowed = np.where(centre.max(-1) < BLACK, NEAR_ON_BLACK, NEAR)
    near: Bools = spread <= allowed[:, None, None]
    return near


def _averaged(window: RGB, per_um: int) -> npt.NDArray[np.float32]:
    return _averaged_each(window[None], per_um)[0]


def _averaged_each(windows: RGB, per_um: int) -> npt.NDArray[np.float32]:
    """Return windows ``(n, h, w, 3)`` with squares of ``per_um`` px averaged, float32."""
    n, height, width, _ = windows.shape
    split = windows.reshape(n, height // per_um, per_um, width // per_um, per_um, 3)
    averaged: npt.NDArray[np.float32] = np.mean(split, axis=(2, 4), dtype=np.float32)
    return averaged
