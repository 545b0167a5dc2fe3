"""What is looked at: which annotations are shown, which are on screen, and going from one to the next."""

from __future__ import annotations

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YX, YXYX, box_contains_point, boxes_touch
from napari_cyto.errors import CytoError
from napari_cyto.review.predictions import ShownFilter
from napari_cyto.session._state import SessionState
from napari_cyto.session.cell_tint import CellTint
from napari_cyto.store import HistoryEntry
from napari_cyto.vectors import Attention

_LOOKED_THROUGH = 500
# Hidden annotations that "next" passes over at most, 0.3 ms each.
_STEPPED_OVER = 2000


class View:
    """Which annotations are shown and which are on screen, and going from one to the next.

    Parameters
    ----------
    state : SessionState
        Of the session that this is a part of.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._signals = state.signals

    def step(self, step: int = 1, class_id: str | None = None, unreviewed: bool = False) -> Annotation | None:
        """Select the next annotation (previous when ``step`` is negative) and ask the view to go there.

        Parameters
        ----------
        step : int
            +1 or -1, in the order in which they were made; after the last comes the first.
        class_id : str, optional
            Only those of this class.
        unreviewed : bool
            Only those that a model proposed and nobody judged.
        """
        direction = 1 if step >= 0 else -1
        chosen = self._state.selected()
        start = chosen[0] if len(chosen) == 1 else self._state.cursor
        found = self._neighbour(start, direction, class_id, unreviewed)
        if found is None and start is not None:
            found = self._neighbour(None, direction, class_id, unreviewed)
            if found is not None:
                self._state.say(f"Back to the {'first' if direction > 0 else 'last'} annotation.")
        if found is None:
            what = f"{class_id} " if class_id else ""
            self._state.say(f"This slide has no {'unreviewed ' if unreviewed else ''}{what}annotations.")
            return None
        self._state.cursor = found
        self._state.select([found.id])
        self._signals.jump_requested.emit(*found.geometry.centre_yx)
        return found

    def _neighbour(
        self, start: Annotation | None, direction: int, class_id: str | None, unreviewed: bool
    ) -> Annotation | None:
        """Return the next annotation that the filter shows; a long way over hidden ones ends at a hidden one."""
        project, slide = self._state.need_project(), self._state.need_slide()
        found = start
        for _ in range(_STEPPED_OVER):
            found = project.neighbour(slide.id, found, step=direction, class_id=class_id, unreviewed=unreviewed)
            if found is None or self._state.shown_filter.passes(found):
                break
        return found

    def show_only(self, shown: ShownFilter) -> None:
        """Show the annotations that pass ``shown`` and no others; what is hidden is no longer selected."""
        if shown == self._state.shown_filter:
            return
        self._state.shown_filter = shown
        self._state.select(a.id for a in self._state.selected() if shown.passes(a))
        self._signals.filter_changed.emit()

    @property
    def attention(self) -> Attention | None:
        """What a model of slides looked at, as it is shown over the slide; None while it is not."""
        return self._state.attention

    def show_attention(self, attention: Attention | None) -> None:
        """Show over the slide what a model looked at, or with None no longer."""
        if attention is not self._state.attention:
            self._state.attention = attention
            self._signals.attention_changed.emit()

    @property
    def tint(self) -> CellTint | None:
        """The number by which cells are coloured on the slide; None while their classes colour them."""
        return self._state.tint

    def show_tint(self, tint: CellTint | None) -> None:
        """Colour the cells on the slide by a number, or with None by their classes again."""
        if tint is not self._state.tint:
            self._state.tint = tint
            self._signals.tint_changed.emit()

    def need_selection_in_view(self) -> None:
        """Refuse to act on what nobody sees; without a view, as on the command line, everything is as good as seen.

        Raises
        ------
        CytoError
            When some of what is selected is not on screen.
        """
        out, count = self.out_of_view(), len(self._state.selection)
        if out:
            which = f"{out:,} of {count:,} selected annotations" if count > 1 else "The selected annotation"
            raise CytoError(
                f"{which} {'are' if out > 1 else 'is'} not in view, so nothing was changed. Zoom out until "
                f"{'all are' if count > 1 else 'it is'} in view, or press Escape to clear the selection."
            )

    def out_of_view(self) -> int:
        """Return how many of the selected annotations are not on screen; of a region any part will do."""
        view = self._state.view_yxyx
        if view is None or not self._state.selection:
            return 0
        here = self._state.slide.id if self._state.slide is not None else ""
        seen = sum(a.slide_id == here and _is_seen(a, view) for a in self._state.selected())
        return len(self._state.selection) - seen

    def shows_some_of(self, entry: HistoryEntry, slide_id: str) -> bool:
        """Whether anything that changed has its middle on screen; only the first place is asked of a large edit."""
        if entry.count > _LOOKED_THROUGH:
            return entry.place[0] == slide_id and self._is_on_screen(entry.place[1])
        states = (c.after if c.after is not None else c.before for c in entry.edit.changes)
        return any(
            a is not None and a.slide_id == slide_id and self._is_on_screen(a.geometry.centre_yx) for a in states
        )

    def _is_on_screen(self, yx: YX) -> bool:
        view = self._state.view_yxyx
        return view is not None and box_contains_point(view, yx, closed=True)


def _is_seen(annotation: Annotation, view_yxyx: YXYX) -> bool:
    if annotation.is_region:
        return boxes_touch(annotation.geometry.bounds_yxyx, view_yxyx)
    return box_contains_point(view_yxyx, annotation.geometry.centre_yx, closed=True)
