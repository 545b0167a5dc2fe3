"""Edits of the annotations on the slide on screen; each is committed when its command returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, Box, Geometry, Point, Polygon, is_on_image
from napari_cyto.errors import CytoError, ScaleUnknownError, SchemeError, SlideError, StaleEditError
from napari_cyto.review.predictions import with_review
from napari_cyto.session._project_file import ProjectFile
from napari_cyto.session._projects import LAST_CLASS
from napari_cyto.session._state import SessionState

TAKE_BACK = "Undo with Ctrl+Z."
_STATUS_WORDS = {Status.ACCEPTED: "accepted", Status.REJECTED: "rejected", Status.UNREVIEWED: "set back to unreviewed"}
_STATUS_LABELS = {Status.ACCEPTED: "Accept", Status.REJECTED: "Reject", Status.UNREVIEWED: "Set back to unreviewed:"}


class Edits:
    """Adds, changes, reviews and deletes annotations.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    file : ProjectFile
        What stores the edits.
    """

    def __init__(self, state: SessionState, file: ProjectFile) -> None:
        self._state = state
        self._signals = state.signals
        self._file = file

    def choose_class(self, class_id: str, of: Iterable[str] | None = None) -> None:
        """Give the selected cells the class ``class_id``, in one undo step, else make it the class of the next mark.

        Relabelling says so, since it leaves the class of the next mark as it was.

        Parameters
        ----------
        class_id : str
            One of the project's scheme.
        of : iterable of str, optional
            Ids of the cells that get it, instead of those that are selected.

        Raises
        ------
        SchemeError
            When the project's scheme has no such class.
        """
        project = self._state.need_project()
        cell_class = project.scheme[class_id]
        chosen = [a for a in self._meant(of) if not a.is_region]
        if not chosen and of is None:
            self._choose_for_next(class_id)
            return
        count = self.change_all(
            chosen,
            lambda a: with_review(a, self._state.author, _reviewed(a.status), class_id),
            f"Relabel {{}} as {cell_class.id}",
        )
        next_class = self._state.class_id
        if not count:
            self._state.say(f"{_those(chosen)} already {cell_class.id}. The class of the next cell is {next_class}.")
        elif class_id != next_class or count > 1:
            self._state.say(
                f"{counted(count, 'cell')} relabelled as {cell_class.id}; the class of the next cell is still "
                f"{next_class}. {TAKE_BACK}"
            )

    def _choose_for_next(self, class_id: str) -> None:
        if class_id != self._state.class_id:
            self._state.class_id = class_id
            self._state.need_project().remember(LAST_CLASS, class_id)
            self._signals.class_changed.emit()

    def add_point(self, yx: YX) -> Annotation:
        """Mark the cell at ``yx``, level-0 px, with the current class."""
        return self.add(Point(*yx), f"Add {self._state.class_id}")

    def add_box(self, box: Box) -> Annotation:
        """Draw ``box``, level-0 px, around a cell of the current class."""
        return self.add(box, f"Add {self._state.class_id} box")

    def add_box_at(self, centre_yx: YX) -> Annotation:
        """Draw a box of the current class's size around ``centre_yx``, level-0 px.

        Raises
        ------
        ScaleUnknownError
            When it is not known how many µm a pixel measures.
        """
        slide = self._state.need_slide()
        if slide.mpp is None:
            self._signals.mpp_needed.emit()
            raise ScaleUnknownError(
                f"One-click boxes are sized in µm, but the pixel size of {slide.name} is unknown; enter it in "
                "the Slide dock, or drag a box of the size you want."
            )
        side_px = self._state.need_project().scheme[self._state.class_id].box_um / slide.mpp
        return self.add_box(Box.around(centre_yx, side_px, side_px))

    def add_region(self, vertices_yx: Iterable[YX]) -> Annotation:
        """Draw a region inside which every cell is marked.

        Parameters
        ----------
        vertices_yx : iterable of (y, x)
            Corners in order, level-0 px, the first not repeated.
        """
        return self.add(Polygon(tuple(vertices_yx)), "Draw region", class_id=None)

    def add(self, geometry: Geometry, label: str, class_id: str | None = "") -> Annotation:
        """Add an annotation of the current class, or of none: a region."""
        self._state.need_project()
        self._check_on_slide([geometry])
        annotation = Annotation(
            slide_id=self._state.need_slide().id,
            geometry=geometry,
            class_id=self._state.class_id if class_id == "" else class_id,
            author=self._state.author,
        )
        self._apply(edits.add([annotation], label))
        return annotation

    def delete_selected(self) -> None:
        """Delete what is selected, in one undo step."""
        chosen = self._state.selected()
        if not chosen:
            self._state.say("Nothing is selected; click a cell with the select tool first.")
            return
        cursor = self._state.cursor
        if cursor is not None and cursor.id in self._state.selection:
            # "next" must go on from here after the annotation it stood on is gone.
            self._state.cursor = self._state.need_project().neighbour(cursor.slide_id, cursor, step=-1)
        self._refuse_unseen(chosen)
        self._apply(edits.remove(chosen, f"Delete {_count(chosen)}"))
        self._report_bulk(len(chosen), "deleted", chosen)

    def move_selected(self, dy: float, dx: float) -> None:
        """Move what is selected by ``dy, dx`` level-0 px, in one undo step."""
        if dy or dx:
            chosen = self._state.selected()
            self._check_on_slide(a.geometry.translated(dy, dx) for a in chosen)
            count = self.change_all(chosen, lambda a: replace(a, geometry=a.geometry.translated(dy, dx)), "Move {}")
            self._report_bulk(count, "moved", chosen)

    def reshape(self, annotation_id: str, geometry: Geometry) -> None:
        """Give one annotation another outline, level-0 px."""
        annotation = self._state.need_project().annotation(annotation_id)
        if annotation is not None:
            self.change_all([annotation], lambda a: replace(a, geometry=geometry), "Resize {}")

    def set_note(self, text: str) -> None:
        """Give what is selected the note ``text``."""
        chosen = self._state.selected()
        self._report_bulk(
            self.change_all(chosen, lambda a: replace(a, note=text), "Add note to {}"), "given a note", chosen
        )

    def set_status(self, status: Status, of: Iterable[str] | None = None) -> None:
        """Accept, reject or propose again what is selected, or the annotations with the ids ``of``, in one undo step.

        Raises
        ------
        CytoError
            When proposals would be accepted whose class is hidden from the reader.
        """
        chosen, new_status = self._meant(of), Status(status)
        hidden = [a for a in chosen if a.status is Status.UNREVIEWED and not a.is_region]
        if self._state.shown_filter.blind and new_status is Status.ACCEPTED and hidden:
            raise CytoError("This is a blind reading: give the cell its class with 1 to 9 instead, or reject it.")
        count = self.change_all(
            chosen, lambda a: with_review(a, self._state.author, new_status), f"{_STATUS_LABELS[new_status]} {{}}"
        )
        if chosen and not count:
            self._state.say(f"{_those(chosen)} already {_STATUS_WORDS[new_status]}.")
        else:
            self._report_bulk(count, _STATUS_WORDS[new_status], chosen)

    def _meant(self, of: Iterable[str] | None) -> tuple[Annotation, ...]:
        return self._state.selected() if of is None else tuple(self._state.need_project().annotations_by_id(of))

    def set_box_um(self, class_id: str, um: float) -> None:
        """Set the side of a one-click box of a class, µm.

        Raises
        ------
        SchemeError
            When there is no such class or no cell has that size.
        """
        project = self._state.need_project()
        scheme = project.scheme
        if class_id not in scheme:
            raise SchemeError(f"The class {class_id!r} is not in the scheme {scheme.name!r}.")
        classes = tuple(replace(c, box_um=float(um)) if c.id == class_id else c for c in scheme.classes)
        project.set_scheme(replace(scheme, classes=classes))
        self._signals.class_changed.emit()

    def _check_on_slide(self, geometries: Iterable[Geometry]) -> None:
        """Refuse what has its middle beside the slide: no export could cut it out, and nobody would find it again."""
        size_hw = self._state.need_slide().size_hw
        if size_hw is None:
            return
        for geometry in geometries:
            if not is_on_image(geometry.centre_yx, size_hw):
                raise SlideError("Expected a cell or region on the slide, got one whose centre lies outside it.")

    def _report_bulk(self, count: int, done: str, of: Iterable[Annotation]) -> None:
        """Say what became of more than one annotation; of a single one, the eye that is on it sees it."""
        if count > 1:
            things = "cells" if not any(a.is_region for a in of) else "annotations"
            self._state.say(f"{count:,} {things} {done}. {TAKE_BACK}")

    def change_all(
        self, before: Iterable[Annotation], change: Callable[[Annotation], Annotation | None], label: str
    ) -> int:
        """Change what ``change`` makes another of, and delete that of which it makes nothing, in one undo step.

        Parameters
        ----------
        before : iterable of Annotation
            As they are stored.
        change : callable
            What each becomes.
        label : str
            Of the step; ``{}`` stands for what was changed.

        Returns
        -------
        int
            How many that were.

        Raises
        ------
        StaleEditError
            When some were changed elsewhere meanwhile.
        """
        before = list(before)
        self._refuse_unseen(before)
        changes = tuple(edits.Change(a, b) for a in before if (b := change(a)) != a)
        if changes:
            changed = [a for c in changes if (a := c.before) is not None]
            self._apply(edits.Edit(label.format(_count(changed)), changes))
        return len(changes)

    def _refuse_unseen(self, stored: Iterable[Annotation]) -> None:
        """Refuse to change what was changed elsewhere and is not on the screen yet, and bring it there.

        Raises
        ------
        StaleEditError
            When something of ``stored`` is drawn as it was before.
        """
        if self._state.unsaved is not None:
            return
        unseen = [a for a in stored if (drawn := self._state.drawn(a.id)) is not None and drawn != a]
        if unseen:
            self._signals.annotations_changed.emit(None)
            raise StaleEditError(
                f"Nothing was changed: {counted(len(unseen), 'cell')} had just been changed elsewhere, perhaps in "
                "another window; check the current state, and try again."
            )

    def _apply(self, edit: edits.Edit) -> None:
        entry = self._file.store(edit)
        self._forget_removed(edit)
        self._signals.annotations_changed.emit(entry)

    def _forget_removed(self, edit: edits.Edit) -> None:
        removed = {c.annotation_id for c in edit.changes if c.after is None}
        self._state.select(self._state.selection - removed)


def _those(chosen: Iterable[Annotation]) -> str:
    count = len(list(chosen))
    return "The selected annotation is" if count == 1 else f"The {count:,} selected annotations are"


def _reviewed(status: Status) -> Status:
    """A person who gives a proposal its class has judged it."""
    return Status.ACCEPTED if status is Status.UNREVIEWED else status


def _count(annotations: Iterable[Annotation]) -> str:
    chosen = list(annotations)
    if len(chosen) == 1:
        return "region" if chosen[0].is_region else f"{chosen[0].class_id}"
    return f"{len(chosen)} annotations"
