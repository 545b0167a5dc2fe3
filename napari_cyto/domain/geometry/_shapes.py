"""The shapes of annotations: point, box, polygon, the outline of a cell; values in level-0 px."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain, pairwise
from math import isfinite
from typing import TypeAlias

YX: TypeAlias = tuple[float, float]
YXYX: TypeAlias = tuple[float, float, float, float]


def _finite(*values: float) -> None:
    if not all(map(math.isfinite, values)):
        raise ValueError(f"Expected finite coordinates, got {values}.")


@dataclass(frozen=True, slots=True)
class Point:
    """A marked position in level-0 px."""

    y: float
    x: float

    def __post_init__(self) -> None:
        if not (isfinite(self.y) and isfinite(self.x)):
            _finite(self.y, self.x)

    @property
    def centre_yx(self) -> YX:
        """The point itself, level-0 px."""
        return (self.y, self.x)

    @property
    def bounds_yxyx(self) -> YXYX:
        """A box of no size at the point, level-0 px."""
        return (self.y, self.x, self.y, self.x)

    def translated(self, dy: float, dx: float) -> Point:
        """Return the point moved by ``dy, dx`` level-0 px."""
        return Point(self.y + dy, self.x + dx)


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open axis-aligned box in level-0 px."""

    y0: float
    x0: float
    y1: float
    x1: float

    def __post_init__(self) -> None:
        # One comparison says that all is well (no nan, no infinity, some extent); a million boxes feel more.
        if -math.inf < self.y0 < self.y1 < math.inf and -math.inf < self.x0 < self.x1 < math.inf:
            return
        _finite(self.y0, self.x0, self.y1, self.x1)
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise ValueError(f"Expected a box with y1 > y0 and x1 > x0, got {self.bounds_yxyx}.")

    @classmethod
    def around(cls, centre_yx: YX, height: float, width: float) -> Box:
        """Return the box of ``height`` x ``width`` level-0 px whose centre is ``centre_yx``."""
        y, x = centre_yx
        return cls(y - height / 2, x - width / 2, y + height / 2, x + width / 2)

    @property
    def centre_yx(self) -> YX:
        """The middle of the box, level-0 px."""
        return ((self.y0 + self.y1) / 2, (self.x0 + self.x1) / 2)

    @property
    def bounds_yxyx(self) -> YXYX:
        """``(y0, x0, y1, x1)``, level-0 px."""
        return (self.y0, self.x0, self.y1, self.x1)

    @property
    def size_hw(self) -> tuple[float, float]:
        """Height and width, level-0 px."""
        return (self.y1 - self.y0, self.x1 - self.x0)

    def translated(self, dy: float, dx: float) -> Box:
        """Return the box moved by ``dy, dx`` level-0 px."""
        return Box(self.y0 + dy, self.x0 + dx, self.y1 + dy, self.x1 + dx)


@dataclass(frozen=True, slots=True)
class Polygon:
    """A simple closed outline; the last vertex joins the first and is not repeated."""

    vertices_yx: tuple[YX, ...]
    # Found when first asked for, and kept: each drawing asks for it again.
    _bounds: YXYX | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_ring(self.vertices_yx)

    @property
    def centre_yx(self) -> YX:
        """The middle of the bounding box, level-0 px."""
        y0, x0, y1, x1 = self.bounds_yxyx
        return ((y0 + y1) / 2, (x0 + x1) / 2)

    @property
    def bounds_yxyx(self) -> YXYX:
        """The bounding box ``(y0, x0, y1, x1)``, level-0 px."""
        if self._bounds is None:
            ys, xs = zip(*self.vertices_yx, strict=True)
            object.__setattr__(self, "_bounds", (min(ys), min(xs), max(ys), max(xs)))
        return self._bounds  # type: ignore[return-value]

    def translated(self, dy: float, dx: float) -> Polygon:
        """Return the polygon moved by ``dy, dx`` level-0 px."""
        return Polygon(tuple((y + dy, x + dx) for y, x in self.vertices_yx))


@dataclass(frozen=True, slots=True)
class CellOutline(Polygon):
    """The outline of a cell: the ring of its nucleus, and that of the whole cell where it is known.

    It lies where its nucleus lies, so its centre and its bounds are those of the nucleus.

    Parameters
    ----------
    vertices_yx : tuple of (y, x)
        The nucleus.
    cytoplasm_yx : tuple of (y, x)
        The edge of the cytoplasm, round the nucleus; empty where it is not known.
    accepted : bool
        Whether a person drew or accepted it; what is measured on any other is marked so.
    """

    cytoplasm_yx: tuple[YX, ...] = ()
    accepted: bool = True

    def __post_init__(self) -> None:
        _check_ring(self.vertices_yx)
        if self.cytoplasm_yx:
            _check_ring(self.cytoplasm_yx)

    def translated(self, dy: float, dx: float) -> CellOutline:
        """Return the outline moved by ``dy, dx`` level-0 px."""
        nucleus, cell = (tuple((y + dy, x + dx) for y, x in ring) for ring in (self.vertices_yx, self.cytoplasm_yx))
        return CellOutline(nucleus, cell, self.accepted)


Geometry: TypeAlias = Point | Box | Polygon


def _check_ring(vertices_yx: tuple[YX, ...]) -> None:
    if len(vertices_yx) < 3:
        raise ValueError(f"Expected a polygon with at least 3 corners, got {len(vertices_yx)}.")
    # The sum of finite numbers of this size is finite, and of others never.
    if not isfinite(sum(chain.from_iterable(vertices_yx))):
        for y, x in vertices_yx:
            if not (isfinite(y) and isfinite(x)):
                _finite(y, x)


def rectangle(polygon: Polygon) -> Box | None:
    """Return the box that an outline of four axis-aligned sides is, else None."""
    corners = polygon.vertices_yx
    if len(corners) != 4:
        return None
    y0, x0, y1, x1 = polygon.bounds_yxyx
    if set(corners) != {(y0, x0), (y0, x1), (y1, x1), (y1, x0)} or y0 == y1 or x0 == x1:
        return None
    straight = all((a[0] == b[0]) != (a[1] == b[1]) for a, b in pairwise(corners))
    return Box(y0, x0, y1, x1) if straight else None
