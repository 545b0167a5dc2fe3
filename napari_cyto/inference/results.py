"""What a prediction tells: cells on the way, what it stored, and what a slide, or several, came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from napari_cyto.domain.json_values import from_plain, to_plain


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """A model by its id and the SHA-256 of its weights."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class UnreadableArea:
    """Part of a slide that could not be read: a box, level-0 px, and why."""

    bounds_yxyx: tuple[int | float, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCells:
    """What became of the cells of a slide in a project.

    Parameters
    ----------
    project : str
        Its folder.
    slide_id : str
        Of the slide in it.
    added : int
        Predictions that are new.
    there_before : int
        Cells that the same models had proposed before.
    judged_before : int
        Cells that a person had judged before; they stay as they are.
    replaced : int
        Predictions of other models that made way.
    classes : mapping
        Class id to cells.
    ambiguous : int or None
        How many of them have a prediction set of more than one class, or of none; None where no set holds.
    sets_void : str
        Why prediction sets were not used though there are some, as a sentence.
    """

    project: str
    slide_id: str
    added: int
    there_before: int
    judged_before: int
    replaced: int
    classes: Mapping[str, int] = field(default_factory=dict)
    ambiguous: int | None = None
    sets_void: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidePrediction:
    """What the prediction on one slide came to.

    Parameters
    ----------
    slide : str
        Its path.
    cells : int
        Found, those that a person had judged before included.
    detector, classifier : ModelUsed
        Which models; the classifier may be None.
    device : str
        As torch calls it.
    runtime : tuple of str
        What computed, as people read it.
    mpp : float or None
        Of the slide, µm per px.
    score_from : float
        The least score that was told, 0 to 1.
    tiles, tiles_without_stain, tiles_done_before : int
        Looked at, skipped, and taken over from an unfinished run.
    left_out_not_scanned : int
        Detections where nothing was scanned.
    remarks : tuple of str
        Sentences to know.
    megapixels : float
        Looked at, px of the model.
    seconds : float
        It took.
    unreadable : tuple of UnreadableArea
        What of the slide is damaged.
    generation : int
        Number of the question that this answers.
    stored : StoredCells or None
        None where there was no project to store in.
    done_before : bool
        Whether an earlier run did all of it.
    """

    slide: str
    cells: int
    detector: ModelUsed
    device: str = ""
    runtime: tuple[str, ...] = ()
    classifier: ModelUsed | None = None
    mpp: float | None = None
    score_from: float | None = None
    tiles: int = 0
    tiles_without_stain: int = 0
    left_out_not_scanned: int = 0
    remarks: tuple[str, ...] = ()
    tiles_done_before: int = 0
    megapixels: float
    seconds: float
    unreadable: tuple[UnreadableArea, ...] = ()
    generation: int = 0
    stored: StoredCells | None = None
    done_before: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the object that runs write; what was stored is among its own fields."""
        plain = cast(dict[str, Any], to_plain(self))
        stored, done_before = plain.pop("stored"), plain.pop("done_before")
        return plain | (stored or {}) | ({"done_before": True} if done_before else {})

    @classmethod
    def from_json(cls, value: object, where: str = "The result of a slide") -> SlidePrediction:
        """Return what ``to_json`` made; what an earlier version did not tell has its default.

        Raises
        ------
        CytoError
            When it is none.
        """
        is_stored = isinstance(value, Mapping) and "project" in value
        stored = from_plain(StoredCells, value, where) if is_stored else None
        return replace(from_plain(cls, value, where), stored=stored)


@dataclass(frozen=True, slots=True)
class SlideLeftOut:
    """A slide that could not be done: its path, and why in a sentence."""

    slide: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidesPrediction:
    """What the prediction on several slides came to.

    Parameters
    ----------
    out : str
        As the user named it.
    kind : str
        ``project``, or the format that was written.
    slides : int
        Asked for.
    workers : int
        Processes that computed; 0: this one alone.
    incidents : tuple of str
        What happened to workers, a sentence each.
    done : tuple of SlidePrediction
        In the order asked for.
    failed : tuple of SlideLeftOut
        The others.
    """

    out: str
    kind: str
    slides: int
    workers: int = 0
    incidents: tuple[str, ...] = ()
    done: tuple[SlidePrediction, ...] = ()
    failed: tuple[SlideLeftOut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that the command line prints."""
        return cast(dict[str, Any], to_plain(self)) | {"done": [each.to_json() for each in self.done]}

    @classmethod
    def from_json(cls, value: object) -> SlidesPrediction:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When it is none.
        """
        plain = from_plain(cls, value, "The result of a prediction")
        each = value["done"] if isinstance(value, Mapping) and "done" in value else ()
        return replace(plain, done=tuple(SlidePrediction.from_json(one) for one in each))


@dataclass(frozen=True, slots=True)
class FoundCells:
    """Cells of a part of a slide, level-0 px.

    Parameters
    ----------
    centres_yx : list
        ``(n, 2)``.
    boxes_yxyx : list
        ``(n, 4)``.
    class_scores : list
        ``(n, classes)``, 0 to 1.
    score : list
        ``(n,)``, 0 to 1.
    """

    centres_yx: list[Any]
    boxes_yxyx: list[Any]
    class_scores: list[Any]
    score: list[Any]


@dataclass(frozen=True, slots=True)
class CellsMeasured:
    """Cells that were found since the last such word, with the tile that they are of, level-0 px."""

    cells: FoundCells
    tile_yxyx: tuple[float, ...]
    generation: int

    def to_json(self) -> dict[str, Any]:
        """Return the values of the event."""
        return cast(dict[str, Any], to_plain(self))


@dataclass(frozen=True, slots=True)
class StoredSoFar:
    """Cells that were stored since the last such word, and all that the run has in the project."""

    stored: int
    kept: int
    generation: int

    def to_json(self) -> dict[str, Any]:
        """Return the values of the event."""
        return cast(dict[str, Any], to_plain(self))

    @classmethod
    def from_json(cls, value: object) -> StoredSoFar:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When it is none.
        """
        return from_plain(cls, value, "What a prediction stored")
