"""Which of the stored annotations are on the canvas: those in view and a little beyond, never more than a cap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import Change
from napari_cyto.domain.geometry import YXYX, box_area, box_contains_box, boxes_touch, clipped, grown
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.review.prediction_table import CellTable
from napari_cyto.review.predictions import ShownFilter
from napari_cyto.store import Project

MOST_DRAWN = 2000
MOST_REGIONS = 300
MARGIN = 0.5
# Where the slide's columns are at hand only what comes into view is read, so little beyond it need be there.
_KNOWN_MARGIN = 0.2
# Beyond this many, counting would be felt; "more than" is told instead.
COUNTED = 20_000
# Finer tiles spread a sample better and cost more: 16 x 24 take 45 ms with a million cells, 24 x 40 twice that.
_TILES_YX = (16, 24)
_SAMPLE_MARGIN = 0.1


class Shown:
    """The annotations that are drawn, and the part of the slide for which they are all there are.

    Parameters
    ----------
    most : int
        How many are drawn at most; of more, a sample spread over the view.
    """

    def __init__(self, most: int = MOST_DRAWN) -> None:
        self.most = most
        self.annotations: dict[str, Annotation] = {}
        self.box_yxyx: YXYX | None = None
        self.is_sample = False
        # Whether a map stands for the proposals, which are then not drawn one by one.
        self.is_heat = False
        self._filter = ShownFilter()
        self._hidden: set[str] = set()
        self._table: CellTable | None = None
        # The slide's, once they were read; finding them among a million cells takes the store its time.
        self._regions: dict[str, Annotation] | None = None

    def clear(self) -> None:
        """Show nothing."""
        self.forget()
        self.box_yxyx = None
        self.is_sample = False
        self.is_heat = False
        self._table = None

    def forget(self) -> None:
        """Take nothing that is drawn for what is stored: more than one edit may lie between."""
        self.annotations = {}
        self._regions = None

    def covers(self, view_yxyx: YXYX) -> bool:
        """Whether what is drawn is still right for a view, level-0 px."""
        if self.box_yxyx is None:
            return False
        # Zoomed in on a sample, there is room for more of it.
        coarse = self.is_sample and box_area(view_yxyx) < 0.7 * box_area(self.box_yxyx) / (1 + 2 * _SAMPLE_MARGIN) ** 2
        return box_contains_box(self.box_yxyx, view_yxyx) and not coarse

    def load(
        self,
        project: Project,
        slide: SlideRecord,
        view_yxyx: YXYX,
        shown: ShownFilter | None = None,
        table: CellTable | None = None,
        *,
        ahead: bool = True,
    ) -> None:
        """Ask the store what lies in a view, level-0 px, and keep what passes the filter.

        With the slide's columns at hand it is known beforehand how many that will be, and only ``ahead`` for who moves
        on from here is more read than what is in view.
        """
        self._filter, self._table = shown or ShownFilter(), table
        self.is_heat = False
        if table is None:
            self._load_unknown(project, slide, view_yxyx)
        else:
            self._load_known(project, slide, view_yxyx, table, _KNOWN_MARGIN if ahead else 0.0)

    def _load_known(
        self, project: Project, slide: SlideRecord, view_yxyx: YXYX, table: CellTable, margin: float
    ) -> None:
        for each in sorted({margin, min(margin, _SAMPLE_MARGIN)}, reverse=True):
            box = _grown(view_yxyx, each)
            rows = table.rows_in(box, self._filter)
            if len(rows) <= self.most and not self._filter.map_always:
                break
        else:
            self.is_heat = True
            rows = table.rows_in(box, self._filter, unreviewed=False)
            # What persons judged is drawn above the map; of more than can be drawn, each so manieth.
            rows = rows[:: max(1, -(-len(rows) // self.most))]
        if self._regions is None:
            self._regions = {a.id: a for a in project.regions(slide.id, limit=MOST_REGIONS)}
        regions = [a for a in self._regions.values() if boxes_touch(box, a.geometry.bounds_yxyx)]
        ids = table.ids(rows)
        # Going on to the next cell, most of what is in view is at hand and as it is stored.
        new = {a.id: a for a in project.annotations_by_id([i for i in ids if i not in self.annotations])}
        found = [self.annotations.get(i) or new.get(i) for i in ids]
        self._keep((*(a for a in found if a is not None), *regions), box, is_sample=self.is_heat)

    def _load_unknown(self, project: Project, slide: SlideRecord, view_yxyx: YXYX) -> None:
        slide_id = slide.id
        for margin in (MARGIN, 0.0):
            box = _grown(view_yxyx, margin)
            # Counted before they are read: of outlines, reading what is then not drawn costs thirty times as much.
            if project.count_in_box(slide_id, box, at_most=self.most + 1) <= self.most:
                self._keep(project.in_box(slide_id, box, limit=self.most), box, is_sample=False)
                return
        box = _grown(view_yxyx, _SAMPLE_MARGIN)
        # Regions are few, and at low power they are what one looks for.
        regions = [a for a in project.regions(slide_id, limit=MOST_REGIONS) if boxes_touch(box, a.geometry.bounds_yxyx)]
        sample = self._sample(project, slide_id, _clipped(box, slide.size_hw))
        self._keep((*sample, *regions), box, is_sample=True)

    def apply(self, changes: Iterable[Change], slide_id: str) -> None:
        """Follow an edit of the slide; what it adds is drawn even in a sample."""
        box = self.box_yxyx
        for change in changes:
            after = change.after
            self._hidden.discard(change.annotation_id)
            if after is not None and after.slide_id == slide_id and box is not None and self._is_hidden(after):
                self._hidden.add(after.id)
            if self._regions is not None:
                self._regions.pop(change.annotation_id, None)
                if after is not None and after.is_region and after.slide_id == slide_id:
                    self._regions[after.id] = after
            if after is None or box is None or after.slide_id != slide_id or not self._draws(after, box):
                self.annotations.pop(change.annotation_id, None)
            else:
                self.annotations[change.annotation_id] = after

    def not_drawn(self, project: Project, slide: SlideRecord) -> tuple[int, bool]:
        """Return how many in the shown box are not drawn, and whether there are more than were counted."""
        if not self.is_sample or self.box_yxyx is None:
            return 0, False
        if self._table is not None:
            drawn = sum(not a.is_region for a in self.annotations.values())
            return max(len(self._table.rows_in(self.box_yxyx, self._filter)) - drawn, 0), False
        if slide.size_hw is not None and _clipped(self.box_yxyx, slide.size_hw) == (0.0, 0.0, *slide.size_hw):
            return sum(project.counts(slide.id).values()) - len(self.annotations), False
        there = project.count_in_box(slide.id, self.box_yxyx, at_most=COUNTED)
        return max(there - len(self.annotations), 0), there >= COUNTED

    def accepted_hidden(self) -> int | None:
        """Return how many accepted cells of what is shown the filter keeps from view; None without a filter.

        Of a sample nobody knows, and those of the sample are counted.
        """
        if self._filter.hides_nothing:
            return None
        if self._table is not None and self.box_yxyx is not None:
            return self._table.accepted_hidden(self.box_yxyx, self._filter)
        return len(self._hidden)

    def _is_hidden(self, annotation: Annotation) -> bool:
        return annotation.status is Status.ACCEPTED and not self._filter.passes(annotation)

    def _keep(self, found: Iterable[Annotation], box_yxyx: YXYX, *, is_sample: bool) -> None:
        found = list(found)
        self.annotations = {a.id: a for a in found if self._filter.passes(a)}
        self._hidden = {a.id for a in found if self._is_hidden(a)}
        self.box_yxyx = box_yxyx
        self.is_sample = is_sample

    def _draws(self, annotation: Annotation, box_yxyx: YXYX) -> bool:
        if self.is_heat and annotation.status is Status.UNREVIEWED and not annotation.is_region:
            return False
        return self._filter.passes(annotation) and boxes_touch(box_yxyx, annotation.geometry.bounds_yxyx)

    def _sample(self, project: Project, slide_id: str, box_yxyx: YXYX) -> Iterator[Annotation]:
        """Some of each tile of the box, so that the sample is spread as the cells are, whatever order they come in."""
        tiles = _tiles(box_yxyx)
        share = self.most // len(tiles)
        found = {tile: project.in_box(slide_id, tile, limit=share) for tile in tiles}
        # What tiles of bare glass leave of their share goes to those that have more.
        full = [tile for tile, cells in found.items() if len(cells) == share]
        spare = self.most - sum(len(cells) for cells in found.values())
        if full and spare // len(full) > share // 2:
            found.update((tile, project.in_box(slide_id, tile, limit=share + spare // len(full))) for tile in full)
        return (annotation for cells in found.values() for annotation in cells)


def _grown(box_yxyx: YXYX, margin: float) -> YXYX:
    """Return the box with ``margin`` times its size more on each side."""
    y0, x0, y1, x1 = box_yxyx
    return grown(box_yxyx, (y1 - y0) * margin, (x1 - x0) * margin)


def _clipped(box_yxyx: YXYX, size_hw: tuple[int, int] | None) -> YXYX:
    """Return the part of the box that is on the slide; all of it while its size is not known or none is on it."""
    return box_yxyx if size_hw is None else clipped(box_yxyx, size_hw) or box_yxyx


def _tiles(box_yxyx: YXYX) -> list[YXYX]:
    rows, columns = _TILES_YX
    y0, x0, y1, x1 = box_yxyx
    height, width = (y1 - y0) / rows, (x1 - x0) / columns
    return [
        (y0 + row * height, x0 + column * width, y0 + (row + 1) * height, x0 + (column + 1) * width)
        for row in range(rows)
        for column in range(columns)
    ]
