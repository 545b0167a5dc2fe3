"""The pixels of the session's slide on a viewer: one image layer, exchanged when the slide is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_cyto.domain.geometry import YX
from napari_cyto.session import Session
from napari_cyto.widgets.canvas.napari_window import camera_of, look_at, view_yxyx
from napari_cyto.widgets.slide_layer import SlideImage, add_slide_layer, home_yxyx, show_box

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.slides import Slide


class SlideView:
    """Keeps the image layer what the session shows, in µm where these are known.

    A slide that was on screen before is shown again where it was left; at first, its tissue is looked at.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.layer: SlideImage | None = None
        self._slide: Slide | None = None
        self._slide_id = ""
        self._mpp: float | None = None
        # By slide id: the middle of the view, level-0 px, and how many px of the screen one of these takes.
        self._left: dict[str, tuple[YX, float]] = {}
        session.slide_changed.connect(self._show)
        self._show()

    def set_icc(self, is_requested: bool) -> None:
        """Show the colours by the slide's own profile, or as they are in the file; the view stays."""
        if self.layer is not None:
            self.layer.show_icc(is_requested)

    def let_go(self) -> None:
        """Stop listening; the layer goes with its viewer."""
        self.session.slide_changed.disconnect(self._show, missing_ok=True)

    def _show(self) -> None:
        handle, record = self.session.open_slide_handle, self.session.slide
        mpp = record.mpp if record is not None else None
        if handle is self._slide and mpp == self._mpp:
            return
        self._remember()
        self._slide, self._mpp = handle, mpp
        self._slide_id = record.id if record is not None else ""
        self._remove()
        if handle is not None:
            self.layer = add_slide_layer(self.viewer, handle, self._mpp, look=False)
            self._look()

    def home(self) -> None:
        """Look at the whole tissue, as after opening."""
        if self._slide is not None:
            show_box(self.viewer, home_yxyx(self._slide), self._mpp)

    def come_back(self) -> bool:
        """Show the slide again after somebody removed its layer; return whether that was so."""
        if self.layer is None or self.layer in self.viewer.layers or self._slide is None or self._slide.closed:
            return False
        plane = self.layer.focal_plane
        self.layer = add_slide_layer(self.viewer, self._slide, self._mpp, self.layer.icc, look=False)
        self.layer.show_plane(plane)
        return True

    @property
    def placed(self) -> tuple[SlideImage, float] | None:
        """The layer and its scale: µm per level-0 px, 1 while that is not known."""
        return None if self.layer is None else (self.layer, self._mpp or 1.0)

    def _remember(self) -> None:
        if self.layer is not None:
            scale = self._mpp or 1.0
            y0, x0, y1, x1 = view_yxyx(self.viewer, scale)
            zoom = float(camera_of(self.viewer).zoom) * scale
            self._left[self._slide_id] = ((y0 + y1) / 2, (x0 + x1) / 2), zoom

    def _look(self) -> None:
        left = self._left.get(self._slide_id)
        if left is None:
            self.home()
        else:
            scale = self._mpp or 1.0
            look_at(self.viewer, left[0], scale, left[1] / scale)

    def _remove(self) -> None:
        # Forgotten first: what is missing then is not missed.
        layer, self.layer = self.layer, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
