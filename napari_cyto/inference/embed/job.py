"""A vector for every cell of a project: those that have none, and those that moved since."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.colour_match import ColourMatch, match_for
from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import same_fingerprint
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.embed._encode import CellEncoder, kind_of
from napari_cyto.inference.request import Precision, Runtime
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.slides import Slide, fingerprint, open_slide
from napari_cyto.store import Project
from napari_cyto.vectors import VectorFile, cell_places, open_vectors

BATCH = 64
"""Cells that are cut out and encoded at a time."""

KEPT_AT_ONCE = 2048
"""Vectors are written, and the disk waited for, this many at a time: what a killed run loses at most."""

_AHEAD = 4
_CUTTING = 2
_BLOCK_PX = 2048
_PATIENCE_S = 0.05
_KEPT = "The vectors made so far are kept, and the next run continues from them."


class EmbedOptions(BaseModel):
    """How the vectors of a project's cells are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default="cell-encoder",
        title="Encoder",
        description="The model that gives the vectors: its name in the model library, or its folder.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    precision: Precision = Field(default="auto", title="Precision", description="Numerical precision of the network.")
    runtime: Runtime = Field(
        default="auto",
        title="Runtime",
        description="What runs the network; auto takes the fastest that gives the same vectors as torch.",
    )


@dataclass(frozen=True, slots=True)
class SlideWithout(JsonFields):
    """A slide whose cells got no vectors, and why."""

    slide: str
    cells: int
    reason: str


@dataclass(frozen=True, slots=True)
class Embedded(JsonFields):
    """What a run came to.

    Parameters
    ----------
    encoder, sha256 : str
        The encoder's id, and the hash of its weights.
    length : int
        Numbers of a vector.
    cells : int
        Cells of the project that were looked at.
    made, moved : int
        Vectors that were made, and how many of them took the place of one of a cell that moved.
    damaged : int
        Cells left out because the file is damaged where they lie.
    left_out : tuple of SlideWithout
        Slides that could not be read.
    recovered : int
        Rows that an interrupted run had left unfinished, which were made again.
    runtime : str
        What ran the network; empty where nothing had to be made.
    folder : str
        Where the vectors lie.
    """

    encoder: str
    sha256: str
    length: int
    cells: int
    made: int
    moved: int
    damaged: int
    left_out: tuple[SlideWithout, ...]
    recovered: int
    runtime: str
    folder: str


def embed(place: Path, options: EmbedOptions, token: Token | None = None) -> Events:
    """Make the vectors that a project's cells lack; a job.

    Parameters
    ----------
    place : Path
        The project.
    options : EmbedOptions
        With which encoder, and how.
    token : Token, optional
        Asks to stop; what was made is kept.

    Yields
    ------
    Event
        The last is a `Done` with an `Embedded`.
    """
    return ending_once(_steps(place, options, token))


def _steps(place: Path, options: EmbedOptions, token: Token | None) -> Steps:
    bundle = bundle_named(options.encoder)
    kind_of(bundle)
    with Project.open(place) as project:
        yield from _Run(project, bundle, options, token).steps()


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of one slide that are cut out together."""

    ids: list[str]
    centres_yx: npt.NDArray[np.float64]


class _Run:
    def __init__(self, project: Project, bundle: Bundle, options: EmbedOptions, token: Token | None) -> None:
        self._project, self._bundle, self._options, self._token = project, bundle, options, token
        self._file: VectorFile = open_vectors(project, kind_of(bundle))
        self._recovered = self._file.dropped_rows
        self._encoder: CellEncoder | None = None
        self._made = self._moved = self._damaged = 0

    def steps(self) -> Steps:
        """Yield what happens, the result last."""
        todo, cells = [], 0
        for record in self._project.slides():
            stop_if_cancelled(self._token, _KEPT)
            places = cell_places(self._project, record.id)
            lacking = self._file.lacking(places.ids, [record.id] * len(places.ids), places.centres_yx)
            cells += len(places.ids)
            if len(positions := lacking.positions):
                ids = [places.ids[n] for n in positions.tolist()]
                todo.append((record, _Cells(ids, places.centres_yx[positions]), len(lacking.moved)))
        total = sum(len(part.ids) for _, part, _ in todo)
        yield Advanced(0, total, f"{counted(total, 'cell')} of {cells:,} without a vector.")
        left_out: list[SlideWithout] = []
        if todo:
            self._encoder = CellEncoder(
                self._bundle, self._options.device, self._options.precision, self._options.runtime
            )
            yield from (Noted(remark) for remark in self._encoder.remarks)
        done = 0
        for record, part, moved in todo:
            before = done
            try:
                for count in self._slide(record, part):
                    done = before + count
                    yield Advanced(done, total, f"{record.name}: {done:,} of {total:,} cells.")
                self._moved += moved
            except JobCancelled:
                raise
            except CytoError as error:
                left_out.append(SlideWithout(record.name, len(part.ids) - (done - before), str(error)))
                yield Noted(f"{record.name} is left out: {error}")
            done = before + len(part.ids)
        yield Done(self._result(cells, tuple(left_out)))

    def _result(self, cells: int, left_out: tuple[SlideWithout, ...]) -> Embedded:
        kind = self._file.kind
        return Embedded(
            kind.encoder,
            kind.sha256,
            kind.length,
            cells,
            self._made,
            self._moved,
            self._damaged,
            left_out,
            self._recovered,
            "" if self._encoder is None else self._encoder.runtime.title,
            str(self._file.folder),
        )

    def _slide(self, record: SlideRecord, cells: _Cells) -> Iterator[int]:
        """Make the vectors of a slide's cells, and yield how many are behind."""
        assert self._encoder is not None
        path = self._project.slide_path(record)
        if record.fingerprint and not same_fingerprint(fingerprint(path), record.fingerprint):
            raise CytoError(f"{path} is not the slide that was annotated; put that file back, or relink the project.")
        with open_slide(path) as slide:
            mpp = record.mpp if record.mpp is not None else slide.info.mpp
            self._encoder.rule.sides_px(mpp, record.name)
            colour = match_for(slide, self._encoder.manifest.colour, self._encoder.rule.icc)
            kept: list[tuple[_Cells, npt.NDArray[np.float32]]] = []
            done = 0
            try:
                for part, crops in self._cut(slide, _in_blocks(cells), mpp, colour):
                    readable = self._readable(slide, part, mpp)
                    self._damaged += int((~readable).sum())
                    kept.append((_at(part, readable), self._encoder.vectors(crops[readable], self._token)))
                    done += len(part.ids)
                    if sum(len(p.ids) for p, _ in kept) >= KEPT_AT_ONCE:
                        self._keep(record.id, kept)
                        kept = []
                    yield done
            finally:
                self._keep(record.id, kept)

    def _keep(self, slide_id: str, kept: Sequence[tuple[_Cells, npt.NDArray[np.float32]]]) -> None:
        if not kept:
            return
        ids = [i for part, _ in kept for i in part.ids]
        centres = np.concatenate([part.centres_yx for part, _ in kept])
        self._file.add(ids, [slide_id] * len(ids), centres, np.concatenate([v for _, v in kept]))
        self._made += len(ids)

    def _cut(
        self, slide: Slide, parts: list[_Cells], mpp: float | None, colour: ColourMatch | None
    ) -> Iterator[tuple[_Cells, npt.NDArray[np.uint8]]]:
        """Yield cells with their crops, in order, while those to come are read."""
        assert self._encoder is not None
        rule = self._encoder.rule
        left, coming = deque(parts), deque[tuple[_Cells, Future[npt.NDArray[np.uint8]]]]()
        pool = ThreadPoolExecutor(_CUTTING, thread_name_prefix="crops")
        try:
            while left or coming:
                while left and len(coming) < _AHEAD:
                    part = left.popleft()
                    coming.append((part, pool.submit(rule.cut, slide, part.centres_yx, mpp, colour)))
                part, future = coming.popleft()
                while not future.done():
                    stop_if_cancelled(self._token, _KEPT)
                    wait([future], _PATIENCE_S)
                stop_if_cancelled(self._token, _KEPT)
                yield part, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _readable(self, slide: Slide, part: _Cells, mpp: float | None) -> npt.NDArray[np.bool_]:
        """Return of which cells the file could be read around them: what is drawn hatched there is no cell."""
        if not slide.unreadable:
            return np.ones(len(part.ids), dtype=bool)
        assert self._encoder is not None
        half = max(self._encoder.rule.sides_px(mpp)) / 2
        return np.array(
            [not slide.unreadable_in((y - half, x - half, y + half, x + half)) for y, x in part.centres_yx.tolist()],
            dtype=bool,
        )


def _in_blocks(cells: _Cells) -> list[_Cells]:
    """Return the cells in batches of neighbours, so that each tile of the slide is decoded about once."""
    y, x = (cells.centres_yx // _BLOCK_PX).T
    order = np.lexsort((cells.centres_yx[:, 1], cells.centres_yx[:, 0] // (_BLOCK_PX // 8), x, y))
    return [_at(cells, order[start : start + BATCH]) for start in range(0, len(order), BATCH)]


def _at(cells: _Cells, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> _Cells:
    positions = np.arange(len(cells.ids))[chosen]
    return _Cells([cells.ids[n] for n in positions.tolist()], cells.centres_yx[positions])
