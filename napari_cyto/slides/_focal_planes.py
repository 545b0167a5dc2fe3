"""The focal planes of a slide: how many there are, how far apart, and which one is shown."""

from __future__ import annotations

from dataclasses import dataclass

MOST_PLANES = 64
"""Scanners give up to about 40; a file that lists thousands of planes would only cost memory to list."""


@dataclass(frozen=True, slots=True)
class FocalPlanes:
    """What is known of a slide's focal planes; planes count from 0 here and from 1 in what people read.

    Parameters
    ----------
    count : int
        How many can be shown; 1 for nearly every slide.
    spacing_um : float or None
        µm from one plane to the next, where the file says so.
    default : int
        The plane that is shown first, and read by whoever names none: the middle one, since a stack is taken around
        the plane that the scanner focused on.
    shown : int
        The plane that this slide's pixels are of.
    """

    count: int = 1
    spacing_um: float | None = None
    default: int = 0
    shown: int = 0

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self.count > 1

    def place_of(self, plane: int | None) -> str:
        """Return which plane it is and how far from the default one: ``plane 4 of 5, +0.5 µm``; None is the default."""
        at = self.default if plane is None else plane
        words = f"plane {at + 1} of {self.count}"
        if self.spacing_um is None or at == self.default:
            return words
        return f"{words}, {(at - self.default) * self.spacing_um:+.3g} µm"

    def to_json(self) -> dict[str, int | float | None]:
        """Return how many there are, how far apart, and which is shown, from 1 as people count."""
        return {"count": self.count, "spacing_um": self.spacing_um, "shown": self.shown + 1}

    def __str__(self) -> str:
        if not self.several:
            return "1 focal plane"
        apart = "" if self.spacing_um is None else f", {self.spacing_um:.3g} µm apart"
        return f"{self.count} focal planes{apart}; plane {self.shown + 1} is shown"


ONE_PLANE = FocalPlanes()
"""What nearly every slide has."""


def stack_of(count: int, spacing_um: float | None) -> FocalPlanes:
    """Return the planes of a stack, with the middle one (of an even number the upper of the two) as the default."""
    middle = count // 2
    return FocalPlanes(count, spacing_um, middle, middle)
