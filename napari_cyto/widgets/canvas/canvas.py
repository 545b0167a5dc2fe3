"""Our annotations on a viewer, kept a view of the store: what a user sees, and where clicks and keys go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QMenu

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.geometry import YX, Box
from napari_cyto.review.predictions import Heat
from napari_cyto.session import Session, Tool
from napari_cyto.session.commands import acts_on_selection, run, run_on
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas._annotation_style import (
    cell_points,
    is_crowded,
    outlines_of,
    outlines_show,
    palette,
    shaped_points,
    tints_of,
    unnamed,
)
from napari_cyto.widgets.canvas._cell_menu import CellMenu
from napari_cyto.widgets.canvas._cell_rings import CellRings
from napari_cyto.widgets.canvas._gestures import Gestures
from napari_cyto.widgets.canvas._hover import Hover
from napari_cyto.widgets.canvas._jump_preload import Arrival
from napari_cyto.widgets.canvas._key_bindings import SlideKeys
from napari_cyto.widgets.canvas._layers import AnnotationLayers
from napari_cyto.widgets.canvas._outline_tool import OutlineTool
from napari_cyto.widgets.canvas._prediction_layer import PredictionLayer
from napari_cyto.widgets.canvas._shape_handles import handles_yx
from napari_cyto.widgets.canvas._tint_legend import TintLegend
from napari_cyto.widgets.canvas._visible_annotations import Shown
from napari_cyto.widgets.canvas.badge import Note
from napari_cyto.widgets.canvas.drags import Place
from napari_cyto.widgets.canvas.frames import frame_to_data, usual_world, zoom_to_see
from napari_cyto.widgets.canvas.napari_window import Tether
from napari_cyto.widgets.canvas.view_options import ViewOptions, shapes_of
from napari_cyto.widgets.deferred import Soon, later

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.store import HistoryEntry

POLL_MS = 1000
# A new sample takes long enough to be felt under a turning wheel.
SAMPLE_REST_MS = 120
# What an arrow moves, as a share of what is on screen, down and right; and what + and - multiply the zoom by.
PAN_SHARE = 0.2
PANS = {"pan.left": (0, -1), "pan.right": (0, 1), "pan.up": (-1, 0), "pan.down": (1, 0)}
ZOOMS = {"zoom.in": 1.25, "zoom.out": 0.8}
OFF_WORDS = "{} is disabled while a project is open: nothing may move, hide or cover the slide under its annotations."
_HIDDEN_WORDS = "Annotations are hidden; press H to show them."


def attach(viewer: Viewer, session: Session) -> Canvas:
    """Put a session's annotations, tools and keys on a viewer.

    The pixels are not its business: whoever shows the slide adds its Image layer; ours stays above it.
    """
    return Canvas(viewer, session)


class Canvas:
    """What `attach` puts on a viewer; it goes with the viewer, or with `detach`."""

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.shown = Shown()
        self._rings = CellRings()
        session.drawn = self._drawn
        self.layers = AnnotationLayers(viewer)
        self.hover = Hover(napari_window.native_canvas(viewer), session)
        self.note = Note(napari_window.native_canvas(viewer))
        self.tint_legend = TintLegend(napari_window.native_canvas(viewer))
        self.gestures = Gestures(viewer, session, self.layers.show_draft, self.hover.move, self.uncover)
        self._scheme: ClassScheme | None = None
        self._is_attached = True
        self.is_hidden = False
        self._is_crowded = self._outlines_were_visible = self._jumped = False
        # Set by whoever has more to offer: does a command of the keys table and returns whether it was one of his.
        self.run_elsewhere: Callable[[str], bool] = lambda _command: False
        # Set by whoever has more to offer at a place: the rows of a right click, words with a key and what they do.
        self.place_rows: Callable[[Place], Sequence[tuple[str, Callable[[], object]]]] = lambda _place: ()
        self.gestures.right_clicked = self._show_menu
        qt_window = napari_window.qt_window(viewer)
        self.outline_tool = OutlineTool(session, self.layers.show_draft, qt_window)
        self.gestures.outline = self.outline_tool
        self._cell_menu = CellMenu(session, self.run)
        holds = {Qt.Key.Key_Space: self._hold_to_pan, Qt.Key.Key_M: self.gestures.hold_to_measure}
        self.keys = SlideKeys(napari_window.native_canvas(viewer), qt_window, self.run, holds, self._refuse_key)
        self._tether = Tether(qt_window, self.detach)
        self._poll_timer = QTimer(qt_window)
        self._poll_timer.setInterval(POLL_MS)
        self._poll_timer.timeout.connect(self._poll)
        self._reload_timer = later(qt_window, self._reload)
        self._reload_soon = Soon(qt_window, self._reload)
        self._redraw_soon = Soon(qt_window, self._redraw)
        self.arrival = Arrival(viewer, qt_window)
        self._restore_timer = later(qt_window, self._restore)
        self._raise_timer = later(qt_window, self._raise)
        self.prediction_layer = PredictionLayer(session, self.layers.heat, self._reload, qt_window)
        self._timers = (
            self._poll_timer,
            self._reload_timer,
            self._reload_soon,
            self._redraw_soon,
            self.arrival,
            self._restore_timer,
            self._raise_timer,
            self.outline_tool.timer,
        )
        self._connect()
        self._on_project()
        self._on_slide()

    # Wiring

    def _connect(self) -> None:
        for signal, slot in self._session_slots():
            signal.connect(slot)
        for event, callback in self._napari_slots():
            event.connect(callback)
        viewer = self.viewer
        viewer.mouse_drag_callbacks.insert(0, self.gestures.press)
        viewer.mouse_move_callbacks.append(self.gestures.move)
        # A double click would zoom in, but a fast hand means two clicks.
        self._double_clicks_before = list(viewer.mouse_double_click_callbacks)
        viewer.mouse_double_click_callbacks[:] = [self.gestures.double_click]

    def _session_slots(self) -> list[tuple[Any, Any]]:
        session = self.session
        return [
            (session.project_changed, self._on_project),
            (session.slide_changed, self._on_slide),
            (session.annotations_changed, self._on_annotations),
            (session.selection_changed, self._on_selection),
            (session.class_changed, self._on_class),
            (session.tool_changed, self._on_tool),
            (session.jump_requested, self.jump),
            (session.next_foreseen, self.arrival.foresee),
            (session.filter_changed, self._on_filter),
            (session.attention_changed, self._show_attention),
            (session.tint_changed, self._on_selection),
            (session.replaced_changed, self._on_replaced),
        ]

    def _napari_slots(self) -> list[tuple[Any, Any]]:
        camera = napari_window.camera_of(self.viewer)
        layers = self.viewer.layers.events
        return [
            (camera.events.center, self._on_camera),
            (camera.events.zoom, self._on_camera),
            (layers.inserted, self._on_layer_inserted),
            (layers.removed, self._on_layer_removed),
        ]

    def detach(self) -> None:
        """Take everything off the viewer again; the annotations are in the project."""
        if not self._is_attached:
            return
        self._is_attached = False
        for signal, slot in self._session_slots():
            signal.disconnect(slot, missing_ok=True)
        for event, callback in self._napari_slots():
            event.disconnect(callback)
        viewer = self.viewer
        viewer.mouse_drag_callbacks.remove(self.gestures.press)
        viewer.mouse_move_callbacks.remove(self.gestures.move)
        viewer.mouse_double_click_callbacks[:] = self._double_clicks_before
        self.keys.is_on = False
        self.prediction_layer.stop()
        self.outline_tool.close()
        # A window that is gone has taken its timers and visuals along.
        if napari_window.is_open(viewer):
            for timer in self._timers:
                timer.stop()
            self.layers.remove()
            self.note.deleteLater()

    @property
    def _is_live(self) -> bool:
        return self._is_attached and napari_window.is_open(self.viewer)

    @property
    def mpp(self) -> float:
        """The scale of our layers: µm per level-0 px, 1 while that is not known."""
        return self._mpp or 1.0

    @property
    def _mpp(self) -> float | None:
        return self.session.slide.mpp if self.session.slide is not None else None

    # Right click

    def _show_menu(self, place: Place) -> None:
        """Offer what can be done to the cell and at the place under the mouse."""
        if self.gestures.region.is_open:
            return
        menu = QMenu(napari_window.qt_window(self.viewer))
        menu.setToolTipsVisible(True)
        menu.aboutToHide.connect(menu.deleteLater)
        cell = None if self.is_hidden else self.hover.cell_at(place)
        if cell is not None:
            self._cell_menu.fill(menu, cell)
        for words, action in self.place_rows(place):
            if not menu.isEmpty() and menu.property("placed") is None:
                menu.addSeparator()
            menu.setProperty("placed", True)
            menu.addAction(words).triggered.connect(lambda _on=False, do=action: do())
        if menu.isEmpty():
            menu.deleteLater()
            return
        x, y = (round(v) for v in place.screen_xy)
        menu.popup(napari_window.native_canvas(self.viewer).mapToGlobal(QPoint(x, y)))

    # Keys

    def run(self, command: str) -> None:
        """Do what a key of the keys table asks for."""
        region = self.gestures.region
        with self.session.telling():
            if command == "hide":
                self.toggle_visible()
            elif command == "finish" and region.is_open:
                region.finish()
            elif command == "cancel" and self.gestures.is_picking:
                self.gestures.pick_next(None)
            elif command == "cancel" and region.is_open:
                region.cancel()
            elif command == "delete" and region.is_open:
                region.drop_corner()
            elif not any(done(command) for done in self._before_session):
                run(self.session, command)

    @property
    def _before_session(self) -> tuple[Callable[[str], bool], ...]:
        """Who may do a command, or refuse it, before the session does."""
        return (
            self.session.readings.run,
            self._is_blindfold,
            self._move_view,
            self.outline_tool.run,
            self.run_elsewhere,
            self._means_cell_under_mouse,
        )

    def _means_cell_under_mouse(self, command: str) -> bool:
        """Whether a key meant the cell under the mouse rather than a selection; it has done its work then.

        Of a selection that is in view there is no doubt; one that is not, nobody has in mind over another cell.
        """
        session = self.session
        cell = None if self.is_hidden else self.hover.cell()
        out = session.view.out_of_view() if cell is not None and acts_on_selection(command) else 0
        if cell is None or cell.id in session.selection or (session.selection and not out):
            return False
        done = run_on(session, command, cell)
        if done and session.selection:
            session.message.emit(
                "Only the cell under the mouse was changed, because the selection "
                f"({len(session.selection):,}) is not all in view. Undo with Ctrl+Z."
            )
        return done

    def _is_blindfold(self, command: str) -> bool:
        """Whether a key would change what is hidden; it is refused then."""
        hides = self.is_hidden and acts_on_selection(command) and bool(self.session.selection)
        if hides:
            self.session.message.emit("Nothing was changed, because the annotations are hidden; press H to show them.")
        return hides

    def uncover(self) -> None:
        """Show the annotations before somebody draws or selects some."""
        if self.is_hidden:
            self.toggle_visible()
            self.session.message.emit("Annotations are visible again.")

    def toggle_visible(self) -> None:
        """Hide the annotations, or show them again."""
        if self.layers.cells is not None:
            self.is_hidden = not self.is_hidden
            self.layers.cells.visible = not self.is_hidden
            self._report_not_drawn()

    def _hold_to_pan(self, held: bool) -> None:
        self.gestures.is_space_held = held

    def _refuse_key(self, combination: str) -> None:
        title = napari_window.title_of_shortcut(combination)
        if title:
            self.session.message.emit(OFF_WORDS.format(f"{combination} ({title})"))

    def _move_view(self, command: str) -> bool:
        """Pan or zoom by a step; return whether the command asks for that."""
        if command in PANS:
            napari_window.pan(self.viewer, *(way * PAN_SHARE for way in PANS[command]))
        elif command in ZOOMS:
            napari_window.camera_of(self.viewer).zoom *= ZOOMS[command]
        else:
            return False
        return True

    @property
    def view_options(self) -> ViewOptions:
        """How annotations are drawn."""
        return self.layers.options

    def show_as(self, options: ViewOptions) -> None:
        """Draw annotations as the user likes it, from now on."""
        self.layers.show_as(options)
        if self._is_live and self.session.slide is not None:
            self.layers.fit(napari_window.camera_of(self.viewer).zoom)
            self._redraw()

    # What the session says

    def _on_project(self) -> None:
        is_open = self.session.project is not None
        self.keys.is_on = is_open
        if not is_open:
            self._hold_to_pan(False)
            self.gestures.hold_to_measure(False)
            self._poll_timer.stop()
        elif not self._poll_timer.isActive():
            self._poll_timer.start()
        self._on_class()

    def _on_slide(self) -> None:
        if not self._is_live:
            return
        self.gestures.region.cancel()
        self.gestures.pick_next(None)
        self.shown.clear()
        self.hover.leave()
        self.prediction_layer.open_slide()
        if self.session.slide is None:
            self.layers.remove()
            self.note.show_message("")
            return
        self.layers.put(self.session.slide.mpp).visible = not self.is_hidden
        self._show_attention()
        self._raise()
        self._on_tool()
        self._on_camera()
        self._reload()

    def _on_annotations(self, entry: HistoryEntry | None) -> None:
        slide = self.session.slide
        if not self._is_live or slide is None:
            return
        self.prediction_layer.follow(entry)
        if entry is None or entry.count > self.shown.most or self.shown.box_yxyx is None:
            self.shown.forget()
            self._reload()
        elif slide.id in entry.slide_ids:
            self.shown.apply(entry.edit.changes, slide.id)
            self._redraw_soon.ask()

    def _on_replaced(self) -> None:
        """Show, or no longer, what could not be stored, since the project's file was replaced."""
        if self._is_live and self.session.slide is not None:
            self.shown.forget()
            self._reload_soon.ask()

    def _on_selection(self) -> None:
        # A command often changes the annotations, the selection and the view: one redraw does for all.
        if self._is_live:
            self._redraw_soon.ask()

    def _on_filter(self) -> None:
        if self._is_live and self.session.slide is not None:
            self.prediction_layer.look_again()
            self.prediction_layer.refresh_heat()
            self._reload_soon.ask()

    def _show_attention(self) -> None:
        """Lay what a model of slides looked at over the slide, or take it away."""
        slide, attention = self.session.slide, self.session.view.attention
        if not self._is_live or slide is None or slide.size_hw is None or attention is None:
            self.layers.attention.hide()
            return
        self.layers.attention.show(attention.as_map(slide.size_hw), slide.size_hw)

    def _on_class(self) -> None:
        project = self.session.project
        scheme = project.scheme if project is not None else None
        if scheme != self._scheme:
            self._scheme = scheme
            if self._is_live and self.session.slide is not None:
                self._redraw()

    def _on_tool(self) -> None:
        self.gestures.region.cancel()
        if self._is_live:
            self.layers.show_cursor(draws=self.session.tool is not Tool.SELECT)
            # The ring in hand is the bright one.
            self._redraw_soon.ask()

    def jump(self, y: float, x: float) -> None:
        """Put a place (level-0 px) in the middle, near enough to see a cell well."""
        if not self._is_live:
            return
        nearer = zoom_to_see(napari_window.camera_of(self.viewer).zoom, self._mpp)
        self.arrival.set_out((y, x), self.mpp, nearer)
        if self._reload_timer.isActive():
            # Who goes from cell to cell jumps on, and does not move about.
            self._jumped = True
            self._reload_soon.ask()
        # After the cells, which are read while threads decode the slide's tiles.
        self.arrival.arrive_soon()

    # What napari says

    def _on_camera(self, _event: Any = None) -> None:
        if not self._is_live or self.session.slide is None:
            return
        view = napari_window.view_yxyx(self.viewer, self.mpp)
        seen = napari_window.seen_yxyx(self.viewer, self.mpp)
        if seen != self.session.view_yxyx:
            # Another place lies under the mouse now, and nobody has pointed at what is there.
            self.hover.leave()
        self.session.set_view(seen)
        self.layers.fit(napari_window.camera_of(self.viewer).zoom)
        if not self.shown.covers(view):
            # Wheel and pan come in bursts; the store is asked once they let the window breathe.
            self._reload_timer.start(SAMPLE_REST_MS if self.shown.is_sample else 0)
        elif self._outlines_visible() != self._outlines_were_visible:
            self._redraw_soon.ask()

    def _on_layer_inserted(self, event: Any) -> None:
        layer = event.value
        if not self._is_live or layer is self.layers.cells or self.session.slide is None:
            return
        if isinstance(layer, Image):
            # napari makes a new layer the active one right after it said that it is there.
            self._raise_timer.start()

    def _on_layer_removed(self, event: Any) -> None:
        if not self._is_attached:
            return
        if event.value is self.layers.cells and self.session.slide is not None:
            self._restore_timer.start()

    def _raise(self) -> None:
        """Keep our layer above the slide, and active, so that no other layer takes the mouse."""
        layers, cells = self.viewer.layers, self.layers.cells
        if not self._is_live or cells is None or cells not in layers:
            return
        if layers.index(cells) != len(layers) - 1:
            layers.move(layers.index(cells), len(layers))
        layers.selection.active = cells

    def _restore(self) -> None:
        if self._is_live and self.session.slide is not None and self.layers.cells not in self.viewer.layers:
            self._on_slide()
            self.session.message.emit(
                "The annotations belong to the project and stay on the slide; press H to hide them."
            )

    # Drawing

    def _drawn(self, annotation_id: str) -> Annotation | None:
        """Return an annotation as it is drawn; None where nothing is, or where all is about to be drawn anew."""
        if not self._is_live or self._reload_soon.is_requested or self._reload_timer.isActive():
            return None
        return self.shown.annotations.get(annotation_id)

    def _poll(self) -> None:
        with self.session.telling():
            self.session.poll()

    def _reload(self) -> None:
        self._reload_timer.stop()
        self._reload_soon.stop()
        project, slide = self.session.project, self.session.slide
        if not self._is_live or project is None or slide is None:
            return
        with self.session.telling():
            view, session = napari_window.view_yxyx(self.viewer, self.mpp), self.session
            ahead, self._jumped = not self._jumped, False
            self.shown.load(project, slide, view, session.shown_filter, self.prediction_layer.table, ahead=ahead)
            if session.unsaved is not None:
                self.shown.apply(session.unsaved.changes, slide.id)
        self.prediction_layer.show_heat(is_shown=self.shown.is_heat)
        self._redraw()

    def _redraw(self) -> None:
        self._redraw_soon.stop()
        # A reload that is about to come redraws, too.
        if self._reload_soon.is_requested or not self._is_live or self._scheme is None or self.session.slide is None:
            return
        drawn = list(self.shown.annotations.values())
        self.hover.show_cells(drawn)
        drawn = [unnamed(a) for a in drawn] if self.session.shown_filter.blind else drawn
        colours, selection = palette(self._scheme), self.session.selection
        cells = [a for a in drawn if not a.is_region]
        tints = tints_of(cells, self.session.view.tint)
        self.tint_legend.show_tint(self.session.view.tint)
        if self.view_options.shapes:
            self.layers.show_cells(shaped_points(cells, colours, shapes_of(self._scheme), tints))
        else:
            self.layers.show_cells(cell_points(cells, colours, tints))
        self._is_crowded = is_crowded(drawn, self.shown.box_yxyx)
        self._outlines_were_visible = shows = self._outlines_visible()
        bare = self.view_options.points_only
        outlined = [a for a in drawn if shows or a.id in selection or not (isinstance(a.geometry, Box) or bare)]
        outlined += [a for a in drawn if bare and a.is_region and a.id not in selection]
        self.layers.show_outlines(
            outlines_of(outlined, colours, selection, tints, self.session.outlines.ring, self._rings)
        )
        self._show_selection()
        self._report_not_drawn()

    def _outlines_visible(self) -> bool:
        """Whether boxes have outlines at this zoom."""
        if self.view_options.points_only:
            return False
        on_screen_px = usual_world(self._mpp) * napari_window.camera_of(self.viewer).zoom
        return outlines_show(on_screen_px, crowded=self._is_crowded)

    def _show_selection(self) -> None:
        chosen = [self.shown.annotations[i] for i in self.session.selection if i in self.shown.annotations]
        handles = handles_yx(chosen[0].geometry) if len(self.session.selection) == len(chosen) == 1 else ()
        self.layers.show_rings(_data_of([a.geometry.centre_yx for a in chosen if not a.is_region]))
        self.layers.show_handles(_data_of(handles))

    def _report_not_drawn(self) -> None:
        project, slide = self.session.project, self.session.slide
        words = ""
        if self.layers.cells is not None and self.is_hidden:
            words = _HIDDEN_WORDS
        elif project is not None and slide is not None:
            missing, is_more = self.shown.not_drawn(project, slide)
            if missing:
                words = f"{'More than ' if is_more else ''}{missing:,} cells here are not drawn; {self._instead()}"
            words = "\n".join(line for line in (words, self._filter_words()) if line)
        self.note.show_message(words)

    def _filter_words(self) -> str:
        """What a filter keeps from view: nobody may take the slide for free of what it hides."""
        hidden = self.shown.accepted_hidden()
        if hidden is None:
            return ""
        cells = "no accepted cell" if not hidden else "1 accepted cell" if hidden == 1 else f"{hidden:,} accepted cells"
        return f"Filter on (Predict dock): {cells} hidden here."

    def _instead(self) -> str:
        """What a user can see and do while cells are too many to draw."""
        if not self.shown.is_heat:
            return "zoom in to see all."
        shown = self.session.shown_filter
        kind = Heat.DENSITY if shown.blind else shown.heat
        return f"shown as a map of {kind} (Predict dock)." if shown.map_always else f"zoom in. Map: {kind}"


def _data_of(places_yx: Sequence[YX]) -> npt.NDArray[np.float64]:
    return frame_to_data(np.array(places_yx, dtype=np.float64).reshape(-1, 2))
