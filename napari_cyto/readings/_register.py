"""Where the main project keeps its readings, and what was drawn for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.json_values import from_plain
from napari_cyto.errors import StoreError
from napari_cyto.readings.reading import Draw, Reading
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import READINGS

_DRAW = "readings.draw."


def main_project(folder: Path) -> Project:
    """Open the main project for what keeps its readings; nothing of it may be shown to who reads."""
    return Project.open(folder, past_gate=True)


def moment() -> str:
    """Return now, ISO 8601, UTC, to the second."""
    return now_utc().isoformat(timespec="seconds")


def all_readings(project: Project) -> tuple[Reading, ...]:
    """Return the readings of a project, in the order in which they were assigned."""
    kept = project.setting(READINGS, [])
    return tuple(from_plain(Reading, each, "A reading of the project") for each in kept)


def one(project: Project, reading_id: str) -> Reading:
    """Return a reading.

    Raises
    ------
    StoreError
        When there is none of that id.
    """
    found = {each.id: each for each in all_readings(project)}
    if reading_id not in found:
        known = ", ".join(found) or "none"
        raise StoreError(f"Expected a reading of this project ({known}), got {reading_id[:40]!r}.")
    return found[reading_id]


def put(project: Project, reading: Reading) -> None:
    """Keep a reading in place of the one with its id."""

    def change(values: Any) -> Any:
        return [reading.to_json() if each["id"] == reading.id else each for each in values]

    project.change_setting(READINGS, change, [])


def draw_of(project: Project, reading_id: str) -> Draw:
    """Return what was drawn for a reading."""
    return from_plain(Draw, project.setting(_DRAW + reading_id, {}), f"The cells of the reading {reading_id}")


def keep_draw(project: Project, reading_id: str, draw: Draw) -> None:
    """Keep what was drawn for a reading."""
    project.set_setting(_DRAW + reading_id, draw.to_json())
