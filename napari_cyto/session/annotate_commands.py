"""Edits of the annotations on the slide on screen; each is committed when its command returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import YX, Box, Geometry, Point, Polygon
from napari_cyto.errors import CytoError, SchemeError, SlideError
from napari_cyto.session.project_commands import LAST_CLASS, ProjectCommands
from napari_cyto.session.proposals import ShownFilter, judged
from napari_cyto.store import HistoryEntry


class AnnotateCommands(ProjectCommands):
    """What the Annotate dock, the keys and the mouse ask for."""

    def choose_class(self, class_id: str, of: Iterable[str] | None = None) -> None:
        """Make ``class_id`` the class of the next mark, and of the selected cells, in one undo step.

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
        if class_id != self._class:
            self._class = class_id
            project.remember(LAST_CLASS, class_id)
            self.class_changed.emit()
        self._replace(
            [a for a in self._meant(of) if not a.is_region],
            lambda a: judged(a, self.author, _reviewed(a.status), class_id),
            f"Relabel {{}} as {cell_class.id}",
        )

    def add_point(self, yx: YX) -> Annotation:
        """Mark the cell at ``yx``, level-0 px, with the current class."""
        return self._add(Point(*yx), f"Mark {self._class}")

    def add_box(self, box: Box) -> Annotation:
        """Draw ``box``, level-0 px, around a cell of the current class."""
        return self._add(box, f"Box {self._class}")

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
                f"One-click boxes are sized in µm, but how many µm a pixel of {slide.name} measures is not known; "
                "enter it in the Slide dock, or drag a box of the size you want."
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
        self._apply(edits.remove(chosen, f"Delete {_count(chosen)}"))

    def move_selected(self, dy: float, dx: float) -> None:
        """Move what is selected by ``dy, dx`` level-0 px, in one undo step."""
        if dy or dx:
            chosen = self.selected()
            self._check_on_slide(a.geometry.translated(dy, dx) for a in chosen)
            self._replace(chosen, lambda a: replace(a, geometry=a.geometry.translated(dy, dx)), "Move {}")

    def reshape(self, annotation_id: str, geometry: Geometry) -> None:
        """Give one annotation another outline, level-0 px."""
        annotation = self.need_project().annotation(annotation_id)
        if annotation is not None:
            self._replace([annotation], lambda a: replace(a, geometry=geometry), "Resize {}")

    def set_note(self, text: str) -> None:
        """Give what is selected the note ``text``."""
        self._replace(self.selected(), lambda a: replace(a, note=text), "Note on {}")

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
        self._replace(chosen, lambda a: judged(a, self.author, wanted), f"Mark {{}} {wanted}")

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
        """Take back the last edit of this author; the view goes to what changed."""
        entry = self.need_project().undo(self.author)
        if entry is None:
            self.message.emit("There is nothing to undo.")
        else:
            self._announce(entry)
        return entry

    def redo(self) -> HistoryEntry | None:
        """Do again what was last undone; the view goes to what changed."""
        entry = self.need_project().redo(self.author)
        if entry is None:
            self.message.emit("There is nothing to redo.")
        else:
            self._announce(entry)
        return entry

    def _check_on_slide(self, geometries: Iterable[Geometry]) -> None:
        """Refuse what has its middle beside the slide: no export could cut it out, and nobody would find it again."""
        size_hw = self.need_slide().size_hw
        if size_hw is None:
            return
        for geometry in geometries:
            y, x = geometry.centre_yx
            if not (0 <= y < size_hw[0] and 0 <= x < size_hw[1]):
                raise SlideError("The middle of that would lie beside the slide; cells and regions are marked on it.")

    def _replace(self, before: Iterable[Annotation], change: Callable[[Annotation], Annotation], label: str) -> None:
        pairs = [(a, b) for a in before if (b := change(a)) != a]
        if pairs:
            self._apply(edits.replace_all(pairs, label.format(_count([a for a, _ in pairs]))))

    def _apply(self, edit: edits.Edit) -> None:
        entry = self.need_project().apply(edit, self.author)
        self._forget_removed(edit)
        self.annotations_changed.emit(entry)

    def _announce(self, entry: HistoryEntry) -> None:
        self.select(a.id for a in self.selected())
        self.annotations_changed.emit(entry)

    def _forget_removed(self, edit: edits.Edit) -> None:
        removed = {c.annotation_id for c in edit.changes if c.after is None}
        self.select(self._selection - removed)


def _reviewed(status: Status) -> Status:
    """A person who gives a proposal its class has judged it."""
    return Status.ACCEPTED if status is Status.PROPOSED else status


def _count(annotations: Iterable[Annotation]) -> str:
    chosen = list(annotations)
    if len(chosen) == 1:
        return "region" if chosen[0].is_region else f"{chosen[0].class_id}"
    return f"{len(chosen)} annotations"
