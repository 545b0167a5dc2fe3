"""What the reader looks at, taken down as the slide is panned, and kept with the project every few seconds."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.geometry import YXYX, intersection
from napari_cyto.errors import CytoError
from napari_cyto.session._session import Session

if TYPE_CHECKING:
    from napari_cyto.store import Project

SAMPLE_S = 0.25
"""A place counts as looked at when it was on screen at two samples: who flies past has not looked."""

KEEP_EVERY_S = 3.0


class CoverageRecorder:
    """Takes down what a session's person looks at; nothing is lost but the last seconds, whatever ends the program.

    Parameters
    ----------
    session : Session
        Whose slide is looked at, and whose author looks.
    keep_every_s : float
        How often what is new is written to the project, s.
    """

    grown = Signal()

    def __init__(self, session: Session, keep_every_s: float = KEEP_EVERY_S) -> None:
        self.session = session
        self.mine: Coverage | None = None
        self.others: dict[str, Coverage] = {}
        self._keep_every_s = keep_every_s
        self._place: tuple[Project, str] | None = None
        self._before: tuple[YXYX, float] | None = None
        self._is_new = False
        self._kept_at_s = time.monotonic()
        self._threads: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None
        session.leaving.connect(self._leave)
        session.slide_changed.connect(self._open)
        self._open()

    def let_go(self) -> None:
        """Keep what is new, and stop listening; while the project is still open."""
        self.session.leaving.disconnect(self._leave, missing_ok=True)
        self.session.slide_changed.disconnect(self._open, missing_ok=True)
        self._leave()
        if self._threads is not None:
            self._threads.shutdown(wait=True)

    def sample(self, view_yxyx: YXYX, magnification: float) -> None:
        """Take note of what is on screen now; to be called every `SAMPLE_S`.

        Parameters
        ----------
        view_yxyx : tuple of float
            Level-0 px.
        magnification : float
            As `magnification_of` tells it.
        """
        before, self._before = self._before, (view_yxyx, magnification)
        if self.mine is None:
            return
        common = None if before is None else intersection(before[0], view_yxyx)
        if before is not None and common is not None and self.mine.see(common, min(before[1], magnification)):
            self._is_new = True
            self.grown.emit()
        if self._is_new and time.monotonic() - self._kept_at_s >= self._keep_every_s:
            self.keep()

    def looked_away(self) -> None:
        """Take note that the slide is not on screen."""
        self._before = None

    def everybody(self) -> Coverage | None:
        """Return what all persons have looked at together."""
        seen = self.mine
        for other in self.others.values():
            seen = other if seen is None else seen.merged(other)
        return seen

    def keep(self) -> None:
        """Write what is new to the project, in a thread; not before the last writing is done."""
        if self._place is None or self.mine is None or (self._writing is not None and not self._writing.done()):
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "coverage")
        project, slide_id = self._place
        self._is_new, self._kept_at_s = False, time.monotonic()
        self._writing = self._threads.submit(_keep, project, slide_id, self.session.author, self.mine.copy())

    def keep_now(self) -> None:
        """Write what is new to the project, and return when it is on the disk."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
        if self._is_new and self._place is not None and self.mine is not None:
            self._is_new, self._kept_at_s = False, time.monotonic()
            _keep(*self._place, self.session.author, self.mine)

    def _open(self) -> None:
        """Go on with what was looked at of the slide that is on screen now."""
        project, slide = self.session.project, self.session.slide
        place = None if project is None or slide is None or slide.size_hw is None else (project, slide.id)
        if place == self._place and place is not None:
            return
        self._place, self._before, self._is_new = place, None, False
        self.mine, self.others = None, {}
        if place is not None and slide is not None and slide.size_hw is not None:
            with self.session.telling():
                known = place[0].coverage(slide.id, slide.size_hw)
                self.mine = known.pop(self.session.author, None) or Coverage(slide.size_hw)
                self.others = known
        self.grown.emit()

    def _leave(self) -> None:
        """Keep the last of a slide before it goes, while its project is open."""
        self.keep_now()
        self._place, self.mine, self._is_new, self._before = None, None, False, None


def _keep(project: Project, slide_id: str, author: str, seen: Coverage) -> None:
    try:
        project.add_coverage(slide_id, author, seen)
    except CytoError:
        # A full disk or a lost share stops no reading; edits, which matter more, will say so.
        return
