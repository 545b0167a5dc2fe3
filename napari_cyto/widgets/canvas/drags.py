"""Where the mouse is, and what a drag of it is to whoever follows one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from napari_cyto.domain.geometry import YX


@dataclass(frozen=True, slots=True)
class Place:
    """Where the mouse is.

    Parameters
    ----------
    yx : tuple of float
        On the slide, level-0 px.
    screen_xy : tuple of float
        On the canvas, screen px.
    level0_per_screen_px : float
        How many level-0 px a screen px covers.
    """

    yx: YX
    screen_xy: tuple[float, float]
    level0_per_screen_px: float

    def reach(self, screen_px: float) -> float:
        """Return a distance on the screen as one on the slide, level-0 px."""
        return screen_px * self.level0_per_screen_px

    def screen_distance(self, other: Place) -> float:
        """Return how far apart two places are on the screen, px."""
        return math.dist(self.screen_xy, other.screen_xy)


class NoDrag:
    """A drag that does nothing: what it was for is not there."""

    def to(self, place: Place) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class OutlineHand(Protocol):
    """What the Outline tool makes of the mouse."""

    def click(self, place: Place) -> None:
        """Outline the cell under a click."""
        ...

    def stroke(self, start: Place, *, adds: bool) -> Drag:
        """Begin to add to an outline, or to take away from it."""
        ...

    def follow(self, place: Place, adds: bool | None) -> None:
        """Hear where the mouse is while no button is down, and whether a drag would add, take away, or neither."""
        ...


class Drag(Protocol):
    """A drag under way."""

    def to(self, place: Place) -> None:
        """Follow the mouse."""
        ...

    def end(self) -> None:
        """Do what the drag was for."""
        ...
