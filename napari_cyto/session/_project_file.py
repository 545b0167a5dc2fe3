"""The file of the open project: edits go into it, unless it was replaced; then the user says how to go on."""

from __future__ import annotations

from pathlib import Path

from napari_cyto import store
from napari_cyto.domain.edits import Edit
from napari_cyto.errors import ReplacedFileError, StoreError
from napari_cyto.session._state import SessionState
from napari_cyto.store import HistoryEntry
from napari_cyto.store.project_copy import free_copy_folder

_FIRST = (
    "Nothing can be stored: the project's file was replaced while it was open. Choose above the slide how to "
    "continue; until then, what is on screen stays."
)


class ProjectFile:
    """Stores edits, notices that the file was replaced, and saves a copy of what was open.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._signals = state.signals

    def store(self, edit: Edit) -> HistoryEntry:
        """Apply an edit to the project.

        Raises
        ------
        ReplacedFileError
            When the project's file was replaced; the first such edit is kept as `unsaved`, further ones are refused.
        StoreError
            As `Project.apply` says, and while a large step is being taken back.
        """
        if self._state.busy_reason:
            raise StoreError(self._state.busy_reason)
        if self._state.unsaved is not None:
            raise ReplacedFileError(_FIRST)
        try:
            return self._state.need_project().apply(edit, self._state.author)
        except ReplacedFileError as error:
            self._state.unsaved = edit
            self._state.replaced = str(error)
            self._signals.replaced_changed.emit()
            raise

    def check(self) -> None:
        """Notice that the project's file was replaced, or that it is back: an edit that waits is stored then."""
        project = self._state.project
        if project is None:
            return
        try:
            project.check_place()
        except ReplacedFileError as error:
            if not self._state.replaced:
                self._state.replaced = str(error)
                self._signals.replaced_changed.emit()
            return
        if not self._state.replaced:
            return
        edit, self._state.unsaved, self._state.replaced = self._state.unsaved, None, ""
        self._signals.replaced_changed.emit()
        if edit is not None:
            with self._signals.telling():
                self._signals.annotations_changed.emit(self.store(edit))
                self._state.say("The project's file is back, and what was only on screen is stored.")

    def save_copy(self) -> Path:
        """Save what is open, with the edit that could not be stored, beside the project; return the folder."""
        project = self._state.need_project()
        folder = free_copy_folder(project.folder)
        project.save_copy(folder)
        if self._state.unsaved is not None:
            with store.Project.open(folder) as copy:
                copy.apply(self._state.unsaved, self._state.author)
        return folder
