"""What persons say of slides as wholes: each word is added to the slide's history, and the last one holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.store._kept_values import INTERPRETATION, check_kept
from napari_cyto.store._settings import read_setting, write_setting
from napari_cyto.store._validity import json_of
from napari_cyto.store.database.schema import setting

_ALL = select(setting.c.key, setting.c.value).where(setting.c.key.startswith(INTERPRETATION, autoescape=True))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a slide's history: what was said (None: it was withdrawn), and who entered it when."""

    interpretation: Interpretation | None
    entered_by: str
    entered_utc: datetime

    @property
    def words(self) -> str:
        """What a person reads."""
        what = "not specified" if self.interpretation is None else self.interpretation.words
        return f"{self.entered_utc.astimezone():%d %b %Y %H:%M}  {self.entered_by}: {what}"


def _entry(kept: Mapping[str, Any]) -> Entry:
    said = Interpretation(kept["category"], kept["by"], kept["at"]) if kept["category"] else None
    return Entry(said, kept["entered_by"], datetime.fromisoformat(kept["entered"]))


def read_held(connection: Connection) -> dict[str, Interpretation]:
    """Return what holds of each slide of which anything holds, by the slide's id.

    Raises
    ------
    RowFault
        When something that is kept is none of ours.
    """
    held: dict[str, Interpretation] = {}
    for key, text in connection.execute(_ALL):
        kept = json_of(text, "setting", key, "value")
        check_kept(key, kept)
        said = _entry(kept[-1]).interpretation if kept else None
        if said is not None:
            held[key.removeprefix(INTERPRETATION)] = said
    return held


def read_one(connection: Connection, slide_id: str) -> Interpretation | None:
    """Return what holds of one slide; None where nothing does."""
    kept = read_setting(connection, INTERPRETATION + slide_id, [])
    return _entry(kept[-1]).interpretation if kept else None


def read_history(connection: Connection, slide_id: str) -> tuple[Entry, ...]:
    """Return the history of one slide, the first entry first."""
    return tuple(map(_entry, read_setting(connection, INTERPRETATION + slide_id, [])))


def add(connection: Connection, said: Mapping[str, Interpretation | None], entered_by: str) -> None:
    """Add what is said of slides to their histories, by their ids."""
    entered = now_utc().isoformat(timespec="seconds")
    for slide_id, each in said.items():
        category, by, at = ("", "", "") if each is None else (each.category, each.by, each.at)
        value = {"category": category, "by": by, "at": at, "entered_by": entered_by, "entered": entered}
        key = INTERPRETATION + slide_id
        write_setting(connection, key, [*read_setting(connection, key, []), value])
