"""Who said what a pixel of a slide measures: kept with the project, since sizes and predictions hang on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class MppChange:
    """One answer to the question how many µm a level-0 px measures.

    Parameters
    ----------
    author : str
        Who gave it.
    at_utc : datetime
        When.
    before : float or None
        What was believed until then, µm per level-0 px; None where nothing was known.
    after : float
        The answer.
    """

    author: str
    at_utc: datetime
    before: float | None
    after: float

    def as_json(self) -> dict[str, Any]:
        """Return what is kept with the project."""
        return {"by": self.author, "at": self.at_utc.isoformat(), "from": self.before, "to": self.after}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> MppChange:
        """Return what was kept with the project."""
        return cls(kept["by"], datetime.fromisoformat(kept["at"]), kept["from"], kept["to"])

    @property
    def words(self) -> str:
        """What a person reads."""
        before = "not known" if self.before is None else f"{self.before:g} µm"
        return f"{self.at_utc.astimezone():%d %b %Y %H:%M}  {self.author}: {before} → {self.after:g} µm"
