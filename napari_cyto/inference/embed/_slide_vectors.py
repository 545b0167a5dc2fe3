"""The vectors of one slide's cells: cut out ahead of the network, encoded, and written in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import ColourMatch, match_for
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
class Lacking:
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


def lacking_on(project: Project, file: VectorFile, slide_id: str) -> Lacking:
    """Return the cells of a slide that lack a vector."""
    places = cell_places(project, slide_id)
    lacking = file.lacking(places.ids, [slide_id] * len(places.ids), places.centres_yx)
    positions = lacking.positions
    ids = [places.ids[n] for n in positions.tolist()]
    return Lacking(slide_id, len(places.ids), ids, places.centres_yx[positions], len(lacking.moved))


def make_vectors(
    slide: Slide, mpp: float | None, cells: Lacking, encoder: CellEncoder, file: VectorFile, token: Token | None = None
) -> Iterator[Made]:
    """Make the vectors of a slide's cells and keep them, yielding what was made after each batch.

    Parameters
    ----------
    slide : Slide
        Open.
    mpp : float or None
        µm per level-0 px.
    cells : Lacking
        Which cells.
    encoder : CellEncoder
        What makes them.
    file : VectorFile
        What keeps them.
    token : Token, optional
        Asks to stop.

    Raises
    ------
    CytoError
        When the encoder needs µm and ``mpp`` is unknown, the slide cannot be read, or the disk is full.
    JobCancelled
        When the token says so; what was made is kept.
    """
    sides_px = encoder.rule.sides_px(mpp, slide.info.name)
    colour = match_for(slide, encoder.manifest.colour, encoder.rule.icc)
    made, kept = Made(), _Kept(file, cells.slide_id)
    try:
        for part, crops in _cut(slide, _in_blocks(cells.centres_yx), cells.centres_yx, encoder, mpp, colour, token):
            readable = _readable(slide, cells.centres_yx[part], max(sides_px) / 2)
            shown = part[readable]
            vectors = encoder.vectors(crops[readable], token)
            kept.add([cells.ids[n] for n in shown.tolist()], cells.centres_yx[shown], vectors)
            made.vectors += len(shown)
            made.damaged += len(part) - len(shown)
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


def _readable(slide: Slide, centres_yx: npt.NDArray[np.float64], half_px: float) -> npt.NDArray[np.bool_]:
    """Return around which cells the file could be read: what is drawn hatched there is no cell."""
    if not slide.unreadable:
        return np.ones(len(centres_yx), dtype=bool)
    return np.array(
        [not slide.unreadable_in((y - half_px, x - half_px, y + half_px, x + half_px)) for y, x in centres_yx.tolist()],
        dtype=bool,
    )


def _in_blocks(centres_yx: npt.NDArray[np.float64]) -> list[npt.NDArray[np.intp]]:
    """Return positions of cells in batches of neighbours, so that each tile of the slide is decoded about once."""
    y, x = (centres_yx // _BLOCK_PX).T
    order = np.lexsort((centres_yx[:, 1], centres_yx[:, 0] // (_BLOCK_PX // 8), x, y))
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
