"""The napari window put together: one session, one canvas, its docks, and what ties them."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import napari
from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtWidgets import QApplication, QDockWidget, QMessageBox, QTabWidget

from napari_cyto.domain.slide_record import Progress
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.session.commands import SAVED
from napari_cyto.widgets.background import Background
from napari_cyto.widgets.canvas import Canvas, attach
from napari_cyto.widgets.canvas.badge import Badge
from napari_cyto.widgets.canvas.canvas import OFF_WORDS
from napari_cyto.widgets.canvas.crosshair import Crosshair
from napari_cyto.widgets.canvas.focus_frame import FocusFrame
from napari_cyto.widgets.canvas.key_help import KeyHelp
from napari_cyto.widgets.canvas.napari_actions import answer_for, let_run
from napari_cyto.widgets.canvas.napari_window import drop_targets, native_canvas
from napari_cyto.widgets.canvas.pins import Pins
from napari_cyto.widgets.canvas.step_lines import StepLines
from napari_cyto.widgets.canvas.view_options import ViewOptions, load, save, shapes_of
from napari_cyto.widgets.canvas.view_panel import ViewPanel
from napari_cyto.widgets.coverage_clock import Looking
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.docks.annotate.dock import AnnotateDock
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.export.dock import ExportDock
from napari_cyto.widgets.docks.map.dock import MapDock
from napari_cyto.widgets.docks.measure.dock import MeasureDock
from napari_cyto.widgets.docks.models.dock import ModelsDock
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.readings.dock import ReadingsDock
from napari_cyto.widgets.docks.report.dock import ReportDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.review.gallery import ReviewGallery
from napari_cyto.widgets.docks.slide.dock import SlideDock
from napari_cyto.widgets.docks.slides.dock import SlidesDock
from napari_cyto.widgets.docks.slides.open_paths import dropped_paths, local_paths, open_paths
from napari_cyto.widgets.docks.teach.dock import TeachDock
from napari_cyto.widgets.docks.train.dock import TrainDock
from napari_cyto.widgets.message_line import MessageLine
from napari_cyto.widgets.microscope.microscope import Microscope
from napari_cyto.widgets.reader_bar import ReaderBar
from napari_cyto.widgets.replaced_bar import ReplacedBar
from napari_cyto.widgets.slide_view import SlideView
from napari_cyto.widgets.welcome import Welcome

if TYPE_CHECKING:
    from napari import Viewer

LEFT_PX, RIGHT_PX = 268, 374
# The tabs of the docks and what lies between docks and slide.
EDGES_PX = 46
# Of the window's width: the slide keeps more than half.
MOST_FOR_DOCKS = 0.44
WINDOW_PX = (1600, 960)
# By then a window manager has put its frame round the window; before that nothing tells how high its title is.
FRAMED_MS = 500
APPLICATION = "napari-cyto"
KEYS_HINT = "1 to 9: class    V P B R O: tools    N: next annotation    Ctrl+Z: undo    F1: all keys"

NOT_A_FILE = "Expected files or folders of this computer (slides, labels or a project), got something else."

_windows: WeakKeyDictionary[Any, CytoWindow] = WeakKeyDictionary()
AnyDock = TypeVar("AnyDock", bound=Dock)


def open_window(path: str | Path | None = None, viewer: Viewer | None = None) -> Viewer:
    """Open a window with all docks, and in it a project or a slide.

    Parameters
    ----------
    path : str or Path, optional
        A project folder, or a slide; a slide's project is the folder ``NAME.cyto`` beside it, made if need be.
    viewer : napari.Viewer, optional
        The viewer to use instead of a new one.

    Returns
    -------
    napari.Viewer
        With the docks in place.

    Raises
    ------
    CytoError
        When ``path`` cannot be opened; no window is left behind then.
    """
    session = Session()
    heard: list[str] = []
    session.message.connect(heard.append)
    if path is not None:
        # Opened before there is a window, so that a mistyped path does not flash one.
        open_paths(session, [Path(path)])
    session.message.disconnect(heard.append)
    window = CytoWindow(viewer if viewer is not None else _own_viewer(), session)
    window.place_docks()
    for sentence in heard:
        window.message.show_message(sentence)
    if viewer is None:
        window.viewer.window.show()
    # napari sizes its window when it is shown, and the canvas has its final size only after that.
    window.arrange()
    window.view.home()
    session.readings.show()
    # Letters are commands on the slide only.
    native_canvas(window.viewer).setFocus()
    return window.viewer


def _own_viewer() -> Viewer:
    _spare_users_the_note_on_pyqt5()
    viewer = napari.Viewer(show=False)
    # napari searches for garbage whenever a layer goes, 0.17 s at each change of the slide, most of it among modules
    # and classes that live as long as the program. A program of our own may leave these out of the search.
    gc.freeze()
    return viewer


def _spare_users_the_note_on_pyqt5() -> None:
    # napari tells developers in a pop-up that it leaves PyQt5; nobody who marks cells can act on it.
    from napari._qt import qt_main_window

    if hasattr(qt_main_window, "SHOW_QT_WARNING"):
        qt_main_window.SHOW_QT_WARNING = False


def window_of(viewer: Viewer) -> CytoWindow:
    """Return what belongs to ``viewer``, made on the first call: a dock from napari's plugin menu comes here."""
    if viewer not in _windows:
        CytoWindow(viewer, Session())
    return _windows[viewer]


def session_for(viewer: Viewer) -> Session:
    """Return the session of ``viewer``; all its docks share it."""
    return window_of(viewer).session


def _shown_alone(sentences: Sequence[str]) -> QMessageBox | None:
    """Show what was said while the window closed, as where its work is kept, in a box that outlives it."""
    if not sentences:
        return None
    box = QMessageBox(QMessageBox.Icon.Warning, APPLICATION, "\n\n".join(sentences))
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    box.setModal(False)
    box.show()
    return box


class CytoWindow(QObject):
    """One viewer's session, canvas and docks; lets go of all of them when the window closes."""

    def __init__(self, viewer: Viewer, session: Session) -> None:
        if viewer in _windows:
            raise CytoError("This window already shows a project; open another window for a second one.")
        super().__init__(viewer.window._qt_window)
        self.viewer = viewer
        self.session = session
        self.docks: dict[type[Dock], Dock] = {}
        self.crosshair: Crosshair | None = None
        self.step_lines: StepLines | None = None
        self.welcome: Welcome | None = None
        painted = native_canvas(viewer)
        # The slide covers it all: Qt need not paint what lies behind, four widgets deep, at each painting.
        painted.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.message = MessageLine(painted)
        self.replaced = ReplacedBar(painted, session)
        self.reader_question = ReaderBar(painted, session, lambda: self.dock(SlidesDock).ask_reader())
        self.canvas: Canvas = attach(viewer, session)
        self._closed = False
        self.last_words: QMessageBox | None = None
        self.view = SlideView(viewer, session)
        self.looking = Looking(viewer, session)
        self.frame = FocusFrame(painted)
        self.badge = Badge(painted, session)
        self.badge.view.clicked.connect(self.show_view_panel)
        self.canvas.show_as(load())
        self.microscope = Microscope(viewer, session, self.canvas, lambda: self.view.layer)
        self.given_cell = Crosshair(viewer, session, session.readings.pointed)
        self.pins = Pins(
            viewer,
            session,
            lambda: self.view.placed,
            lambda: None if self.canvas.layers.cells is None else (self.canvas.layers.cells, self.canvas.layers.scale),
            lambda: not self.canvas.is_hidden,
            self.view.come_back,
            self,
        )
        self.background = session.background = Background(self)
        self._heard = (
            (session.message, self.message.show_message),
            (session.waiting, self.message.report_now),
            (session.project_changed, self._show_title),
            (session.project_changed, self._follow_project),
            (session.slide_changed, self._show_title),
            # After what forgets its place when the slide changes.
            (session.slide_changed, session.readings.point),
            (session.annotations_changed, self._begun),
            (session.review_requested, self._to_gallery),
            (session.slides_requested, lambda: self.dock(SlidesDock).ask_slides()),
            (session.home_requested, self.view.home),
            (session.help_requested, self.show_key_help),
        )
        # Last, so that napari has shown its own words by then.
        viewer.events.help.connect(self._show_keys, position="last")
        for signal, slot in self._heard:
            signal.connect(slot)
        viewer.window._qt_window.installEventFilter(self)
        for taking_drops in drop_targets(viewer):
            taking_drops.installEventFilter(self)
        _windows[viewer] = self
        self._show_title()
        self._follow_project()

    def dock(self, kind: type[AnyDock]) -> AnyDock:
        """Return the dock of a kind, made on the first call."""
        if kind not in self.docks:
            made = self.docks[kind] = kind(self.session)
            # Who clicks beside a field is there, no more on the slide, and what is typed then means nothing.
            made.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            if isinstance(made, ReviewDock):
                self.crosshair = Crosshair(self.viewer, self.session, made.review.pointed)
            if isinstance(made, PredictDock):
                self.step_lines = StepLines(self.viewer, self.session, made.extraction.shown)
            if isinstance(made, ReportDock):
                made.watch(self.looking.recorder)
        found = self.docks[kind]
        assert isinstance(found, kind)
        return found

    def place_docks(self) -> None:
        """Put all docks round the canvas, and napari's own out of the way; its Window menu brings them back."""
        window = self.viewer.window
        for own in (window._qt_viewer.dockLayerList, window._qt_viewer.dockLayerControls):
            own.setVisible(False)
        narrow = self._is_narrow = self._width_px() < 2 * (LEFT_PX + RIGHT_PX + EDGES_PX // 2)
        # On a small or magnified screen docks on both sides would leave the slide a strip.
        slides = self._place(SlidesDock, "right" if narrow else "left")
        slide = self._place(SlideDock, "right" if narrow else "left", tabify=narrow)
        self.dock(SlideDock).icc_requested.connect(self.view.set_icc)
        annotate = self._place(AnnotateDock, "right", tabify=narrow)
        for kind in (
            PredictDock,
            ReviewDock,
            MeasureDock,
            TeachDock,
            MapDock,
            ReportDock,
            ReadingsDock,
            ExportDock,
            TrainDock,
            ModelsDock,
        ):
            self._place(kind, "right", tabify=True)
        # Side by side, seven names would be cut to their first letters.
        window._qt_window.setTabPosition(Qt.DockWidgetArea.RightDockWidgetArea, QTabWidget.TabPosition.East)
        (annotate if self.session.project is not None or not narrow else slides).raise_()
        begin = self.dock(SlidesDock)
        self.welcome = Welcome(native_canvas(self.viewer), self.session, begin.ask_slides, begin.ask_project)
        self._places = (slides, slide, annotate)

    def arrange(self) -> None:
        """Give the window the size of a laptop's screen at most, and each dock the room it needs."""
        main = self.viewer.window._qt_window
        free = main.screen().availableGeometry()
        frame = main.frameGeometry().height() - main.geometry().height()
        main.resize(self._width_px(), min(WINDOW_PX[1], free.height() - frame))
        slides, slide, annotate = self._places
        right_px = min(RIGHT_PX, round(MOST_FOR_DOCKS * main.width()) - EDGES_PX)
        if self._is_narrow:
            main.resizeDocks([annotate], [right_px], Qt.Orientation.Horizontal)
        else:
            main.resizeDocks([slides, annotate], [LEFT_PX, RIGHT_PX], Qt.Orientation.Horizontal)
            half_px = main.height() // 2
            main.resizeDocks([slides, slide], [half_px, half_px], Qt.Orientation.Vertical)
        later(self, self.keep_on_screen, FRAMED_MS).start()
        QApplication.processEvents()

    def keep_on_screen(self) -> None:
        """Make room for the window's title: what it pushes below the screen, nobody reads."""
        main = self.viewer.window._qt_window
        free, framed = main.screen().availableGeometry(), main.frameGeometry()
        too_high, too_wide = (
            max(0, a - b) for a, b in ((framed.height(), free.height()), (framed.width(), free.width()))
        )
        if too_high or too_wide:
            main.resize(main.width() - too_wide, main.height() - too_high)
            main.move(free.topLeft())

    def _width_px(self) -> int:
        return int(min(WINDOW_PX[0], self.viewer.window._qt_window.screen().availableGeometry().width()))

    def _place(self, kind: type[Dock], area: str, tabify: bool = False) -> Any:
        placed = self.viewer.window.add_dock_widget(
            self.dock(kind),
            name=kind.title,
            area=area,
            tabify=tabify,
            add_vertical_stretch=False,
            menu=self.viewer.window.window_menu,
        )
        # The x would take the dock out of the Window menu too; hiding it is what people mean.
        placed.title.close_button.hide()
        return placed

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Take dropped slides, and let go when the window has closed."""
        if self._closed:
            return False
        kind = event.type()
        if kind == QEvent.Type.Close and watched is self.viewer.window._qt_window and not self._may_close():
            event.ignore()
            return True
        if kind in (QEvent.Type.DragEnter, QEvent.Type.Drop):
            return self._dropped(event)
        if watched is not self.viewer.window._qt_window:
            if kind == QEvent.Type.Close and watched is self.viewer.window._qt_viewer:
                self.let_go()
        elif kind == QEvent.Type.Hide and not event.spontaneous():
            # Sent after the close was not refused; a window that is made small sends a spontaneous one.
            self.let_go()
        return False

    def let_go(self) -> None:
        """Stop jobs, threads and timers, and close the project; everything is already saved."""
        if self._closed:
            return
        self._closed = True
        # Asked at once: while one dock is waited for, the job of another must not go on.
        for dock in self.docks.values():
            dock.cancel_jobs()
        for dock in self.docks.values():
            dock.let_go()
        self.looking.let_go()
        for shown in (self.crosshair, self.given_cell, self.step_lines, self.welcome):
            if shown is not None:
                shown.let_go()
        for signal, slot in self._heard:
            signal.disconnect(slot, missing_ok=True)
        self.viewer.events.help.disconnect(self._show_keys)
        self.pins.stop()
        let_run(self.viewer)
        self.message.let_go()
        self.replaced.let_go()
        self.reader_question.let_go()
        self.badge.let_go()
        self.microscope.let_go()
        self.frame.let_go()
        self.view.let_go()
        self.canvas.detach()
        self.background.close()
        last_words: list[str] = []
        self.session.message.connect(last_words.append)
        self.session.close()
        self.session.message.disconnect(last_words.append, missing_ok=True)
        self.last_words = _shown_alone(last_words)
        _windows.pop(self.viewer, None)

    def _may_close(self) -> bool:
        """Ask the docks, each of which may ask the user; the first that wants to stay is heard."""
        return all(dock.may_close() for dock in self.docks.values())

    def _dropped(self, event: Any) -> bool:
        """Take what is dropped; while a project is open napari gets nothing, which would lay it over the slide."""
        if self.session.project is not None:
            paths: Sequence[Path] = local_paths(event.mimeData().urls())
        else:
            paths = dropped_paths(event.mimeData().urls())
        if not paths and self.session.project is None:
            return False
        if event.type() == QEvent.Type.Drop:
            if paths:
                self.dock(SlidesDock).open_dropped(paths)
            else:
                self.session.message.emit(NOT_A_FILE)
        event.acceptProposedAction()
        return True

    def _to_gallery(self) -> None:
        dock = self.dock(ReviewDock)
        holder: Any = dock
        while holder is not None and not isinstance(holder, QDockWidget):
            holder = holder.parentWidget()
        if holder is not None:
            holder.show()
            holder.raise_()
        dock.gallery.setFocus()

    def _follow_project(self) -> None:
        """While a project is open the window belongs to its slides; else napari is as ever."""
        self.pins.follow_project()
        if self.session.project is not None:
            answer_for(self.viewer, self._answer)
        else:
            let_run(self.viewer)

    def _answer(self, command_id: str, title: str) -> None:
        """Speak of the project where napari would have spoken of its layers."""
        with self.session.telling():
            if ".open_folder" in command_id:
                self.dock(SlidesDock).ask_folder()
            elif ".open_files" in command_id or "._open_" in command_id:
                self.session.slides_requested.emit()
            elif ".save_layers" in command_id:
                self.session.message.emit(self.session.replaced or SAVED)
            elif command_id.endswith((".fit_to_view", ".reset_view")):
                self.session.home_requested.emit()
            elif command_id.startswith("napari.window.help"):
                self.session.help_requested.emit()
            else:
                self.session.message.emit(OFF_WORDS.format(title))

    def show_key_help(self) -> KeyHelp:
        """Show the keys of what has the focus."""
        focused = self.viewer.window._qt_window.focusWidget()
        if isinstance(focused, ReviewGallery):
            place = "gallery"
        else:
            place = "slide" if focused is native_canvas(self.viewer) else "dock"
        shown = KeyHelp(self.viewer.window._qt_window, place)
        shown.show()
        return shown

    def show_view_panel(self) -> ViewPanel:
        """Show how annotations are drawn, to be changed."""
        scheme = self.session.need_project().scheme
        legend = "   ".join(f"{sign} {class_id}" for class_id, (_, sign) in shapes_of(scheme).items())
        panel = ViewPanel(self.viewer.window._qt_window, self.canvas.view_options, self._choose_view, legend)
        canvas = native_canvas(self.viewer)
        panel.adjustSize()
        panel.move(canvas.mapToGlobal(QPoint(max(canvas.width() - panel.width() - 10, 0), 46)))
        panel.show()
        return panel

    def _choose_view(self, options: ViewOptions) -> None:
        self.canvas.show_as(options)
        try:
            save(options)
        except CytoError as error:
            self.session.message.emit(f"The view options apply, but could not be saved for next time: {error}")

    def _show_title(self) -> None:
        project, slide = self.session.project, self.session.slide
        names = [slide.name if slide is not None else "", project.name if project is not None else "", APPLICATION]
        if project is not None and (project.damage or not project.writable):
            names[1] += " (read-only)"
        self.viewer.title = " – ".join(name for name in names if name)
        self._show_keys()

    def _show_keys(self, _event: Any = None) -> None:
        """Tell our keys where napari tells those of its layers, which ours take the place of."""
        if self.session.project is not None and self.viewer.help != KEYS_HINT:
            self.viewer.help = KEYS_HINT

    def _begun(self, entry: object) -> None:
        """The first mark on a slide begins it; nobody should have to say so."""
        slide = self.session.slide
        drawn = entry is not None and getattr(entry, "kind", "") == "edit"
        if drawn and slide is not None and slide.progress is Progress.TODO:
            self.session.facts.set_progress(Progress.IN_PROGRESS)
