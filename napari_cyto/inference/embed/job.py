"""A vector for every cell of a project: those that have none, and those that moved since."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.counts import counted
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.quantities import Workers
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled, ScaleUnknownError
from napari_cyto.inference.cluster.chunks import ModelReference, VectorsRequest
from napari_cyto.inference.cluster.pool import Farm, WorkersLost
from napari_cyto.inference.embed._slide_vectors import (
    KEPT,
    Made,
    SlideLacking,
    encoded_by_workers,
    encoded_here,
    keep_vectors,
    lacking_on,
)
from napari_cyto.inference.embed.encode import CellEncoder, crop_rule_of, kind_of
from napari_cyto.inference.request import Precision, Runtime
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.slides import Slide, fingerprint_as_annotated, open_slide
from napari_cyto.slides.nuclear_scale import with_offer
from napari_cyto.store import Project
from napari_cyto.vectors import VectorFile, open_vectors


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
    workers: Workers | None = Field(
        default=None, title="Workers", description="How many processes of this machine share the work."
    )
    scheduler: str | None = Field(
        default=None,
        title="Scheduler",
        description="Address of a dask cluster that does the work, such as tcp://HOST:8786.",
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


class _Run:
    def __init__(self, project: Project, bundle: Bundle, options: EmbedOptions, token: Token | None) -> None:
        self._project, self._bundle, self._options, self._token = project, bundle, options, token
        self._file: VectorFile = open_vectors(project, kind_of(bundle))
        self._recovered = self._file.dropped_rows
        self._encoder: CellEncoder | None = None
        self._farm: Farm | None = None
        self._runtime = ""
        self._reference = ModelReference.of(bundle, options.encoder)
        self._made = self._moved = self._damaged = 0

    def steps(self) -> Steps:
        """Yield what happens, the result last."""
        todo, cells = [], 0
        for record in self._project.slides():
            stop_if_cancelled(self._token, KEPT)
            lacking = lacking_on(self._project, self._file, record.id)
            cells += lacking.cells
            if lacking.ids:
                todo.append((record, lacking))
        total = sum(len(lacking.ids) for _, lacking in todo)
        yield Advanced(0, total, f"{counted(total, 'cell')} of {cells:,} without a vector.")
        left_out: list[SlideWithout] = []
        if todo:
            with ExitStack() as stack:
                left_out = yield from self._encoded(todo, total, stack)
        yield Done(self._result(cells, tuple(left_out)))

    def _encoded(
        self, todo: list[tuple[SlideRecord, SlideLacking]], total: int, stack: ExitStack
    ) -> Generator[Advanced | Noted, None, list[SlideWithout]]:
        """Make the vectors of all slides; return those that were left out."""
        options, left_out = self._options, list[SlideWithout]()
        if options.workers is None and options.scheduler is None:
            self._encoder = CellEncoder(self._bundle, options.device, options.precision, options.runtime)
            self._runtime = self._encoder.runtime.title
            yield from (Noted(remark) for remark in self._encoder.remarks)
        else:
            yield Advanced(0, total, "Starting workers." if options.scheduler is None else "Checking the workers.")
            self._farm = stack.enter_context(self._workers())
            self._runtime = self._farm.encoder_title
            yield from (Noted(remark) for remark in self._farm.remarks)
        before = 0
        for record, lacking in todo:
            made = Made()
            try:
                for made in self._slide(record, lacking):
                    done = before + made.vectors + made.damaged
                    yield Advanced(done, total, f"{record.name}: {done:,} of {total:,} cells.")
                self._moved += lacking.moved
            except (JobCancelled, WorkersLost):
                raise
            except CytoError as error:
                why = with_offer(error) if isinstance(error, ScaleUnknownError) else str(error)
                left_out.append(SlideWithout(record.name, len(lacking.ids) - made.vectors - made.damaged, why))
                yield Noted(f"{record.name} is left out: {why}")
            self._made += made.vectors
            self._damaged += made.damaged
            before += len(lacking.ids)
            yield from (Noted(each) for each in (self._farm.new_incidents() if self._farm else ()))
        return left_out

    def _workers(self) -> AbstractContextManager[Farm]:
        from napari_cyto.inference.cluster.workers import workers_for

        options = self._options
        return workers_for(options, (self._reference,), options.workers, options.scheduler, self._token)

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
            self._runtime,
            str(self._file.folder),
        )

    def _slide(self, record: SlideRecord, lacking: SlideLacking) -> Iterator[Made]:
        path = self._project.slide_path(record)
        found = fingerprint_as_annotated(path, record.fingerprint)
        with open_slide(path) as slide:
            mpp = record.mpp if record.mpp is not None else slide.info.mpp
            if self._farm is None:
                assert self._encoder is not None
                encoded = encoded_here(slide, mpp, lacking, self._encoder, self._token)
            else:
                request = VectorsRequest(path, found, mpp, self._reference, self._options)
                half_px = max(crop_rule_of(self._bundle).sides_px(mpp, record.name, [slide.info.path])) / 2
                encoded = encoded_by_workers(self._farm, request, half_px, lacking, self._token)
            yield from keep_vectors(encoded, lacking, self._file)


def vectors_of_slide(
    project: Project, slide_id: str, slide: Slide, mpp: float | None, encoder: CellEncoder, token: Token | None
) -> Iterator[Advanced | Noted]:
    """Make the vectors that the cells of an open slide lack, and say how many there are; a part of a job.

    Raises
    ------
    CytoError
        As `encoded_here` and `keep_vectors`.
    """
    file = open_vectors(project, encoder.kind)
    lacking, name, made = lacking_on(project, file, slide_id), slide.info.name, Made()
    for made in keep_vectors(encoded_here(slide, mpp, lacking, encoder, token), lacking, file):
        done = made.vectors + made.damaged
        yield Advanced(done, len(lacking.ids), f"{name}: {done:,} of {counted(len(lacking.ids), 'vector')}")
    damaged = f"; {counted(made.damaged, 'cell')} left out, where the file is damaged" if made.damaged else ""
    yield Noted(f"{name}: {counted(made.vectors, 'vector')} made by {encoder.bundle.id}{damaged}.")
