"""Opening and closing projects, and going from slide to slide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from napari_cyto import slides, store
from napari_cyto.datasets.import_.known_slides import How, at_new_place, slide_in
from napari_cyto.datasets.import_.relink import relink, relinked
from napari_cyto.datasets.import_.slide_match import record_of_file
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import CytoError, SlideError, StoreError
from napari_cyto.jobs.events import Done, Failed, Noted
from napari_cyto.review.predictions import FROM_MODEL
from napari_cyto.session._mpp_history import MppChange
from napari_cyto.session._reader import keep_reader
from napari_cyto.session._state import SessionState
from napari_cyto.session._warnings_heard import warnings_heard
from napari_cyto.session.slide_details import change_facts
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM
from napari_cyto.store.recovery import maintenance as care
from napari_cyto.store.recovery.restore import Restored

READING_ONLY = "What can be read is shown; nothing can be saved in it."
LAST_SLIDE = "session.slide"
LAST_CLASS = "session.class"
MPP_HISTORY = "slide.mpp_history."


class ProjectCommands(SessionState):
    """What the Slides dock asks for."""

    def open_project(self, folder: str | Path) -> None:
        """Open the project in ``folder`` at the slide that was last looked at.

        Raises
        ------
        StoreError
            When there is no project, or it cannot be read; the open one stays open then.
        """
        with warnings_heard() as heard:
            project = store.Project.open(store.Project.folder_of(folder), even_damaged=True)
        if project.damage:
            _need_slides(project)
        self._take(project)
        project.back_up_at_opening()
        for sentence in heard:
            self.message.emit(sentence)
        if project.damage:
            self._told_damage = project.damage
            self.message.emit(f"{project.damage} {READING_ONLY}")
        elif not project.writable:
            self.message.emit(
                f"The project {project.name} is read-only: you can look, export and report, but no annotation "
                "and no other change can be saved."
            )

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
        if self._at_work:
            raise StoreError(self._at_work)
        if self._project is not None and self._project.folder == folder:
            self.close()
        if self.background is None:
            self._restored(folder, lambda: care.restore(folder, name))
            return
        words = f"The backup {name} of {folder.stem} is being restored"
        self._at_work = f"{words}; wait until that is done, then repeat this."
        self.message.emit(f"{words}; the project is opened when that is done.")

        def then(result: Callable[[], Restored]) -> None:
            self._at_work = ""
            with self.telling():
                self._restored(folder, result)

        self.background(lambda: care.restore(folder, name), then)

    def _restored(self, folder: Path, result: Callable[[], Restored]) -> None:
        """Open what is there after a restore, unless another project was opened meanwhile, and say what was done."""
        try:
            restored = result()
        except CytoError:
            with self.telling():
                self._open_unless_busy(folder)
            raise
        self._open_unless_busy(folder)
        kept = "" if restored.kept is None else f" What was there is kept as {restored.kept.name}."
        taken = f"{restored.backup.taken_utc.astimezone():%d %b %Y %H:%M}"
        self.message.emit(f"The project {folder.stem} is as it was on {taken}.{kept}")

    def _open_unless_busy(self, folder: Path) -> None:
        if self._project is None:
            self.open_project(folder)

    def create_project(self, folder: str | Path, scheme: ClassScheme, name: str = "") -> None:
        """Create a project in ``folder`` and open it.

        Raises
        ------
        StoreError
            When the folder cannot be made or holds something else.
        """
        self._take(store.Project.create(Path(folder), scheme, name))

    def _take(self, project: store.Project) -> None:
        self.close()
        self._project = project
        project.tell_when_waiting(self._say_that_it_waits)
        last_class = project.setting(LAST_CLASS, "")
        self._class = last_class if last_class in project.scheme else project.scheme.ids[0]
        self.project_changed.emit()
        self.class_changed.emit()
        records = project.slides()
        if records:
            last = project.setting(LAST_SLIDE, "")
            with self.telling():
                self.go_to_slide(last if any(r.id == last for r in records) else records[0].id)

    def _say_that_it_waits(self, sentence: str) -> None:
        # What waits in another thread holds nobody up.
        if threading.current_thread() is threading.main_thread():
            self.waiting.emit(sentence)

    def close(self) -> None:
        """Close the project and its slide; everything is already saved."""
        if self._project is None:
            return
        project, self._project = self._project, None
        self._leave_slide()
        self._class = ""
        project.close()
        self.slide_changed.emit()
        self.project_changed.emit()

    def _leave_slide(self) -> None:
        self.leaving.emit()
        handle, self._handle = self._handle, None
        self._slide = None
        self._cursor = None
        self._view_yxyx = None
        self.select(())
        if handle is not None:
            handle.close()

    def add_slides(self, paths: Iterable[str | Path]) -> tuple[SlideRecord, ...]:
        """Add slide files to the project; those already in it are found again, not doubled.

        Files that cannot be opened are told in a message each, and the others are added.

        Returns
        -------
        tuple of SlideRecord
            A record per readable file, in the order of ``paths``.

        Raises
        ------
        SlideError
            When none of the files can be opened.
        """
        project = self.need_project()
        records: list[SlideRecord] = []
        failures: list[str] = []
        for path in map(Path, paths):
            try:
                record = record_of_file(path)
            except SlideError as error:
                failures.append(str(error))
                continue
            try:
                records.append(self._added(project, record))
            except CytoError as error:
                failures.append(str(error))
        if failures and not records:
            raise SlideError(" ".join(failures))
        for failure in failures:
            self.message.emit(failure)
        self.project_changed.emit()
        if self._slide is None and records:
            self.go_to_slide(records[0].id)
        return tuple(records)

    def _added(self, project: store.Project, record: SlideRecord) -> SlideRecord:
        """Return the project's record of a file: of the slide that it is already, or a new one."""
        found = slide_in(project, record, self._comparing)
        if found is None:
            project.add_slides([record])
            return record
        slide = found.slide
        # Who adds a slide that was taken out wants it back, with its history.
        project.restore_slide(slide.id)
        if found.how is How.MOVED:
            slide = at_new_place(slide, record)
            project.update_slide(slide)
            self.message.emit(f"The missing image of {slide.name} was found at {record.path}.")
            if self._slide is not None and self._slide.id == slide.id:
                self._leave_slide()
        elif found.how is How.COPY:
            self.message.emit(f"{record.path} is the image of {slide.name} ({slide.path}); it is not added twice.")
        return slide

    def _comparing(self, sentence: str) -> None:
        if sentence:
            self.message.emit(sentence)

    def relink_slide(self, slide_id: str, path: str | Path) -> None:
        """Give a slide its image file: one that moved, or one whose labels came alone.

        Raises
        ------
        CytoError
            When the file is not the slide that was annotated, or that of another slide.
        """
        project = self.need_project()
        relinked(project, project.slide(slide_id), Path(path))
        self.project_changed.emit()
        if self._slide is not None and self._slide.id == slide_id:
            self._leave_slide()
            self.go_to_slide(slide_id)

    def relink_in(self, folder: str | Path) -> None:
        """Look in a folder for the images of all slides that have none, and say what was found.

        Raises
        ------
        CytoError
            When the folder cannot be read, or the project not be written.
        """
        project = self.need_project()
        for event in relink(project.folder, Path(folder)):
            match event:
                case Noted(message=message):
                    self.message.emit(message)
                case Failed(message=message):
                    raise CytoError(message)
                case Done(result=result):
                    self.message.emit(f"{result['linked']} slide(s) were given their image files.")
        self.project_changed.emit()
        if self._slide is not None and self._handle is None:
            slide_id = self._slide.id
            self._leave_slide()
            self.go_to_slide(slide_id)

    def remove_slide(self, slide_id: str) -> None:
        """Take a slide without marks out of the project; its file is not touched.

        Raises
        ------
        StoreError
            When it has marks; the sentence counts them.
        """
        project = self.need_project()
        ids = [record.id for record in project.slides()]
        project.remove_slide(slide_id)
        if self._slide is not None and self._slide.id == slide_id:
            here = ids.index(slide_id) if slide_id in ids else 0
            rest = [*ids[here + 1 :], *reversed(ids[:here])]
            if rest:
                self.go_to_slide(rest[0])
            else:
                self._leave_slide()
                self.slide_changed.emit()
        self.project_changed.emit()

    def go_to_slide(self, slide_id: str) -> None:
        """Put a slide of the project on screen.

        A slide whose pixel file is missing or broken is put on screen without pixels, and a message says why.

        Raises
        ------
        StoreError
            When the project has no such slide.
        """
        project = self.need_project()
        record = project.slide(slide_id)
        if self._slide is not None and record.id == self._slide.id:
            return
        self._leave_slide()
        self._slide = record
        if record.path:
            try:
                self._handle = slides.open_slide(project.slide_path(record))
                self._handle.on_unreadable(self._unreadable_tiles.append)
                for remark in self._handle.info.remarks:
                    self.message.emit(f"{record.name}: {remark}")
            except CytoError as error:
                self.message.emit(str(error))
        project.remember(LAST_SLIDE, slide_id)
        self.slide_changed.emit()
        self.annotations_changed.emit(None)

    def next_slide(self, step: int = 1) -> None:
        """Go ``step`` slides on (back when negative), stopping at either end.

        Raises
        ------
        StoreError
            When no project is open.
        """
        ids = [record.id for record in self.need_project().slides()]
        # Another window may just have taken the slide on screen out.
        if not ids:
            self.message.emit("The project has no slides yet. Add some in the Slides dock.")
            return
        here = ids.index(self._slide.id) if self._slide is not None and self._slide.id in ids else -1
        there = min(max(here + step, 0), len(ids) - 1)
        if there == here:
            self.message.emit(f"This is the {'last' if step > 0 else 'first'} slide of the project.")
        else:
            self.go_to_slide(ids[there])

    def set_progress(self, progress: Progress, slide_id: str | None = None) -> None:
        """Say how far the annotation of a slide, by default the one on screen, has come."""
        project = self.need_project()
        record = project.slide(slide_id) if slide_id else project.slide(self.need_slide().id)
        self._update(replace(record, progress=Progress(progress)))
        self.project_changed.emit()

    def set_slide_facts(self, slide_ids: Collection[str], facts: Mapping[str, str]) -> tuple[SlideRecord, ...]:
        """Store patient or smear of slides.

        Parameters
        ----------
        slide_ids : collection of str
            Which slides.
        facts : mapping
            ``patient`` and ``smear``, as many as are to change.

        Returns
        -------
        tuple of SlideRecord
            As they were before, those that changed.

        Raises
        ------
        CytoError
            When a value cannot be stored.
        """
        project = self.need_project()
        before = change_facts(project, slide_ids, facts)
        if self._slide is not None and self._slide.id in slide_ids:
            self._slide = project.slide(self._slide.id)
        if before:
            self.project_changed.emit()
        return before

    def set_reader(self, name: str) -> None:
        """Take another name for the annotations from now on; what is stored keeps its author.

        Raises
        ------
        CytoError
            When it is no name, or cannot be kept.
        """
        self.author = keep_reader(name)
        self.project_changed.emit()

    def set_mpp(self, mpp: float) -> None:
        """Store what the user says a level-0 px of the slide on screen measures, and say what hung on the old value.

        Parameters
        ----------
        mpp : float
            µm per level-0 px.

        Raises
        ------
        SlideError
            When no microscope makes such pixels.
        """
        if not MPP_MIN_UM <= mpp <= MPP_MAX_UM:
            raise SlideError(
                f"Expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g} µm per px, got {mpp:g}; at 40x it is about 0.25."
            )
        project, mpp = self.need_project(), float(mpp)
        before = project.slide(self.need_slide().id)
        if before.mpp == mpp:
            self.message.emit(f"The pixel size of {before.name} is {mpp:g} µm already.")
            return
        change = MppChange(self.author, datetime.now(UTC), before.mpp, mpp)
        project.append_setting(MPP_HISTORY + before.id, change.as_json())
        self._update(replace(before, mpp=mpp, mpp_source="user"))
        self.slide_changed.emit()
        if before.mpp is not None:
            self.message.emit(
                f"{before.name}: the pixel size is now {mpp:g} µm, before {before.mpp:g}. "
                f"{self._hung_on_mpp(before.id)}"
            )

    def mpp_history(self) -> tuple[MppChange, ...]:
        """Return who said when what a pixel of the slide on screen measures, the first first."""
        kept = self.need_project().setting(MPP_HISTORY + self.need_slide().id, [])
        return tuple(MppChange.of_json(each) for each in kept)

    def _hung_on_mpp(self, slide_id: str) -> str:
        """What was made with the old size of a pixel, in words; a place in px stays right, whatever a px measures."""
        origins = self.need_project().origins(slide_id)
        found = sum(count for origin, count in origins.items() if origin.startswith(FROM_MODEL))
        rest = sum(origins.values()) - found
        words = "Annotations keep their places; sizes and areas in µm, the scale bar and the viewed area change."
        if found:
            words += f" Predicted at the old pixel size: {found:,}; run detection again."
        if rest:
            words += (
                f" Drawn or imported: {rest:,}; they keep their size in px, so one-click boxes made before have "
                "the old size."
            )
        return words

    def _update(self, record: SlideRecord) -> None:
        self.need_project().update_slide(record)
        if self._slide is not None and record.id == self._slide.id:
            self._slide = record


def _need_slides(project: store.Project) -> None:
    """Refuse a damaged project of which there is nothing to show, while the one before is still open."""
    try:
        project.slides()
    except CytoError:
        project.close()
        raise
