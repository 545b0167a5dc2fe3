"""The tools of a microscope on a window's slide: what they are, and which command of the keys table each obeys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint

from napari_cyto.domain.coverage import MAGNIFICATIONS, magnification_of, um_per_screen_px_at
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import Canvas, napari_window
from napari_cyto.widgets.keys import key_of
from napari_cyto.widgets.microscope._camera import Camera
from napari_cyto.widgets.microscope._field_circle import FieldCircle
from napari_cyto.widgets.microscope._field_dialog import FieldDialog
from napari_cyto.widgets.microscope._focus_knob import FocusKnob
from napari_cyto.widgets.microscope._lamp import Lamp
from napari_cyto.widgets.microscope._light_panel import LightPanel
from napari_cyto.widgets.microscope._magnification_bar import NO_MPP_TIP, MagnificationBar, magnification_words, menu_of
from napari_cyto.widgets.microscope._places import Places
from napari_cyto.widgets.microscope._rulers import Rulers
from napari_cyto.widgets.microscope._second_view import SecondView
from napari_cyto.widgets.microscope._signs import Signs
from napari_cyto.widgets.microscope._turntable import Turntable

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.widgets.canvas.drags import Place
    from napari_cyto.widgets.slide_layer import SlideImage

_OBJECTIVE = "objective."
# The same objective, though the zoom was rounded on its way.
_SAME = 1.01
# What the bar speaks of where nobody knows how large a pixel is: px of the screen for each of the slide, in hundredths.
_PERCENT = 100.0
# Beside the signs and the bar of the magnification.
_PANEL_PX, _PANEL_ABOVE_PX = 10, 84
HOW_TO_PICK_GLASS = "Click on bare glass to take it for white; Escape leaves it as it is."
HOW_TO_MEASURE = "Hold M and drag to measure; with Shift as well the ruler stays."


class Microscope:
    """Magnification, rulers, the circle of the field of view, and the light, on one window.

    Parameters
    ----------
    viewer : napari.Viewer
        The window's viewer.
    session : Session
        Whose slide it shows.
    canvas : Canvas
        Where keys and mouse arrive.
    slide_layer : callable
        Returns the layer of the slide on screen, or None.
    """

    def __init__(
        self, viewer: Viewer, session: Session, canvas: Canvas, slide_layer: Callable[[], SlideImage | None]
    ) -> None:
        self._viewer, self._session, self._canvas = viewer, session, canvas
        self.rulers = Rulers(viewer, session)
        self.circle = FieldCircle(viewer, session)
        self.places = Places(viewer, session)
        self.lamp = Lamp(viewer, session, slide_layer)
        self.turntable = Turntable(viewer, session)
        self.camera = Camera(viewer, session, canvas, slide_layer, self._view_words)
        self.knob = FocusKnob(viewer, session, slide_layer)
        self.signs = Signs(napari_window.native_canvas(viewer))
        self.signs.add("light", "Only the view is changed. Click for the light of the file (Shift+I).", self.lamp.reset)
        self.signs.add(
            "plane", "Click for the plane that is shown first. Annotations do not keep their plane.", self.knob.reset
        )
        self.signs.add("turn", f"Click to set the view upright ({key_of('turn.upright')}).", self.turntable.set_upright)
        self._light_panel: LightPanel | None = None
        self._second_view: SecondView | None = None
        self.bar = MagnificationBar(napari_window.native_canvas(viewer), self.magnify)
        self.bar.offer(menu_of(self.bar, self._rows()))
        self._commands: Mapping[str, Callable[[], object]] = {
            **{f"{_OBJECTIVE}{power:g}": partial(self._take_objective, power) for power in MAGNIFICATIONS},
            f"{_OBJECTIVE}next": lambda: self._turn_nosepiece(1),
            f"{_OBJECTIVE}previous": lambda: self._turn_nosepiece(-1),
            "rulers.clear": self.rulers.clear,
            "ruler.remove": self._remove_ruler,
            "light": self.toggle_light_panel,
            **self.lamp.commands,
            **self.places.commands,
            **self.camera.commands,
            **self.turntable.commands,
            **self.knob.commands,
            "view.second": self.toggle_second_view,
            "field": self.circle.toggle,
            "field.follow": self._follow_mouse,
        }
        canvas.run_elsewhere = self.run
        canvas.gestures.measure = self.rulers.measure
        canvas.gestures.measured = self._measured
        canvas.gestures.followed = self._follow
        canvas.place_rows = self._place_rows
        self._mouse: Place | None = None
        self.knob.changed.connect(self._on_plane)
        self.lamp.changed.connect(self._on_light)
        self.turntable.changed.connect(self._on_turn)
        napari_window.camera_of(viewer).events.zoom.connect(self._on_zoom)
        session.slide_changed.connect(self._on_slide)
        self._on_slide()

    def let_go(self) -> None:
        """Stop listening, and take everything off the slide."""
        self._canvas.run_elsewhere = lambda _command: False
        self._canvas.gestures.measure = None
        self._session.slide_changed.disconnect(self._on_slide, missing_ok=True)
        if napari_window.is_open(self._viewer):
            napari_window.camera_of(self._viewer).events.zoom.disconnect(self._on_zoom)
        self._canvas.gestures.followed = lambda _place: None
        self._canvas.place_rows = lambda _place: ()
        if self._light_panel is not None:
            self._light_panel.close()
        if self._second_view is not None:
            self._second_view.close()
        for tool in (self.knob, self.rulers, self.circle, self.lamp, self.places, self.turntable, self.signs, self.bar):
            tool.let_go()

    def run(self, command: str) -> bool:
        """Do a command of the keys table; return whether it is one of the microscope's."""
        action = self._commands.get(command)
        if action is not None and self._session.slide is not None:
            action()
        return action is not None

    def _rows(self) -> list[tuple[str, str, Callable[[], Any]] | None]:
        def does(command: str) -> Callable[[], Any]:
            return lambda: self._canvas.run(command)

        return [
            ("Ruler", "M and drag", lambda: self._session.message.emit(HOW_TO_MEASURE)),
            ("Remove the ruler under the mouse", "Alt+M", does("ruler.remove")),
            ("Remove all rulers of the slide", "Ctrl+M", does("rulers.clear")),
            None,
            ("Field of view", "F", does("field")),
            ("Field number and objective…", "", self.show_field_dialog),
            None,
            ("Light of the view…", "I", does("light")),
            ("White balance, automatic", "Shift+W", does("light.white.auto")),
            ("Light of the file", "Shift+I", does("light.reset")),
            None,
            ("Next focal plane", "E", does("focus.up")),
            ("Focal plane before", "Shift+E", does("focus.down")),
            None,
            ("Turn by 90°", "Q", does("turn.right")),
            ("Turn by 5°", ".", does("turn.step.right")),
            ("Upright view", "Alt+Q", does("turn.upright")),
            None,
            ("Second view", "D", does("view.second")),
            None,
            ("Go to coordinates…", "J", does("place")),
            ("Bookmark this view…", "K", does("bookmark")),
            ("Bookmarks…", "Shift+K", does("bookmarks")),
            None,
            ("Snapshot to a file…", "S", does("snapshot")),
            ("Snapshot with annotations…", "Alt+S", does("snapshot.annotations")),
            ("Snapshot to the clipboard", "Shift+S", does("snapshot.copy")),
        ]

    def show_field_dialog(self) -> FieldDialog:
        """Ask for the eyepiece and the objective of the circle."""
        dialog = FieldDialog(napari_window.qt_window(self._viewer), self.circle.field, self.circle.show_as)
        dialog.show()
        return dialog

    # Second view

    def toggle_second_view(self) -> None:
        """Show the same slide, or another one, in a second view beside the slide, or close it."""
        if self._second_view is not None:
            self._second_view.close()
            return
        self._second_view = SecondView(self._viewer, self._session, self._forget_second_view)
        self._second_view.show()

    @property
    def second_view(self) -> SecondView | None:
        """The second view, while it is shown."""
        return self._second_view

    def _forget_second_view(self) -> None:
        self._second_view = None

    # Light

    def toggle_light_panel(self) -> None:
        """Show the sliders of the light over the slide, or put them away."""
        if self._light_panel is not None:
            self._light_panel.close()
            return
        panel = self._light_panel = LightPanel(napari_window.qt_window(self._viewer), self.lamp, self._pick_glass)
        panel.finished.connect(self._forget_light_panel)
        canvas = napari_window.native_canvas(self._viewer)
        panel.adjustSize()
        panel.move(canvas.mapToGlobal(QPoint(_PANEL_PX, canvas.height() - panel.height() - _PANEL_ABOVE_PX)))
        panel.show()

    @property
    def light_panel(self) -> LightPanel | None:
        """The sliders of the light, while they are shown."""
        return self._light_panel

    def _forget_light_panel(self, _result: int = 0) -> None:
        self._light_panel = None

    def _pick_glass(self) -> None:
        self._canvas.gestures.pick_next(self.lamp.balance_at)
        self._session.message.emit(HOW_TO_PICK_GLASS)

    def _on_light(self) -> None:
        words = self.lamp.light.words
        self.signs.say("light", f"Light of the view: {words}" if words else "")

    def _on_plane(self) -> None:
        self.signs.say("plane", self.knob.words)

    def _on_turn(self) -> None:
        words = self.turntable.words
        self.signs.say("turn", f"View {words}" if words else "")

    def _follow(self, place: Place) -> None:
        self._mouse = place
        self.circle.follow(place)
        self.lamp.follow(place)

    def _view_words(self) -> str:
        """Return what a snapshot says of the view."""
        now, light = self.magnification, self.lamp.light.words
        zoom = float(napari_window.camera_of(self._viewer).zoom)
        scale = (
            f"{magnification_words(now)} ({1 / zoom:.3g} µm per px of the screen)"
            if now is not None
            else f"{zoom * _PERCENT:.3g} % (pixel size unknown)"
        )
        said = [
            scale,
            f"light changed: {light}" if light else "light of the file",
            self.knob.words,
            self.turntable.words,
        ]
        return "; ".join(filter(None, said))

    # Magnification

    @property
    def magnification(self) -> float | None:
        """The magnification of now; None where the size of a pixel is unknown."""
        zoom = float(napari_window.camera_of(self._viewer).zoom)
        return magnification_of(1 / zoom) if self._mpp else None

    def magnify(self, magnification: float) -> None:
        """Show the slide at a magnification; where the size of a pixel is unknown, at so many hundredths."""
        per_px = um_per_screen_px_at(magnification) if self._mpp else _PERCENT / magnification
        napari_window.camera_of(self._viewer).zoom = 1 / per_px

    @property
    def _mpp(self) -> float | None:
        return self._session.slide.mpp if self._session.slide is not None else None

    def _take_objective(self, power: float) -> None:
        if not self._mpp:
            self._session.message.emit(NO_MPP_TIP)
            return
        self.magnify(power)

    def _turn_nosepiece(self, way: int) -> None:
        now = self.magnification
        if now is None:
            self._session.message.emit(NO_MPP_TIP)
            return
        ahead = [p for p in MAGNIFICATIONS if (p > now * _SAME if way > 0 else p * _SAME < now)]
        if not ahead:
            end = MAGNIFICATIONS[-1 if way > 0 else 0]
            self._session.message.emit(
                f"The {'highest' if way > 0 else 'lowest'} objective is {end:g}x; the view is at "
                f"{magnification_words(now)}."
            )
            return
        self.magnify(min(ahead) if way > 0 else max(ahead))

    def _on_zoom(self, _event: Any = None) -> None:
        if self._session.slide is None:
            return
        zoom = float(napari_window.camera_of(self._viewer).zoom)
        now = self.magnification
        self.bar.show_magnification(
            zoom * _PERCENT if now is None else now, magnification_of(self._mpp) if self._mpp else None
        )

    def _on_slide(self) -> None:
        shows = self._session.slide is not None
        self.bar.setVisible(shows)
        self._on_plane()
        if shows:
            self._on_zoom()
            self.bar.fit()

    # At a place

    def _place_rows(self, place: Place) -> list[tuple[str, Callable[[], object]]]:
        """Return what a right click offers at a place."""
        rows: list[tuple[str, Callable[[], object]]] = []
        ruler = self.rulers.at(place)
        if ruler is not None:
            words = f"Remove this ruler ({self.rulers.words_of(ruler)})\t{key_of('ruler.remove')}"
            rows.append((words, partial(self.rulers.remove, ruler)))
        rows.append((f"White balance on this glass\t{key_of('light.white')}", partial(self.lamp.balance_at, place)))
        rows += self.places.rows_at(place.yx)
        return rows

    def _remove_ruler(self) -> None:
        ruler = None if self._mouse is None else self.rulers.at(self._mouse)
        if ruler is None:
            self._session.message.emit("No ruler stays under the mouse; point at the line of one.")
            return
        self.rulers.remove(ruler)

    # Ruler and circle

    def _measured(self) -> None:
        if self.rulers.passing is not None:
            self.rulers.show_passing(None)

    def _follow_mouse(self) -> None:
        self.circle.show_as(replace(self.circle.field, follows_mouse=not self.circle.field.follows_mouse))
        where = "follows the mouse" if self.circle.field.follows_mouse else "stays in the middle of the view"
        self._session.message.emit(f"The circle of the field of view {where}.")
