"""The clock by which what is on screen is taken down: four times a second, while the slide can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from napari_cyto.domain.coverage import magnification_of
from napari_cyto.session import Session
from napari_cyto.session.coverage_recorder import SAMPLE_S, CoverageRecorder
from napari_cyto.widgets.canvas.napari_window import camera_of, is_open, qt_window, seen_yxyx

if TYPE_CHECKING:
    from napari import Viewer


class Looking(QObject):
    """Tells a recorder what a viewer shows, and how near.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose canvas shows the slide.
    session : Session
        Whose slide it is.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        super().__init__(qt_window(viewer))
        self.viewer = viewer
        self.session = session
        self.recorder = CoverageRecorder(session)
        self._timer = QTimer(self)
        self._timer.setInterval(round(1000 * SAMPLE_S))
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def look(self) -> None:
        """Take down what is on screen now; nothing where µm are not known, since nobody knows how near that is."""
        slide = self.session.slide
        if not is_open(self.viewer):
            return
        window = qt_window(self.viewer)
        if slide is None or slide.mpp is None or not window.isVisible() or window.isMinimized():
            self.recorder.looked_away()
            return
        zoom = float(camera_of(self.viewer).zoom)
        if zoom > 0:
            self.recorder.sample(seen_yxyx(self.viewer, slide.mpp), magnification_of(1 / zoom))

    def let_go(self) -> None:
        """Stop the clock and keep the last; before the session closes its project."""
        self._timer.stop()
        self.recorder.let_go()
