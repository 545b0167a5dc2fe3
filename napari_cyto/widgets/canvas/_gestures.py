"""From presses, moves and releases of the mouse to commands of the session, by the tool in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YX, Box, Polygon, distance_to_outline, is_on_image
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.session.tools import Tool
from napari_cyto.widgets.canvas._annotation_style import NO_SEGMENTS, SELECTED_RGBA, Segments
from napari_cyto.widgets.canvas._drag_actions import BandDrag, HandleDrag, MoveDrag, OutlineDrag, PanDrag
from napari_cyto.widgets.canvas._region_draft import LassoDrag, RegionDraft
from napari_cyto.widgets.canvas._shape_handles import handle_at
from napari_cyto.widgets.canvas.drags import Drag, OutlineHand, Place
from napari_cyto.widgets.canvas.frames import world_to_frame
from napari_cyto.widgets.canvas.napari_window import camera_of, shift

if TYPE_CHECKING:
    from napari import Viewer

# A hand that clicks fast moves the mouse; Qt's own limit for a drag is 10 px.
CLICK_SCREEN_PX = 6.0
MARKER_SCREEN_PX = 6.0
_LEFT, _RIGHT, _MIDDLE = 1, 2, 3


class Gestures:
    """The mouse callbacks of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, whose camera pans.
    session : Session
        What the gestures speak to.
    draft : callable
        Draws what the mouse is drawing.
    hover : callable
        Hears where the mouse is while no button is down.
    uncover : callable
        Shows annotations that are hidden, before a click or a drag changes or selects some.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        draft: Callable[[Segments], None],
        hover: Callable[[Place], None] = lambda _place: None,
        uncover: Callable[[], None] = lambda: None,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._draft = draft
        self._hover = hover
        self._uncover = uncover
        self.region = RegionDraft(session, draft)
        self.is_space_held = False
        # Set by whoever has a ruler: begins to measure from a place, for good or not, and hears that its key is up.
        self.measure: Callable[[Place, bool], Drag] | None = None
        self.measured: Callable[[], None] = lambda: None
        # Set by whoever outlines cells.
        self.outline: OutlineHand | None = None
        # Set by whoever follows the mouse over the slide besides.
        self.followed: Callable[[Place], None] = lambda _place: None
        # Hears where the right button was clicked.
        self.right_clicked: Callable[[Place], None] = lambda _place: None
        self._is_measuring = False
        self._pick: Callable[[Place], None] | None = None

    def pick_next(self, pick: Callable[[Place], None] | None) -> None:
        """Have the next click choose a place for somebody instead of a cell; None for nobody."""
        self._pick = pick

    @property
    def is_picking(self) -> bool:
        """Whether the next click chooses a place for somebody."""
        return self._pick is not None

    def hold_to_measure(self, held: bool) -> None:
        """Have drags measure while a key is held."""
        was, self._is_measuring = self._is_measuring, held and self.measure is not None
        if was and not held:
            self.measured()

    def press(self, viewer: Viewer, event: Any) -> Iterator[None]:
        """Napari's drag callback: from press to release."""
        if event.button == _RIGHT and self._is_ours(event):
            yield from self._ask(event)
            return
        pans = event.button == _MIDDLE or (event.button == _LEFT and self.is_space_held)
        if not self._is_ours(event) or (event.button != _LEFT and not pans):
            return
        measures = self._is_measuring and not pans
        camera = camera_of(viewer)
        start, adds, outlines = self._place(event), "Shift" in event.modifiers, "Control" in event.modifiers
        paints = _paints(event.modifiers) if self._hand is not None and not pans and not measures else None

        def begin() -> Drag:
            if measures and self.measure is not None:
                return self.measure(start, adds)
            return self._pan(start) if pans else self._drag(start, adds=adds, outlines=outlines, paints=paints)

        # vispy's camera sees each move too, and would pan under what is drawn.
        pans_before, camera.mouse_pan = camera.mouse_pan, False
        event.handled = True
        drag: Drag | None = None
        try:
            yield
            while event.type == "mouse_move":
                place = self._place(event)
                if drag is None and place.screen_distance(start) >= CLICK_SCREEN_PX:
                    drag = begin()
                if drag is not None:
                    drag.to(place)
                yield
            if drag is None and paints is not None:
                # A click with the brush is the shortest stroke.
                drag = begin()
            self._release(drag, start, self._place(event), adds=adds, clicks=not pans and not measures)
        finally:
            camera.mouse_pan = pans_before

    def _ask(self, event: Any) -> Iterator[None]:
        """Tell a click of the right button from its drag, by which vispy's camera zooms."""
        start = self._place(event)
        yield
        while event.type == "mouse_move":
            yield
        if self._place(event).screen_distance(start) < CLICK_SCREEN_PX:
            with self._session.telling():
                self.right_clicked(start)

    def _release(self, drag: Drag | None, start: Place, end: Place, *, adds: bool, clicks: bool) -> None:
        with self._session.telling():
            if drag is not None:
                drag.to(end)
                if not self.region.is_open:
                    self._draft(NO_SEGMENTS)
                drag.end()
            elif clicks:
                self._click(start, adds=adds)

    def move(self, _viewer: Viewer, event: Any) -> None:
        """Napari's move callback: no button is down."""
        if self.region.is_open:
            self.region.follow(self._place(event))
        elif self._session.slide is not None:
            place = self._place(event)
            self._hover(place)
            self.followed(place)
            if self._hand is not None:
                self._hand.follow(place, _paints(event.modifiers))

    def double_click(self, _viewer: Viewer, event: Any) -> None:
        """Close the region; for other tools the second press of a double click is a click like any."""
        if not self._is_ours(event) or event.button != _LEFT:
            return
        event.handled = True
        with self._session.telling():
            if self._session.tool is Tool.REGION and self.region.is_open:
                self.region.finish()
            elif self._hand is None:
                # The first press of the two has outlined the cell.
                self._click(self._place(event), adds="Shift" in event.modifiers)

    def _is_ours(self, event: Any) -> bool:
        """Whether a press means us: not a 3D view, nor before there is a slide, nor what somebody draws on.

        The pins of a window keep every other layer hidden and inactive. Without them, as in a viewer that shows our
        annotations alone, a layer of the user's own in drawing mode would take the click as well: one click, one mark.
        """
        active = self._viewer.layers.selection.active
        elsewhere = active is not None and active.visible and str(active.mode) != "pan_zoom"
        is_2d = len(event.dims_displayed) == 2
        is_alt = "Alt" in event.modifiers and self._hand is None
        return self._session.slide is not None and is_2d and not elsewhere and not is_alt

    @property
    def _hand(self) -> OutlineHand | None:
        """What hears of the mouse while the Outline tool is in hand."""
        return self.outline if self._session.tool is Tool.OUTLINE else None

    def _place(self, event: Any) -> Place:
        mpp = self._mpp
        screen_xy = (float(event.pos[0]), float(event.pos[1]))
        return Place(world_to_frame(event.position, mpp), screen_xy, 1 / (camera_of(self._viewer).zoom * mpp))

    @property
    def _mpp(self) -> float:
        slide = self._session.slide
        return (slide.mpp if slide is not None else None) or 1.0

    # Clicks

    def _click(self, place: Place, *, adds: bool) -> None:
        session = self._session
        if self._pick is not None:
            pick, self._pick = self._pick, None
            pick(place)
            return
        self._uncover()
        if self._hand is not None:
            self._hand.click(place)
            return
        hit = None if self.region.is_open else self._hit(place)
        if hit is not None:
            session.select(session.selection ^ {hit.id} if adds else {hit.id})
        elif session.tool is Tool.SELECT:
            if not adds:
                session.select(())
        elif session.tool is Tool.REGION:
            self.region.click(place)
        else:
            self._annotate(place.yx)

    def _annotate(self, yx: YX) -> None:
        slide = self._session.need_slide()
        if slide.size_hw is not None and not is_on_image(yx, slide.size_hw):
            raise CytoError("The click was outside the slide; click on the slide to annotate a cell.")
        # A new mark is not selected: the next digit chooses the class of the next cell, not of this one.
        self._session.select(())
        if self._session.tool is Tool.POINT:
            self._session.edits.add_point(yx)
        else:
            self._session.edits.add_box_at(yx)

    def _hit(self, place: Place) -> Annotation | None:
        """Return what a click means: with the select tool all that it touches, with others only a cell's middle."""
        session = self._session
        project, slide = session.need_project(), session.need_slide()
        reach, passes = place.reach(MARKER_SCREEN_PX), session.shown_filter.passes
        found = project.cell_at(slide.id, place.yx, reach, passes)
        if found is not None or session.tool is not Tool.SELECT:
            return found
        found = project.nearest(slide.id, place.yx, reach, passes)
        # Glass inside a region is glass: only its line selects it, or no rubber band could begin there.
        if found is not None and found.is_region and isinstance(found.geometry, Polygon):
            return found if distance_to_outline(found.geometry.vertices_yx, place.yx) <= reach else None
        return found

    # Drags

    def _pan(self, start: Place) -> Drag:
        return PanDrag(start, self._shift_view)

    def _shift_view(self, down_px: float, right_px: float) -> None:
        shift(self._viewer, down_px, right_px)

    def _drag(self, start: Place, *, adds: bool, outlines: bool, paints: bool | None) -> Drag:
        session = self._session
        if self._hand is not None:
            if paints is None:
                return self._pan(start)
            self._uncover()
            return self._hand.stroke(start, adds=paints)
        if outlines and session.tool is Tool.SELECT:
            self._uncover()
            return OutlineDrag(start, session, self._draft, adds=adds)
        if session.tool is Tool.POINT:
            return self._pan(start)
        self._uncover()
        if session.tool is Tool.REGION:
            return LassoDrag(start, self.region)
        handle = self._handle_drag(start)
        if handle is not None:
            return handle
        if session.tool is Tool.BOX:
            rgb = session.need_project().scheme[session.current_class].rgb
            return BandDrag(start, session, self._draft, (*(v / 255 for v in rgb), 1.0), adds=False)
        hit = self._hit(start)
        if hit is not None and hit.id in session.selection:
            return MoveDrag(start, session, self._draft)
        return BandDrag(start, session, self._draft, SELECTED_RGBA, adds=adds)

    def _handle_drag(self, start: Place) -> Drag | None:
        chosen = self._session.selected() if len(self._session.selection) == 1 else ()
        for annotation in chosen:
            if isinstance(annotation.geometry, Box | Polygon):
                handle = handle_at(annotation.geometry, start.yx, start.reach(MARKER_SCREEN_PX))
                if handle is not None:
                    return HandleDrag(annotation, handle, self._session, self._draft)
        return None


def _paints(modifiers: Any) -> bool | None:
    """Return whether the brush adds or takes away; None where nobody paints. Some desktops keep Alt for themselves."""
    if "Shift" in modifiers:
        return True
    return False if "Alt" in modifiers or "Control" in modifiers else None
