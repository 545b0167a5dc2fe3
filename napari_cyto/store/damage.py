"""What is said of a damaged database, wherever its damage is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cyto.store.validity import WHAT_TO_DO


def damage_sentence(path: Path, problems: Sequence[str]) -> str:
    """Return the sentence for a database file in which something is wrong."""
    first = problems[0].rstrip(".")
    more = f" and {len(problems) - 1} more problems" if len(problems) > 1 else ""
    return f"The project database {path} is damaged or foreign ({first}{more}) and was left as it is. {WHAT_TO_DO}"
