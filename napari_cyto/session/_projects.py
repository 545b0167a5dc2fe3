"""Opening and closing projects, and going back to a backup or on in a copy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_cyto import store
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.session._project_file import ProjectFile
from napari_cyto.session._slides import LAST_SLIDE, Slides
from napari_cyto.session._state import SessionState
from napari_cyto.store.recovery import maintenance as care
from napari_cyto.store.recovery.restore import Restored

READING_ONLY = "What can be read is shown; nothing can be saved in it."
LAST_CLASS = "session.class"
_STORE_LOG = "napari_cyto.store"


class Projects:
    """Opens, creates, restores and closes projects.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    slides : Slides
        What puts a slide on screen.
    file : ProjectFile
        What stores edits, and copies what is open when the project's file was replaced.
    """

    def __init__(self, state: SessionState, slides: Slides, file: ProjectFile) -> None:
        self._state = state
        self._signals = state.signals
        self._slides = slides
        self._file = file

    def open(self, folder: str | Path) -> None:
        """Open the project in ``folder`` at the slide that was last looked at.

        Raises
        ------
        StoreError
            When there is no project, or it cannot be read; the open one stays open then.
        """
        with _store_warnings() as warnings:
            project = store.Project.open(store.Project.folder_of(folder), even_damaged=True, reader=self._state.author)
        if project.damage:
            _need_slides(project)
        self._take(project)
        project.back_up_at_opening()
        for sentence in warnings:
            self._state.say(sentence)
        if project.damage:
            self._state.reported_damage = project.damage
            self._state.say(f"{project.damage} {READING_ONLY}")
        elif not project.writable:
            self._state.say(
                f"The project {project.name} is read-only: you can look, export and report, but no annotation "
                "and no other change can be saved."
            )

    def create(self, folder: str | Path, scheme: ClassScheme, name: str = "") -> None:
        """Create a project in ``folder`` and open it.

        Raises
        ------
        StoreError
            When the folder cannot be made or holds something else.
        """
        self._take(store.Project.create(Path(folder), scheme, name))

    def _take(self, project: store.Project) -> None:
        self.close()
        self._state.project = project
        project.report_waiting(self._say_that_it_waits)
        last_class = project.setting(LAST_CLASS, "")
        self._state.class_id = last_class if last_class in project.scheme else project.scheme.ids[0]
        self._signals.project_changed.emit()
        self._signals.class_changed.emit()
        records = project.slides()
        if records:
            last = project.setting(LAST_SLIDE, "")
            with self._signals.telling():
                self._slides.go_to(last if any(r.id == last for r in records) else records[0].id)

    def _say_that_it_waits(self, sentence: str) -> None:
        # What waits in another thread holds nobody up.
        if threading.current_thread() is threading.main_thread():
            self._signals.waiting.emit(sentence)

    def close(self) -> None:
        """Close the project and its slide; what only this window still has is saved in a copy beside it before."""
        if self._state.project is not None:
            self._file.check()
        project = self._state.project
        if self._state.replaced and project is not None and (self._state.unsaved or not project.is_elsewhere):
            with self._signals.telling():
                folder = self._file.save_copy()
                self._state.say(f"What was open before the project's file was replaced is kept in {folder}.")
        was, self._state.replaced, self._state.unsaved = self._state.replaced, "", None
        self._close()
        if was:
            self._signals.replaced_changed.emit()

    def _close(self) -> None:
        if self._state.project is None:
            return
        project, self._state.project = self._state.project, None
        self._slides.leave()
        self._state.class_id = ""
        project.close()
        self._signals.slide_changed.emit()
        self._signals.project_changed.emit()

    def restore_backup(self, folder: Path, name: str) -> None:
        """Go back to a backup of a project, keep what is there now as one, and open the project.

        Parameters
        ----------
        folder : Path
            The project's; it is closed here first.
        name : str
            Of the backup's file.

        Raises
        ------
        StoreError
            When it is open elsewhere, or the backup is not sound; what is there stays, and is opened again. In a
            window, which does it in the background, a message says so.
        """
        if self._state.busy_reason:
            raise StoreError(self._state.busy_reason)
        if self._state.project is not None and self._state.project.folder == folder:
            self.close()
        if self._state.background is None:
            self._restored(folder, lambda: care.restore(folder, name))
            return
        words = f"The backup {name} of {folder.stem} is being restored"
        self._state.busy_reason = f"{words}; wait until that is done, then try again."
        self._state.say(f"{words}; the project will open when that is done.")

        def then(result: Callable[[], Restored]) -> None:
            self._state.busy_reason = ""
            with self._signals.telling():
                self._restored(folder, result)

        self._state.background(lambda: care.restore(folder, name), then)

    def _restored(self, folder: Path, result: Callable[[], Restored]) -> None:
        """Open what is there after a restore, unless another project was opened meanwhile, and say what was done."""
        try:
            restored = result()
        except CytoError:
            with self._signals.telling():
                self._open_unless_busy(folder)
            raise
        self._open_unless_busy(folder)
        kept = "" if restored.kept is None else f" The previous state is kept as  {restored.kept.name}."
        taken = f"{restored.backup.taken_utc.astimezone():%d %b %Y %H:%M}"
        self._state.say(f"The project {folder.stem} is as it was on {taken}.{kept}")

    def _open_unless_busy(self, folder: Path) -> None:
        if self._state.project is None:
            self.open(folder)

    def open_what_is_there(self) -> None:
        """Open what lies in the project's folder now; an edit that could not be stored is dropped.

        Raises
        ------
        CytoError
            When there is no project; what was open stays open then.
        """
        folder = self._state.need_project().folder
        if not store.Project.is_project(folder):
            raise StoreError(
                f"There is no longer a project in {folder}; save a copy of what was open, or restore the folder."
            )
        self._state.unsaved = None
        self.close()
        self.open(folder)

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
        slide_id = None if self._state.slide is None else self._state.slide.id
        was, folder = self._state.need_project().folder, self._file.save_copy()
        self._state.replaced, self._state.unsaved = "", None
        self._close()
        self._signals.replaced_changed.emit()
        self.open(folder)
        if slide_id is not None:
            self._slides.go_to(slide_id)
        self._state.say(f"Everything that was open is now in {folder} and open from there; {was} was left unchanged.")
        return folder


def _need_slides(project: store.Project) -> None:
    """Refuse a damaged project of which there is nothing to show, while the one before is still open."""
    try:
        project.slides()
    except CytoError:
        project.close()
        raise


class _KeptWarnings(logging.Handler):
    def __init__(self, sentences: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._sentences = sentences

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the sentence."""
        self._sentences.append(record.getMessage())


@contextmanager
def _store_warnings() -> Iterator[list[str]]:
    """Give a list that is filled with the sentences that the store warns of within the block."""
    sentences: list[str] = []
    handler, log = _KeptWarnings(sentences), logging.getLogger(_STORE_LOG)
    log.addHandler(handler)
    try:
        yield sentences
    finally:
        log.removeHandler(handler)
