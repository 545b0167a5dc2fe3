"""A place on a slide that somebody wants to find again, and how places are written in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from napari_cyto.domain.annotation import new_id, now_utc
from napari_cyto.domain.geometry import YX
from napari_cyto.errors import CytoError

_UNITS = {"px": "px", "um": "µm", "µm": "µm", "μm": "µm", "mm": "mm"}
_UM_PER_MM = 1000.0
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
# Either a comma stands between the two, or in them; what could be read both ways is refused.
_PLAIN = re.compile(rf"(?:x\s*[=:]?)?\s*({_NUMBER})\s*(?:[,;]|\s)\s*(?:y\s*[=:]?)?\s*({_NUMBER})\s*([a-zµμ]*)", re.I)
_COMMAS = re.compile(r"([+-]?\d+,\d+)\s*;\s*([+-]?\d+,\d+)\s*([a-zµμ]*)", re.I)


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One kept place.

    Parameters
    ----------
    slide_id : str
        On which slide.
    yx : tuple of float
        Level-0 px.
    level0_per_screen_px : float
        How near it was looked at: level-0 px under a px of the screen.
    note : str
        What somebody wrote of it.
    author : str
        Who.
    """

    slide_id: str
    yx: YX
    level0_per_screen_px: float
    note: str
    author: str
    id: str = field(default_factory=new_id)
    at_utc: datetime = field(default_factory=now_utc)

    def to_json(self) -> dict[str, Any]:
        """Return what is kept with the project."""
        return {
            "id": self.id,
            "slide": self.slide_id,
            "y": self.yx[0],
            "x": self.yx[1],
            "scale": self.level0_per_screen_px,
            "note": self.note,
            "by": self.author,
            "at": self.at_utc.isoformat(),
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        """Return what was kept with the project, whose form the store has checked."""
        return cls(
            kept["slide"],
            (float(kept["y"]), float(kept["x"])),
            float(kept["scale"]),
            kept["note"],
            kept["by"],
            kept["id"],
            datetime.fromisoformat(kept["at"]),
        )


def place_of_words(words: str, unit: str, mpp: float | None) -> YX:
    """Return the place that somebody wrote, ``(y, x)``, level-0 px from the slide's upper left corner.

    Parameters
    ----------
    words : str
        ``x, y``, across before down: two numbers with a comma, a semicolon or a space between them, perhaps a unit
        behind; numbers with decimal commas need a semicolon between them.
    unit : str
        ``px`` or ``µm``: what the numbers are in where the words name no unit.
    mpp : float or None
        µm per level-0 px.

    Raises
    ------
    CytoError
        When that is no place, or it is in µm and these are not known.
    """
    found = _COMMAS.fullmatch(words.strip()) or _PLAIN.fullmatch(words.strip())
    named = "" if found is None else found[3]
    if found is None or (named and named.lower() not in _UNITS):
        raise CytoError(
            f"Expected a place as x, y, for example 12000, 8500 or 3000.5 2125 µm, got {words.strip()!r}; "
            "numbers with decimal commas need a semicolon between them."
        )
    x, y = (float(found[n].replace(",", ".")) for n in (1, 2))
    unit = _UNITS[named.lower()] if named else unit
    if unit == "px":
        return (y, x)
    if not mpp:
        raise CytoError(f"The size of a pixel of this slide is unknown, so {unit} mean no place on it; give px.")
    per_unit = _UM_PER_MM if unit == "mm" else 1.0
    return (y * per_unit / mpp, x * per_unit / mpp)


def words_of_place(yx: YX) -> str:
    """Return a place, level-0 px, as `place_of_words` reads it: ``x, y``."""
    return f"{yx[1]:.0f}, {yx[0]:.0f} px"
