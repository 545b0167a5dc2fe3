"""What is said of a damaged database, wherever its damage is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

# How the sentence about a row begins where nobody knows yet which file it lies in.
ALREADY_SAID = "The project database is damaged or foreign: "
BACKUP_FOLDER = "backups"
_OF_SOUND = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z-(?!damaged)[a-z0-9-]+\.sqlite")


def damage_sentence(path: Path, problems: Sequence[str] = ()) -> str:
    """Return the sentence for a database file in which something is wrong: what, and the two ways out of it.

    Each backup was verified when it was taken, and is again before it is restored.
    """
    what = ""
    if problems:
        more = f" and {len(problems) - 1} more problems" if len(problems) > 1 else ""
        what = f" ({_first(problems[0])}{more})"
    return f"The project database {path} is damaged or foreign{what} and was left as it is. {ways_out(path)}"


def _first(problem: str) -> str:
    """Return the first finding; SQLite puts up to a hundred of one page on lines of one text."""
    lines = [line for line in problem.splitlines() if line.strip("* ") and not line.startswith("*** in database")]
    return (lines[0] if lines else problem).removeprefix(ALREADY_SAID).strip().rstrip(".")


def ways_out(path: Path) -> str:
    """Return what can be done about a database file that is damaged or foreign."""
    newest = _newest(path.parent)
    if newest is None:
        back = "There is no backup of it"
    else:
        back = f"'napari-cyto project restore' goes back to the backup {newest.name}"
    return f"{back}; 'napari-cyto project rescue' takes what can still be read into a new project."


def _newest(folder: Path) -> Path | None:
    try:
        names = [each for each in (folder / BACKUP_FOLDER).iterdir() if _OF_SOUND.fullmatch(each.name)]
    except OSError:
        return None
    return max(names, key=lambda each: each.name, default=None)
