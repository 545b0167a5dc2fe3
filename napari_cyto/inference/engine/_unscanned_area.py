"""Which detections lie where nothing was scanned: in one even colour, over more than a cell, without any texture.

Scanners write black, white or grey where they did not look, and a network that never saw such a thing finds cells in
it. A dark cell, pus or a thick group is no such place: it has texture, or ends within the width of a cell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.inference.model_view import ModelView
from napari_cyto.slides.backend import RGB

SIDE_UM = 40.0
"""A square of one even colour is at least so large, with the detection's centre in it: twice the largest nucleus."""

EVEN_SHARE = 0.97
"""Share of the square that has the centre's colour; what a compressed edge of the scanned part leaves out is less."""

NEAR, NEAR_ON_BLACK, BLACK = 8, 10, 40
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
    found = np.zeros(len(points_yx), dtype=np.bool_)
    whole = np.floor(points_yx).astype(np.intp)
    around = max(2, round(_AROUND_UM / 2 / um)) * per_um
    for n in np.flatnonzero(_maybe(whole - around, 2 * around, tile, rgb, view, per_um)):
        window, inside = _window(whole[n] - side * per_um, 2 * side * per_um, tile, rgb, view, per_um)
        found[n] = _is_even(window, side, inside)
    return found


def _last(view: ModelView) -> tuple[int, int]:
    """Return the last row and column that the slide fills; into what begins beyond, white is mixed."""
    height, width = (max(int(length / view.scale), 1) - 1 for length in view.pixels.size_hw)
    return height, width


def _maybe(corners: npt.NDArray[np.intp], side: int, tile: Tile, rgb: RGB, view: ModelView, per_um: int) -> Bools:
    """Return which detections have hardly any texture right around them: nearly all have, and need no second look."""
    if not len(corners):
        return np.zeros(0, dtype=np.bool_)
    steps, starts = np.arange(side), (tile.y0, tile.x0)
    # Beyond the slide and beyond the tile its own edge goes on.
    ys, xs = (
        np.clip(np.clip(corners[:, n, None] + steps, 0, _last(view)[n]) - starts[n], 0, rgb.shape[n] - 1)
        for n in (0, 1)
    )
    near = _near(_averaged(rgb[ys[:, :, None], xs[:, None, :]], per_um))
    even: Bools = near.mean((1, 2)) >= _EVEN_AROUND
    return even


def _window(
    corner: npt.NDArray[np.intp], side: int, tile: Tile, rgb: RGB, view: ModelView, per_um: int
) -> tuple[npt.NDArray[np.float32], Bools]:
    """Return a square, averaged, its edge going on beyond the slide; and where it lies on the slide."""
    (last_y, last_x), (y, x) = _last(view), (int(v) for v in corner)
    y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + side, last_y + 1), min(x + side, last_x + 1)
    top, left = y0 - tile.y0, x0 - tile.x0
    if min(top, left) >= 0 and y1 - tile.y0 <= rgb.shape[0] and x1 - tile.x0 <= rgb.shape[1]:
        part = rgb[top : y1 - tile.y0, left : x1 - tile.x0]
    else:
        part = view.read(y0, x0, y1 - y0, x1 - x0)
    whole = np.pad(part, ((y0 - y, y + side - y1), (x0 - x, x + side - x1), (0, 0)), mode="edge")
    rows, columns = (at + per_um * np.arange(side // per_um) + per_um // 2 for at in (y, x))
    inside = ((rows >= 0) & (rows <= last_y))[:, None] & ((columns >= 0) & (columns <= last_x))
    return _averaged(whole[None], per_um)[0], inside


def _is_even(window: npt.NDArray[np.float32], side: int, inside: Bools) -> bool:
    """Whether a square of ``side`` px with the window's middle in it has the middle's colour.

    The window is float32 ``(2 side, 2 side, 3)``. Only what lies ``inside`` the slide counts; it is half of the square
    at least, or nearly all of a picture that is smaller.
    """
    near, there = _squares(_near(window[None])[0] & inside, side), _squares(inside, side)
    enough = there >= min(side * side / 2, 0.9 * float(there.max()))
    return bool((enough & (near >= EVEN_SHARE * there)).any())


def _squares(where: Bools, side: int) -> npt.NDArray[np.int64]:
    """Return how many px are set in each square of ``side`` px of a window of twice the side."""
    sums = np.pad(where.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    counts: npt.NDArray[np.int64] = (
        sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    )
    return counts


def _near(windows: npt.NDArray[np.float32]) -> Bools:
    """Return where windows ``(n, h, w, 3)`` have the colour of their middle, bool ``(n, h, w)``."""
    middle_y, middle_x = windows.shape[1] // 2, windows.shape[2] // 2
    centre = windows[:, middle_y - 1 : middle_y + 1, middle_x - 1 : middle_x + 1].mean((1, 2))
    spread = np.abs(windows - centre[:, None, None]).max(-1)
    allowed = np.where(centre.max(-1) < BLACK, NEAR_ON_BLACK, NEAR)
    near: Bools = spread <= allowed[:, None, None]
    return near


def _averaged(windows: RGB, per_um: int) -> npt.NDArray[np.float32]:
    """Return windows ``(n, h, w, 3)`` with squares of ``per_um`` px averaged, float32."""
    n, height, width, _ = windows.shape
    split = windows.reshape(n, height // per_um, per_um, width // per_um, per_um, 3)
    averaged: npt.NDArray[np.float32] = np.asarray(split.mean((2, 4), dtype=np.float32), dtype=np.float32)
    return averaged
