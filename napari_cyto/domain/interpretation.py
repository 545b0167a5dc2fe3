"""What the report on a slide says as a whole: one category of the Bethesda system, who gave it, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from napari_cyto.errors import CytoError

SOURCE = "Nayar and Wilbur, The Bethesda System for Reporting Cervical Cytology, 3rd edition, 2015."
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the report: its id, its official name, and other spellings of it."""

    id: str
    name: str
    spellings: tuple[str, ...] = ()


CATEGORIES = (
    Category("Unsatisfactory", "Unsatisfactory for evaluation", ("UNSAT", "inadequate")),
    Category("NILM", "Negative for intraepithelial lesion or malignancy", ("negative", "normal")),
    Category("ASC-US", "Atypical squamous cells of undetermined significance", ("ASCUS",)),
    Category("LSIL", "Low-grade squamous intraepithelial lesion", ("L-SIL",)),
    Category("ASC-H", "Atypical squamous cells, cannot exclude HSIL"),
    Category("AGC", "Atypical glandular cells", ("AGUS",)),
    Category("HSIL", "High-grade squamous intraepithelial lesion", ("H-SIL",)),
    Category("AIS", "Adenocarcinoma in situ"),
    Category("SCC", "Squamous cell carcinoma"),
    Category("Adenocarcinoma", "Adenocarcinoma", ("ADC", "ADCA")),
    Category("Other malignant", "Other malignant neoplasm", ("other malignant neoplasms",)),
)
"""From the least to the most severe. Where a report names two, the slide carries the more severe one."""

UNSATISFACTORY, NEGATIVE = "Unsatisfactory", "NILM"
_BY_ID = {category.id: category for category in CATEGORIES}
_SEVERITY = {category.id: place for place, category in enumerate(CATEGORIES)}


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.casefold())


_BY_SPELLING = {
    _plain(spelling): category.id
    for category in CATEGORIES
    for spelling in (category.id, category.name, f"{category.name} ({category.id})", *category.spellings)
}


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What a person says of a whole slide.

    Parameters
    ----------
    category : str
        The id of one of `CATEGORIES`.
    by : str
        Who says so; empty where that is unknown.
    at : str
        When: a day (2024-05-01) or a moment, in ISO 8601; empty where that is unknown.
    """

    category: str
    by: str = ""
    at: str = ""

    def __post_init__(self) -> None:
        if self.category not in _BY_ID:
            raise CytoError(f"Expected one of the categories {', '.join(_BY_ID)}, got {self.category!r:.60}.")
        if len(self.by) > LONGEST_NAME or (self.by and not self.by.isprintable()):
            raise CytoError(f"Expected a reader of at most {LONGEST_NAME} readable characters, got {self.by[:40]!r}.")
        checked_day(self.at)

    @property
    def name(self) -> str:
        """Its official name."""
        return category_name(self.category)

    @property
    def words(self) -> str:
        """What a person reads: ``HSIL (Ana, 2024-05-01)``."""
        given = ", ".join(part for part in (self.by, self.at[:10]) if part)
        return f"{self.category} ({given})" if given else self.category

    def to_json(self) -> dict[str, str]:
        """Return it as JSON-able values."""
        return {"category": self.category, "name": self.name, "by": self.by, "at": self.at}


def category_name(category: str) -> str:
    """Return the official name of a category."""
    return _BY_ID[category].name


def category_of(text: str) -> str:
    """Return the id of the category that a text spells: its id, its official name, or another usual spelling.

    Raises
    ------
    CytoError
        When it spells none.
    """
    found = _BY_SPELLING.get(_plain(text))
    if found is None:
        raise CytoError(f"Expected one of the categories {', '.join(_BY_ID)}, got {text[:60]!r}.")
    return found


def checked_day(text: str) -> str:
    """Return a day or a moment in ISO 8601 as it is; an empty text where it is unknown.

    Raises
    ------
    CytoError
        When it is neither.
    """
    try:
        if text and (len(text) > 40 or not text.isascii()):
            raise ValueError
        if text and len(text) <= 10:
            date.fromisoformat(text)
        elif text:
            datetime.fromisoformat(text)
    except ValueError:
        raise CytoError(f"Expected a date as 2024-05-01, got {text[:40]!r}.") from None
    return text


def is_at_least(category: str, least: str) -> bool:
    """Whether a category is at least as severe as another one."""
    return _SEVERITY[category] >= _SEVERITY[least]
