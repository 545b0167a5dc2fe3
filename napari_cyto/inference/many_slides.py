"""Many slides, one after the other: one that cannot be read is told at the end, and a second call does the rest only.

What is done is kept beside the target, in ``OUT.run`` (in a project: in its folder ``predict``), a folder a slide.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from napari_cyto.domain.geometry import YXYX
from napari_cyto.domain.image_names import bare_name, reads_as_image
from napari_cyto.domain.json_values import to_plain
from napari_cyto.domain.quantities import Workers
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, FormatError, JobCancelled
from napari_cyto.files.atomic import check_replaceable, write_text
from napari_cyto.files.lock import IN_USE, alone_in
from napari_cyto.files.replacement import check_may_replace
from napari_cyto.inference._checkpoint import read_record, unfinished_side, why_anew
from napari_cyto.inference._target_project import RUNS
from napari_cyto.inference.cluster.chunks import ModelReference
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.engine.plan import PLAN_VERSION
from napari_cyto.inference.model_choice import Chosen, chosen_bundles
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.results import SlidesPrediction
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Noted, Token
from napari_cyto.jobs.outcome import ending_once
from napari_cyto.slides import fingerprint
from napari_cyto.store import Project

_FILE, _DATA_SET = "geojson", "apacc"
_FILE_SUFFIXES = (".geojson", ".json")
_REQUEST = "asked.json"


class SeveralRequest(PredictRequest):
    """The same for many slides."""

    slide: Path = Path()
    slides: tuple[Path, ...] = Field(min_length=1, title="Slides", description="Slide files, or folders of them.")
    out: Path = Field(title="Target", description="A project, a GeoJSON file for one slide, or a folder for APACC.")
    workers: Workers | None = Field(
        default=None, title="Workers", description="How many processes of this machine share the work."
    )
    scheduler: str | None = Field(
        default=None,
        title="Scheduler",
        description="Address of a dask cluster that does the work, such as tcp://HOST:8786.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRequest:
    """What the cells of a file or data set depend on, whichever slides they are of.

    Parameters
    ----------
    models : tuple of str
        SHA-256 of their weights.
    plan : int
        Version of how slides are divided.
    region : tuple or None
        ``(y0, x0, y1, x1)``, level-0 px.
    score_from : float or None
        The least score that counts; None: the model's own.
    mpp : float or None
        µm per px, where the user stated it.
    """

    models: tuple[str, ...]
    plan: int
    region: YXYX | None
    score_from: float | None
    mpp: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``target_request.json`` holds."""
        return cast(dict[str, Any], to_plain(self))


@dataclass(frozen=True)
class Target:
    """Where the cells go in the end, and the project that takes them on the way.

    Parameters
    ----------
    out : Path
        As the user named it.
    format : str
        Of the file or data set; empty for a project.
    """

    out: Path
    format: str = ""

    @classmethod
    def of(cls, out: Path) -> Target:
        """Return what a path stands for: a project, else a GeoJSON file, else the folder of an APACC dataset."""
        if Project.is_project(out) or out.suffix.lower() == ".cyto":
            return cls(out)
        return cls(out, _FILE if out.suffix.lower() in _FILE_SUFFIXES else _DATA_SET)

    @property
    def kind(self) -> str:
        """``project``, or the format."""
        return self.format or "project"

    @property
    def is_file(self) -> bool:
        """Whether one file is written, which holds one slide."""
        return bool(self.format) and self.out.suffix.lower() in _FILE_SUFFIXES

    @property
    def runs(self) -> Path:
        """The folder of what is done."""
        return self.out / RUNS if not self.format else self.out.with_name(f"{self.out.name}.run")

    @property
    def project(self) -> Path:
        """The project that takes the cells."""
        return self.out if not self.format else self.runs / "cells.cyto"

    def check(self, slides: int) -> None:
        """Refuse a target that could not be written in the end.

        Raises
        ------
        FormatError
            One GeoJSON file for several slides, or a folder that holds something else.
        """
        if self.is_file and slides > 1:
            raise FormatError(
                f"expected one slide for a {self.out.suffix} file, got {slides}; predict into a project, then "
                "export it.",
                self.out,
            )
        if self.is_file and self.out.is_dir():
            raise FormatError("expected the name of a file to write, got a folder.", self.out)
        if self.is_file:
            # Not only in the end, after hours of work.
            check_may_replace(self.out)
        elif self.format:
            check_replaceable(self.out)

    def alone(self) -> AbstractContextManager[None]:
        """Hold what is done for a file or dataset; in a project each slide is held by itself.

        Raises
        ------
        CytoError
            When another run works for the same target.
        """
        if not self.format:
            return nullcontext()
        return alone_in(self.runs, f"{self.out}: another run is writing it; wait until it ends, or give another name.")

    def begin(self, target_request: TargetRequest) -> str | None:
        """Drop what another request left beside a file or dataset: its cells are none of these; return why, if so.

        Raises
        ------
        FormatError
            When the folder is there and is of something else, such as the training of a model of that name.
        """
        if not self.format:
            return None
        self.runs.mkdir(parents=True, exist_ok=True)
        known = self.runs / _REQUEST
        text = json.dumps(target_request.to_json(), indent=1) + "\n"
        if not known.exists() and any(each.name != IN_USE for each in self.runs.iterdir()):
            raise FormatError(
                "intermediate results would be saved in this folder, but it holds something else; move it, or give "
                f"another name than {self.out.name}.",
                self.runs,
            )
        news = None
        if known.exists() and known.read_bytes() != text.encode():
            why = why_anew(read_record(known), json.loads(text))
            news = f"{self.out.name}: starting over: {why}; what is in {self.runs.name} is discarded."
            for each in self.runs.iterdir():
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each, ignore_errors=True)
                elif each.name != IN_USE:
                    each.unlink()
        write_text(known, text)
        return news


def run_several(request: SeveralRequest, token: Token | None = None) -> Events:
    """Find the cells of many slides; a job.

    Parameters
    ----------
    request : SeveralRequest
        What is asked for; of ``slide``, ``run_folder`` and ``generation`` nothing is read.
    token : Token, optional
        Asks to stop.

    Yields
    ------
    Event
        As `run.run` for each slide, without the cells; ``Done.result`` is a `SlidesPrediction`'s JSON.
    """
    return ending_once(_run_several(request, token))


def _run_several(request: SeveralRequest, token: Token | None) -> Iterator[Event]:
    slides, target = slide_files(request.slides), Target.of(request.out)
    target.check(len(slides))
    if request.encoder is not None and target.format:
        raise CytoError(
            f"Vectors are kept in a project, and {request.out} is none; leave --encoder out, or predict into a project."
        )
    chosen = chosen_bundles(request)
    with target.alone():
        yield from _run_alone(request, slides, target, chosen, token)


def _run_alone(
    request: SeveralRequest, slides: tuple[Path, ...], target: Target, chosen: Chosen, token: Token | None
) -> Iterator[Event]:
    from napari_cyto.inference._slide_queue import Turns

    with ExitStack() as stack:
        farm = None
        if request.workers is not None or request.scheduler is not None:
            yield Advanced(0, 0, "Starting workers." if request.scheduler is None else "Checking the workers.")
            farm = stack.enter_context(_workers(_with_kept_tiles(request, target), chosen, token))
            yield from (Noted(remark) for remark in farm.remarks)
        turns = Turns(request.device, farm, token)
        news = target.begin(_target_request(request, tuple(bundle.sha256 for bundle in chosen.both)))
        yield from (Noted(each) for each in (news,) if each)
        yield from turns.events([_one(request, path, target) for path in slides])
    if not turns.done:
        raise CytoError(" ".join(each.reason for each in turns.failed))
    yield from _exported(target, [done.stored.slide_id for done in turns.done if done.stored is not None], token)
    yield from (Noted(each) for each in (farm.new_incidents() if farm else ()))
    result = SlidesPrediction(
        out=str(request.out),
        kind=target.kind,
        slides=len(slides),
        workers=farm.workers if farm else 0,
        incidents=tuple(farm.happened) if farm else (),
        done=turns.done,
        failed=turns.failed,
    )
    yield Done(result.to_json())


def _with_kept_tiles(request: SeveralRequest, target: Target) -> SeveralRequest:
    """Return the request with the largest tiles of unfinished runs: so much memory each worker needs."""
    folders = [run_folder_of(target.runs, _record(path)) for path in slide_files(request.slides)]
    unfinished = [side for folder in folders if (side := unfinished_side(folder)) is not None]
    return request.model_copy(update={"tile_px": max(unfinished)}) if unfinished else request


def _workers(request: SeveralRequest, chosen: Chosen, token: Token | None) -> AbstractContextManager[Farm]:
    from napari_cyto.inference.cluster.workers import workers_for

    names = (request.detector, request.classifier or "")
    models = tuple(ModelReference.of(bundle, name) for bundle, name in zip(chosen.both, names, strict=False))
    return workers_for(request, models, request.workers, request.scheduler, token, request.tile_px)


def _one(request: SeveralRequest, path: Path, target: Target) -> PredictRequest:
    values = {name: getattr(request, name) for name in PredictRequest.model_fields}
    folder = run_folder_of(target.runs, _record(path))
    return PredictRequest(**values | {"slide": path, "out": target.project, "run_folder": folder})


def _target_request(request: SeveralRequest, models: tuple[str, ...]) -> TargetRequest:
    return TargetRequest(
        models=models,
        plan=PLAN_VERSION,
        region=request.region_yxyx,
        score_from=request.score_from,
        mpp=request.mpp,
    )


def run_folder_of(runs: Path, slide: SlideRecord) -> Path:
    """Return the folder, in ``runs``, of what is done on a slide: the same when the slide is moved."""
    slide_key = slide.fingerprint or hashlib.sha256(slide.path.encode()).hexdigest()
    return runs / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', bare_name(slide.path))[:60]}-{slide_key[:12]}"


def _record(path: Path) -> SlideRecord:
    try:
        return SlideRecord(name=path.name, path=str(path), fingerprint=fingerprint(path))
    except CytoError:
        return SlideRecord(name=path.name, path=str(path))  # opening it will say why


def _exported(target: Target, slide_ids: list[str], token: Token | None) -> Iterator[Event]:
    """Write the target from the project, where that is not the target itself.

    Raises
    ------
    CytoError
        As the export says.
    """
    if not target.format:
        return
    for event in _export(target, slide_ids, token):
        match event:
            case Failed(reason, True):
                raise CytoError(reason)
            case Cancelled(message):
                raise JobCancelled(message)
            case Advanced() | Noted() | Failed():
                yield event
            case _:
                pass


def _export(target: Target, slide_ids: list[str], token: Token | None) -> Events:
    from napari_cyto.datasets import ApaccExportOptions, ExportOptions, LabelExportOptions, export

    options: ExportOptions = ApaccExportOptions(include_proposed=True)
    if target.is_file:
        options = LabelExportOptions(slides=tuple(slide_ids), writer={"object_type": "detection"})
    return export(target.format, target.project, target.out, options, token, any_project=True)


def slide_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the slides that paths name, each once: files as they are, of a folder all that look like slides.

    A folder of DICOM files is one slide; below folders nothing is looked for.

    Raises
    ------
    CytoError
        When a path is not there, or a folder has no slide.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise CytoError(f"{path} does not exist; it may have been moved or renamed.")
        for each in [path] if path.is_file() else _in_folder(path):
            found.setdefault(each.absolute())
    return tuple(found)


def _in_folder(folder: Path) -> list[Path]:
    try:
        inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise CytoError(f"{folder}: the folder cannot be read ({error.strerror or error}).") from error
    if any(p.suffix.lower() == ".dcm" for p in inside):
        return [folder]
    slides = [p for p in inside if p.is_file() and reads_as_image(p.name)]
    slides += [p for p in inside if p.is_dir() and any(c.suffix.lower() == ".dcm" for c in p.iterdir())]
    if not slides:
        raise CytoError(f"{folder}: there is no slide in this folder; give slide files, or a folder that has some.")
    return sorted(slides)
