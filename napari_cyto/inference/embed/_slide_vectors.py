"""The vectors of one slide's cells: cut out ahead of the network, encoded, and written in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import ColourMatch, match_for
from napari_cyto.domain.geometry import grown, points_in_box
from napari_cyto.inference.cluster.chunks import Answer, VectorsRequest, vectors_of
from napari_cyto.inference.cluster.pool import Farm, in_order
from napari_cyto.inference.embed.encode import CellEncoder
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import Slide
from napari_cyto.store import Project
from napari_cyto.vectors import VectorFile, cell_places

BATCH = 64
"""Cells that are cut out and encoded at a time."""

KEPT_AT_ONCE = 2048
"""Vectors are written, and the disk waited for, this many at a time: what a killed run loses at most."""

KEPT = "The vectors made so far are kept, and the next run continues from them."

_AHEAD = 4
_CUTTING = 2
_BLOCK_PX = 2048
_PATIENCE_S = 0.05


@dataclass(frozen=True, slots=True)
class SlideLacking:
    """The cells of a slide that have no vector of where they lie.

    Parameters
    ----------
    slide_id : str
        The slide.
    cells : int
        All cells of the slide.
    ids : list of str
        Those that lack one.
    centres_yx : ndarray, float64 (n, 2)
        Where these lie, level-0 px.
    moved : int
        How many of them have one of another place.
    """

    slide_id: str
    cells: int
    ids: list[str]
    centres_yx: npt.NDArray[np.float64]
    moved: int


@dataclass
class Made:
    """How many vectors a run has made, and how many cells it left out because the file is damaged where they lie."""

    vectors: int = 0
    damaged: int = 0


def lacking_on(project: Project, file: VectorFile, slide_id: str) -> SlideLacking:
    """Return the cells of a slide that lack a vector."""
    places = cell_places(project, slide_id)
    lacking = file.lacking(places.ids, [slide_id] * len(places.ids), places.centres_yx)
    positions = lacking.positions
    ids = [places.ids[n] for n in positions.tolist()]
    return SlideLacking(slide_id, len(places.ids), ids, places.centres_yx[positions], len(lacking.moved))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch of cells with their vectors.

    Parameters
    ----------
    positions : ndarray, intp
        Which of the cells that lack a vector.
    readable : ndarray, bool
        Around which of these the file could be read; the others get no vector.
    vectors : ndarray, float32 (readable, length)
        Of the readable ones.
    """

    positions: npt.NDArray[np.intp]
    readable: npt.NDArray[np.bool_]
    vectors: npt.NDArray[np.float32]


def encoded_here(
    slide: Slide, mpp: float | None, cells: SlideLacking, encoder: CellEncoder, token: Token | None = None
) -> Iterator[Encoded]:
    """Yield the cells of a slide with the vectors that this process computes.

    Parameters
    ----------
    slide : Slide
        Open.
    mpp : float or None
        µm per level-0 px.
    cells : SlideLacking
        Which cells.
    encoder : CellEncoder
        What gives the vectors.
    token : Token, optional
        Asks to stop.

    Raises
    ------
    CytoError
        When the encoder needs µm and ``mpp`` is unknown, or the slide cannot be read.
    JobCancelled
        When the token says so.
    """
    sides_px = encoder.rule.sides_px(mpp, slide.info.name, [slide.info.path])
    colour = match_for(slide, encoder.manifest.colour, encoder.rule.icc)
    for part, crops in _cut(slide, _in_blocks(cells.centres_yx), cells.centres_yx, encoder, mpp, colour, token):
        half_px = max(sides_px) / 2
        damaged = slide.unreadable and [
            bool(slide.unreadable_in((y - half_px, x - half_px, y + half_px, x + half_px)))
            for y, x in cells.centres_yx[part].tolist()
        ]
        readable = ~np.array(damaged, dtype=bool) if damaged else np.ones(len(part), dtype=bool)
        yield Encoded(part, readable, encoder.vectors(crops[readable], token))


def encoded_by_workers(
    farm: Farm, request: VectorsRequest, half_px: float, cells: SlideLacking, token: Token | None = None
) -> Iterator[Encoded]:
    """Yield the cells of a slide with the vectors that workers compute, in order.

    Parameters
    ----------
    farm : Farm
        Who computes.
    request : VectorsRequest
        Of which slide, with which encoder.
    half_px : float
        How far a cell's largest window reaches from its centre, level-0 px.
    cells : SlideLacking
        Which cells.
    token : Token, optional
        Asks to stop.

    Raises
    ------
    CytoError
        What a worker could not do, or that there is none any more.
    JobCancelled
        When the token says so.
    """
    chunks = ((part, cells.centres_yx[part]) for part in _in_blocks(cells.centres_yx))
    answer: Answer
    for part, answer in in_order(farm, vectors_of, request, chunks, token, KEPT):
        readable = np.ones(len(part), dtype=bool)
        for tile in answer.unreadable:
            readable &= ~points_in_box(cells.centres_yx[part], grown(tile.bounds_yxyx, half_px))
        yield Encoded(part, readable, answer.rows[readable].astype(np.float32))


def keep_vectors(encoded: Iterator[Encoded], cells: SlideLacking, file: VectorFile) -> Iterator[Made]:
    """Keep vectors as they come, and yield how many there are after each batch; however it ends, they are kept.

    Raises
    ------
    CytoError
        When the disk is full, a vector is no number, or whoever encodes fails.
    """
    made, kept = Made(), _Kept(file, cells.slide_id)
    try:
        for part in encoded:
            shown = part.positions[part.readable]
            kept.add([cells.ids[n] for n in shown.tolist()], cells.centres_yx[shown], part.vectors)
            made.vectors += len(shown)
            made.damaged += len(part.positions) - len(shown)
            yield made
    finally:
        kept.write()


class _Kept:
    """Vectors that wait to be written together."""

    def __init__(self, file: VectorFile, slide_id: str) -> None:
        self._file, self._slide_id = file, slide_id
        self._ids: list[str] = []
        self._parts: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]] = []

    def add(self, ids: Sequence[str], centres_yx: npt.NDArray[np.float64], vectors: npt.NDArray[np.float32]) -> None:
        """Take vectors in, and write them where many wait."""
        self._ids += ids
        self._parts.append((centres_yx, vectors))
        if len(self._ids) >= KEPT_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        if not self._ids:
            return
        ids, parts = self._ids, self._parts
        self._ids, self._parts = [], []
        centres, vectors = (np.concatenate(each) for each in zip(*parts, strict=True))
        self._file.add(ids, [self._slide_id] * len(ids), centres, vectors)


def _cut(
    slide: Slide,
    parts: list[npt.NDArray[np.intp]],
    centres_yx: npt.NDArray[np.float64],
    encoder: CellEncoder,
    mpp: float | None,
    colour: ColourMatch | None,
    token: Token | None,
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
    """Yield positions of cells with their crops, in order, while those to come are read."""
    left = deque(parts)
    coming: deque[tuple[npt.NDArray[np.intp], Future[npt.NDArray[np.uint8]]]] = deque()
    pool = ThreadPoolExecutor(_CUTTING, thread_name_prefix="crops")
    try:
        while left or coming:
            while left and len(coming) < _AHEAD:
                part = left.popleft()
                coming.append((part, pool.submit(encoder.rule.cut, slide, centres_yx[part], mpp, colour)))
            part, future = coming.popleft()
            while not future.done():
                stop_if_cancelled(token, KEPT)
                wait([future], _PATIENCE_S)
            stop_if_cancelled(token, KEPT)
            yield part, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_blocks(centres_yx: npt.NDArray[np.float64]) -> list[npt.NDArray[np.intp]]:
    """Return positions of cells in batches of neighbours, so that each tile of the slide is decoded about once."""
    y, x = (centres_yx // _BLOCK_PX).T
    order = np.lexsort((centres_yx[:, 1], centres_yx[:, 0] // (_BLOCK_PX // 8), x, y))
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
