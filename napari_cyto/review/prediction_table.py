"""The cells of one slide in columns: a million of them filtered, counted and mapped in some milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.edits import Change
from napari_cyto.domain.geometry import YXYX
from napari_cyto.review.predictions import Heat, ShownFilter, risk_of, severities, total_score
from napari_cyto.store import Project
from napari_cyto.store.columns import CellRow

Rows = npt.NDArray[np.intp]
Grid = npt.NDArray[np.float32]

# float32 keeps a place on a slide of 220,000 px to 0.02 px, at half the memory.
_ROW = np.dtype(
    [("id", "S32"), ("y", "f4"), ("x", "f4"), ("class", "u1"), ("status", "u1"), ("score", "f4"), ("risk", "f4")]
)
_STATUSES = tuple(Status)
_UNREVIEWED = _STATUSES.index(Status.UNREVIEWED)
_GONE = len(_STATUSES)
_UNKNOWN_CLASS = 255


class CellTable:
    """Cells of a slide as they are stored, kept up to date edit by edit.

    Parameters
    ----------
    scheme : ClassScheme
        The project's, for the order of classes and their severity.
    """

    def __init__(self, scheme: ClassScheme) -> None:
        self._class_codes = {class_id: code for code, class_id in enumerate(scheme.ids[:_UNKNOWN_CLASS])}
        self._status_codes = {str(status): code for code, status in enumerate(_STATUSES)}
        self._severity = severities(scheme)
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(0, _ROW[name]) for name in _ROW.names or ()}
        self._passing: tuple[ShownFilter, npt.NDArray[np.bool_]] | None = None

    def read(self, project: Project, slide_id: str, may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Read all cells of a slide; return whether it was not asked to stop in between."""
        parts = [self._columns]
        for rows in project.cell_rows(slide_id):
            if not may_go_on():
                return False
            parts.append(self._parsed(rows))
        self._columns = {name: np.concatenate([part[name] for part in parts]) for name in self._columns}
        self._passing = None
        return True

    def __len__(self) -> int:
        """Return how many cells there are, without those that were deleted since they were read."""
        return int(np.count_nonzero(self._columns["status"] != _GONE))

    def apply(self, changes: Sequence[Change], slide_id: str) -> None:
        """Follow an edit."""
        known = self._rows_of([c for c in changes if c.before is not None and not c.before.is_region])
        new = []
        for change in changes:
            after, row = change.after, known.get(change.annotation_id)
            if after is None or after.slide_id != slide_id or after.is_region:
                if row is not None:
                    self._columns["status"][row] = _GONE
                continue
            y, x = after.geometry.centre_yx
            status = str(after.status)
            bare = (after.id, y, x, after.class_id or "", status, list(after.scores), after.origin)
            if row is None:
                new.append(bare)
            else:
                parsed = self._parsed([bare])
                for name, column in self._columns.items():
                    column[row] = parsed[name][0]
        if new:
            parsed = self._parsed(new)
            self._columns = {name: np.concatenate([c, parsed[name]]) for name, c in self._columns.items()}
        self._passing = None

    def catch_up(self, changes: Sequence[Change], slide_id: str) -> None:
        """Follow edits of which it is not known whether they had been made when the cells were read."""
        last = {change.annotation_id: change for change in changes}
        if not last:
            return
        seen = {i.encode() for i in last}
        rows = [row for row, i in enumerate(self._columns["id"].tolist()) if i in seen]
        self._columns["status"][rows] = _GONE
        self.apply([Change(None, c.after) for c in last.values() if c.after is not None], slide_id)

    def extent_hw(self) -> tuple[float, float]:
        """Return how far the cells reach, level-0 px, for slides whose size is not known."""
        return (float(self._columns["y"].max(initial=1.0)), float(self._columns["x"].max(initial=1.0)))

    def rows_in(self, box_yxyx: YXYX, shown: ShownFilter, *, unreviewed: bool | None = None) -> Rows:
        """Return the rows of the cells that pass a filter and have their middle in a box.

        Parameters
        ----------
        box_yxyx : tuple of float
            Level-0 px.
        shown : ShownFilter
            Which to count.
        unreviewed : bool, optional
            Only proposals, or only what is none.
        """
        found = self._passes(shown) & self._is_in(box_yxyx)
        if unreviewed is not None:
            found = found & ((self._columns["status"] == _UNREVIEWED) == unreviewed)
        return np.flatnonzero(found)

    def accepted_hidden(self, box_yxyx: YXYX, shown: ShownFilter) -> int:
        """Return how many accepted cells with their middle in a box (level-0 px) a filter keeps from view."""
        accepted = self._columns["status"] == self._status_codes[Status.ACCEPTED]
        return int(np.count_nonzero(accepted & self._is_in(box_yxyx) & ~self._passes(shown)))

    def _is_in(self, box_yxyx: YXYX) -> npt.NDArray[np.bool_]:
        """Return which cells have their middle in a closed box, rounded as the columns are; those are float32."""
        y, x = self._columns["y"], self._columns["x"]
        y0, x0, y1, x1 = (np.float32(v) for v in box_yxyx)
        inside: npt.NDArray[np.bool_] = (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
        return inside

    def ids(self, rows: Rows) -> list[str]:
        """Return the ids of some rows."""
        return [str(i) for i in self._columns["id"][rows].astype(str)]

    def count(self, shown: ShownFilter) -> int:
        """Return how many cells of the slide pass a filter."""
        return int(np.count_nonzero(self._passes(shown)))

    def heat(self, shown: ShownFilter, size_hw: tuple[float, float], side: int = 256) -> Grid:
        """Return the proposals that pass a filter as a map of the slide.

        Parameters
        ----------
        shown : ShownFilter
            Which to map, and what the map tells. Read blindly, a map tells density only: risk is the model's word.
        size_hw : tuple of float
            Of the slide, level-0 px.
        side : int
            How many places the map has along the longer side.

        Returns
        -------
        ndarray, float32 (h, w)
            Cells in each place, or their risks added up.
        """
        step = max(size_hw) / side
        height, width = (max(1, int(np.ceil(length / step))) for length in size_hw)
        rows = np.flatnonzero(self._passes(shown) & (self._columns["status"] == _UNREVIEWED))
        # The map ends where the slide does, so that its places are a little lower than wide, or narrower than high.
        at_y = np.clip((self._columns["y"][rows] * (height / size_hw[0])).astype(np.intp), 0, height - 1)
        at_x = np.clip((self._columns["x"][rows] * (width / size_hw[1])).astype(np.intp), 0, width - 1)
        tells_risk = shown.heat is Heat.RISK and not shown.blind
        weights = self._columns["risk"][rows] if tells_risk else None
        grid = np.bincount(at_y * width + at_x, weights=weights, minlength=height * width)
        return grid.reshape(height, width).astype(np.float32)

    def _passes(self, shown: ShownFilter) -> npt.NDArray[np.bool_]:
        if self._passing is None or self._passing[0] != shown:
            classes = np.ones(_UNKNOWN_CLASS + 1, bool)
            for class_id in shown.hidden_classes:
                classes[self._class_codes.get(class_id, _UNKNOWN_CLASS)] = False
            statuses = np.array([*(status in shown.statuses for status in _STATUSES), False])
            columns = self._columns
            scores = columns["score"] >= np.float32(shown.threshold)
            self._passing = (shown, scores & classes[columns["class"]] & statuses[columns["status"]])
        return self._passing[1]

    def _rows_of(self, changes: Sequence[Change]) -> dict[str, int]:
        """Return the rows in which the cells of an edit stand: looked for where they were, not in all."""
        if not changes:
            return {}
        places = np.array([c.before.geometry.centre_yx for c in changes if c.before is not None], np.float32)
        low, high = places.min(axis=0), places.max(axis=0)
        y, x = self._columns["y"], self._columns["x"]
        near = (y >= low[0]) & (y <= high[0]) & (x >= low[1]) & (x <= high[1]) & (self._columns["status"] != _GONE)
        rows = np.flatnonzero(near)
        changed_ids = {c.annotation_id for c in changes}
        return {i: int(row) for i, row in zip(self.ids(rows), rows, strict=True) if i in changed_ids}

    def _parsed(self, rows: Iterable[CellRow]) -> dict[str, npt.NDArray[Any]]:
        ids, ys, xs, classes, statuses, scores, _ = zip(*rows, strict=True)
        graded = [tuple((name, score) for name, score in of) for of in scores]
        values = {
            "id": ids,
            "y": ys,
            "x": xs,
            "class": [self._class_codes.get(class_id, _UNKNOWN_CLASS) for class_id in classes],
            "status": [self._status_codes[status] for status in statuses],
            # What a person marked has no score and passes any threshold.
            "score": [total_score(of) if of else np.inf for of in graded],
            "risk": [risk_of(of, c, self._severity) for of, c in zip(graded, classes, strict=True)],
        }
        return {name: np.array(values[name], _ROW[name]) for name in values}
