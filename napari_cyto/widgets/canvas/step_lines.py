"""The steps of an extraction drawn over the slide: what is kept, what is left out and why, and the boxes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YX
from napari_cyto.inference.extract.shown_steps import ShownSteps
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.frames import frame_to_world
from napari_cyto.widgets.canvas.slide_lines import slide_line

if TYPE_CHECKING:
    from napari import Viewer
    from psygnal import SignalInstance

COLOURS = {
    "kept": (0.10, 0.80, 0.35, 1.0),
    "by_area": (1.0, 0.65, 0.0, 1.0),
    "by_roundness": (0.95, 0.25, 0.75, 1.0),
    "dropped": (0.90, 0.10, 0.10, 1.0),
    "boxes": (1.0, 1.0, 1.0, 1.0),
}
"""By what is drawn, RGBA, 0 to 1."""


class StepLines:
    """Draws steps until others, none, or another slide come.

    Parameters
    ----------
    viewer : napari.Viewer
        On whose slide they lie.
    session : Session
        Whose slide that is.
    shown : SignalInstance
        Carries a `ShownSteps`, or None.
    """

    def __init__(self, viewer: Viewer, session: Session, shown: SignalInstance) -> None:
        self.viewer, self.session, self._shown = viewer, session, shown
        self.lines = {name: slide_line(viewer, rgba, 2) for name, rgba in COLOURS.items()}
        shown.connect(self.show)
        session.slide_changed.connect(self._forget)

    def show(self, steps: ShownSteps | None) -> None:
        """Draw steps, or nothing."""
        slide = self.session.slide
        for name, line in self.lines.items():
            ends = np.zeros((0, 2), np.float32)
            if steps is not None and slide is not None:
                rings = _boxes(steps.boxes_yxyx) if name == "boxes" else getattr(steps, name)
                ends = segments_xy(rings, slide.mpp or 1.0)
            line.visible = len(ends) > 0
            if len(ends):
                line.set_data(pos=ends)

    def let_go(self) -> None:
        """Stop listening, and take the lines off."""
        self._shown.disconnect(self.show, missing_ok=True)
        self.session.slide_changed.disconnect(self._forget, missing_ok=True)
        if napari_window.is_open(self.viewer):
            for line in self.lines.values():
                line.parent = None

    def _forget(self) -> None:
        self.show(None)


def segments_xy(rings_yx: Iterable[Sequence[YX]], um_per_px: float) -> npt.NDArray[np.float32]:
    """Return both ends of each edge of rings (level-0 px), float32 ``(2 n, 2)``, napari world coordinates ``x, y``."""
    ends = []
    for ring in rings_yx:
        world = [frame_to_world(place, um_per_px)[::-1] for place in ring]
        for at, following in zip(world, [*world[1:], world[0]], strict=True):
            ends += [at, following]
    return np.array(ends, np.float32).reshape(-1, 2)


def _boxes(boxes_yxyx: Iterable[tuple[int, int, int, int]]) -> Iterable[Sequence[YX]]:
    for y0, x0, y1, x1 in boxes_yxyx:
        yield ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
