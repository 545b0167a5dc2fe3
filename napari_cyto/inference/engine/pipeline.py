"""Find and classify the cells of a slide: reading, network, classifying and telling at the same time.

Tiles are read and prepared ahead in threads while the network works on the one before, and so are the crops of cells
that are settled. At most a few tiles are in memory, however large the slide is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import ColourMatch, match_for
from napari_cyto.domain.geometry import YXYX, points_in_box, points_in_outline
from napari_cyto.inference._checkpoint import Checkpoint
from napari_cyto.inference._detections import Detections, boxes_around
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.engine._damage_map import MetDamage
from napari_cyto.inference.engine._early_results import Key, Table
from napari_cyto.inference.engine._merge import surest_apart
from napari_cyto.inference.engine.detect import CellDetector, ShownTile
from napari_cyto.inference.engine.plan import Plan
from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import Slide, UnreadableTile

AHEAD = 3
"""Tiles in work: the network is on one, the next waits for it or is told of, one is read."""

CUTTING = 2
"""Threads that cut cells for the classifier."""

PATIENCE_S = 0.05

CELLS_AT_ONCE = 32

_KEPT = "What was found so far is kept."
Result = TypeVar("Result")


@dataclass(frozen=True)
class Batch:
    """Cells that are settled, and classified where a classifier was asked for."""

    cells: Detections
    tile_yxyx: YXYX


@dataclass(frozen=True)
class TileDone:
    """One more tile is behind."""

    number: int
    resumed: bool = False


@dataclass(frozen=True)
class Idle:
    """Nothing is ready, where others do the work."""


Step = Batch | TileDone | Idle


class Engine:
    """One slide's run.

    Parameters
    ----------
    slide : Slide
        Open while the run goes.
    plan : Plan
        What to do.
    detector : CellDetector
        What finds cells.
    classifier : CellClassifier, optional
        What tells their classes; then ``class_scores`` are its probabilities times the detector's score.
    checkpoint : Checkpoint, optional
        What is done already, and where the rest is written down.
    token : Token, optional
        Asks to stop: between tiles, between layers of the network, between cells.
    outline_yx : sequence of (y, x), optional
        Only cells with their centre inside are told, level-0 px.
    ahead : int
        How many tiles are in work at a time; it changes no answer.
    """

    def __init__(
        self,
        slide: Slide,
        plan: Plan,
        detector: CellDetector,
        classifier: CellClassifier | None = None,
        checkpoint: Checkpoint | None = None,
        token: Token | None = None,
        outline_yx: Sequence[tuple[float, float]] | None = None,
        ahead: int = AHEAD,
    ) -> None:
        self._ahead = ahead
        self._slide, self._plan, self._detector, self._classifier = slide, plan, detector, classifier
        self.checkpoint, self._token = checkpoint, token
        self._outline = None if outline_yx is None else np.asarray(outline_yx, dtype=np.float64) / plan.scale
        self._tables: dict[int, Table] = {}
        self._merge = plan.merge()
        self.left_out = 0
        self._known = {} if checkpoint is None else _classes(checkpoint)
        self._waiting: list[tuple[Key, Detections]] = []
        self._cutting: deque[tuple[list[Key], Detections, YXYX, Future[Any]]] = deque()
        self._seen_unreadable = 0
        self._damage = MetDamage(plan.view.level)
        self._damage.add(() if checkpoint is None else checkpoint.damage)

    @property
    def device(self) -> str:
        """What the detector computes on."""
        return self._detector.device

    @property
    def runtimes(self) -> tuple[str, ...]:
        """What runs the networks, the detector's first, such as ``OpenVINO fp32``."""
        models = (self._detector, self._classifier)
        return tuple(model.runtime.title for model in models if model is not None)

    @property
    def names(self) -> bool:
        """Whether cells are classified."""
        return self._classifier is not None

    @property
    def unreadable(self) -> tuple[UnreadableTile, ...]:
        """The slide's damaged tiles that were met so far, those before the run was interrupted among them."""
        self._note_damage()
        return tuple(self._damage.tiles)

    def _note_damage(self) -> None:
        """Take in what could not be read since, and write it down."""
        met = self._slide.unreadable_after(self._seen_unreadable)
        self._seen_unreadable += len(met)
        self._take_damage(met)

    def _take_damage(self, met: Iterable[UnreadableTile]) -> None:
        new = self._damage.add(met)
        if self.checkpoint is not None:
            self.checkpoint.note_damage(new)

    @property
    def dropped(self) -> bool:
        """Whether who cancelled does not want what was found so far."""
        return bool(getattr(self._token, "dropped", False))

    def steps(self) -> Iterator[Step]:
        """Yield what happens, batches of cells among it; a cell comes once, and is never taken back.

        Raises
        ------
        JobCancelled
            When the token says so; what is settled was told before.
        SlideError
            When the slide cannot be read.
        """
        plan = self._plan
        resumed = dict(self._resumed())
        for number, table in resumed.items():
            yield from self._report(self._taken(number, table), plan.level0(plan.tiles[number]))
            yield TileDone(number, resumed=True)
        yield from self._rest([n for n in range(len(plan.tiles)) if n not in resumed])

    def _rest(self, todo: list[int]) -> Iterator[Step]:
        """Yield what happens from the first tile on that was not done before."""
        plan = self._plan
        pool, cutting = (ThreadPoolExecutor(n, thread_name_prefix="ahead") for n in (self._ahead, CUTTING))
        try:
            for number, table in self._found_ahead(pool, todo):
                written = self._written(number, self._checked(table))
                yield from self._report(self._taken(number, written), plan.level0(plan.tiles[number]), cutting)
                yield TileDone(number)
            yield from self._report((), self._everything, cutting, last=True)
        finally:
            for each in (pool, cutting):
                each.shutdown(wait=True, cancel_futures=True)

    def left_over(self) -> Iterator[Batch]:
        """Yield what a stopped run found and did not tell, as if no tile came any more; unclassified cells are left."""
        keys = self._merge.finish()
        if keys and not self.names:
            yield Batch(self._cells(keys)[1], self._everything)

    @property
    def _everything(self) -> YXYX:
        y0, x0, y1, x1 = (v * self._plan.scale for v in self._plan.bounds_yxyx)
        return (y0, x0, y1, x1)

    def _found_ahead(self, pool: ThreadPoolExecutor, numbers: list[int]) -> Iterator[tuple[int, Table]]:
        """Yield tiles with their cells in order, while those to come are read and looked at."""
        colour = match_for(self._slide, self._detector.manifest.colour)

        def look(tile: Tile) -> Table:
            plan = self._plan
            shown = ShownTile.read(tile, plan.view, plan.mpp, colour)
            stop_if_cancelled(self._token, _KEPT)
            return table_of(self._detector, shown, plan.score_from, self._token)

        coming: deque[tuple[int, Future[Table]]] = deque()
        left = deque(numbers)
        while left or coming:
            while left and len(coming) <= self._ahead:
                coming.append((left[0], pool.submit(look, self._plan.tiles[left.popleft()])))
            number, future = coming.popleft()
            yield number, self._waited(future)

    def _waited(self, future: Future[Result]) -> Result:
        """Return what a future comes to; nobody who cancels waits for it."""
        while not future.done():
            stop_if_cancelled(self._token, _KEPT)
            wait([future], PATIENCE_S)
        return future.result()

    def _checked(self, table: Table) -> Table:
        """Return the cells of a tile that are written down: none on damage, which is drawn hatched and is no cell."""
        self._note_damage()
        return table[self._damage.readable(table[:, :2] * self._plan.scale)]

    def _taken(self, number: int, table: Table) -> list[Key]:
        lost = table[:, 4] < 0
        if lost.any():
            there = table[lost][points_in_box(table[lost, :2], self._plan.tiles[number].core_yxyx)]
            self.left_out += len(surest_apart(there[:, :2], -there[:, 4], self._plan.apart_px))
            table = table[~lost]
        self._tables[number] = table
        return self._merge.add(number, table)

    def _report(
        self, keys: Sequence[Key], place: YXYX, pool: ThreadPoolExecutor | None = None, last: bool = False
    ) -> Iterator[Batch]:
        """Yield what is ready of the cells that were settled so far."""
        kept, cells = self._cells(keys)
        if not self.names:
            if len(cells):
                yield Batch(cells, place)
            return
        known = [key in self._known for key in kept]
        if any(known):
            shares = np.stack([self._known[key] for key, there in zip(kept, known, strict=True) if there])
            yield Batch(_classified(cells.at(np.array(known)), shares), place)
        self._waiting += [(key, cells.at([n])) for n, key in enumerate(kept) if not known[n]]
        while pool is not None and self._is_batch(last):
            self._cut(pool, place)
        while self._cutting and (last or len(self._cutting) > AHEAD or self._cutting[0][3].done()):
            yield self._next_classified()

    def _cut(self, pool: ThreadPoolExecutor, place: YXYX) -> None:
        keys, cells = self._next_batch()
        classifier, slide, mpp = self._classifier, self._slide, self._plan.mpp
        assert classifier is not None
        future = pool.submit(classifier.rule.cut, slide, cells.centres_yx, mpp, self._classifiers_colour)
        self._cutting.append((keys, cells, place, future))

    @cached_property
    def _classifiers_colour(self) -> ColourMatch | None:
        """The slide's colours are measured once, not for each batch."""
        assert self._classifier is not None
        return match_for(self._slide, self._classifier.manifest.colour, self._classifier.rule.icc)

    def _is_batch(self, last: bool) -> bool:
        """Whether enough cells wait for their classes; ``last`` when no more will come."""
        return len(self._waiting) >= CELLS_AT_ONCE or (last and bool(self._waiting))

    def _next_batch(self) -> tuple[list[Key], Detections]:
        part, self._waiting = self._waiting[:CELLS_AT_ONCE], self._waiting[CELLS_AT_ONCE:]
        return [k for k, _ in part], joined([c for _, c in part])

    def _next_classified(self) -> Batch:
        assert self._classifier is not None
        keys, cells, place, future = self._cutting.popleft()
        shares = self._classifier.scores(self._waited(future), self._token)
        return self._named(keys, cells, place, shares)

    def _named(self, keys: list[Key], cells: Detections, place: YXYX, shares: npt.NDArray[np.float64]) -> Batch:
        """Return cells with their classifier's answer, which is written down."""
        shares = shares.astype(np.float32).astype(np.float64)  # as they will be read
        if self.checkpoint is not None:
            self._note_damage()
            rows = np.column_stack([np.array([row for _, row in keys]), shares]).astype(np.float32)
            tiles = np.array([tile for tile, _ in keys])
            for tile in np.unique(tiles).tolist():
                self.checkpoint.classes.append(tile, rows[tiles == tile])
        return Batch(_classified(cells, shares), place)

    def _cells(self, keys: Sequence[Key]) -> tuple[list[Key], Detections]:
        """Return settled cells in level-0 px, and drop the tables that are not needed any more."""
        plan, detector = self._plan, self._detector.manifest
        rows = [self._tables[tile][row] for tile, row in keys]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 5 + len(detector.classes))
        inside = np.flatnonzero(points_in_box(table[:, :2], plan.bounds_yxyx))
        if self._outline is not None:
            inside = inside[points_in_outline(table[inside, :2], self._outline)]
        for tile in [n for n in self._tables if not self._merge.holds(n)]:
            del self._tables[tile]
        table = table[inside]
        centres, shares = table[:, :2] * plan.scale, table[:, 5:]
        usual_um = np.array([c.box_um for c in detector.classes])[shares.argmax(axis=1)] if len(table) else np.empty(0)
        boxes = boxes_around(centres, table[:, 2:4] * plan.scale, usual_um / (plan.mpp or 1.0))
        return [keys[n] for n in inside.tolist()], Detections(centres, boxes, table[:, 4], shares)

    def _written(self, number: int, table: Table) -> Table:
        """Write down what a tile told, and return it as it will be read: to go on comes to the very same."""
        moved = table.copy()
        moved[:, :2] -= self._corner(number)
        rows = moved.astype(np.float32)
        if self.checkpoint is not None:
            self._note_damage()
            self.checkpoint.tiles.append(number, rows)
        return self._read_back(number, rows)

    def _resumed(self) -> Iterator[tuple[int, Table]]:
        if self.checkpoint is None:
            return
        for number, rows in self.checkpoint.tiles.read():
            # A checksum tells what was damaged, not what somebody else wrote: such a tile is looked at anew.
            columns = 5 + len(self._detector.manifest.classes)
            if number < len(self._plan.tiles) and is_usable(rows, columns, unsized=(2, 3)):
                yield number, self._read_back(number, rows)

    def _read_back(self, number: int, rows: npt.NDArray[np.float32]) -> Table:
        table = rows.astype(np.float64)
        table[:, :2] += self._corner(number)
        return table

    def _corner(self, number: int) -> npt.NDArray[np.float64]:
        tile = self._plan.tiles[number]
        return np.array([tile.y0, tile.x0], dtype=np.float64)


def table_of(detector: CellDetector, shown: ShownTile, score_from: float, token: Token | None = None) -> Table:
    """Return the cells that a detector finds on a tile; the scores of those where nothing was scanned are negative.

    See `CellDetector.cells_of`.

    Raises
    ------
    JobCancelled
        When the token says so.
    """
    found, lost = detector.cells_of(shown, max(score_from, 1e-6), token)
    scores = np.where(lost, -found.scores, found.scores)
    return np.column_stack([found.points_yx, found.sizes_hw, scores, found.class_scores])


def _classified(cells: Detections, shares: npt.NDArray[np.float64]) -> Detections:
    """Return cells with a classifier's answer: its probabilities, times how sure it is that there is a cell."""
    return replace(cells, class_scores=shares * cells.scores[:, None])


def joined(parts: list[Detections]) -> Detections:
    """Return cells of several parts as one."""
    return Detections(
        np.concatenate([p.centres_yx for p in parts]),
        np.concatenate([p.boxes_yxyx for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.class_scores for p in parts]),
    )


def is_usable(rows: npt.NDArray[np.float32], columns: int, unsized: tuple[int, ...] = ()) -> bool:
    """Whether a table read from a checkpoint can be what a model told: as many columns, and numbers in all of them.

    Parameters
    ----------
    rows : ndarray, float32 (n, columns)
        As it was read.
    columns : int
        How many there must be.
    unsized : tuple of int
        Columns that may be NaN: sizes that a model does not know.
    """
    if rows.shape[1] != columns:
        return False
    known = np.delete(rows, unsized, axis=1)
    return bool(np.isfinite(known).all())


def _classes(checkpoint: Checkpoint) -> dict[Key, npt.NDArray[np.float64]]:
    return {
        (tile, int(row[0])): row[1:].astype(np.float64)
        for tile, rows in checkpoint.classes.read()
        if is_usable(rows, rows.shape[1])
        for row in rows
    }
