"""How near the view is: what a usual cell measures in world units, and the zoom that shows one well."""

from __future__ import annotations

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
