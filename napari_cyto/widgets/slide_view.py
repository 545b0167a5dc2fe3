"""The pixels of the session's slide on a viewer: one image layer, exchanged when the slide is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_cyto.session import Session
from napari_cyto.widgets.slide_layer import SlideImage, add_slide_layer, home_yxyx, show_box

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.slides import Slide


class SlideView:
    """Keeps the image layer what the session shows, in µm where these are known."""

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.layer: SlideImage | None = None
        self._slide: Slide | None = None
        self._mpp: float | None = None
        session.slide_changed.connect(self._show)
        self._show()

    def set_icc(self, wanted: bool) -> None:
        """Show the colours by the slide's own profile, or as they are in the file; the view stays."""
        if self.layer is not None:
            self.layer.show_icc(wanted)

    def let_go(self) -> None:
        """Stop listening; the layer goes with its viewer."""
        self.session.slide_changed.disconnect(self._show, missing_ok=True)

    def _show(self) -> None:
        handle, record = self.session.open_slide_handle, self.session.slide
        mpp = record.mpp if record is not None else None
        if handle is self._slide and mpp == self._mpp:
            return
        self._slide, self._mpp = handle, mpp
        if handle is None:
            self._remove()
        else:
            self._exchange(handle)

    def _exchange(self, handle: Slide) -> None:
        self._remove()
        self.layer = add_slide_layer(self.viewer, handle, self._mpp)

    def home(self) -> None:
        """Look at the whole tissue, as after opening."""
        if self._slide is not None:
            show_box(self.viewer, home_yxyx(self._slide), self._mpp)

    def _remove(self) -> None:
        if self.layer is not None and self.layer in self.viewer.layers:
            self.viewer.layers.remove(self.layer)
        self.layer = None
