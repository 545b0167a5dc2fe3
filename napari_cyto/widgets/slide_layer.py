"""A slide in a napari window: one multiscale image, in µm, every level exactly where its pixels lie."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QObject, Qt, Signal

from napari_cyto.domain.geometry import YXYX
from napari_cyto.slides import LevelArray, Slide, tissue_bounds_yxyx
from napari_cyto.slides.progressive_read import PatientReader
from napari_cyto.slides.synthetic_levels import ZoomableSlide, zoomable
from napari_cyto.widgets.canvas.frames import around_turned, turned, world_to_frame
from napari_cyto.widgets.canvas.napari_window import canvas_size_px, look_at, scale_bar_of, turn_of

if TYPE_CHECKING:
    from napari import Viewer

_MARGIN = 1.05
# Up to this side a picture is a field: all of it is worth a look, and to search it for tissue takes 0.2 s.
FIELD_PX = 4096


class ShownLevel(LevelArray):
    """A level in a window, which may draw once more after the slide was closed: background then, not an error."""

    patient: PatientReader | None = None

    def _read(self, y0: int, x0: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        if self.slide.closed:
            return np.full((height, width, 3), np.array(self.slide.info.background_rgb, np.uint8))
        if self.patient is not None:
            return self.patient.read(self.level, y0, x0, height, width, self.icc)
        return super()._read(y0, x0, height, width)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        slide = self.slide
        if isinstance(slide, ZoomableSlide) and slide.is_kept(self.level) and not slide.closed and not copy:
            # napari keeps what it gets of the coarsest level: it must fill in there as well.
            return slide.live(self.level, self.icc).astype(self.dtype if dtype is None else dtype, copy=False)
        return super().__array__(dtype, copy)


class _Relay(QObject):
    """Carries news from a decoding thread to the window's own."""

    news = Signal()

    def __init__(self, on_news: Callable[[], object]) -> None:
        super().__init__()
        self._on_news = on_news
        self.news.connect(self._pass_on, Qt.ConnectionType.QueuedConnection)

    def _pass_on(self) -> None:
        self._on_news()


class SlideImage(Image):
    """napari's image layer, with the levels of a slide placed to the pixel.

    napari takes a level's scale from the ratio of the sizes, which drifts towards the far end where sizes are
    truncated to whole px. Here a level's px ``i`` covers level-0 px ``i * factor`` to ``(i + 1) * factor``.

    Tiles that are not decoded within a few ms do not hold up the window: their place is drawn from a coarser level
    first, and sharp as soon as they are there. Whoever indexes ``data`` always gets the true pixels.

    A slide whose coarsest level is too large to be drawn gets coarser ones, which fill in while one looks.
    """

    def __init__(self, slide: Slide, mpp: float | None, icc: bool = False) -> None:
        self.slide = slide
        # By how many degrees the view is turned clockwise; napari tells a layer two corners of the view alone.
        self.turn_degrees = 0.0
        self._shown = zoomable(slide)
        self._factors: npt.NDArray[np.float64] = np.array(self._shown.info.factors_yx, dtype=np.float64)
        me = weakref.ref(self)
        self._relay = relay = _Relay(lambda: _draw_again(me()))
        self._reader = PatientReader(self._shown, lambda: relay.news.emit())
        self._more = more = _Relay(lambda: _fill_in(me()))
        if isinstance(self._shown, ZoomableSlide):
            self._shown.on_news(lambda: more.news.emit())
        self._listened = {self._shown.info.planes.shown}
        self._expects = self._is_due = False
        super().__init__(
            self._levels(icc),
            multiscale=True,
            rgb=True,
            name=slide.info.name,
            scale=(mpp or 1.0,) * 2,
            units=("um",) * 2 if mpp else ("pixel",) * 2,
            metadata={"slide": str(slide.info.path), "vendor": slide.info.vendor, "mpp": mpp},
        )
        # Only texts on layers follow it, and a slide has none; napari's list of layers is painted anew at each one.
        self.events.scale_factor.block()

    @property
    def _type_string(self) -> str:
        # napari picks icons and writers by this.
        return "image"

    @property
    def downsample_factors(self) -> npt.NDArray[np.float64]:
        """How many level-0 px one px of each level covers, ``(levels, 2)``, y and x."""
        return self._factors

    @property
    def sharp(self) -> bool:
        """Whether all that is on screen has its true pixels, none still those of a coarser level."""
        shown = self._shown
        if self._is_due:
            return False
        if isinstance(shown, ZoomableSlide) and shown.is_kept(self.data_level):
            # napari has the coarsest level already and asks the reader no more.
            return shown.complete
        return self._reader.sharp

    def expect(self, view_world: npt.NDArray[np.float64], canvas_hw: tuple[float, float], zoom: float) -> None:
        """Have decoded what will be on screen, while other work is done; `show_expected` draws it.

        Parameters
        ----------
        view_world : array, (2, 2)
            Upper left and lower right corner, y and x, world units.
        canvas_hw : tuple of float
            Of the canvas, px.
        zoom : float
            Canvas px per world unit.
        """
        self._expects = True
        try:
            self._update_draw(1 / zoom, view_world, canvas_hw)
        finally:
            self._expects = False

    def show_expected(self) -> None:
        """Draw what was expected, if it is not drawn yet."""
        if self._is_due:
            super().refresh(thumbnail=False, extent=False)

    def foresee(self, view_world: npt.NDArray[np.float64]) -> None:
        """Have decoded, behind all else, what a view shows, (2, 2) as in `expect`, at the zoom of now."""
        level = self.data_level
        if level < len(self.data) - 1 and self.visible and not self.slide.closed:
            mpp = float(self.scale[-1])
            view_world = self._upright(view_world)
            corners = np.array([world_to_frame(corner, mpp) for corner in view_world]) / self._factors[level]
            y0, x0 = np.floor(corners[0]).astype(int).tolist()
            y1, x1 = np.ceil(corners[1]).astype(int).tolist()
            self._reader.foresee(level, y0, x0, y1 - y0, x1 - x0, self.icc)

    def refresh(self, *args: Any, **options: Any) -> None:
        """Draw anew; where a place is only expected, have its tiles decoded."""
        if not self._expects:
            super().refresh(*args, **options)
        elif self.visible:
            self._is_due = True
            (y0, x0), (y1, x1) = self.corner_pixels.tolist()
            # napari has the coarsest level already.
            if self.data_level < len(self.data) - 1 and not self.slide.closed:
                self._reader.expect(self.data_level, y0, x0, y1 + 1 - y0, x1 + 1 - x0, self.icc)

    def set_view_slice(self) -> None:
        """Read what is on screen, without waiting for slow tiles."""
        self._is_due = False
        if isinstance(self._shown, ZoomableSlide):
            corners = self.corner_pixels * self._factors[self.data_level]
            self._shown.look_at((*corners[0].tolist(), *corners[1].tolist()))
        levels = list(self.data)
        for level in levels:
            level.patient = self._reader
        try:
            super().set_view_slice()
        finally:
            for level in levels:
                level.patient = None

    def _upright(self, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the box round a view, (2, 2), whose upper left and lower right corner on the screen are given."""
        if not self.turn_degrees:
            return corners
        middle, half = corners.mean(0), (corners[1] - corners[0]) / 2
        size = turned((half[0], half[1]), self.turn_degrees)
        around = np.array(around_turned((abs(size[0]), abs(size[1])), self.turn_degrees))
        return np.array([middle - around, middle + around])

    def _update_draw(self, scale_factor: float, corner_pixels_displayed: Any, shape_threshold: Any) -> None:
        super()._update_draw(scale_factor, self._upright(np.asarray(corner_pixels_displayed)), shape_threshold)
        if not self._expects:
            # napari takes it for drawn already.
            self.show_expected()

    def _levels(self, icc: bool) -> list[ShownLevel]:
        return [ShownLevel(self._shown, level, icc) for level in range(self._shown.info.levels)]

    @property
    def icc(self) -> bool:
        """Whether the colours are brought to sRGB."""
        return bool(self.data[0].icc)

    @property
    def focal_plane(self) -> int:
        """The focal plane that is shown, from 0."""
        return self._shown.info.planes.shown

    def show_plane(self, plane: int) -> None:
        """Show another focal plane, from 0, where one looks: coarser at first while its tiles are decoded.

        Raises
        ------
        SlideError
            When the slide has no such plane.
        """
        if plane == self.focal_plane:
            return
        shown, relay, more = zoomable(self.slide.at_plane(plane)), self._relay, self._more
        if isinstance(shown, ZoomableSlide) and plane not in self._listened:
            self._listened.add(plane)
            shown.on_news(lambda: more.news.emit())
        self._shown = shown
        self._reader = PatientReader(shown, lambda: relay.news.emit())
        self.data = self._levels(self.icc)

    def show_icc(self, icc: bool) -> None:
        """Bring the colours to sRGB, or show them as they are stored."""
        if icc != self.icc:
            self.data = self._levels(icc)


def _draw_again(layer: SlideImage | None) -> None:
    if layer is not None and not layer.slide.closed:
        layer.refresh(thumbnail=False, extent=False)


def _fill_in(layer: SlideImage | None) -> None:
    """Draw what was made of a coarser level since, unless what is on screen is true already."""
    if layer is None or layer.slide.closed or not isinstance(layer._shown, ZoomableSlide):
        return
    on_screen = layer._shown.is_kept(layer.data_level) or not layer._reader.sharp
    if on_screen or layer._shown.complete:
        layer.refresh(thumbnail=layer._shown.complete, extent=False)


def add_slide_layer(
    viewer: Viewer, slide: Slide, mpp: float | None, icc: bool = False, look: bool = True
) -> SlideImage:
    """Show a slide at the bottom of a viewer: in µm, with the scale bar on and the camera on the tissue.

    Parameters
    ----------
    viewer : napari.Viewer
        Where to show it.
    slide : Slide
        An open slide; it must stay open as long as the layer lives.
    mpp : float or None
        µm per level-0 px. None shows it in px, and no µm are claimed.
    icc : bool
        Whether to bring the colours to sRGB by the slide's ICC profile.
    look : bool
        Whether to point the camera at ``home_yxyx``; else it stays where it is.

    Returns
    -------
    SlideImage
        The layer. World coordinates are ``(level-0 px - 0.5) * mpp``, as napari counts from pixel centres.
    """
    layer = SlideImage(slide, mpp, icc)
    viewer.add_layer(layer)
    viewer.layers.move(viewer.layers.index(layer), 0)
    scale_bar_of(viewer).visible = True
    if look:
        show_box(viewer, home_yxyx(slide), mpp)
    return layer


def home_yxyx(slide: Slide) -> YXYX:
    """Return what to look at first, level-0 px: the tissue, else the scanned part, else all; all of a field.

    Where a slide that has no small level lies is known once one is made; until then it is looked at whole.
    """
    info = slide.info
    whole = info.bounds_yxyx or (0, 0, info.height, info.width)
    shown = zoomable(slide)
    enough = not shown.complete if isinstance(shown, ZoomableSlide) else max(info.size_hw) <= FIELD_PX
    return whole if enough else tissue_bounds_yxyx(shown) or whole


def show_box(viewer: Viewer, box_yxyx: YXYX, mpp: float | None) -> None:
    """Fit a level-0 box into the canvas; ``mpp`` is the scale of the slide's layer."""
    y0, x0, y1, x1 = box_yxyx
    scale = mpp or 1.0
    height, width = canvas_size_px(viewer)
    down, right = around_turned((max(y1 - y0, 1.0), max(x1 - x0, 1.0)), turn_of(viewer))
    zoom = min(height / down, width / right) / scale / _MARGIN
    look_at(viewer, ((y0 + y1) / 2, (x0 + x1) / 2), scale, zoom)
