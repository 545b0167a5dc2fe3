"""The Outline tool: clicks that outline cells, strokes that correct outlines, and keys for what is selected."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import (
    YX,
    CellOutline,
    Polygon,
    distance_to_outline,
    grown,
    is_on_image,
    points_in_outline,
)
from napari_cyto.errors import CytoError
from napari_cyto.inference.outline.clicks import ClickedCell, ClicksAnswered
from napari_cyto.session import Session
from napari_cyto.session.tools import Tool
from napari_cyto.widgets.canvas._annotation_style import NO_SEGMENTS, SELECTED_RGBA, Segments, circle_segments
from napari_cyto.widgets.canvas._drag_actions import Draft
from napari_cyto.widgets.canvas._outline_asker import OutlineAsker
from napari_cyto.widgets.canvas._stroke import BRUSH_SCREEN_PX, StrokeDrag
from napari_cyto.widgets.canvas.drags import Drag, NoDrag, Place

POLL_MS = 10
REACH_SCREEN_PX = 6.0
MOST_AT_ONCE = 200
"""Cells that one key outlines; for more there is a job with progress."""

_LOADING_AFTER_S = 0.7
# A circle at the click for an answer that comes at once would only cost a painting.
_SHOWN_AFTER_S = 0.2
_NEAR = 50
FIRST_OUTLINE = "Outline not accepted yet (dashed). Enter keeps it, Escape drops it; Shift or Alt and drag corrects it."
LOADING = "Loading the outline model; only the first outline takes this long."
NOTHING_THERE = "No nucleus found under the click, so nothing was drawn; click the middle of a nucleus."
ALREADY = "This cell is outlined already; Shift or Alt and drag corrects its outline."
NO_OUTLINE = "No outline to correct here; click a nucleus first."
UNSURE = "The outline is uncertain here (score {score:.2f}); look at it before you keep it."
DAMAGED = "The slide's file is damaged here; look at the outline before you keep it."
NO_SCALE = "The pixel size of {slide} is unknown, so the size of the nucleus was guessed; look at the outline."
LEAST_SURE, LEAST_SCORE = 0.6, 0.3
"""Below the first an outline is called uncertain, below the second it is none. Of nuclei of CRIC 95 % score 0.85 or
more and all 0.77, of places drawn at random a quarter less than 0.34."""


@dataclass
class _Pending:
    """What is being outlined: a click, or cells that were selected."""

    places_yx: list[YX]
    reach_px: float
    cell_ids: list[str] = field(default_factory=list)
    found: list[ClickedCell] = field(default_factory=list)

    @property
    def is_click(self) -> bool:
        """Whether somebody clicked."""
        return not self.cell_ids


class OutlineTool(QObject):
    """Outlines, corrects and keeps cells on one canvas.

    Parameters
    ----------
    session : Session
        Whose cells they are.
    draft : callable
        Draws what is not stored.
    parent : QObject
        What it belongs to.
    """

    def __init__(self, session: Session, draft: Draft, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._draft = session, draft
        self.asker = OutlineAsker(session)
        self._pending: _Pending | None = None
        self._has_draft = self._said_loading = self._said_how = False
        self._said_scale: set[str] = set()
        self.timer = QTimer(self)
        self.timer.setInterval(POLL_MS)
        self.timer.timeout.connect(self._poll)
        self.asker.found.connect(self._on_found)
        self.asker.answered.connect(self._on_answered)
        self.asker.failed.connect(self._on_failed)
        session.tool_changed.connect(self._on_tool)
        session.slide_changed.connect(self._on_slide)

    def close(self) -> None:
        """Stop listening, and leave no process behind."""
        self._session.tool_changed.disconnect(self._on_tool, missing_ok=True)
        self._session.slide_changed.disconnect(self._on_slide, missing_ok=True)
        self.asker.close()

    # Keys

    def run(self, command: str) -> bool:
        """Do a command of the keys table; return whether it was one for the Outline tool."""
        if command == "outline.selection":
            self._outline_selection()
            return True
        if command == "cancel" and self._pending is not None:
            if not self._pending.is_click:
                self._session.message.emit("Outlining the selection was stopped; nothing was changed.")
            self._give_up()
            return True
        return False

    def _outline_selection(self) -> None:
        self._refuse_while_busy()
        session, slide = self._session, self._session.need_slide()
        session.view.need_selection_in_view()
        chosen = [a for a in session.selected() if a.slide_id == slide.id and not a.is_region]
        cells = [a for a in chosen if not isinstance(a.geometry, Polygon) and a.status is not Status.REJECTED]
        if not cells:
            raise CytoError(
                "Select points or boxes first: each becomes an outline. Cells that are outlined, regions and rejected "
                "cells stay as they are."
            )
        if len(cells) > MOST_AT_ONCE:
            raise CytoError(f"Expected at most {MOST_AT_ONCE} cells to outline at once, got {len(cells):,}.")
        self._ask(_Pending([a.geometry.centre_yx for a in cells], 0.0, [a.id for a in cells]))

    # Mouse

    def click(self, place: Place) -> None:
        """Outline the cell under a click, or select it where it is outlined already."""
        session, slide = self._session, self._session.need_slide()
        if slide.size_hw is not None and not is_on_image(place.yx, slide.size_hw):
            raise CytoError("The click was outside the slide; click on a nucleus to outline it.")
        outlined = self._outlined_at(place.yx)
        if outlined is not None:
            session.select([outlined.id])
            session.message.emit(ALREADY)
            return
        self._refuse_while_busy()
        if self._pending is not None:
            session.message.emit("The click before was given up: one cell is outlined at a time.")
        self._ask(_Pending([place.yx], place.reach(REACH_SCREEN_PX)))

    def stroke(self, start: Place, *, adds: bool) -> Drag:
        """Begin to correct an outline with the brush; where there is none, say so and do nothing."""
        cell = self._meant_by(start)
        if cell is None:
            self._session.message.emit(NO_OUTLINE)
            return NoDrag()
        self._session.select([cell.id])
        return StrokeDrag(start, cell, self._session, self._show, adds=adds)

    def follow(self, place: Place, adds: bool | None) -> None:
        """Show the brush where a drag would begin to paint; with ``adds`` None it would not."""
        if adds is not None and self._pending is None:
            self._show(circle_segments(place.yx, place.reach(BRUSH_SCREEN_PX), SELECTED_RGBA))
        elif self._has_draft and self._pending is None:
            self._show(NO_SEGMENTS)

    def _show(self, segments: Segments) -> None:
        self._has_draft = segments is not NO_SEGMENTS
        self._draft(segments)

    def _meant_by(self, start: Place) -> Annotation | None:
        """Return the cell whose outline a stroke corrects: the selected one near it, else the one under it."""
        reach = start.reach(BRUSH_SCREEN_PX)
        selected = [a for a in self._session.selected() if isinstance(a.geometry, CellOutline)]
        if len(selected) == 1:
            shape = selected[0].geometry
            assert isinstance(shape, CellOutline)
            lines = [line for line in (shape.vertices_yx, shape.cytoplasm_yx) if line]
            if not shape.cytoplasm_yx or any(_reaches(line, start.yx, reach) for line in lines):
                return selected[0]
        found = self._outlined_at(start.yx, reach)
        return selected[0] if found is None and selected else found

    def _outlined_at(self, yx: YX, reach_px: float = 0.0) -> Annotation | None:
        """Return the smallest outlined nucleus that holds a place, or comes within reach of it."""
        project, slide, shown = self._session.need_project(), self._session.need_slide(), self._session.shown_filter
        y, x = yx
        box = grown((y, x, y, x), max(reach_px, 0.5))
        near = [a for a in project.in_box(slide.id, box, limit=_NEAR) if shown.passes(a)]
        held = [a for a in near if isinstance(a.geometry, CellOutline) and _reaches(_nucleus(a), yx, reach_px)]
        return min(held, key=_extent, default=None)

    # Asking

    def _refuse_while_busy(self) -> None:
        if self._pending is not None and not self._pending.is_click:
            done, total = len(self._pending.found), len(self._pending.places_yx)
            raise CytoError(f"The selected cells are still being outlined ({done} of {total}); Escape stops that.")

    def _ask(self, pending: _Pending) -> None:
        self._give_up()
        self.asker.ask(pending.places_yx)
        self._pending, self._said_loading = pending, False
        self.timer.start()

    def _give_up(self) -> None:
        self.asker.drop()
        self._end()

    def _end(self) -> None:
        self._pending = None
        self.timer.stop()
        if self._has_draft:
            self._show(NO_SEGMENTS)

    def _poll(self) -> None:
        with self._session.telling():
            self.asker.poll()
        pending = self._pending
        if pending is not None and pending.is_click and not self._has_draft and self.asker.waited_s > _SHOWN_AFTER_S:
            self._show(circle_segments(pending.places_yx[0], pending.reach_px, SELECTED_RGBA))
        if not self.asker.is_warm and not self._said_loading and self.asker.waited_s > _LOADING_AFTER_S:
            self._said_loading = True
            self._session.message.emit(LOADING)

    def _on_tool(self) -> None:
        if self._session.tool is Tool.OUTLINE:
            self.asker.warm()
        elif self._pending is not None and self._pending.is_click:
            self._give_up()

    def _on_slide(self) -> None:
        self._give_up()
        if self._session.tool is Tool.OUTLINE:
            self.asker.warm()

    def _on_found(self, cell: ClickedCell) -> None:
        if self._pending is not None:
            self._pending.found.append(cell)

    def _on_failed(self, sentence: str) -> None:
        self._end()
        self._session.message.emit(sentence)

    def _on_answered(self, answer: ClicksAnswered) -> None:
        pending = self._pending
        self._end()
        if pending is None:
            return
        said = [self._store_click(pending) if pending.is_click else self._store_selection(pending)]
        slide = self._session.need_slide()
        if slide.mpp is None and slide.id not in self._said_scale:
            self._said_scale.add(slide.id)
            said.append(NO_SCALE.format(slide=slide.name))
        if answer.remark and answer.remark not in self._said_scale:
            self._said_scale.add(answer.remark)
            said.append(answer.remark)
        words = " ".join(sentence for sentence in said if sentence)
        if words:
            self._session.message.emit(words)

    def _store_click(self, pending: _Pending) -> str:
        """Store what lies under a click; return what is to be said."""
        (click,), found = pending.places_yx, pending.found
        if not found or not _is_at(found[0], click, pending.reach_px):
            return NOTHING_THERE
        outline = CellOutline(found[0].nucleus_yx, found[0].cytoplasm_yx, accepted=False)
        there = self._cells_in(outline, click, pending.reach_px)
        outlined = [a for a in there if isinstance(a.geometry, Polygon)]
        if outlined:
            self._session.select([outlined[0].id])
            return ALREADY
        if there:
            self._session.outlines.give([(there[0], outline)])
        else:
            self._session.outlines.draw(outline)
        said, self._said_how = "" if self._said_how else FIRST_OUTLINE, True
        if len(there) > 1:
            said = f"{len(there)} annotations lie in this nucleus; the nearest to the click got the outline."
        if found[0].is_damaged:
            return DAMAGED
        return UNSURE.format(score=found[0].score) if found[0].score < LEAST_SURE else said

    def _cells_in(self, outline: CellOutline, click: YX, reach_px: float) -> list[Annotation]:
        """Return the cells whose middle is in a nucleus or at the click, the nearest to the click first."""
        project, slide = self._session.need_project(), self._session.need_slide()
        box = grown(outline.bounds_yxyx, reach_px)
        near = [
            a for a in project.in_box(slide.id, box, limit=_NEAR) if not a.is_region and a.status is not Status.REJECTED
        ]
        inside = [
            a
            for a in near
            if _apart(a.geometry.centre_yx, click) <= reach_px
            or points_in_outline(np.array([a.geometry.centre_yx]), outline.vertices_yx)[0]
        ]
        return sorted(inside, key=lambda a: _apart(a.geometry.centre_yx, click))

    def _store_selection(self, pending: _Pending) -> str:
        project = self._session.need_project()
        cells = {a.id: a for a in project.annotations_by_id(pending.cell_ids)}
        pairs, changed = [], 0
        for cell in pending.found:
            known = cells.get(pending.cell_ids[cell.number])
            place = pending.places_yx[cell.number]
            if known is None or isinstance(known.geometry, Polygon) or known.geometry.centre_yx != place:
                changed += 1
            elif _is_at(cell, place, 0.0):
                pairs.append((known, CellOutline(cell.nucleus_yx, cell.cytoplasm_yx, accepted=False)))
        if pairs:
            self._session.outlines.give(pairs)
        left = len(pending.places_yx) - len(pairs) - changed
        words = [f"{counted(len(pairs), 'cell')} outlined, not accepted yet (dashed): Enter keeps, Escape drops."]
        words += [f"{counted(left, 'cell')} without: no nucleus found there."] if left else []
        words += [f"{counted(changed, 'cell')} changed meanwhile and left as they are."] if changed else []
        return " ".join(words if pairs else words[1:])


def _nucleus(cell: Annotation) -> tuple[YX, ...]:
    assert isinstance(cell.geometry, Polygon)
    return cell.geometry.vertices_yx


def _extent(cell: Annotation) -> float:
    y0, x0, y1, x1 = cell.geometry.bounds_yxyx
    return (y1 - y0) * (x1 - x0)


def _apart(one: YX, other: YX) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _reaches(ring_yx: tuple[YX, ...], yx: YX, reach_px: float) -> bool:
    return bool(points_in_outline(np.array([yx]), ring_yx)[0]) or distance_to_outline(ring_yx, yx) <= reach_px


def _is_at(cell: ClickedCell, click: YX, reach_px: float) -> bool:
    """Whether a nucleus was found, and where it was looked for."""
    is_one = len(cell.nucleus_yx) >= 3 and cell.score >= LEAST_SCORE
    return is_one and _reaches(cell.nucleus_yx, click, reach_px)
