"""The parts of a napari window that the canvas needs, some of which napari keeps for itself.

All that could break with a new napari release is in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QObject

from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.widgets.canvas._key_bindings import as_qt_writes
from napari_cyto.widgets.canvas.frames import (
    around_turned,
    frame_to_world,
    turned,
    within_turned,
    world_to_frame,
)

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget


_turns: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def camera_of(viewer: Viewer) -> Any:
    """Return the camera model, where napari has kept it since 0.9 or before."""
    return getattr(viewer, "scene", viewer).camera


def grid_of(viewer: Viewer) -> Any:
    """Return the model of the grid of layers, where napari has kept it since 0.9 or before."""
    return getattr(viewer, "canvas", viewer).grid


def scale_bar_of(viewer: Viewer) -> Any:
    """Return the model of napari's scale bar, where napari has kept it since 0.9 or before."""
    return viewer.canvas.overlays.scale_bar if hasattr(viewer, "canvas") else viewer.scale_bar


def set_upright(viewer: Viewer) -> bool:
    """Have y grow downwards and x to the right on the screen; return whether they did not."""
    from napari.components.camera import Camera

    camera = camera_of(viewer)
    usual = getattr(Camera(), "orientation", None)
    if usual is None or camera.orientation == usual:
        return False
    camera.orientation = usual
    return True


def unlink(layer: Layer) -> bool:
    """Part a layer from those that follow its values; return whether there were any."""
    from napari.layers.utils._link_layers import get_linked_layers, layer_is_linked, unlink_layers

    if not layer_is_linked(layer):
        return False
    unlink_layers([layer, *get_linked_layers(layer)])
    return True


def qt_window(viewer: Viewer) -> QWidget:
    """Return the main window."""
    window: QWidget = viewer.window._qt_window
    return window


def is_open(viewer: Viewer) -> bool:
    """Whether the viewer still has its window; napari drops it when it closes."""
    return hasattr(viewer.window, "_qt_window")


def native_canvas(viewer: Viewer) -> QWidget:
    """Return the widget on which the slide is painted and clicked."""
    widget: QWidget = viewer.window._qt_viewer.canvas.native
    return widget


def drop_targets(viewer: Viewer) -> list[QWidget]:
    """Return the widgets on which napari takes what is dropped; the welcome covers the canvas while it is empty."""
    qt_viewer = viewer.window._qt_viewer
    welcome = getattr(qt_viewer, "_welcome_widget", None)
    return [qt_viewer] if welcome is None else [qt_viewer, welcome]


def node_of(viewer: Viewer, layer: Layer) -> Any:
    """Return the vispy node that draws a layer; what hangs under it moves, hides and goes with the layer."""
    return viewer.window._qt_viewer.canvas.layer_to_visual[layer].node


def image_visuals_of(viewer: Viewer, layer: Layer) -> list[Any]:
    """Return the vispy visuals that draw an image layer now: one, or one for each texture of what is too large."""
    node = node_of(viewer, layer)
    return list(getattr(node, "adopted_children", None) or [node])


def scene_of(viewer: Viewer) -> Any:
    """Return the vispy node under which everything on the slide hangs, in world coordinates ``x, y``."""
    return viewer.window._qt_viewer.canvas.view.scene


def canvas_size_px(viewer: Viewer) -> tuple[float, float]:
    """Return height and width of the canvas, in the px that the camera's zoom speaks of."""
    height, width = viewer.window._qt_viewer.canvas.size
    return (float(height), float(width))


def turn_of(viewer: Viewer) -> float:
    """Return by how many degrees the view is turned clockwise, 0 to 360."""
    return _turns.get(viewer, 0.0)


def turn(viewer: Viewer, degrees: float) -> None:
    """Turn the view clockwise round the middle of the canvas; slide and annotations stay what and where they are.

    vispy's camera maps the scene to the canvas and then, where it is set to, on the canvas once more; clicks come back
    by the same way.
    """
    from vispy.visuals.transforms import MatrixTransform

    degrees %= 360.0
    _turns[viewer] = degrees
    for layer in _foreseeing(viewer):
        layer.turn_degrees = degrees
    height, width = canvas_size_px(viewer)
    matrix = np.eye(4)
    for row, axis in enumerate(((0.0, 1.0), (1.0, 0.0))):
        matrix[row, :2] = turned(axis, degrees)[::-1]
    middle = np.array((width / 2, height / 2))
    matrix[3, :2] = middle - middle @ matrix[:2, :2]
    canvas = viewer.window._qt_viewer.canvas
    canvas.view.camera.pre_transform = MatrixTransform(matrix) if degrees else None
    canvas.on_draw()
    # Who follows the view hears of it as of any other move.
    camera_of(viewer).events.center()


def view_yxyx(viewer: Viewer, mpp: float) -> YXYX:
    """Return the box round what is on screen, level-0 px; ``mpp`` is the scale of our layers."""
    return _box_of_view(viewer, mpp, around_turned(canvas_size_px(viewer), turn_of(viewer)))


def seen_yxyx(viewer: Viewer, mpp: float) -> YXYX:
    """Return a box all of which is on screen, level-0 px: less than `view_yxyx` where the view is turned askew."""
    return _box_of_view(viewer, mpp, within_turned(canvas_size_px(viewer), turn_of(viewer)))


def _box_of_view(viewer: Viewer, mpp: float, size_px: YX) -> YXYX:
    camera = camera_of(viewer)
    y, x = world_to_frame(camera.center, mpp)
    half_y, half_x = (length / camera.zoom / mpp / 2 for length in size_px)
    return (y - half_y, x - half_x, y + half_y, x + half_x)


def screen_xy(viewer: Viewer, yx: YX, mpp: float) -> tuple[float, float]:
    """Return where a place on the slide (level-0 px) is on the canvas, screen px from its upper left corner."""
    camera = camera_of(viewer)
    height, width = canvas_size_px(viewer)
    y, x = frame_to_world(yx, mpp)
    _, centre_y, centre_x = camera.center
    down, right = turned(((y - centre_y) * camera.zoom, (x - centre_x) * camera.zoom), turn_of(viewer))
    return (width / 2 + right, height / 2 + down)


def shift(viewer: Viewer, down_px: float, right_px: float) -> None:
    """Move the view by px of the screen."""
    camera = camera_of(viewer)
    _, y, x = camera.center
    down, right = turned((down_px, right_px), -turn_of(viewer))
    camera.center = (0.0, y + down / camera.zoom, x + right / camera.zoom)


def view_centre_yx(viewer: Viewer, mpp: float) -> YX:
    """Return the place on the slide in the middle of the canvas, level-0 px."""
    return world_to_frame(camera_of(viewer).center, mpp)


def pan(viewer: Viewer, down: float, right: float) -> None:
    """Move the view by shares of its height and width."""
    height, width = canvas_size_px(viewer)
    shift(viewer, down * height, right * width)


def title_of_shortcut(combination: str) -> str:
    """Return what napari does at a combination of keys (as Qt writes it), in napari's words; empty for nothing."""
    from napari.utils.action_manager import action_manager

    for name, shortcuts in action_manager._shortcuts.items():
        if name in action_manager._actions and any(combination in as_qt_writes(str(s)) for s in shortcuts):
            return _clipped_title(action_manager._actions[name].description)
    return ""


def _clipped_title(description: str) -> str:
    return description.splitlines()[0].partition(", e.g.")[0].strip()


@runtime_checkable
class Foresees(Protocol):
    """A layer that can make ready for a place before it is drawn, and knows by how much its view is turned."""

    turn_degrees: float

    def expect(self, view_world: npt.NDArray[np.float64], canvas_hw: tuple[float, float], zoom: float) -> None:
        """Make ready for a view: its upper left and lower right corner, (2, 2), y and x, world units."""

    def show_expected(self) -> None:
        """Draw it."""

    def foresee(self, view_world: npt.NDArray[np.float64]) -> None:
        """Make ready, behind all else, for a view at the zoom of now."""


def look_at(viewer: Viewer, yx: YX, mpp: float, zoom: float | None = None) -> None:
    """Put a place on the slide (level-0 px) in the middle, and zoom (canvas px per world unit) if that is given."""
    _move(viewer, yx, mpp, zoom)
    # napari looks for the part of the slide that is on screen after painting it, and then paints again.
    viewer.window._qt_viewer.canvas.on_draw()


def set_out_for(viewer: Viewer, yx: YX, mpp: float, zoom: float | None = None) -> None:
    """Do as `look_at`, but only have the slide's pixels made ready while other work is done; `arrive` draws them."""
    _move(viewer, yx, mpp, zoom)
    camera = camera_of(viewer)
    view = _view_world(viewer, camera.center[-2:], mpp)
    for layer in _foreseeing(viewer):
        layer.expect(view, viewer.window._qt_viewer.canvas._current_viewbox_size[::-1], camera.zoom)


def arrive(viewer: Viewer) -> None:
    """Draw what `set_out_for` had made ready."""
    for layer in _foreseeing(viewer):
        layer.show_expected()


def foresee(viewer: Viewer, yx: YX, mpp: float) -> None:
    """Have made ready, behind all else, what lies round a place (level-0 px) at the zoom of now."""
    view = _view_world(viewer, frame_to_world(yx, mpp), mpp)
    for layer in _foreseeing(viewer):
        layer.foresee(view)


def _foreseeing(viewer: Viewer) -> list[Foresees]:
    return [layer for layer in viewer.layers if isinstance(layer, Foresees)]


def _view_world(viewer: Viewer, centre_world: Sequence[float], mpp: float) -> npt.NDArray[np.float64]:
    """Return upper left and lower right corner, (2, 2), of what is on screen round a place, at the zoom of now."""
    zoom = camera_of(viewer).zoom
    # A px more on each side, or another rounding of napari's would have all drawn twice.
    half = np.array(canvas_size_px(viewer)) / zoom / 2 + 1 / zoom + mpp
    half = np.array(turned((half[0], half[1]), -turn_of(viewer)))
    centre = np.array(centre_world)
    return np.array([centre - half, centre + half])


def _move(viewer: Viewer, yx: YX, mpp: float, zoom: float | None) -> None:
    camera = camera_of(viewer)
    if zoom is not None:
        camera.zoom = zoom
    camera.center = (0.0, *frame_to_world(yx, mpp))


class Tether(QObject):
    """Lets go of a window before Qt takes it apart."""

    def __init__(self, qt_window: QObject, let_go: Callable[[], None]) -> None:
        super().__init__(qt_window)
        self._let_go: Callable[[], None] | None = let_go
        qt_window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Qt's hook."""
        if event is not None and event.type() == QEvent.Type.DeferredDelete and self._let_go is not None:
            let_go, self._let_go = self._let_go, None
            let_go()
        return bool(super().eventFilter(watched, event))
