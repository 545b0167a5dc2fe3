"""Which classes of a scheme are high-grade: those that must not be missed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

HIGH_GRADE = ("ASC-H", "HSIL", "SCC")
"""HSIL+; ASC-H, of which HSIL cannot be excluded, is among them."""


class Graded(Protocol):
    """What must be known of a class: a model's class and a scheme's class both tell it."""

    @property
    def id(self) -> str:
        """What label files call it."""
        ...

    @property
    def severity(self) -> int | None:
        """Its place in the order of severity, 0 for normal; None for what has no grade."""
        ...


def high_grade_of(classes: Iterable[Graded]) -> tuple[str, ...]:
    """Return the high-grade classes of a scheme; in one without Bethesda's, all that are graded above normal."""
    graded = [c.id for c in classes if c.severity]
    return tuple(c for c in graded if c in HIGH_GRADE) or tuple(graded)
