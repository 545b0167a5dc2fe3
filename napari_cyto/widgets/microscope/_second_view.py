"""A second view beside the slide: the same slide elsewhere, or another one, in step with the view. It only looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QCloseEvent, QKeyEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.domain.counts import counted
from napari_cyto.domain.coverage import magnification_of
from napari_cyto.domain.geometry import YX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.frames import around_turned
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.latest import Latest
from napari_cyto.widgets.microscope._magnification_bar import magnification_words
from napari_cyto.widgets.microscope._second_pane import SecondPane
from napari_cyto.widgets.microscope._second_pixels import NotRead, Read, SecondPixels, ViewRequest

if TYPE_CHECKING:
    from napari import Viewer

KEY = Qt.Key.Key_D
_FILE_COLOURS = "colours of the file"
_ZOOM_IN_STEP = "In step the second view has the zoom of the slide: zoom there, or switch In step off."
_NO_MPP = "in step by px, as a pixel size is unknown"
_TIP = (
    "A view to look at, nothing else: no annotations, and what is seen here does not count as viewed. It shows the "
    "colours of the file, without the light of the view. Drag or arrow keys: another place. "
    "D closes it, Escape goes back to the slide."
)


class SecondView(QDockWidget):
    """Shows a place of its own, at the scale of the view while it is in step, and never moves that.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose view it follows.
    session : Session
        Whose slides it offers.
    closed : callable
        Called when it is closed.
    """

    _news = Signal()

    def __init__(self, viewer: Viewer, session: Session, closed: Callable[[], object]) -> None:
        main = napari_window.qt_window(viewer)
        super().__init__("Second view", main)
        self.setObjectName("second view")
        self._viewer, self._session, self._closed_call = viewer, session, closed
        self._is_closed = False
        self._slide_id = session.need_slide().id
        self._record: SlideRecord | None = None
        self._path: Path | None = None
        self._size_hw: tuple[int, int] | None = None
        self._damaged, self._trouble = 0, ""
        # What the offset between the places is reckoned from: the slide on screen and its scale.
        self._anchor: tuple[str, float | None] | None = None
        # In µm where both scales are known, else in px.
        self._offset_yx: YX = (0.0, 0.0)
        self._pixels = SecondPixels(self._news.emit)
        self._latest = Latest("second view", self)
        self._latest.made.connect(self._show)
        self._news.connect(self._ask, Qt.ConnectionType.QueuedConnection)
        # Who is just being called by a signal does not stop listening to it.
        self._close_soon = later(self, self.close)
        self._build()
        self.pane.centre_yx = napari_window.view_centre_yx(viewer, self._main_mpp or 1.0)
        self._take_record()
        self._set_anchor()
        self._follow()
        camera = napari_window.camera_of(viewer)
        self._listens = ((camera.events.center, self._follow), (camera.events.zoom, self._follow))
        for event, slot in self._listens:
            event.connect(slot)
        session.slide_changed.connect(self._on_slide)
        session.project_changed.connect(self._on_project)
        # Under the slide only: the docks beside it keep their height.
        main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        main.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self)
        half_px = napari_window.native_canvas(viewer).height() // 2
        main.resizeDocks([self], [half_px], Qt.Orientation.Vertical)

    def _build(self) -> None:
        self.pane = SecondPane(self._move, self._zoom, self._ask)
        self.choice = QComboBox()
        self.choice.setAccessibleName("slide of the second view")
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.setToolTip("Which slide of the project is shown here.")
        self.in_step = QCheckBox("In step")
        self.in_step.setChecked(True)
        self.in_step.setToolTip(
            "Follows each pan, zoom and turn of the slide, at the same µm per px of the screen; the distance between "
            "the two places stays. Drag here to choose it."
        )
        self.same = QPushButton("Same place")
        self.same.setToolTip("Shows here the coordinates that are in the middle of the slide's view.")
        self.same.setAutoDefault(False)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setToolTip(_TIP)
        row = QHBoxLayout()
        row.addWidget(self.choice, 1)
        row.addWidget(self.in_step)
        row.addWidget(self.same)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(3)
        layout.addLayout(row)
        layout.addWidget(self.pane, 1)
        layout.addWidget(self.words)
        self.setWidget(body)
        self._offer()
        self.choice.activated.connect(self._choose)
        self.in_step.toggled.connect(self._toggled)
        self.same.clicked.connect(self._to_same_place)

    # The slide on screen

    @property
    def _main_mpp(self) -> float | None:
        slide = self._session.slide
        return slide.mpp if slide is not None else None

    @property
    def _here(self) -> tuple[str, float | None] | None:
        slide = self._session.slide
        return None if slide is None else (slide.id, slide.mpp)

    @property
    def _units(self) -> tuple[float, float]:
        """Scales of the slide on screen and of this one: µm per level-0 px where both are known, else 1."""
        return (self._main_mpp, self.pane.mpp) if self._main_mpp and self.pane.mpp else (1.0, 1.0)

    @property
    def _main_yx(self) -> YX:
        return napari_window.view_centre_yx(self._viewer, self._main_mpp or 1.0)

    def _set_anchor(self) -> None:
        """Keep the distance of now between the two places."""
        self._anchor = self._here
        if self._anchor is None or self.pane.centre_yx is None:
            return
        ours, theirs, (main_scale, own_scale) = self.pane.centre_yx, self._main_yx, self._units
        self._offset_yx = (
            ours[0] * own_scale - theirs[0] * main_scale,
            ours[1] * own_scale - theirs[1] * main_scale,
        )

    def _follow(self, _event: Any = None) -> None:
        """Show what lies at the kept distance from the view, at its scale, turned as it is."""
        # While another slide comes on screen, or gets a scale, the camera speaks of neither yet.
        if self._is_closed or not self.in_step.isChecked() or self._anchor is None or self._here != self._anchor:
            return
        main_scale, own_scale = self._units
        zoom = float(napari_window.camera_of(self._viewer).zoom)
        self.pane.level0_per_px = main_scale / (zoom * (self._main_mpp or 1.0) * own_scale)
        self.pane.degrees = napari_window.turn_of(self._viewer)
        if self.pane.centre_yx is not None:
            main = self._main_yx
            self.pane.centre_yx = (
                (main[0] * main_scale + self._offset_yx[0]) / own_scale,
                (main[1] * main_scale + self._offset_yx[1]) / own_scale,
            )
        self._ask()

    def _on_slide(self) -> None:
        if self._session.slide is None:
            self._close_soon.start()
            return
        self._take_record()
        self._set_anchor()
        self._follow()
        self._say()

    def _on_project(self) -> None:
        if self._session.project is None or self._session.slide is None:
            self._close_soon.start()
            return
        self._offer()
        self._take_record()
        self._set_anchor()
        self._follow()
        self._ask()

    # The slide here

    def _records(self) -> tuple[SlideRecord, ...]:
        project = self._session.project
        return () if project is None else tuple(project.slides())

    def _offer(self) -> None:
        self.choice.clear()
        for record in self._records():
            self.choice.addItem(record.name, record.id)
        self.choice.setCurrentIndex(self.choice.findData(self._slide_id))

    def _choose(self, _index: int) -> None:
        chosen = self.choice.currentData()
        if chosen is None or chosen == self._slide_id:
            return
        self._slide_id = chosen
        slide = self._session.slide
        # The same coordinates of another slide mean nothing: its middle is a place to begin at.
        self.pane.centre_yx = self._main_yx if slide is not None and slide.id == chosen else None
        self._take_record()
        self._set_anchor()
        self._follow()
        self._ask()

    def _take_record(self) -> None:
        """Take file and scale of the slide here as the project has them now."""
        record = self._record = next((r for r in self._records() if r.id == self._slide_id), None)
        project = self._session.project
        path, trouble = None, ""
        if record is None or project is None:
            trouble = "This slide was removed from the project; choose another one."
        elif not record.path:
            trouble = f"{record.name} has no image file; give it one in the Slides dock."
        else:
            try:
                path = project.slide_path(record)
            except CytoError as error:
                trouble = str(error)
        self.pane.mpp = None if record is None else record.mpp
        if path != self._path or trouble:
            self._path, self._trouble, self._size_hw, self._damaged = path, trouble, None, 0
            self.pane.show_pixels(None, (0.0, 0.0, 1.0, 1.0))
        self._say()

    def _ask(self) -> None:
        """Have read what is to be seen now; what was read before is shown meanwhile."""
        self.pane.update()
        self._say()
        if self._path is None or self._is_closed:
            self._latest.drop()
            return
        ratio = self.pane.devicePixelRatioF()
        height, width = around_turned((self.pane.height(), self.pane.width()), self.pane.degrees)
        size = (height * ratio, width * ratio)
        request = ViewRequest(self._path, self.pane.centre_yx, self.pane.level0_per_px / ratio, size)
        self._latest.ask(lambda _may_go_on: self._pixels.read(request))

    def _show(self, made: Read | NotRead) -> None:
        if self._is_closed or made.path != self._path:
            return
        if isinstance(made, NotRead):
            self._trouble = made.why
            self.pane.show_pixels(None, (0.0, 0.0, 1.0, 1.0))
        else:
            self._trouble, self._size_hw, self._damaged = "", made.size_hw, made.damaged
            if self.pane.centre_yx is None:
                self.pane.centre_yx = made.centre_yx
                self._set_anchor()
            self.pane.show_pixels(made.pixels, made.bounds_yxyx)
        self._say()

    # What a hand does

    def _move(self, down: float, right: float) -> None:
        if self.pane.centre_yx is None or self._size_hw is None:
            return
        y, x = self.pane.centre_yx[0] + down, self.pane.centre_yx[1] + right
        self.pane.centre_yx = (min(max(y, 0.0), self._size_hw[0]), min(max(x, 0.0), self._size_hw[1]))
        self._set_anchor()
        self._ask()

    def _zoom(self, factor: float) -> None:
        if self.in_step.isChecked():
            self._session.message.emit(_ZOOM_IN_STEP)
            return
        self.pane.level0_per_px = min(max(self.pane.level0_per_px / factor, 0.01), 1e4)
        self._ask()

    def _toggled(self, _on: bool) -> None:
        self._set_anchor()
        self._follow()
        self._say()

    def _to_same_place(self) -> None:
        main_scale, own_scale = self._units
        y, x = self._main_yx
        self.pane.centre_yx = (y * main_scale / own_scale, x * main_scale / own_scale)
        self._set_anchor()
        self._ask()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Close by the key that opened it; Escape goes back to the slide."""
        if event is not None and event.key() == KEY and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self.close()
        elif event is not None and event.key() == Qt.Key.Key_Escape:
            napari_window.native_canvas(self._viewer).setFocus()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Stop reading, and be gone."""
        if not self._is_closed:
            self._is_closed = True
            for camera_event, slot in self._listens:
                camera_event.disconnect(slot)
            self._session.slide_changed.disconnect(self._on_slide, missing_ok=True)
            self._session.project_changed.disconnect(self._on_project, missing_ok=True)
            self._latest.close()
            self._pixels.close()
            self._closed_call()
            if napari_window.is_open(self._viewer):
                napari_window.qt_window(self._viewer).removeDockWidget(self)
                napari_window.native_canvas(self._viewer).setFocus()
            self.deleteLater()
        super().closeEvent(event)

    def _say(self) -> None:
        """Say which slide this is, how near, and how it differs from the view."""
        record = self._record
        said = [] if record is None else [record.name]
        if self._trouble:
            said = [self._trouble]
        elif record is not None:
            said += self._scale_words()
        self.words.setText(" · ".join(said))

    def _scale_words(self) -> list[str]:
        per_px, mpp = self.pane.level0_per_px, self.pane.mpp
        if mpp:
            said = [magnification_words(magnification_of(per_px * mpp)), f"{per_px * mpp:.3g} µm per px of the screen"]
        else:
            said = [f"{100 / per_px:.3g} % (pixel size unknown)"]
        if not self.in_step.isChecked():
            said.append("not in step")
        elif not (mpp and self._main_mpp):
            said.append(_NO_MPP)
        if self.pane.degrees:
            said.append(f"turned {self.pane.degrees:g}° clockwise")
        said.append(_FILE_COLOURS)
        if self._damaged:
            said.append(f"{counted(self._damaged, 'damaged tile is', 'damaged tiles are')} hatched")
        centre, size = self.pane.centre_yx, self._size_hw
        if centre is not None and size is not None and not all(0 <= c <= s for c, s in zip(centre, size, strict=True)):
            said.append("beyond the edge of the slide")
        elif not self.pane.has_pixels:
            said.append("being read…")
        return said
