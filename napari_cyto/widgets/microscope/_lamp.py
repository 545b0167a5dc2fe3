"""The light of a window's slides: of each slide its own, for as long as the window is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_cyto.domain.geometry import YX
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.slides import thumbnail
from napari_cyto.slides.sharpness import glass_of
from napari_cyto.slides.synthetic_levels import ZoomableSlide, zoomable
from napari_cyto.widgets.microscope._light import STEP_BRIGHTNESS, STEP_FACTOR, Light
from napari_cyto.widgets.microscope._light_filter import LightFilter

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_cyto.widgets.canvas.drags import Place

_THUMBNAIL_PX = 512
# As wide as a fingertip on the screen is the glass that white is taken from, but no wider than this on the slide.
_GLASS_SCREEN_PX, _GLASS_PX = 12.0, 512.0
NO_PIXELS = "The light needs the slide's pixels, but its file is not open."
NOT_YET = "The slide is still being read at low power, so its glass is not known yet; try again, or point at glass (W)."
ONLY_HERE = "Models, exports, measurements and the images of the gallery use the file's own colours."


class Lamp:
    """Keeps the light of each slide, and shows the one on screen in its own.

    Parameters
    ----------
    viewer : napari.Viewer
        Where it is shown.
    session : Session
        Whose slides they are.
    slide_layer : callable
        Returns the layer of the slide on screen, or None.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, session: Session, slide_layer: Callable[[], Layer | None]) -> None:
        self._viewer, self._session, self._slide_layer = viewer, session, slide_layer
        self._by_slide: dict[str, Light] = {}
        self._filter = LightFilter(viewer)
        self._mouse_yx: tuple[YX, float] | None = None
        self.commands: Mapping[str, Callable[[], object]] = {
            "lamp.brighter": lambda: self._step(brightness=STEP_BRIGHTNESS),
            "lamp.darker": lambda: self._step(brightness=-STEP_BRIGHTNESS),
            "lamp.contrast.more": lambda: self._step(contrast=STEP_FACTOR),
            "lamp.contrast.less": lambda: self._step(contrast=1 / STEP_FACTOR),
            "lamp.gamma.more": lambda: self._step(gamma=STEP_FACTOR),
            "lamp.gamma.less": lambda: self._step(gamma=1 / STEP_FACTOR),
            "light.white": self.balance_under_mouse,
            "light.white.auto": self.balance,
            "light.reset": self.reset,
        }
        session.slide_changed.connect(self._show)
        viewer.layers.events.inserted.connect(self._on_layer, position="last")
        self._show()

    def let_go(self) -> None:
        """Stop listening."""
        self._session.slide_changed.disconnect(self._show, missing_ok=True)
        self._viewer.layers.events.inserted.disconnect(self._on_layer)

    @property
    def light(self) -> Light:
        """The light of the slide on screen."""
        slide = self._session.slide
        return Light() if slide is None else self._by_slide.get(slide.id, Light())

    def show_in(self, light: Light) -> None:
        """Show the slide on screen in another light."""
        slide = self._session.slide
        if slide is None:
            return
        self._by_slide[slide.id] = light
        self._show()

    def reset(self) -> None:
        """Show the slide on screen as its file has it."""
        if self.light.is_neutral:
            self._session.message.emit("The light is neutral already: the slide is shown as its file has it.")
        self.show_in(Light())

    def balance(self) -> None:
        """Take the brightest glass of the whole slide for white."""
        slide = self._session.open_slide_handle
        if slide is None:
            self._session.message.emit(NO_PIXELS)
            return
        whole = zoomable(slide)
        if isinstance(whole, ZoomableSlide) and not whole.complete:
            self._session.message.emit(NOT_YET)
            return
        self._balance_on(glass_of(thumbnail(whole, _THUMBNAIL_PX)), "the brightest glass of the slide")

    def follow(self, place: Place) -> None:
        """Know where the mouse is."""
        self._mouse_yx = (place.yx, min(place.reach(_GLASS_SCREEN_PX), _GLASS_PX))

    def balance_under_mouse(self) -> None:
        """Take the glass under the mouse for white."""
        if self._mouse_yx is None:
            self._session.message.emit("Point at bare glass, then press W to take it for white.")
            return
        self._balance_at(*self._mouse_yx)

    def balance_at(self, place: Place) -> None:
        """Take the glass at a place for white."""
        self.follow(place)
        self.balance_under_mouse()

    def _balance_at(self, yx: YX, side: float) -> None:
        slide = self._session.open_slide_handle
        if slide is None:
            self._session.message.emit(NO_PIXELS)
            return
        (y, x), half = yx, max(side, 3.0) / 2
        info = slide.info
        y0, x0 = max(y - half, 0.0), max(x - half, 0.0)
        y1, x1 = min(y + half, float(info.height)), min(x + half, float(info.width))
        if y0 >= y1 or x0 >= x1:
            self._session.message.emit("The mouse is beside the slide; point at bare glass on it.")
            return
        rgb = slide.read_level0((y0, x0, y1, x1)).reshape(-1, 3).mean(0)
        self._balance_on(rgb, "the glass under the mouse")

    def _balance_on(self, glass_rgb: Any, what: str) -> None:
        try:
            light = self.light.balanced_on(glass_rgb)
        except CytoError as error:
            self._session.message.emit(str(error))
            return
        self.show_in(light)
        if light.is_balanced:
            self._session.message.emit(f"White balance on {what}. {ONLY_HERE}")
        else:
            self._session.message.emit(f"White balance on {what} changes nothing: it is without colour already.")

    def _step(self, **changes: float) -> None:
        self.show_in(self.light.changed(**changes))

    def _on_layer(self, _event: Any = None) -> None:
        self._filter.show(self._slide_layer(), self.light)

    def _show(self) -> None:
        self._mouse_yx = None if self._session.slide is None else self._mouse_yx
        self._filter.show(self._slide_layer(), self.light)
        self.changed.emit()
