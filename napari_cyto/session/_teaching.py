"""Teaching a class: which one, and the examples for and against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.counts import counted
from napari_cyto.domain.edits import Edit
from napari_cyto.domain.taught import OTHER, counterexample_edit, example_edit, with_class
from napari_cyto.errors import CytoError
from napari_cyto.review.query import Likeness
from napari_cyto.session._project_file import ProjectFile
from napari_cyto.session._state import SessionState

TAUGHT_CLASS = "session.taught_class"


class Teaching:
    """Names the class that is taught, and makes cells examples for and against it.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    file : ProjectFile
        What stores the edits.
    """

    def __init__(self, state: SessionState, file: ProjectFile) -> None:
        self._state = state
        self._file = file
        self._likeness: Likeness | None = None

    @property
    def class_id(self) -> str:
        """The class that is taught; empty while none is, or it is no more in the scheme."""
        project = self._state.project
        kept: str = "" if project is None else project.setting(TAUGHT_CLASS, "")
        return kept if project is not None and kept in project.scheme else ""

    def choose(self, class_id: str) -> None:
        """Teach a class from now on; one that the scheme lacks is added to it.

        Raises
        ------
        SchemeError
            When this can be no class's id.
        StoreError
            When no project is open, or it cannot be written.
        """
        project = self._state.need_project()
        scheme = with_class(project.scheme, class_id.strip())
        if scheme != project.scheme:
            project.set_scheme(scheme)
            key = scheme[class_id.strip()].key
            self._state.say(
                f"{class_id.strip()} is a new class of this project" + (f", with the key {key}." if key else ".")
            )
            self._state.signals.class_changed.emit()
        if class_id.strip() != self.class_id:
            project.set_setting(TAUGHT_CLASS, class_id.strip())
            self._state.signals.taught_changed.emit()

    def make_room_for(self, class_ids: Iterable[str]) -> None:
        """Add the class of cells of none that was taught, where a taught model has it and the project lacks it.

        Raises
        ------
        StoreError
            When no project is open, or it cannot be written.
        """
        project = self._state.need_project()
        if OTHER.id in class_ids and OTHER.id not in project.scheme:
            project.set_scheme(replace(project.scheme, classes=(*project.scheme.classes, OTHER)))
            self._state.say(f"{OTHER.id} is a new class of this project, for cells of none of the classes taught.")
            self._state.signals.class_changed.emit()

    def this(self, of: Iterable[str] | None = None) -> None:
        """Make the selected cells, or those with the ids ``of``, examples of the class, in one undo step.

        Raises
        ------
        CytoError
            When no class is taught.
        """
        class_id = self._need_class()
        cells = self._meant(of)
        self._store(example_edit(cells, self._state.author, class_id), cells, f"already {class_id}")

    def not_this(self, of: Iterable[str] | None = None) -> None:
        """Make the selected cells, or those with the ids ``of``, examples against the class, in one undo step.

        Raises
        ------
        CytoError
            When no class is taught.
        """
        class_id = self._need_class()
        cells = self._meant(of)
        self._store(counterexample_edit(cells, class_id), cells, f"known not to be {class_id}")

    @property
    def likeness(self) -> Likeness | None:
        """How like the class that is taught the cells are, by the head as it is now."""
        return self._likeness

    @likeness.setter
    def likeness(self, likeness: Likeness | None) -> None:
        if likeness is not self._likeness:
            self._likeness = likeness
            self._state.signals.likeness_changed.emit()

    def _need_class(self) -> str:
        self._state.need_project()
        if not self.class_id:
            raise CytoError("No class is being taught; choose or name one in the Teach dock.")
        return self.class_id

    def _meant(self, of: Iterable[str] | None) -> list[Annotation]:
        chosen = self._state.selected() if of is None else self._state.need_project().annotations_by_id(of)
        return [cell for cell in chosen if not cell.is_region]

    def _store(self, edit: Edit | None, cells: list[Annotation], state: str) -> None:
        if not cells:
            self._state.say("No cell is selected; click one, or point at it with the mouse.")
        elif edit is None:
            self._state.say(f"{counted(len(cells), 'cell')} {'is' if len(cells) == 1 else 'are'} {state}.")
        else:
            self._state.signals.annotations_changed.emit(self._file.store(edit))
