"""The reviewed cells of a project on which a model's prediction sets are calibrated, and how far they are a sample."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.prediction_sets import SlideLook
from napari_cyto.domain.set_calibration import LabelledShares, unit_of
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.review.control_cells import is_bulk
from napari_cyto.review.predictions import FROM_MODEL
from napari_cyto.review.query import score_table
from napari_cyto.store import Project


@dataclass(frozen=True, eq=False)
class ReviewedCells:
    """Predictions of one model that people read and accepted or corrected.

    Parameters
    ----------
    origin : str
        Of the model's cells.
    cells : tuple of Annotation
        With the class that a person gave them and the model's scores.
    slides : mapping of id to SlideRecord
        Those that the cells lie on.
    in_bulk : int
        Cells accepted many at once, which nobody may have looked at; they are left out.
    unread : int
        Predictions of the model on the same slides that nobody reviewed.
    """

    origin: str
    cells: tuple[Annotation, ...]
    slides: Mapping[str, SlideRecord]
    in_bulk: int
    unread: int

    @property
    def model(self) -> tuple[str, str]:
        """Id and SHA-256 of the model."""
        model_id, _, sha256 = self.origin.removeprefix(FROM_MODEL).rpartition("@")
        return model_id, sha256

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the sample, a sentence each."""
        found = []
        if self.in_bulk:
            found.append(f"{counted(self.in_bulk, 'cell')} accepted in bulk left out: nobody may have looked at each.")
        if self.unread:
            found.append(
                f"{counted(self.unread, 'prediction')} on the same slides not reviewed. Where the reviewed cells were "
                "not chosen at random (control cells), they may not be typical of those."
            )
        return tuple(found)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of the cells, their classes and scores, in any order."""
        rows = sorted(f"{cell.id} {cell.class_id} {cell.scores}" for cell in self.cells)
        return hashlib.sha256("\n".join((self.origin, *rows)).encode()).hexdigest()[:32]

    def labelled(self, project: Project, looks: Mapping[str, SlideLook]) -> tuple[LabelledShares, tuple[str, ...]]:
        """Return the cells for the calibration, and what was left out: on slides without a look, of other classes.

        Raises
        ------
        CytoError
            When fewer than two classes are left.
        """
        cells = [cell for cell in self.cells if cell.slide_id in looks]
        known = {class_id for cell in cells for class_id, _ in cell.scores}
        classes = [c for c in project.scheme.classes if c.id in known]
        ids = [c.id for c in classes]
        learned = [cell for cell in cells if cell.class_id in known]
        if len(ids) < 2 or not learned:
            raise CytoError("Expected reviewed cells of at least two classes that the model knows, got none.")
        columns = [project.scheme.ids.index(class_id) for class_id in ids]
        other = Counter(str(cell.class_id) for cell in cells if cell.class_id not in known)
        left_out = [f"{name} ({n:,})" for name, n in sorted(other.items())]
        said = (f"Cells of classes that the model does not know are left out: {', '.join(left_out)}.",)
        labelled = LabelledShares(
            classes,
            score_table(learned, project.scheme)[:, columns],
            np.array([ids.index(str(cell.class_id)) for cell in learned], np.intp),
            [self.slides[cell.slide_id].group for cell in learned],
            [cell.slide_id for cell in learned],
            looks,
            unit_of(self.slides.values(), "slides"),
        )
        return labelled, said if left_out else ()


def reviewed_cells(project: Project, model_id: str) -> ReviewedCells:
    """Return the reviewed predictions of a model in a project.

    Parameters
    ----------
    project : Project
        Open.
    model_id : str
        The model's id; its weights are those whose predictions the project holds.

    Raises
    ------
    CytoError
        When the project has no predictions of it, or those of several models of that id.
    """
    records = {record.id: record for record in project.slides()}
    origin = _origin_of(project, records, model_id)
    cells, in_bulk, unread = list[Annotation](), 0, 0
    for slide_id in records:
        if origin not in project.origins(slide_id):
            continue
        steps = project.review_steps(slide_id)
        alone = {step.annotation_id for step in steps if not is_bulk(step.amount, step.label) and step.before}
        mine = [cell for cell in project.annotations(slide_id) if cell.origin == origin and cell.scores]
        accepted = [cell for cell in mine if cell.status is Status.ACCEPTED]
        cells += [cell for cell in accepted if cell.id in alone]
        in_bulk += sum(cell.id not in alone for cell in accepted)
        unread += sum(cell.status is Status.UNREVIEWED for cell in mine) if accepted else 0
    slides = {cell.slide_id: records[cell.slide_id] for cell in cells}
    return ReviewedCells(origin, tuple(cells), slides, in_bulk, unread)


def _origin_of(project: Project, slide_ids: Iterable[str], model_id: str) -> str:
    found = {origin for slide_id in slide_ids for origin in project.origins(slide_id) if origin.startswith(FROM_MODEL)}
    mine = sorted(o for o in found if o.removeprefix(FROM_MODEL).rpartition("@")[0] == model_id)
    if len(mine) == 1:
        return mine[0]
    names = ", ".join(sorted({o.removeprefix(FROM_MODEL).rpartition("@")[0] for o in found})) or "none"
    if not mine:
        raise CytoError(f"The project has no predictions of {model_id!r}; it has those of: {names}.")
    raise CytoError(
        f"The project has predictions of {len(mine)} models called {model_id}, with other weights each; predict with "
        "one of them on all slides first."
    )
