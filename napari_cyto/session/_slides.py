"""The slides of the open project: which one is on screen, and adding, removing and linking them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_cyto import store
from napari_cyto.datasets.import_.known_slides import How, at_new_place, slide_in
from napari_cyto.datasets.import_.relink import RelinkResult, relink, relinked
from napari_cyto.datasets.import_.slide_match import record_of_file
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, SlideError
from napari_cyto.jobs.events import Done, Failed, Noted
from napari_cyto.session._state import SessionState
from napari_cyto.slides import open_slide

LAST_SLIDE = "session.slide"


class Slides:
    """Puts slides on screen, and adds, removes and links the slides of the open project.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._signals = state.signals

    def go_to(self, slide_id: str) -> None:
        """Put a slide of the project on screen.

        A slide whose pixel file is missing or broken is put on screen without pixels, and a message says why.

        Raises
        ------
        StoreError
            When the project has no such slide.
        """
        project = self._state.need_project()
        record = project.slide(slide_id)
        if self._state.slide is not None and record.id == self._state.slide.id:
            return
        self.leave()
        self._state.slide = record
        if record.path:
            try:
                self._state.handle = open_slide(project.slide_path(record))
                self._state.handle.on_unreadable(self._state.unreadable_tiles.append)
                for remark in self._state.handle.info.remarks:
                    self._state.say(f"{record.name}: {remark}")
            except CytoError as error:
                self._state.say(str(error))
        project.remember(LAST_SLIDE, slide_id)
        self._signals.slide_changed.emit()
        self._signals.annotations_changed.emit(None)

    def next(self, step: int = 1) -> None:
        """Go ``step`` slides on (back when negative), stopping at either end.

        Raises
        ------
        StoreError
            When no project is open.
        """
        ids = [record.id for record in self._state.need_project().slides()]
        # Another window may just have taken the slide on screen out.
        if not ids:
            self._state.say("The project has no slides yet. Add some in the Slides dock.")
            return
        here = ids.index(self._state.slide.id) if self._state.slide is not None and self._state.slide.id in ids else -1
        there = min(max(here + step, 0), len(ids) - 1)
        if there == here:
            self._state.say(f"This is the {'last' if step > 0 else 'first'} slide of the project.")
        else:
            self.go_to(ids[there])

    def leave(self) -> None:
        """Take the slide off the screen; say nothing of it yet, since another may follow at once."""
        self._signals.leaving.emit()
        handle, self._state.handle = self._state.handle, None
        self._state.slide = None
        self._state.cursor = None
        self._state.view_yxyx = None
        self._state.attention = None
        self._state.select(())
        if handle is not None:
            handle.close()

    def add(self, paths: Iterable[str | Path]) -> tuple[SlideRecord, ...]:
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
        project = self._state.need_project()
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
            self._state.say(failure)
        self._signals.project_changed.emit()
        if self._state.slide is None and records:
            self.go_to(records[0].id)
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
            self._state.say(f"The missing image of {slide.name} was found at {record.path}.")
            if self._state.slide is not None and self._state.slide.id == slide.id:
                self.leave()
        elif found.how is How.COPY:
            self._state.say(f"{record.path} is the image of {slide.name} ({slide.path}); it was not added again.")
        return slide

    def _comparing(self, sentence: str) -> None:
        if sentence:
            self._state.say(sentence)

    def relink(self, slide_id: str, path: str | Path) -> None:
        """Give a slide its image file: one that moved, or one whose labels came alone.

        Raises
        ------
        CytoError
            When the file is not the slide that was annotated, or that of another slide.
        """
        project = self._state.need_project()
        relinked(project, project.slide(slide_id), Path(path))
        self._signals.project_changed.emit()
        if self._state.slide is not None and self._state.slide.id == slide_id:
            self.leave()
            self.go_to(slide_id)

    def relink_in(self, folder: str | Path) -> None:
        """Look in a folder for the images of all slides that have none, and say what was found.

        Raises
        ------
        CytoError
            When the folder cannot be read, or the project not be written.
        """
        project = self._state.need_project()
        for event in relink(project.folder, Path(folder)):
            match event:
                case Noted(message=message):
                    self._state.say(message)
                case Failed(message=message):
                    raise CytoError(message)
                case Done():
                    found: RelinkResult = event.result
                    self._state.say(f"{counted(found.linked, 'slide was', 'slides were')} given image files.")
        self._signals.project_changed.emit()
        if self._state.slide is not None and self._state.handle is None:
            slide_id = self._state.slide.id
            self.leave()
            self.go_to(slide_id)

    def remove(self, slide_id: str) -> None:
        """Take a slide without marks out of the project; its file is not touched.

        Raises
        ------
        StoreError
            When it has marks; the sentence counts them.
        """
        project = self._state.need_project()
        ids = [record.id for record in project.slides()]
        project.remove_slide(slide_id)
        if self._state.slide is not None and self._state.slide.id == slide_id:
            here = ids.index(slide_id) if slide_id in ids else 0
            rest = [*ids[here + 1 :], *reversed(ids[:here])]
            if rest:
                self.go_to(rest[0])
            else:
                self.leave()
                self._signals.slide_changed.emit()
        self._signals.project_changed.emit()
