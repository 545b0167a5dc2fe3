"""Edits of the annotations on the slide on screen; each is committed when its command returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import (
    YX,
    YXYX,
    Box,
    Geometry,
    Point,
    Polygon,
    box_contains_point,
    boxes_touch,
    is_on_image,
)
from napari_cyto.errors import CytoError, SchemeError, SlideError, StaleEditError, StoreError
from napari_cyto.review.predictions import ShownFilter, judged
from napari_cyto.session._project_commands import LAST_CLASS
from napari_cyto.session._replaced_file_commands import ReplacedCommands
from napari_cyto.store import HistoryEntry

TAKE_BACK = "Undo with Ctrl+Z."
_STATUS_WORDS = {Status.ACCEPTED: "accepted", Status.REJECTED: "rejected", Status.PROPOSED: "set back to unreviewed"}
_STATUS_LABELS = {Status.ACCEPTED: "Accept", Status.REJECTED: "Reject", Status.PROPOSED: "Set back to unreviewed:"}


LARGE_STEP = 20_000
"""Annotations in a step of the history from which on it is taken back in the background."""


class AnnotateCommands(ReplacedCommands):
    """What the Annotate dock, the keys and the mouse ask for."""

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
        project = self.need_project()
        cell_class = project.scheme[class_id]
        chosen = [a for a in self._meant(of) if not a.is_region]
        if not chosen and of is None:
            self._choose_for_next(class_id)
            return
        count = self._replace(
            chosen,
            lambda a: judged(a, self.author, _reviewed(a.status), class_id),
            f"Relabel {{}} as {cell_class.id}",
        )
        if not count:
            self.message.emit(f"{_those(chosen)} {cell_class.id} already. The class of the next cell is {self._class}.")
        elif class_id != self._class or count > 1:
            self.message.emit(
                f"{_cells(count)} relabelled as {cell_class.id}; the class of the next cell is still {self._class}. "
                f"{TAKE_BACK}"
            )

    def _choose_for_next(self, class_id: str) -> None:
        if class_id != self._class:
            self._class = class_id
            self.need_project().remember(LAST_CLASS, class_id)
            self.class_changed.emit()

    def add_point(self, yx: YX) -> Annotation:
        """Mark the cell at ``yx``, level-0 px, with the current class."""
        return self._add(Point(*yx), f"Add {self._class}")

    def add_box(self, box: Box) -> Annotation:
        """Draw ``box``, level-0 px, around a cell of the current class."""
        return self._add(box, f"Add {self._class} box")

    def add_box_at(self, centre_yx: YX) -> Annotation:
        """Draw a box of the current class's size around ``centre_yx``, level-0 px.

        Raises
        ------
        SlideError
            When it is not known how many µm a pixel measures.
        """
        slide = self.need_slide()
        if slide.mpp is None:
            self.mpp_needed.emit()
            raise SlideError(
                f"One-click boxes are sized in µm, but the pixel size of {slide.name} is unknown; enter it in "
                "the Slide dock, or drag a box of the size you want."
            )
        side_px = self.need_project().scheme[self._class].box_um / slide.mpp
        return self.add_box(Box.around(centre_yx, side_px, side_px))

    def add_region(self, vertices_yx: Iterable[YX]) -> Annotation:
        """Draw a region inside which every cell is marked.

        Parameters
        ----------
        vertices_yx : iterable of (y, x)
            Corners in order, level-0 px, the first not repeated.
        """
        return self._add(Polygon(tuple(vertices_yx)), "Draw region", class_id=None)

    def _add(self, geometry: Geometry, label: str, class_id: str | None = "") -> Annotation:
        self.need_project()
        self._check_on_slide([geometry])
        annotation = Annotation(
            slide_id=self.need_slide().id,
            geometry=geometry,
            class_id=self._class if class_id == "" else class_id,
            author=self.author,
        )
        self._apply(edits.add([annotation], label))
        return annotation

    def delete_selected(self) -> None:
        """Delete what is selected, in one undo step."""
        chosen = self.selected()
        if not chosen:
            self.message.emit("Nothing is selected; click a cell with the select tool first.")
            return
        if self._cursor is not None and self._cursor.id in self._selection:
            # "next" must go on from here after the annotation it stood on is gone.
            self._cursor = self.need_project().neighbour(self._cursor.slide_id, self._cursor, step=-1)
        self._refuse_unseen(chosen)
        self._apply(edits.remove(chosen, f"Delete {_count(chosen)}"))
        self._tell_bulk(len(chosen), "deleted", chosen)

    def move_selected(self, dy: float, dx: float) -> None:
        """Move what is selected by ``dy, dx`` level-0 px, in one undo step."""
        if dy or dx:
            chosen = self.selected()
            self._check_on_slide(a.geometry.translated(dy, dx) for a in chosen)
            count = self._replace(chosen, lambda a: replace(a, geometry=a.geometry.translated(dy, dx)), "Move {}")
            self._tell_bulk(count, "moved", chosen)

    def reshape(self, annotation_id: str, geometry: Geometry) -> None:
        """Give one annotation another outline, level-0 px."""
        annotation = self.need_project().annotation(annotation_id)
        if annotation is not None:
            self._replace([annotation], lambda a: replace(a, geometry=geometry), "Resize {}")

    def set_note(self, text: str) -> None:
        """Give what is selected the note ``text``."""
        chosen = self.selected()
        self._tell_bulk(
            self._replace(chosen, lambda a: replace(a, note=text), "Add note to {}"), "given a note", chosen
        )

    def set_status(self, status: Status, of: Iterable[str] | None = None) -> None:
        """Accept, reject or propose again what is selected, or the annotations with the ids ``of``, in one undo step.

        Raises
        ------
        CytoError
            When proposals would be accepted whose class is hidden from the reader.
        """
        chosen, wanted = self._meant(of), Status(status)
        hidden = [a for a in chosen if a.status is Status.PROPOSED and not a.is_region]
        if self._shown_filter.blind and wanted is Status.ACCEPTED and hidden:
            raise CytoError("This is a blind reading: give the cell its class with 1 to 9 instead, or reject it.")
        count = self._replace(chosen, lambda a: judged(a, self.author, wanted), f"{_STATUS_LABELS[wanted]} {{}}")
        if chosen and not count:
            self.message.emit(f"{_those(chosen)} {_STATUS_WORDS[wanted]} already.")
        else:
            self._tell_bulk(count, _STATUS_WORDS[wanted], chosen)

    def show_only(self, shown: ShownFilter) -> None:
        """Show the marks that pass ``shown`` and no others; what is hidden is no longer selected."""
        if shown == self._shown_filter:
            return
        self._shown_filter = shown
        self.select(a.id for a in self.selected() if shown.passes(a))
        self.filter_changed.emit()

    def _meant(self, of: Iterable[str] | None) -> tuple[Annotation, ...]:
        return self.selected() if of is None else tuple(self.need_project().annotations_by_id(of))

    def set_box_um(self, class_id: str, um: float) -> None:
        """Set the side of a one-click box of a class, µm.

        Raises
        ------
        SchemeError
            When there is no such class or no cell has that size.
        """
        project = self.need_project()
        scheme = project.scheme
        if class_id not in scheme:
            raise SchemeError(f"The class {class_id!r} is not in the scheme {scheme.name!r}.")
        classes = tuple(replace(c, box_um=float(um)) if c.id == class_id else c for c in scheme.classes)
        project.set_scheme(replace(scheme, classes=classes))
        self.class_changed.emit()

    def undo(self) -> HistoryEntry | None:
        """Take back the last edit of this author; the view goes to what changed.

        In a window a large one is taken back in the background; None is returned then.
        """
        return self._return("undo")

    def redo(self) -> HistoryEntry | None:
        """Do again what was last undone; the view goes to what changed. A large one as `undo` does."""
        return self._return("redo")

    def _return(self, kind: Literal["undo", "redo"]) -> HistoryEntry | None:
        project, author = self.need_project(), self.author
        act = project.undo if kind == "undo" else project.redo
        if self._at_work:
            raise StoreError(self._at_work)
        amount = project.amount_to_return(kind, author)
        if self.background is None or amount < LARGE_STEP:
            return self._returned(kind, act(author))
        label = project.can_undo(author) if kind == "undo" else project.can_redo(author)
        doing = "undone" if kind == "undo" else "redone"
        words = f"'{label}' is being {doing} ({amount:,} annotations)"
        self._at_work = f"{words}; wait until that is done, then repeat this."
        self.message.emit(f"{words}; you can look around meanwhile.")

        def then(result: Callable[[], HistoryEntry | None]) -> None:
            self._at_work = ""
            if project is self._project:
                with self.telling():
                    self._returned(kind, result())

        self.background(lambda: act(author), then)
        return None

    def _returned(self, kind: Literal["undo", "redo"], entry: HistoryEntry | None) -> HistoryEntry | None:
        if entry is None:
            self.message.emit(f"Nothing to {kind}.")
        else:
            self._announce(entry)
        return entry

    def _check_on_slide(self, geometries: Iterable[Geometry]) -> None:
        """Refuse what has its middle beside the slide: no export could cut it out, and nobody would find it again."""
        size_hw = self.need_slide().size_hw
        if size_hw is None:
            return
        for geometry in geometries:
            if not is_on_image(geometry.centre_yx, size_hw):
                raise SlideError("Expected a cell or region on the slide, got one whose middle lies beside it.")

    def need_selection_in_view(self) -> None:
        """Refuse to act on what nobody sees; without a view, as on the command line, everything is as good as seen.

        Raises
        ------
        CytoError
            When some of what is selected is not on screen.
        """
        out, count = self.out_of_view(), len(self._selection)
        if out:
            which = f"{out:,} of {count:,} selected annotations" if count > 1 else "The selected annotation"
            raise CytoError(
                f"{which} {'are' if out > 1 else 'is'} not in view, so nothing was changed. Zoom out until "
                f"{'all are' if count > 1 else 'it is'} in view, or press Escape to clear the selection."
            )

    def out_of_view(self) -> int:
        """Return how many of the selected annotations are not on screen; of a region any part will do."""
        view = self._view_yxyx
        if view is None or not self._selection:
            return 0
        here = self._slide.id if self._slide is not None else ""
        seen = sum(a.slide_id == here and _is_seen(a, view) for a in self.selected())
        return len(self._selection) - seen

    def _tell_bulk(self, count: int, done: str, of: Iterable[Annotation]) -> None:
        """Say what became of more than one annotation; of a single one, the eye that is on it sees it."""
        if count > 1:
            things = "cells" if not any(a.is_region for a in of) else "annotations"
            self.message.emit(f"{count:,} {things} {done}. {TAKE_BACK}")

    def _replace(self, before: Iterable[Annotation], change: Callable[[Annotation], Annotation], label: str) -> int:
        """Change what ``change`` makes another of, in one undo step; return how many that were."""
        before = list(before)
        self._refuse_unseen(before)
        pairs = [(a, b) for a in before if (b := change(a)) != a]
        if pairs:
            self._apply(edits.replace_all(pairs, label.format(_count([a for a, _ in pairs]))))
        return len(pairs)

    def _refuse_unseen(self, stored: Iterable[Annotation]) -> None:
        """Refuse to change what was changed elsewhere and is not on the screen yet, and bring it there.

        Raises
        ------
        StaleEditError
            When something of ``stored`` is drawn as it was before.
        """
        if self._unsaved is not None:
            return
        unseen = [a for a in stored if (drawn := self.drawn(a.id)) is not None and drawn != a]
        if unseen:
            self.annotations_changed.emit(None)
            raise StaleEditError(
                f"Nothing was changed: {_cells(len(unseen))} had just been changed elsewhere, perhaps in "
                "another window; look at the current state, and repeat it."
            )

    def _apply(self, edit: edits.Edit) -> None:
        entry = self.store_edit(edit)
        self._forget_removed(edit)
        self.annotations_changed.emit(entry)

    def _announce(self, entry: HistoryEntry) -> None:
        self.select(a.id for a in self.selected())
        # Reading so much to follow it takes longer than to look anew.
        self.annotations_changed.emit(entry if entry.count < LARGE_STEP else None)

    def _forget_removed(self, edit: edits.Edit) -> None:
        removed = {c.annotation_id for c in edit.changes if c.after is None}
        self.select(self._selection - removed)


def _is_seen(annotation: Annotation, view_yxyx: YXYX) -> bool:
    if annotation.is_region:
        return boxes_touch(annotation.geometry.bounds_yxyx, view_yxyx)
    return box_contains_point(view_yxyx, annotation.geometry.centre_yx, closed=True)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count:,} cells"


def _those(chosen: Iterable[Annotation]) -> str:
    count = len(list(chosen))
    return "The selected annotation is" if count == 1 else f"The {count:,} selected annotations are"


def _reviewed(status: Status) -> Status:
    """A person who gives a proposal its class has judged it."""
    return Status.ACCEPTED if status is Status.PROPOSED else status


def _count(annotations: Iterable[Annotation]) -> str:
    chosen = list(annotations)
    if len(chosen) == 1:
        return "region" if chosen[0].is_region else f"{chosen[0].class_id}"
    return f"{len(chosen)} annotations"
