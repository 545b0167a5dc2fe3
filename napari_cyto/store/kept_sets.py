"""Prediction sets that are kept with a project: those of its models, its own calibrations, how slides were imaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_cyto.domain.prediction_sets import PredictionSets, SlideLook
from napari_cyto.store._project import Project

_SETS, _LOOKS = "model.prediction_sets", "slides.looks"


@dataclass(frozen=True, slots=True)
class KeptSets:
    """The thresholds of one model, in the project's classes.

    Parameters
    ----------
    sets : PredictionSets
        The thresholds.
    is_local : bool
        Whether they were calibrated on this project's own slides, rather than coming with the model.
    """

    sets: PredictionSets
    is_local: bool


def keep_sets(project: Project, origin: str, sets: PredictionSets, *, is_local: bool) -> None:
    """Keep the thresholds of a model; those that come with it never replace the project's own.

    Parameters
    ----------
    project : Project
        Open for writing.
    origin : str
        Of the model's cells.
    sets : PredictionSets
        In the project's classes.
    is_local : bool
        Whether they were calibrated on this project.
    """
    before = kept_sets(project).get(origin)
    made = KeptSets(sets, is_local)
    if before == made or (before is not None and before.is_local and not is_local):
        return
    row = {"local": is_local, "sets": sets.model_dump(mode="json")}
    project.change_setting(_SETS, lambda kept: kept | {origin: row}, {})


def kept_sets(project: Project) -> dict[str, KeptSets]:
    """Return the thresholds of the models of a project, by the origin of their cells."""
    kept = project.setting(_SETS, {})
    return {
        origin: KeptSets(PredictionSets.model_validate(row["sets"]), bool(row["local"])) for origin, row in kept.items()
    }


def keep_looks(project: Project, looks: Mapping[str, SlideLook]) -> None:
    """Keep how slides were imaged, by their ids."""
    if looks:
        rows = {slide_id: look.model_dump(mode="json") for slide_id, look in looks.items()}
        project.change_setting(_LOOKS, lambda kept: kept | rows, {})


def looks_of(project: Project) -> dict[str, SlideLook]:
    """Return how the slides of a project were imaged, by their ids; those nobody looked at are missing."""
    return {slide_id: SlideLook.model_validate(row) for slide_id, row in project.setting(_LOOKS, {}).items()}
