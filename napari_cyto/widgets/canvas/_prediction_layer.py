"""Proposals by the hundred thousand: their columns kept beside the store, and the map where they are not drawn."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, Signal

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.edits import Change
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.review.prediction_table import CellTable
from napari_cyto.session import Session
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.widgets.canvas._heat import HeatMap
from napari_cyto.widgets.canvas._visible_annotations import MOST_DRAWN
from napari_cyto.widgets.deferred import later

# So many are read before anyone notices; more are read in a thread.
READ_AT_ONCE = 4_000
HEAT_REST_MS = 150
# Places of the map along the slide's longer side.
COARSEST_MAP, FINEST_MAP = 48, 256
# Another process writes what it finds batch by batch; the columns are read again at most so often.
AGAIN_MS = 700


class PredictionLayer(QObject):
    """The columns of the slide on screen, and the map made of them.

    Slides with fewer cells than can be drawn need neither: they are asked of the store, and filtered one by one.

    Parameters
    ----------
    session : Session
        Whose slide it is.
    heat : HeatMap
        Where the map is drawn.
    changed : callable
        What to call when the columns have been read.
    parent : QObject
        The window.
    """

    _read = Signal(object)

    def __init__(self, session: Session, heat: HeatMap, changed: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._heat = heat
        self._changed = changed
        self.table: CellTable | None = None
        self._reading: tuple[threading.Event, threading.Thread] | None = None
        # Edits made while a thread reads: it may have seen them or not.
        self._meanwhile: list[Change] = []
        self._heat_timer = later(self, self._draw_heat, HEAT_REST_MS)
        self._again_timer = later(self, self._look_once_more, AGAIN_MS)
        self._is_heat_shown = False
        self._read.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def open_slide(self) -> None:
        """Read the cells of the slide that is on screen now, if there are too many to draw."""
        self.stop()
        self.table = None
        self.show_heat(is_shown=False)
        self.look_again()

    def look_again(self, *, anew: bool = False) -> None:
        """Begin to read the slide's cells once they are many enough, among them proposals or a filter is set.

        Read ``anew``, the columns at hand serve until then.
        """
        project, slide = self._session.project, self._session.slide
        if project is None or slide is None or self._reading is not None or (self.table is not None and not anew):
            return
        statuses = project.status_counts(slide.id)
        count = sum(statuses.values())
        shown = self._session.shown_filter
        is_plain = shown.hides_nothing and not statuses.get(Status.UNREVIEWED)
        if not shown.map_always and (count <= MOST_DRAWN or is_plain):
            self.table = None
            return
        if count <= READ_AT_ONCE:
            self.table = CellTable(project.scheme)
            self.table.read(project, slide.id)
        else:
            self._start(project, slide)

    def follow(self, entry: HistoryEntry | None) -> None:
        """Keep up with an edit; None stands for edits of which nothing is known."""
        slide = self._session.slide
        if entry is None:
            if self.table is None:
                self.look_again()
            elif not self._again_timer.isActive():
                self._again_timer.start()
        elif slide is not None and slide.id in entry.slide_ids:
            if self._reading is not None:
                self._meanwhile += entry.edit.changes
            elif self.table is not None:
                self.table.apply(entry.edit.changes, slide.id)
                self.refresh_heat()
            self.look_again()

    def show_heat(self, *, is_shown: bool) -> None:
        """Show the map, or take it away."""
        if is_shown and not self._is_heat_shown:
            self._is_heat_shown = True
            self._draw_heat()
        elif not is_shown:
            self._is_heat_shown = False
            self._heat.hide()

    def refresh_heat(self) -> None:
        """Draw the map anew soon: cells or the filter changed."""
        if self._is_heat_shown and not self._heat_timer.isActive():
            self._heat_timer.start()

    def stop(self) -> None:
        """Stop reading; also when Qt has taken the window and its timers already."""
        if self._reading is not None:
            stopped, thread = self._reading
            self._reading = None
            stopped.set()
            thread.join(timeout=2)
        self._meanwhile = []

    def _look_once_more(self) -> None:
        if self._reading is not None:
            self._again_timer.start()
        elif self.table is not None:
            self.look_again(anew=True)
            self.refresh_heat()
            self._changed()

    def _start(self, project: Project, slide: SlideRecord) -> None:
        stopped = threading.Event()
        table = CellTable(project.scheme)

        def read() -> None:
            try:
                if table.read(project, slide.id, lambda: not stopped.wait(0.001)):
                    self._read.emit((stopped, table))
            except CytoError:
                # The project was closed, or cannot be read any more: whoever draws will hear why.
                return

        thread = threading.Thread(target=read, name="read cells", daemon=True)
        self._reading = (stopped, thread)
        thread.start()

    def _take(self, read: tuple[threading.Event, CellTable]) -> None:
        stopped, table = read
        if self._reading is None or self._reading[0] is not stopped or self._session.slide is None:
            return
        self._reading = None
        meanwhile, self._meanwhile = self._meanwhile, []
        table.catch_up(meanwhile, self._session.slide.id)
        self.table = table
        self.refresh_heat()
        self._changed()

    def _draw_heat(self) -> None:
        slide = self._session.slide
        if self.table is None or slide is None or not self._is_heat_shown:
            self._heat.hide()
            return
        size_hw = slide.size_hw or self.table.extent_hw()
        shown = self._session.shown_filter
        # So coarse that a place of average crowding has a cell or two: finer maps are noise.
        side = min(FINEST_MAP, max(COARSEST_MAP, math.isqrt(self.table.count(shown))))
        self._heat.show(self.table.heat(shown, size_hw, side), size_hw)
