"""A region that is being drawn corner by corner, or in one sweep."""

from __future__ import annotations

from napari_cyto.domain.geometry import YX, closed_outline
from napari_cyto.session import Session
from napari_cyto.widgets.canvas._annotation_style import NO_SEGMENTS, REGION_RGBA, line_segments
from napari_cyto.widgets.canvas._drag_actions import Draft
from napari_cyto.widgets.canvas.drags import Place

_CLOSING_SCREEN_PX = 8.0
_STRAY_SCREEN_PX = 1.0
_STEP_SCREEN_PX = 2.0


class RegionDraft:
    """The corners so far; nothing is stored before the region is closed."""

    def __init__(self, session: Session, draft: Draft) -> None:
        self._session = session
        self._draft = draft
        self._corners: list[Place] = []

    @property
    def is_open(self) -> bool:
        """Whether a region is being drawn."""
        return bool(self._corners)

    def click(self, place: Place) -> None:
        """Add a corner; on the first one, close."""
        first = self._corners[0] if self._corners else None
        if first is not None and len(self._corners) >= 3 and _near(first, place, _CLOSING_SCREEN_PX):
            self.finish()
            return
        if not self._corners:
            self._session.select(())
        self._corners.append(place)
        self.follow(place)

    def follow(self, place: Place) -> None:
        """Show the outline with its next corner under the mouse."""
        if self._corners:
            self._draft(line_segments([*self._vertices(), place.yx], REGION_RGBA, closed=len(self._corners) > 1))

    def sweep(self, place: Place) -> None:
        """Add what the mouse passes while its button is down."""
        if not self._corners or not _near(self._corners[-1], place, _STEP_SCREEN_PX):
            self._corners.append(place)
        self.follow(place)

    def finish(self) -> None:
        """Store the region.

        Raises
        ------
        CytoError
            When the corners enclose nothing; the drawing is dropped.
        """
        if not self._corners:
            return
        vertices, stray = self._vertices(), self._corners[-1].reach(_STRAY_SCREEN_PX)
        self.cancel()
        self._session.edits.add_region(closed_outline(vertices, stray))

    def drop_corner(self) -> None:
        """Take back the last corner."""
        if self._corners:
            self._corners.pop()
        if self._corners:
            self.follow(self._corners[-1])
        else:
            self._draft(NO_SEGMENTS)

    def cancel(self) -> None:
        """Drop the drawing."""
        self._corners = []
        self._draft(NO_SEGMENTS)

    def _vertices(self) -> list[YX]:
        return [place.yx for place in self._corners]


class LassoDrag:
    """Draw a region in one sweep; begun on nothing, letting go closes it."""

    def __init__(self, start: Place, region: RegionDraft) -> None:
        self._region = region
        self._closes = not region.is_open
        region.sweep(start)

    def to(self, place: Place) -> None:
        """Follow the mouse."""
        self._region.sweep(place)

    def end(self) -> None:
        """Close, unless the sweep went on from corners that were clicked."""
        if self._closes:
            self._region.finish()


def _near(a: Place, b: Place, screen_px: float) -> bool:
    """Whether two places are near on the screen as it is zoomed now; it may have moved between the two."""
    reach = b.reach(screen_px)
    return abs(a.yx[0] - b.yx[0]) <= reach and abs(a.yx[1] - b.yx[1]) <= reach
