"""The main job on an embedded default: a synthetic smear, a project, an APACC dataset, its audit, a picture."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cyto.domain import edits
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import Progress
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.files.atomic import write_text
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.slides import open_slide
from napari_cyto.store import Project
from napari_cyto.synthesis import DEMO_SIZE_PX, MadeSmear, demo_specs
from napari_cyto.synthesis._overview import render_overview, write_overview
from napari_cyto.synthesis._reader import READER, READER_ID, annotated, predictions, read_part
from napari_cyto.synthesis.job import make_smears

PROJECT_NAME = "demo.cyto"

_KEPT = "The project and what has been exported so far are kept."

_STEPS = 1000
_Stage = tuple[int, int]
_SMEARS: _Stage = (0, 550)
_PROJECT: _Stage = (550, 570)
_EXPORT: _Stage = (570, 930)
# Slices read in full, high x wide: six of the large smear, four of each small one, so that the export stays small.
_LARGE_PART, _SMALL_PART = (2, 3), (2, 2)


def prepare_demo(
    folder: Path, token: Token | None = None, *, size_px: int = DEMO_SIZE_PX, cache_dir: Path | None = None
) -> Events:
    """Make the demo project, or find it again as its user left it; a job.

    Parameters
    ----------
    folder : Path
        The project to be, by custom ``NAME.cyto``.
    token : Token, optional
        Asks the job to stop.
    size_px : int
        Side of the large smear, px.
    cache_dir : Path, optional
        Where smears are kept between runs.

    Yields
    ------
    Event
        The last one is ``Done`` with ``project`` (path), ``slides`` (paths) and ``annotations`` (count),
        ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_prepare_steps(folder, token, size_px, cache_dir))


def demo_project(folder: Path, *, size_px: int = DEMO_SIZE_PX, cache_dir: Path | None = None) -> Path:
    """Make the demo project in ``folder`` if it is not there, and return it.

    Raises
    ------
    CytoError
        When it cannot be made; ``folder`` is then as it was.
    """
    for _ in _project_steps(folder, None, size_px, cache_dir):
        pass
    return folder


def run_demo_headless(
    out: Path, token: Token | None = None, *, size_px: int = DEMO_SIZE_PX, cache_dir: Path | None = None
) -> Events:
    """Do the main job without a screen; a job.

    Writes into ``out``: the project ``demo.cyto``, the dataset ``apacc``, ``audit.json`` and ``overview.png``.

    Parameters
    ----------
    out : Path
        Made if it is not there.
    token : Token, optional
        Asks the job to stop.
    size_px : int
        Side of the large smear, px.
    cache_dir : Path, optional
        Where smears are kept between runs.

    Yields
    ------
    Event
        The last one is ``Done`` with ``project``, ``apacc``, ``audit``, ``overview`` (paths), ``export`` (what the
        export wrote), ``audit_ok`` and ``annotations``; or ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_headless_steps(out, token, size_px, cache_dir))


def _prepare_steps(folder: Path, token: Token | None, size_px: int, cache_dir: Path | None) -> Iterator[Event]:
    yield from _project_steps(folder, token, size_px, cache_dir)
    with Project.open(folder) as project:
        slides = [str(project.slide_path(record)) for record in project.slides()]
        yield Done({"project": str(folder), "slides": slides, "annotations": sum(project.counts().values())})


def _headless_steps(out: Path, token: Token | None, size_px: int, cache_dir: Path | None) -> Iterator[Event]:
    from napari_cyto.datasets import export_apacc
    from napari_cyto.datasets.audit.job import audit

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CytoError(f"The folder {out} cannot be made ({error.strerror or error}); choose another.") from error
    folder = out / PROJECT_NAME
    yield from _project_steps(folder, token, size_px, cache_dir)
    written = yield from _within(_EXPORT, export_apacc(folder, out / "apacc", None, token))
    yield Advanced(_EXPORT[1], _STEPS, "Auditing the dataset.")
    report = audit(out / "apacc")
    write_text(out / "audit.json", json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n")
    stop_if_cancelled(token, _KEPT)
    yield Advanced(970, _STEPS, "Drawing the overview.")
    count = _draw_overview(folder, out / "overview.png")
    yield Advanced(_STEPS, _STEPS, "Done.")
    yield Done(
        {
            "project": str(folder),
            "apacc": str(out / "apacc"),
            "audit": str(out / "audit.json"),
            "overview": str(out / "overview.png"),
            "annotations": count,
            "audit_ok": report.ok,
            "export": written,
        }
    )


def _project_steps(folder: Path, token: Token | None, size_px: int, cache_dir: Path | None) -> Iterator[Event]:
    """Make smears and project; one that is there keeps its annotations, and its smears are made again if missing."""
    if not Project.is_project(folder):
        _check_free(folder)
    made = yield from _scaled(_SMEARS, make_smears(demo_specs(size_px), cache_dir, token))
    yield Advanced(_PROJECT[0], _STEPS, "Opening the project.")
    if not Project.is_project(folder):
        _create(folder, made)
        return
    with Project.open(folder) as project:
        known = {record.id for record in project.slides()}
    if not known & {smear.record.id for smear in made}:
        yield Noted(f"{folder} is an existing project; it is used as it is.")


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CytoError(f"{folder} holds something that is not a project; choose another place for the demo.")


def _create(folder: Path, made: tuple[MadeSmear, ...]) -> None:
    """Build the project under a temporary name beside ``folder``: it appears with all its annotations or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with Project.create(temporary, preset("bethesda"), folder.stem, called=folder) as project:
            project.add_slides(replace(smear.record, progress=Progress.IN_PROGRESS) for smear in made)
            for number, smear in enumerate(made):
                part = read_part(smear, _SMALL_PART if number else _LARGE_PART)
                drawn = annotated(smear, part)
                project.apply(edits.add(drawn, f"Read {smear.record.smear}"), READER)
                if not number and (waiting := predictions(smear, part)):
                    project.apply(edits.add(waiting, "Propose cells"), READER_ID)
        if Project.is_project(folder):
            # Another program was faster, and its demo is as good.
            return
        _check_free(folder)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except OSError as error:
        raise CytoError(f"The demo project cannot be written to {folder} ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _draw_overview(folder: Path, target: Path) -> int:
    """Write the picture of the project's first slide and return how many annotations the project has."""
    with Project.open(folder) as project:
        record = project.slides()[0]
        with open_slide(project.slide_path(record)) as slide:
            drawn = tuple(project.annotations(record.id))
            image = render_overview(slide, drawn, project.scheme, record.name, record.mpp)
        write_overview(image, target)
        return sum(project.counts().values())


def _scaled(
    stage: _Stage, steps: Generator[Advanced, None, tuple[MadeSmear, ...]]
) -> Generator[Event, None, tuple[MadeSmear, ...]]:
    while True:
        try:
            yield _placed(stage, next(steps))
        except StopIteration as stop:
            made: tuple[MadeSmear, ...] = stop.value
            return made


def _within(stage: _Stage, job: Iterator[Event]) -> Generator[Event, None, dict[str, Any]]:
    """Pass on the events of a job inside this one and return its result; its bad end becomes this one's."""
    for event in job:
        match event:
            case Advanced():
                yield _placed(stage, event)
            case Noted():
                yield event
            case Done():
                return event.to_json()
            case Cancelled(message):
                raise JobCancelled(message)
            case Failed(message, True):
                raise CytoError(message)
            case Failed(message, False, trace):
                raise RuntimeError(f"{message}\n{trace}")
    raise RuntimeError("The export ended without a result.")


def _placed(stage: _Stage, event: Advanced) -> Advanced:
    share = event.done / event.total if event.total else 0.0
    return Advanced(stage[0] + round(share * (stage[1] - stage[0])), _STEPS, event.message)
