"""What a person says of slides: patient and smear, how far the annotation has come, how large a pixel is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_cyto.datasets.import_.interpretation_table import ReadTable, import_interpretations
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import SlideError
from napari_cyto.review.predictions import FROM_MODEL
from napari_cyto.session._state import SessionState
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM
from napari_cyto.store.slide_details import change_facts

MPP_HISTORY = "slide.mpp_history."


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


class SlideFacts:
    """Stores what a person says of slides.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._signals = state.signals

    def set_progress(self, progress: Progress, slide_id: str | None = None) -> None:
        """Say how far the annotation of a slide, by default the one on screen, has come."""
        project = self._state.need_project()
        record = project.slide(slide_id) if slide_id else project.slide(self._state.need_slide().id)
        self._update(replace(record, progress=Progress(progress)))
        self._signals.project_changed.emit()

    def set(self, slide_ids: Collection[str], facts: Mapping[str, str]) -> tuple[SlideRecord, ...]:
        """Store patient or smear of slides.

        Parameters
        ----------
        slide_ids : collection of str
            Which slides.
        facts : mapping
            ``patient`` and ``smear``, as many as are to change.

        Returns
        -------
        tuple of SlideRecord
            As they were before, those that changed.

        Raises
        ------
        CytoError
            When a value cannot be stored.
        """
        project = self._state.need_project()
        before = change_facts(project, slide_ids, facts)
        if self._state.slide is not None and self._state.slide.id in slide_ids:
            self._state.slide = project.slide(self._state.slide.id)
        if before:
            self._signals.project_changed.emit()
        return before

    def interpret(self, said: Mapping[str, Interpretation | None]) -> dict[str, Interpretation | None]:
        """Keep what a person says of slides as wholes, by slide id; None withdraws what was said.

        Returns
        -------
        dict
            What held before, of those that changed.
        """
        before = self._state.need_project().interpret(said, self._state.author)
        self._interpreted(before)
        return before

    def import_interpretations(self, table: Path) -> ReadTable:
        """Read interpretations of slides from a table, and say what came of it.

        Raises
        ------
        FormatError
            When a row cannot be stored; nothing is changed then.
        """
        read = import_interpretations(self._state.need_project(), table, self._state.author)
        self._interpreted(read.before)
        self._state.say(f"{table.name}: {read.words}")
        return read

    def _interpreted(self, changed: Collection[str]) -> None:
        slide = self._state.slide
        if slide is not None and slide.id in changed:
            self._state.slide = self._state.need_project().slide(slide.id)
        if changed:
            self._signals.project_changed.emit()

    def set_mpp(self, mpp: float) -> None:
        """Store what the user says a level-0 px of the slide on screen measures, and say what hung on the old value.

        Parameters
        ----------
        mpp : float
            µm per level-0 px.

        Raises
        ------
        SlideError
            When no microscope makes such pixels.
        """
        if not MPP_MIN_UM <= mpp <= MPP_MAX_UM:
            raise SlideError(
                f"Expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g} µm per px, got {mpp:g}; at 40x it is about 0.25."
            )
        project, mpp = self._state.need_project(), float(mpp)
        before = project.slide(self._state.need_slide().id)
        if before.mpp == mpp:
            self._state.say(f"The pixel size of {before.name} is already {mpp:g} µm.")
            return
        change = MppChange(self._state.author, datetime.now(UTC), before.mpp, mpp)
        project.append_setting(MPP_HISTORY + before.id, change.as_json())
        self._update(replace(before, mpp=mpp, mpp_source="user"))
        self._signals.slide_changed.emit()
        if before.mpp is not None:
            self._state.say(
                f"{before.name}: the pixel size is now {mpp:g} µm, previously {before.mpp:g} µm. "
                f"{self._consequences(before.id)}"
            )

    def mpp_history(self) -> tuple[MppChange, ...]:
        """Return who said when what a pixel of the slide on screen measures, the first first."""
        kept = self._state.need_project().setting(MPP_HISTORY + self._state.need_slide().id, [])
        return tuple(MppChange.of_json(each) for each in kept)

    def _consequences(self, slide_id: str) -> str:
        """What was made with the old size of a pixel, in words; a place in px stays right, whatever a px measures."""
        origins = self._state.need_project().origins(slide_id)
        found = sum(count for origin, count in origins.items() if origin.startswith(FROM_MODEL))
        rest = sum(origins.values()) - found
        words = "Annotations keep their places; sizes and areas in µm, the scale bar and the viewed area change."
        if found:
            words += f" Predicted at the old pixel size: {found:,}; run detection again."
        if rest:
            words += (
                f" Drawn or imported: {rest:,}; they keep their size in px, so existing one-click boxes have the "
                "old size."
            )
        return words

    def _update(self, record: SlideRecord) -> None:
        self._state.need_project().update_slide(record)
        if self._state.slide is not None and record.id == self._state.slide.id:
            self._state.slide = record
