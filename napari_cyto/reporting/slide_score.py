"""What models of slides said of a slide, as reports tell it: the score, what it rests on, whether it still holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.models.library import find_model
from napari_cyto.store import Project
from napari_cyto.vectors import SCORE_NOTICE, Attention, SlideScore, attention_of, changes_since, scores_of

MOST_ATTENDED = 8


@dataclass(frozen=True, slots=True)
class AttendedPlace(JsonFields):
    """A cell or patch that a model looked at most: its id, its centre (level-0 px) and its share of the attention."""

    id: str
    centre_yx: YX
    attention: float
    class_id: str | None = None

    @property
    def words(self) -> str:
        """What stands under its image."""
        return f"{100 * self.attention:.0f} % of the attention" + (f", {self.class_id}" if self.class_id else "")


@dataclass(frozen=True, slots=True)
class ReportedScore:
    """What a model of slides said of a slide.

    Parameters
    ----------
    score : SlideScore
        As it is kept.
    changes : tuple of str
        What has changed since, so that it is out of date; empty where nothing has.
    most_attended : tuple of AttendedPlace
        What it rests on most.
    """

    score: SlideScore
    changes: tuple[str, ...] = ()
    most_attended: tuple[AttendedPlace, ...] = ()

    @property
    def sentence(self) -> str:
        """What a person reads: the score with its interval, and the model."""
        return f"{self.score.words} (model {self.score.model}, {self.score.at[:10]})."

    @property
    def out_of_date(self) -> str:
        """Why the score does not hold any more, as a sentence; empty where it does."""
        return f"Out of date: {', '.join(self.changes)}; score the slide again." if self.changes else ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, with its sentences."""
        return {
            **self.score.to_json(),
            "sentence": self.sentence,
            "out_of_date": self.out_of_date,
            "notice": SCORE_NOTICE,
            "most_attended": [place.to_json() for place in self.most_attended],
        }


def reported_scores(project: Project, record: SlideRecord, most: int = MOST_ATTENDED) -> tuple[ReportedScore, ...]:
    """Return what models of slides said of a slide, the newest first.

    A score whose attention cannot be read counts as out of date.
    """
    found = []
    for score in reversed(scores_of(project, record.id)):
        try:
            kept = attention_of(project, record.id, score.sha256)
            changes = (*_of_model(score), *changes_since(project, record, score, kept))
            found.append(ReportedScore(score, changes, _most_attended(project, score, kept, most)))
        except CytoError:
            # One damaged file beside the project must not cost the rest of the report.
            found.append(ReportedScore(score, ("what the model looked at cannot be read",)))
    return tuple(found)


def _of_model(score: SlideScore) -> tuple[str, ...]:
    """Return that the library has another model of this name; one that was never in the library is not known."""
    entry = find_model(score.model)
    if entry is None or entry.manifest is None or entry.manifest.weights_sha256 == score.sha256:
        return ()
    return (f"the library has another model called {score.model}",)


def _most_attended(project: Project, score: SlideScore, kept: Attention | None, most: int) -> tuple[AttendedPlace, ...]:
    if kept is None:
        return ()
    found = []
    for n in np.argsort(-kept.weights, kind="stable")[:most].tolist():
        cell = project.annotation(kept.ids[n]) if score.bag == "cells" else None
        if score.bag == "cells" and cell is None:
            continue
        y, x = kept.centres_yx[n].tolist()
        found.append(AttendedPlace(kept.ids[n], (y, x), float(kept.weights[n]), cell.class_id if cell else None))
    return tuple(found)
