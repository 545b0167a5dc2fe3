"""What must not move while a project is open, and what is done when it does.

An annotation refers to level-0 px of one slide. So the axes, the flat view, the single picture, the slide's own place
and light, and the order of layers (the annotations above the slide, the slide above everything else) stay as they are.
A change is undone before the next thing is painted, and said. Layers that are neither the slide nor the annotations
are not refused, since they may be somebody's work: they lie hidden beneath the slide, and come back when the project
closes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.layers import Layer

from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.deferred import later

if TYPE_CHECKING:
    from napari import Viewer
    from qtpy.QtCore import QObject

SET_RIGHT = "Reset: {}. While a project is open, slide and annotations stay in place; press H to hide annotations."
BENEATH = (
    "{} was moved below the slide: while a project is open, nothing may cover the slide. To annotate an "
    "image, add its file with Ctrl+O."
)
COME_BACK = "{} cannot be removed while the project is open. Remove slides in the Slides dock."
_WATCHED = (
    *("visible", "opacity", "blending", "scale", "translate", "rotate", "shear", "affine", "mode", "editable"),
    *("locked", "units"),
)


Placed: TypeAlias = tuple[Layer, float]


class Pins:
    """Holds one viewer as its project needs it.

    Parameters
    ----------
    viewer : napari.Viewer
        Which.
    session : Session
        Whose project it is.
    slide_layer, cells_layer : callable
        Return the layer with the slide, and that with the annotations, each with its scale (µm per level-0 px, or 1),
        or None.
    cells_visible : callable
        Returns whether the annotations are to be seen.
    come_back : callable
        Puts slide and annotations on the viewer again after somebody removed one.
    parent : QObject
        The window.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        slide_layer: Callable[[], Placed | None],
        cells_layer: Callable[[], Placed | None],
        cells_visible: Callable[[], bool],
        come_back: Callable[[], bool],
        parent: QObject,
    ) -> None:
        self._viewer, self._session = viewer, session
        self._slide_layer, self._cells_layer = slide_layer, cells_layer
        self._cells_visible, self._come_back = cells_visible, come_back
        self._is_on = self._is_holding = False
        # By layer of others: whether it was visible.
        self._others: dict[Layer, bool] = {}
        self._watched: list[Layer] = []
        self._soon = later(parent, self._hold_later)
        self._named: list[str] = []
        self._view: tuple[Any, float] = ((0.0, 0.0, 0.0), 1.0)

    # On and off

    def follow_project(self) -> None:
        """Hold while a project is open, and give the viewer back when it closes."""
        if self._session.project is not None:
            self._start()
            self.hold()
        else:
            self.stop()

    def stop(self) -> None:
        """Let go, and show the layers of others again."""
        if not self._is_on:
            return
        self._is_on = False
        self._soon.stop()
        if not napari_window.is_open(self._viewer):
            return
        for event, callback in self._events():
            event.disconnect(callback)
        for layer in [*self._watched]:
            self._unwatch(layer)
        for layer, was_visible in self._others.items():
            if layer in self._viewer.layers:
                layer.visible = was_visible
        self._others.clear()

    def _start(self) -> None:
        if self._is_on:
            return
        self._is_on = True
        for event, callback in self._events():
            event.connect(callback, position="first" if callback == self._hold_at_once else "last")
        for layer in self._viewer.layers:
            self._watch(layer)
            self._hide_other(layer)

    def _events(self) -> Iterator[tuple[Any, Callable[..., None]]]:
        viewer = self._viewer
        # Set right before anybody else hears of it: in 3D, or as a grid, what hangs under our layer cannot be drawn.
        for emitter in (
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            napari_window.grid_of(viewer).events.enabled,
        ):
            yield emitter, self._hold_at_once
        camera = napari_window.camera_of(viewer)
        if hasattr(camera.events, "orientation"):
            yield camera.events.orientation, self._hold_at_once
        layers = viewer.layers
        yield layers.events.inserting, self._remember_view
        yield layers.events.removing, self._remember_view
        yield layers.events.inserted, self._on_inserted
        yield layers.events.removed, self._on_removed
        yield layers.events.reordered, self._on_change
        yield layers.selection.events.active, self._on_change

    def _watch(self, layer: Layer) -> None:
        if layer not in self._watched:
            self._watched.append(layer)
            for name in _WATCHED:
                if name in layer.events.emitters:
                    getattr(layer.events, name).connect(self._on_change, position="last")

    def _unwatch(self, layer: Layer) -> None:
        if layer in self._watched:
            self._watched.remove(layer)
            for name in _WATCHED:
                if name in layer.events.emitters:
                    getattr(layer.events, name).disconnect(self._on_change)

    # What napari says

    def _hold_at_once(self, _event: Any = None) -> None:
        self.hold()

    def _on_change(self, _event: Any = None) -> None:
        self.hold()

    def _remember_view(self, _event: Any = None) -> None:
        """Take note of where one looks: napari looks elsewhere when layers come or go."""
        if not self._soon.isActive():
            camera = napari_window.camera_of(self._viewer)
            self._view = (tuple(camera.center), float(camera.zoom))

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)
        self._hide_other(event.value)
        # napari is not done with it yet: it takes its place in the order, and is made active, right after this.
        self._soon.start()

    def _on_removed(self, event: Any) -> None:
        self._unwatch(event.value)
        self._others.pop(event.value, None)
        if not self._is_holding:
            self._soon.start()

    def _hide_other(self, layer: Layer) -> None:
        if self._is_ours(layer) or layer in self._others:
            return
        self._others[layer] = bool(layer.visible)
        if layer.visible:
            layer.visible = False
        self._named.append(layer.name)

    def _is_ours(self, layer: Layer) -> bool:
        return any(layer is ours for ours, _ in self._ours()) or isinstance(layer, napari_window.Foresees)

    def _ours(self) -> list[Placed]:
        """Return slide and annotations, in this order, as far as they are on the viewer."""
        placed = (self._slide_layer(), self._cells_layer())
        return [each for each in placed if each is not None and each[0] in self._viewer.layers]

    def _hold_later(self) -> None:
        if not self._is_on or not napari_window.is_open(self._viewer):
            return
        view = self._view
        named, self._named = self._named, []
        came_back = self._come_back()
        if came_back:
            self._session.message.emit(COME_BACK.format("The slide with its annotations"))
        if came_back or named:
            camera = napari_window.camera_of(self._viewer)
            camera.center, camera.zoom = view
        still = [name for name in named if name in [layer.name for layer in self._others]]
        self.hold()
        if still:
            self._session.message.emit(BENEATH.format(" and ".join(still)))

    # Holding

    def hold(self) -> None:
        """Set right what is not as it has to be, and say what that was."""
        if not self._is_on or self._is_holding:
            return
        self._is_holding = True
        try:
            moved = [*self._hold_view(), *self._hold_layers()]
            self._hold_order()
        finally:
            self._is_holding = False
        if moved:
            self._session.message.emit(SET_RIGHT.format(", ".join(dict.fromkeys(moved))))

    def _hold_view(self) -> list[str]:
        viewer, moved = self._viewer, []
        if viewer.dims.ndisplay != 2:
            viewer.dims.ndisplay = 2
            moved.append("the 3D view")
        straight = tuple(range(viewer.dims.ndim))
        if tuple(viewer.dims.order) != straight:
            viewer.dims.order = straight
            moved.append("the order of the axes")
        grid = napari_window.grid_of(viewer)
        if grid.enabled:
            grid.enabled = False
            moved.append("the grid of layers")
        if napari_window.set_upright(viewer):
            moved.append("the direction of the axes")
        return moved

    def _hold_layers(self) -> list[str]:
        moved: list[str] = []
        cells = self._cells_layer()
        for layer, scale in self._ours():
            is_cells = cells is not None and layer is cells[0]
            name = "the annotations" if is_cells else "the slide"
            if napari_window.unlink(layer):
                moved.append("the link of layers")
            visible = self._cells_visible() if is_cells else True
            if layer.visible != visible:
                layer.visible = visible
                moved.append(f"the visibility of {name}")
            if _straighten(layer, scale):
                moved.append(f"the place of {name}")
            if _light(layer):
                moved.append(f"the opacity of {name}")
        self._hide_others_again()
        selection = self._viewer.layers.selection
        if cells is not None and cells[0] in self._viewer.layers and selection.active is not cells[0]:
            selection.active = cells[0]
        return moved

    def _hide_others_again(self) -> None:
        for layer in self._others:
            if layer.visible:
                napari_window.unlink(layer)
                layer.visible = False
                self._session.message.emit(BENEATH.format(layer.name))

    def _hold_order(self) -> None:
        layers = self._viewer.layers
        ours = [layer for layer, _ in self._ours()]
        if list(layers)[len(layers) - len(ours) :] != ours:
            for layer in ours:
                layers.move(layers.index(layer), len(layers))


def _straighten(layer: Layer, scale: float) -> bool:
    """Undo what turned, moved or stretched a layer; return whether there was anything."""
    moved = False
    if not np.allclose(layer.scale, scale):
        layer.scale, moved = (scale, scale), True
    if np.any(layer.translate):
        layer.translate, moved = (0.0, 0.0), True
    if not np.allclose(layer.rotate, np.eye(2)):
        layer.rotate, moved = 0.0, True
    if np.any(layer.shear):
        layer.shear, moved = (0.0,), True
    if not np.allclose(layer.affine.affine_matrix, np.eye(3)):
        layer.affine, moved = np.eye(3), True
    return moved


def _light(layer: Layer) -> bool:
    """Undo what made a layer pale, or a thing to edit with napari's own tools; return whether it was pale."""
    pale = layer.opacity != 1
    if pale:
        layer.opacity = 1.0
    if str(layer.blending) not in ("translucent", "translucent_no_depth"):
        layer.blending = "translucent"
        pale = True
    if str(layer.mode) != "pan_zoom":
        layer.mode = "pan_zoom"
    if layer.editable:
        layer.editable = False
    if hasattr(layer, "locked") and not layer.locked:
        layer.locked = True
    return bool(pale)
