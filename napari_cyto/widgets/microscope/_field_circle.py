"""The circle of the field of view: what an eyepiece of a field number shows through an objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from vispy.visuals.transforms import STTransform

from napari_cyto.domain.geometry import YX
from napari_cyto.errors import CytoError
from napari_cyto.files.user_choices import read_choice, write_choice
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.frames import frame_to_world
from napari_cyto.widgets.canvas.slide_lines import slide_line
from napari_cyto.widgets.microscope._slide_label import SlideLabel

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.widgets.canvas.drags import Place

FIELD_NUMBERS = (10.0, 30.0)
OBJECTIVES = (4, 10, 20, 40, 60, 100)
FILE_NAME = "microscope.json"
NO_MPP = (
    "The circle of the field of view needs the size of a pixel, which this slide's file does not say. "
    "Enter it in the Slide dock."
)
_UM_PER_MM = 1000.0
_CORNERS = 128
# The magnification and the scale bar lie in the lower corners.
_ABOVE_CORNERS_PX = 64
_RGBA, _HALO_RGBA = (0.15, 0.75, 1.0, 1.0), (0.0, 0.0, 0.0, 0.6)


@dataclass(frozen=True, slots=True)
class FieldOfView:
    """What an eyepiece shows through an objective.

    Parameters
    ----------
    number : float
        The field number of the eyepiece: the diameter of its stop, mm.
    objective : int
        The magnification of the objective.
    follows_mouse : bool
        Whether the circle lies round the mouse rather than in the middle of the view.
    """

    number: float = 22.0
    objective: int = 40
    follows_mouse: bool = False

    @property
    def diameter_um(self) -> float:
        """Return how much of the specimen is seen across, µm: field number / objective.

        Source
        ------
        ISO 19012-1 and every maker's table: field number (mm) divided by the magnification of the objective.
        """
        return self.number * _UM_PER_MM / self.objective

    @property
    def words(self) -> str:
        """Return what the circle is, as people read it."""
        return f"FN {self.number:g} / {self.objective}x = {self.diameter_um / _UM_PER_MM:.3g} mm"


def load(path: Path | None = None) -> FieldOfView:
    """Return what the user chose last; what cannot be read, or makes no sense, is as it is by itself."""
    return read_choice(FILE_NAME, _made, FieldOfView(), path)


def _made(kept: Mapping[str, Any]) -> FieldOfView:
    field = FieldOfView(float(kept["number"]), int(kept["objective"]), kept["follows_mouse"] is True)
    if not FIELD_NUMBERS[0] <= field.number <= FIELD_NUMBERS[1] or field.objective not in OBJECTIVES:
        raise ValueError(f"no eyepiece and objective are like {field.words}")
    return field


def save(field: FieldOfView, path: Path | None = None) -> None:
    """Keep what the user chose.

    Raises
    ------
    CytoError
        When the user's folder cannot be written.
    """
    write_choice(FILE_NAME, asdict(field), path)


class FieldCircle:
    """Draws the circle on a viewer's slide.

    Parameters
    ----------
    viewer : napari.Viewer
        On whose slide it lies.
    session : Session
        Whose slide that is.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self._viewer, self._session = viewer, session
        self.field = load()
        self._is_on = False
        self._mouse_yx: YX | None = None
        self.label = SlideLabel(napari_window.native_canvas(viewer))
        self._lines = [_ring(viewer, *way) for way in ((4, _HALO_RGBA, 0), (2, _RGBA, 1))]
        camera = napari_window.camera_of(viewer)
        self._listens = ((camera.events.center, self._move), (camera.events.zoom, self._move))
        for event, slot in self._listens:
            event.connect(slot)
        session.slide_changed.connect(self.draw)

    def let_go(self) -> None:
        """Stop listening, and take the circle off."""
        self._session.slide_changed.disconnect(self.draw, missing_ok=True)
        if napari_window.is_open(self._viewer):
            for event, slot in self._listens:
                event.disconnect(slot)
            for line in self._lines:
                line.parent = None

    @property
    def is_shown(self) -> bool:
        """Whether the circle is on the slide."""
        return bool(self._lines[0].visible)

    @property
    def centre_yx(self) -> YX | None:
        """Where its middle lies, level-0 px; None while it is not shown."""
        if not self.is_shown:
            return None
        if self.field.follows_mouse and self._mouse_yx is not None:
            return self._mouse_yx
        return napari_window.view_centre_yx(self._viewer, self._scale)

    def toggle(self) -> None:
        """Show the circle, or hide it; without the size of a pixel, say why not."""
        if not self._is_on and self._session.slide is not None and not self._session.slide.mpp:
            self._session.message.emit(NO_MPP)
            return
        self._is_on = not self._is_on
        self.draw()

    def show_as(self, field: FieldOfView) -> None:
        """Draw the field of another eyepiece or objective, and keep that for the user."""
        self.field = field
        self.draw()
        try:
            save(field)
        except CytoError as error:
            self._session.message.emit(f"The field of view applies, but could not be saved for next time: {error}")

    def follow(self, place: Place) -> None:
        """Lie round the mouse, if the user likes it so."""
        self._mouse_yx = place.yx
        if self.field.follows_mouse and self.is_shown:
            self._move()

    @property
    def _scale(self) -> float:
        slide = self._session.slide
        return (slide.mpp if slide is not None else None) or 1.0

    def draw(self) -> None:
        """Draw the circle anew, or none."""
        slide = self._session.slide
        shows = self._is_on and slide is not None and bool(slide.mpp)
        for line in self._lines:
            line.visible = shows
        if not shows:
            self.label.hide()
            self._mouse_yx = None
            return
        turn = np.linspace(0, 2 * np.pi, _CORNERS + 1)
        ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * self.field.diameter_um / 2
        for line in self._lines:
            line.set_data(pos=ring.astype(np.float32))
        self._move()

    def _move(self, _event: Any = None) -> None:
        centre = self.centre_yx
        if centre is None:
            return
        y, x = frame_to_world(centre, self._scale)
        for line in self._lines:
            line.transform.translate = (x, y)
        at_x, at_y = napari_window.screen_xy(self._viewer, centre, self._scale)
        radius = self.field.diameter_um / 2 * float(napari_window.camera_of(self._viewer).zoom)
        below = at_y + radius + self.label.height() / 2 + 2
        lowest = napari_window.canvas_size_px(self._viewer)[0] - _ABOVE_CORNERS_PX
        self.label.say(self.field.words + ("" if below <= lowest else " (wider than the view)"))
        self.label.put(at_x, min(below, lowest), keeps_in=True)


def _ring(viewer: Viewer, width: int, rgba: tuple[float, ...], order: int) -> Any:
    line = slide_line(viewer, rgba, width, "strip", order)
    line.transform = STTransform()
    return line
