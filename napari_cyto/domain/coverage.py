"""Which part of a slide somebody has looked at, and how near: a grid over the slide that only ever fills."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YXYX

Floats: TypeAlias = npt.NDArray[np.float64]

MAGNIFICATIONS = (4.0, 10.0, 20.0, 40.0)
"""The objectives that are told apart."""

_UM_PER_PX_AT_1X = 10.0
# A grid of a million places takes a megabyte; on a slide of 25 x 55 mm a place is 37 µm wide, less than a cell.
_MOST_PLACES = 1_000_000
_FINEST_PX = 32
_FORM = 1


def magnification_of(um_per_screen_px: float) -> float:
    """Return the objective that shows a slide as large as a screen whose px covers so many µm: 0.25 µm are 40x.

    Source
    ------
    The scanners' convention, as in Sellaro et al., "Relationship between magnification and resolution in digital
    pathology systems", J. Pathol. Inform. 4 (2013) 21.
    """
    return _UM_PER_PX_AT_1X / um_per_screen_px


def um_per_screen_px_at(magnification: float) -> float:
    """Return how many µm a px of the screen covers at a magnification, the inverse of `magnification_of`."""
    return _UM_PER_PX_AT_1X / magnification


class Coverage:
    """How near each place of a slide was looked at.

    Parameters
    ----------
    size_hw : tuple of int
        The slide's height and width, level-0 px; the grid follows from it alone.
    seen : ndarray, uint8 (rows, columns), optional
        How many of `MAGNIFICATIONS` each place was looked at with or beyond, 0 for never.
    """

    def __init__(self, size_hw: tuple[int, int], seen: npt.NDArray[np.uint8] | None = None) -> None:
        height, width = self.size_hw = (max(1, int(size_hw[0])), max(1, int(size_hw[1])))
        self.step_px = max(_FINEST_PX, math.ceil(math.sqrt(height * width / _MOST_PLACES)))
        self._heights, self._widths = _lengths(height, self.step_px), _lengths(width, self.step_px)
        self._middles_y, self._middles_x = _middles(self._heights), _middles(self._widths)
        shape = (len(self._heights), len(self._widths))
        self.seen = np.zeros(shape, np.uint8) if seen is None else seen
        if self.seen.shape != shape:
            raise ValueError(f"Expected a grid of {shape} tiles for the slide, got {self.seen.shape}.")

    def see(self, view_yxyx: YXYX, magnification: float) -> bool:
        """Take note of a view, and return whether it showed anything new.

        Parameters
        ----------
        view_yxyx : tuple of float
            What was on screen, level-0 px. A place counts when its middle was.
        magnification : float
            As `magnification_of` tells it; below the least of `MAGNIFICATIONS` nothing counts.
        """
        code = level_of(magnification)
        y0, x0, y1, x1 = view_yxyx
        rows = slice(*np.searchsorted(self._middles_y, (y0, max(y0, y1))))
        columns = slice(*np.searchsorted(self._middles_x, (x0, max(x0, x1))))
        block = self.seen[rows, columns]
        if not code or not block.size or int(block.min()) >= code:
            return False
        np.maximum(block, code, out=block)
        return True

    def merged(self, other: Coverage) -> Coverage:
        """Return what either has seen."""
        return Coverage(self.size_hw, np.maximum(self.seen, other.seen))

    def copy(self) -> Coverage:
        """Return the same, which does not follow what is seen later."""
        return Coverage(self.size_hw, self.seen.copy())

    def share(self, magnification: float, where: npt.NDArray[np.bool_] | None = None) -> float:
        """Return which share of the slide, 0 to 1, was looked at with a magnification or beyond.

        Parameters
        ----------
        magnification : float
            The least that counts, one of `MAGNIFICATIONS`.
        where : ndarray, bool (h, w), optional
            A mask over the whole slide, of any size: the share of it is told. A mask of nothing is no mask.
        """
        looked = self.seen >= max(1, level_of(magnification))
        weight = np.ones(looked.shape, bool) if where is None or not where.any() else self.sampled(where)
        whole = self._area(weight)
        return min(1.0, self._area(weight & looked) / whole) if whole else self.share(magnification)

    def sampled(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return a mask over the whole slide, bool ``(h, w)``, at the middles of this grid's places."""
        height, width = self.size_hw
        rows = np.minimum((self._middles_y * mask.shape[0] / height).astype(np.intp), mask.shape[0] - 1)
        columns = np.minimum((self._middles_x * mask.shape[1] / width).astype(np.intp), mask.shape[1] - 1)
        return mask[np.ix_(rows, columns)]

    def as_mask(self, magnification: float, shape_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Return where was looked with a magnification or beyond, bool ``shape_hw``, over the whole slide."""
        looked = self.seen >= max(1, level_of(magnification))
        height, width = self.size_hw
        ys = ((np.arange(shape_hw[0]) + 0.5) * height / shape_hw[0] / self.step_px).astype(np.intp)
        xs = ((np.arange(shape_hw[1]) + 0.5) * width / shape_hw[1] / self.step_px).astype(np.intp)
        return looked[np.ix_(np.minimum(ys, looked.shape[0] - 1), np.minimum(xs, looked.shape[1] - 1))]

    def _area(self, places: npt.NDArray[np.bool_]) -> float:
        """Return the area of some places, level-0 px²; those at the far edges are smaller."""
        return float(self._heights @ (places @ self._widths))

    def to_dict(self) -> dict[str, Any]:
        """Return this as JSON-able values; a few kB, since what people look at are rectangles."""
        packed = zlib.compress(self.seen.tobytes(), 1)
        return {"form": _FORM, "size_hw": list(self.size_hw), "seen": base64.b64encode(packed).decode("ascii")}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any], size_hw: tuple[int, int]) -> Self:
        """Return what `to_dict` gave; empty where it is of another form or of a slide of another size.

        Raises
        ------
        ValueError, TypeError, KeyError
            When `to_dict` never gives such a value.
        """
        made = cls(size_hw)
        if kept.get("form") == _FORM and tuple(kept.get("size_hw", ())) == made.size_hw:
            # Never more than the slide has places: a few hundred bytes can unpack to many gigabytes.
            unpacked = _unpacked(base64.b64decode(kept["seen"]), made.seen.size + 1)
            flat = np.frombuffer(unpacked, np.uint8)
            if flat.size == made.seen.size and flat.max(initial=0) <= len(MAGNIFICATIONS):
                return cls(size_hw, flat.reshape(made.seen.shape).copy())
        return made


def _unpacked(packed: bytes, at_most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, at_most)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def level_of(magnification: float) -> int:
    """Return how many of `MAGNIFICATIONS` a magnification reaches; a hair less is enough."""
    return sum(magnification >= each * (1 - 1e-6) for each in MAGNIFICATIONS)


def _lengths(length: int, step: int) -> Floats:
    """Return the sides of the places along an axis, level-0 px; the last may be shorter."""
    return np.diff(np.minimum(np.arange(-(-length // step) + 1) * step, length)).astype(np.float64)


def _middles(lengths: Floats) -> Floats:
    ends = np.cumsum(lengths)
    return np.asarray(ends - lengths / 2)
