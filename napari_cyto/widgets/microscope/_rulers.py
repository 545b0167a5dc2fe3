"""Rulers on the slide: one while a key is held, and some that stay in the view until they are removed.

None of them is an annotation: nothing is stored with the project.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YX
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.frames import frame_to_world
from napari_cyto.widgets.canvas.slide_lines import slide_line
from napari_cyto.widgets.microscope._slide_label import SlideLabel

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.widgets.canvas.drags import Place

_TICK_SCREEN_PX = 7.0
_BESIDE_SCREEN_PX = 16.0
_HIT_SCREEN_PX = 7.0
_RGBA = (1.0, 0.92, 0.23, 1.0)
_HALO_RGBA = (0.0, 0.0, 0.0, 0.75)
_WIDTH_PX, _HALO_PX = 2, 5
_UM_PER_MM = 1000.0
_WHOLE_UM = 100.0


def length_words(px: float, mpp: float | None) -> str:
    """Return a length, given in level-0 px, in µm or mm; in px, and said to be that, where µm are not known."""
    if not mpp:
        return f"{px:,.0f} px (pixel size unknown)"
    um = px * mpp
    if um >= _UM_PER_MM:
        return f"{um / _UM_PER_MM:.2f} mm"
    return f"{um:.0f} µm" if um >= _WHOLE_UM else f"{um:.1f} µm"


@dataclass(frozen=True, slots=True)
class Ruler:
    """A length between two places, level-0 px."""

    start_yx: YX
    end_yx: YX

    @property
    def length_px(self) -> float:
        """Return the length, level-0 px."""
        return math.dist(self.start_yx, self.end_yx)

    def distance_px(self, yx: YX) -> float:
        """Return how far a place is from the line, level-0 px."""
        a, b, p = (np.array(v, np.float64) for v in (self.start_yx, self.end_yx, yx))
        along = b - a
        length = float(along @ along)
        share = 0.0 if length == 0 else min(max(float((p - a) @ along) / length, 0.0), 1.0)
        return math.dist(p, a + share * along)


class _RulerDrag:
    """A ruler that the mouse is drawing."""

    def __init__(self, rulers: Rulers, start: Place, *, stays: bool) -> None:
        self._rulers, self._start, self._stays = rulers, start, stays
        self._ruler = Ruler(start.yx, start.yx)

    def to(self, place: Place) -> None:
        """Stretch it."""
        self._ruler = Ruler(self._start.yx, place.yx)
        self._rulers.show_passing(self._ruler)

    def end(self) -> None:
        """Leave it where it is, if it is to stay; else it goes with the key."""
        if self._stays:
            self._rulers.keep(self._ruler)


class Rulers:
    """The rulers of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        On whose slide they lie.
    session : Session
        Whose slide that is.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self._viewer, self._session = viewer, session
        self._kept: dict[str, list[Ruler]] = {}
        self._passing: Ruler | None = None
        self._labels: list[SlideLabel] = []
        # Above the circle of the field of view.
        self._halo = slide_line(viewer, _HALO_RGBA, _HALO_PX, order=1)
        self._line = slide_line(viewer, _RGBA, _WIDTH_PX, order=2)
        camera = napari_window.camera_of(viewer)
        self._listens = ((camera.events.center, self._place_labels), (camera.events.zoom, self.draw))
        for event, slot in self._listens:
            event.connect(slot)
        session.slide_changed.connect(self._on_slide)

    def let_go(self) -> None:
        """Stop listening and take the rulers off."""
        self._session.slide_changed.disconnect(self._on_slide, missing_ok=True)
        if napari_window.is_open(self._viewer):
            for event, slot in self._listens:
                event.disconnect(slot)
            for line in (self._halo, self._line):
                line.parent = None

    @property
    def kept(self) -> tuple[Ruler, ...]:
        """The rulers that stay on the slide on screen."""
        slide = self._session.slide
        return () if slide is None else tuple(self._kept.get(slide.id, ()))

    @property
    def passing(self) -> Ruler | None:
        """The ruler that goes when the key is up."""
        return self._passing

    @property
    def words(self) -> list[str]:
        """What the rulers on screen say."""
        return [self.words_of(ruler) for ruler in self._shown]

    def words_of(self, ruler: Ruler) -> str:
        """Return what a ruler says."""
        return length_words(ruler.length_px, self._mpp)

    def measure(self, start: Place, stays: bool) -> _RulerDrag:
        """Begin a ruler at a place."""
        return _RulerDrag(self, start, stays=stays)

    def show_passing(self, ruler: Ruler | None) -> None:
        """Show a ruler for now, or None."""
        self._passing = ruler
        self.draw()

    def keep(self, ruler: Ruler) -> None:
        """Have a ruler stay on the slide on screen."""
        self._kept.setdefault(self._session.need_slide().id, []).append(ruler)
        self.show_passing(None)

    def clear(self) -> None:
        """Remove the rulers of the slide on screen."""
        if not self.kept:
            self._session.message.emit("No ruler stays on this slide. Hold M and Shift and drag to draw one.")
            return
        self._kept.pop(self._session.need_slide().id, None)
        self.draw()

    def at(self, place: Place) -> Ruler | None:
        """Return the ruler that stays under the mouse, if there is one."""
        reach = place.reach(_HIT_SCREEN_PX)
        return next((r for r in reversed(self.kept) if r.distance_px(place.yx) <= reach), None)

    def remove(self, ruler: Ruler) -> None:
        """Remove one ruler of the slide on screen."""
        slide = self._session.slide
        if slide is not None and ruler in self._kept.get(slide.id, ()):
            self._kept[slide.id].remove(ruler)
            self.draw()

    @property
    def _mpp(self) -> float | None:
        return self._session.slide.mpp if self._session.slide is not None else None

    @property
    def _shown(self) -> tuple[Ruler, ...]:
        return self.kept if self._passing is None else (*self.kept, self._passing)

    def _on_slide(self) -> None:
        self._passing = None
        self.draw()

    def draw(self, _event: Any = None) -> None:
        """Draw the rulers anew."""
        shown = self._shown
        was_drawn = self._line.visible
        for line in (self._halo, self._line):
            line.visible = bool(shown)
        if shown:
            scale, zoom = self._mpp or 1.0, float(napari_window.camera_of(self._viewer).zoom)
            ends = np.concatenate([_strokes(r, scale, _TICK_SCREEN_PX / zoom) for r in shown])
            for line in (self._halo, self._line):
                line.set_data(pos=ends)
        if shown or was_drawn:
            self._place_labels()

    def _place_labels(self, _event: Any = None) -> None:
        shown = self._shown
        canvas = napari_window.native_canvas(self._viewer)
        while len(self._labels) < len(shown):
            self._labels.append(SlideLabel(canvas))
        for label in self._labels[len(shown) :]:
            label.hide()
        for label, ruler in zip(self._labels, shown, strict=False):
            label.say(self.words_of(ruler))
            (y0, x0), (y1, x1) = ruler.start_yx, ruler.end_yx
            x, y = napari_window.screen_xy(self._viewer, ((y0 + y1) / 2, (x0 + x1) / 2), self._mpp or 1.0)
            label.put(x, y + _BESIDE_SCREEN_PX)


def _strokes(ruler: Ruler, scale: float, tick: float) -> npt.NDArray[np.float32]:
    """Return the ends of a ruler's line and of its two ticks, ``(6, 2)``, napari world coordinates ``x, y``."""
    ends = [np.array(frame_to_world(yx, scale)[::-1], np.float64) for yx in (ruler.start_yx, ruler.end_yx)]
    along = ends[1] - ends[0]
    length = float(np.hypot(*along)) or 1.0
    across = np.array((-along[1], along[0])) / length * tick
    strokes = [*ends, *(end + way * across for end in ends for way in (-1, 1))]
    placed: npt.NDArray[np.float32] = np.array(strokes, np.float32)
    return placed
