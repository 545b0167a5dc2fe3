"""When the file of the open project is replaced: what was just done stays in view, and the user says how to go on."""

from __future__ import annotations

from pathlib import Path

from napari_cyto import store
from napari_cyto.domain.edits import Edit
from napari_cyto.errors import ReplacedFileError, StoreError
from napari_cyto.session._project_commands import ProjectCommands
from napari_cyto.store import HistoryEntry
from napari_cyto.store.project_copy import free_copy_folder

_FIRST = (
    "Nothing can be stored: the project's file was replaced while it was open. Say at the top of the slide how to go "
    "on; what is on screen stays till then."
)


class ReplacedCommands(ProjectCommands):
    """Storing edits, and what the bar over the slide asks for when that is not possible any more."""

    def store_edit(self, edit: Edit) -> HistoryEntry:
        """Apply an edit to the project.

        Raises
        ------
        ReplacedFileError
            When the project's file was replaced; the first such edit is kept as `unsaved`, further ones are refused.
        StoreError
            As `Project.apply` says, and while a large step is being taken back.
        """
        if self._at_work:
            raise StoreError(self._at_work)
        if self._unsaved is not None:
            raise ReplacedFileError(_FIRST)
        try:
            return self.need_project().apply(edit, self.author)
        except ReplacedFileError as error:
            self._unsaved = edit
            self._replaced = str(error)
            self.replaced_changed.emit()
            raise

    def look_after_file(self) -> None:
        """Notice that the project's file was replaced, or that it is back: an edit that waits is stored then."""
        project = self._project
        if project is None:
            return
        try:
            project.check_place()
        except ReplacedFileError as error:
            if not self._replaced:
                self._replaced = str(error)
                self.replaced_changed.emit()
            return
        if not self._replaced:
            return
        edit, self._unsaved, self._replaced = self._unsaved, None, ""
        self.replaced_changed.emit()
        if edit is not None:
            with self.telling():
                self.annotations_changed.emit(self.store_edit(edit))
                self.message.emit("The project's file is back, and what was on screen only is stored.")

    def open_what_is_there(self) -> None:
        """Open what lies in the project's folder now; an edit that could not be stored is dropped.

        Raises
        ------
        CytoError
            When there is no project; what was open stays open then.
        """
        folder = self.need_project().folder
        if not store.Project.is_project(folder):
            raise StoreError(f"There is no project in {folder} now; save a copy of what was open, or bring it back.")
        self._unsaved = None
        self.close()
        self.open_project(folder)

    def go_on_in_copy(self) -> Path:
        """Save all that was open, with the edit that could not be stored, as a project beside it, and open that.

        Returns
        -------
        Path
            The folder of the copy.

        Raises
        ------
        CytoError
            When it cannot be written; what was open stays open then.
        """
        slide_id = None if self._slide is None else self._slide.id
        was, folder = self.need_project().folder, self._save_copy()
        self._replaced, self._unsaved = "", None
        super().close()
        self.replaced_changed.emit()
        self.open_project(folder)
        if slide_id is not None:
            self.go_to_slide(slide_id)
        self.message.emit(f"All that was open is in {folder} now, and is open from there; {was} was left as it is.")
        return folder

    def close(self) -> None:
        """Close the project and its slide; what only this window still has is saved in a copy beside it before."""
        if self._project is not None:
            self.look_after_file()
        if self._replaced and self._project is not None and (self._unsaved or not self._project.is_elsewhere):
            with self.telling():
                folder = self._save_copy()
                self.message.emit(f"What was open before the project's file was replaced is kept in {folder}.")
        was, self._replaced, self._unsaved = self._replaced, "", None
        super().close()
        if was:
            self.replaced_changed.emit()

    def _save_copy(self) -> Path:
        project = self.need_project()
        folder = free_copy_folder(project.folder)
        project.save_copy(folder)
        if self._unsaved is not None:
            with store.Project.open(folder) as copy:
                copy.apply(self._unsaved, self.author)
        return folder
