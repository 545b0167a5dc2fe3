"""Cells that models found, into a project as proposals: none twice, and never in the place of a person's word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from napari_cyto.datasets.slide_look import look_of
from napari_cyto.domain.annotation import Annotation, Status, now_utc, origin_of_model
from napari_cyto.domain.counts import counted
from napari_cyto.domain.decision_rule import Costs, called_class
from napari_cyto.domain.edits import Change, Edit, remove
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.prediction_sets import PredictionSets
from napari_cyto.inference._detections import Detections
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.false_calls import false_rate, keep_false_rate
from napari_cyto.models.suitability import class_translation
from napari_cyto.slides import Slide
from napari_cyto.store import Project
from napari_cyto.store.kept_sets import keep_looks, keep_sets, kept_sets, looks_of

SAME_UM = 4.0
"""A cell this near to a mark is the marked one: half of a small nucleus."""

_AGAIN_UM = 1.0
_UNKNOWN_MPP = 0.25


@dataclass
class PredictionWriter:
    """Writes the cells of one slide.

    Parameters
    ----------
    project : Project
        Open.
    slide_id : str
        The slide in it.
    mpp : float or None
        µm per level-0 px.
    speaker : Bundle
        The model whose classes the cells have.
    author : str
        Whose step in the history it is.
    sized : bool
        Whether the boxes are the detector's own word, rather than the usual ones of a class: else points are stored.
    slide : Slide, optional
        Open: looked at once where prediction sets need to know how it was imaged.
    """

    project: Project
    slide_id: str
    mpp: float | None
    speaker: Bundle
    author: str
    sized: bool = True
    slide: Slide | None = None
    added: int = 0
    there: int = 0
    replaced: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    ambiguous: int | None = None
    sets_void: str = ""

    def __post_init__(self) -> None:
        self._ids = class_translation(self.speaker.manifest, self.project.scheme)
        self._costs = self._miss_costs()
        self._origin = origin_of_model(self.speaker.id, self.speaker.sha256)
        self._written: set[str] = set()
        self._there_before: set[str] = set()
        self._sets = self._own_sets()
        self.ambiguous = None if self._sets is None else 0

    def put(self, cells: Detections) -> int:
        """Write cells, all at once, and return how many are new.

        A cell where a person has accepted, rejected or drawn one is not proposed; one that this very model has
        proposed before stays; a proposal of another model that nobody has judged makes place.

        Raises
        ------
        StoreError
            When the database cannot be written.
        """
        if not len(cells):
            return 0
        changes = self._changes(cells)
        if changes:
            count = f"{counted(len(changes), 'cell')}"
            self.project.keep_model_costs(self._origin, self._costs)
            manifest = self.speaker.manifest
            keep_false_rate(self.project, self._origin, false_rate(manifest.card.metrics, manifest.classes))
            self.project.apply(Edit(f"Predict {count} ({self.speaker.id})", tuple(changes)), self.author or "user")
            self._written.update(c.annotation_id for c in changes)
        return len(changes)

    @property
    def kept(self) -> int:
        """How many of the cells that were found so far stand in the project as this model's."""
        return self.added + self.replaced + len(self._there_before)

    @property
    def written(self) -> frozenset[str]:
        """Ids of the annotations that were stored so far."""
        return frozenset(self._written)

    def withdraw(self, ids: Sequence[str]) -> int:
        """Remove proposals that an unfinished run stored and that are none in the end; return how many.

        Those that a person has judged or changed meanwhile stay.

        Raises
        ------
        StoreError
            When the database cannot be written.
        """
        not_found = [each for each in ids if each not in self._there_before and each not in self._written]
        known = self.project.annotations_by_id(not_found)
        gone = [a for a in known if a.status is Status.UNREVIEWED and a.origin == self._origin]
        if gone:
            label = f"Remove {counted(len(gone), 'cell')} of an unfinished run ({self.speaker.id})"
            self.project.apply(remove(gone, label), self.author or "user")
        return len(gone)

    def _own_sets(self) -> PredictionSets | None:
        """Return the prediction sets that hold on the slide: the project's own, else those that come with the model."""
        own = self.speaker.manifest.prediction_sets
        renamed = (
            None if own is None else own.renamed(dict(zip(self.speaker.manifest.class_ids, self._ids, strict=True)))
        )
        if renamed is not None:
            keep_sets(self.project, self._origin, renamed, is_local=False)
        kept = kept_sets(self.project).get(self._origin)
        if kept is None:
            if own is not None:
                self.sets_void = "The project takes several classes of the model for one, which no threshold fits."
            return None
        if set(kept.sets.class_ids) != set(self._ids):
            self.sets_void = "They were calibrated for other classes than the model gives in this project."
            return None
        look = looks_of(self.project).get(self.slide_id)
        if look is None and self.slide is not None:
            look = look_of(self.slide)
            keep_looks(self.project, {self.slide_id: look})
        self.sets_void = kept.sets.void_reason(look, is_local=kept.is_local)
        return None if self.sets_void else kept.sets

    def _is_ambiguous(self, cells: Detections) -> npt.NDArray[np.bool_]:
        """Return of which cells the set has more than one class, or none, bool ``(n,)``."""
        if self._sets is None:
            return np.zeros(len(cells), np.bool_)
        scores = np.zeros((len(cells), len(self._sets.classes)))
        for column, class_id in enumerate(self._ids):
            scores[:, self._sets.class_ids.index(class_id)] += cells.class_scores[:, column]
        total = scores.sum(axis=1, keepdims=True)
        shares = np.divide(scores, total, out=np.full_like(scores, np.nan), where=total > 0)
        found: npt.NDArray[np.bool_] = self._sets.sets(shares).sum(axis=1) != 1
        return found

    def _miss_costs(self) -> Costs:
        """Return what it costs to miss a class of the project: where several outputs stand for it, the most."""
        costs: dict[str, float] = {}
        for class_id, cost in zip(self._ids, self.speaker.manifest.decision.miss_costs, strict=False):
            costs[class_id] = max(costs.get(class_id, 0.0), cost)
        return costs if len(set(costs.values())) > 1 else {}

    def _changes(self, cells: Detections) -> list[Change]:
        stored = self._annotations_near(cells)
        reviewed, unreviewed = (
            [a for a in stored if (a.status is Status.UNREVIEWED) is waits] for waits in (False, True)
        )
        um = self.mpp or _UNKNOWN_MPP
        # A person's word counts wherever it is near enough, also behind a proposal that is nearer.
        from_reviewed, _ = _nearest(cells, reviewed)
        distances, places = _nearest(cells, unreviewed)
        changes: list[Change] = []
        taken: set[str] = set()
        is_ambiguous = self._is_ambiguous(cells)
        for n in range(len(cells)):
            if from_reviewed[n] < SAME_UM / um:
                self.there += 1
                continue
            near_one = unreviewed[places[n]] if distances[n] < SAME_UM / um else None
            new = self._annotation(cells, n)
            if near_one is None or near_one.id in taken:
                changes.append(Change(None, new))
            elif near_one.origin == self._origin:
                if distances[n] < _AGAIN_UM / um:
                    self.there += 1
                    self._there_before.add(near_one.id)
                    self.classes[str(near_one.class_id)] += 1
                    self._count_ambiguous(is_ambiguous[n])
                    continue
                changes.append(Change(None, new))
            else:
                taken.add(near_one.id)
                # In its place: who knows the older one by its id finds the new one.
                changes.append(Change(near_one, replace(new, note=near_one.note, id=near_one.id)))
                self.replaced += 1
            self.classes[str(new.class_id)] += 1
            self._count_ambiguous(is_ambiguous[n])
        self.added += sum(c.before is None for c in changes)
        return changes

    def _count_ambiguous(self, is_so: np.bool_) -> None:
        if self.ambiguous is not None:
            self.ambiguous += bool(is_so)

    def _annotations_near(self, cells: Detections) -> list[Annotation]:
        """Return the cells that are marked where these were found, but for those of this run."""
        reach = SAME_UM / (self.mpp or _UNKNOWN_MPP)
        low, high = cells.centres_yx.min(axis=0) - reach, cells.centres_yx.max(axis=0) + reach
        found = self.project.in_box(self.slide_id, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))
        return [a for a in found if not a.is_region and a.id not in self._written]

    def _annotation(self, cells: Detections, n: int) -> Annotation:
        shares = cells.class_scores[n]
        scores: dict[str, float] = {}
        for class_id, share in zip(self._ids, shares.tolist(), strict=True):
            # Several outputs may stand for one class of the project; their scores add up.
            scores[class_id] = min(scores.get(class_id, 0.0) + share, 1.0)
        y0, x0, y1, x1 = cells.boxes_yxyx[n].tolist()
        return Annotation(
            slide_id=self.slide_id,
            geometry=Box(y0, x0, y1, x1) if self.sized else Point((y0 + y1) / 2, (x0 + x1) / 2),
            class_id=called_class(scores.items(), self._costs),
            status=Status.UNREVIEWED,
            author=self.speaker.id,
            origin=self._origin,
            scores=tuple(scores.items()),
            created_utc=now_utc(),
        )


def _nearest(cells: Detections, stored: Sequence[Annotation]) -> tuple[np.ndarray, np.ndarray]:
    if not stored:
        return np.full(len(cells), np.inf), np.zeros(len(cells), np.intp)
    distances, places = KDTree([a.geometry.centre_yx for a in stored]).query(cells.centres_yx)
    return np.asarray(distances), np.asarray(places)
