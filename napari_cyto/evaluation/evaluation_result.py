"""What the evaluation of a model comes to: which model, on which cells, and every score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_cyto.domain.json_values import JsonFields, from_plain, to_plain
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.scores import ClassifierScores, DetectorScores

_WHERE = "The evaluation of a model"


@dataclass(frozen=True, slots=True)
class ParentModel(JsonFields):
    """A model that the evaluated one continues from, and what was new in its data, in words."""

    id: str
    sha256: str
    added: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedModel(JsonFields):
    """Which model was evaluated.

    Parameters
    ----------
    id, sha256, name : str
        Its id, the hash of its weights, and the name of its folder.
    architecture, scheme : str
        What it is built as, and the class scheme.
    classes : tuple of str
        Ids.
    mpp : float or None
        µm per px of its input.
    created_utc, made_by : str
        When, in ISO 8601, and by which version.
    parents : tuple of ParentModel
        What it continues from.
    card : mapping
        The model card as its JSON, which may hold what another version wrote; who was in which set is left out.
    """

    id: str
    sha256: str
    name: str
    architecture: str
    scheme: str
    classes: tuple[str, ...]
    mpp: float | None
    created_utc: str
    made_by: str
    parents: tuple[ParentModel, ...]
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedData(JsonFields):
    """On which cells a model was evaluated.

    Parameters
    ----------
    sources : tuple of str
        Without the folders above their own.
    fingerprint : str
        Of the cells.
    side : str
        Which set, in words.
    slides, cells : int
        How many.
    cells_per_class : mapping of class id to int
        The cells by class.
    groups : int
        Patients, else smears, else images that are independent.
    seen_in_training : int
        Slides that the model was trained on or chosen by.
    warnings, remarks : tuple of str
        Sentences on what flatters the scores, and on what was left out.
    evaluated_utc, made_by : str
        When, in ISO 8601, and by which version.
    """

    sources: tuple[str, ...]
    fingerprint: str
    side: str
    slides: int
    cells: int
    cells_per_class: Mapping[str, int]
    groups: int
    seen_in_training: int
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    evaluated_utc: str
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvaluation:
    """What the evaluation of a model comes to.

    Parameters
    ----------
    kind : str
        ``classifier`` or ``detector``.
    model : EvaluatedModel
        Which model.
    data : EvaluatedData
        On which cells.
    scores : ClassifierScores or DetectorScores
        Every score.
    report, json : str or None
        Where its report was written, as a page and as JSON; None without one.
    """

    kind: str
    model: EvaluatedModel
    data: EvaluatedData
    scores: ClassifierScores | DetectorScores
    report: str | None = None
    json: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, the scores among its own fields."""
        head = {"kind": self.kind, "model": to_plain(self.model), "data": to_plain(self.data)}
        places = {"report": self.report, "json": self.json}
        return head | self.scores.to_json() | {name: place for name, place in places.items() if place is not None}

    @classmethod
    def from_json(cls, value: object, where: str = _WHERE) -> ModelEvaluation:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When something of it is missing or is not what it should be.
        """
        head = from_plain(_Head, value, where)
        scores: ClassifierScores | DetectorScores
        if head.kind == "classifier":
            scores = ClassifierScores.from_json(value, where)
        elif head.kind == "detector":
            scores = DetectorScores.from_json(value, where)
        else:
            raise CytoError(f"{where}: expected the kind classifier or detector, got {head.kind[:40]!r}.")
        return cls(
            kind=head.kind,
            model=head.model,
            data=head.data,
            scores=scores,
            report=head.report,
            json=head.json,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    kind: str
    model: EvaluatedModel
    data: EvaluatedData
    report: str | None = None
    json: str | None = None
