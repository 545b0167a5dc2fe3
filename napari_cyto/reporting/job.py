"""Jobs of the result: spot checks of a slide, and the report on slides as one HTML page or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto import __version__
from napari_cyto.domain.adequacy import Preparation
from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.coverage import MAGNIFICATIONS
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.report.markup import Html
from napari_cyto.files.atomic import write_text
from napari_cyto.files.replacement import check_may_replace, replacing
from napari_cyto.formats.slide_names import distinct_names
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.reporting.images import cell_examples, map_image, place_examples
from napari_cyto.reporting.slide_facts import Report, ReportedProject, SlideReport, slide_facts
from napari_cyto.reporting.slide_page import SlideImages, result_page, slide_part
from napari_cyto.reporting.slide_summary import DECISION_SUPPORT, SlideResult, gather_result
from napari_cyto.reporting.stored_facts import keep_survey, magnification_for, survey_facts, survey_of
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.survey import SPOTS, Survey, survey
from napari_cyto.store import Project

SUFFIXES = (".html", ".htm", ".json")
WORDS = (
    "Compiled by software from annotations and predictions on the slide; the finding is that of the person who "
    "reads the slide."
)
_STEPS = 1000
_MEASURED_SHARE = 0.8

OrderKey = tuple[float, float, float]


class ReportOptions(BaseModel):
    """What a report on the result of slides tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    magnification: float | None = Field(
        default=None,
        ge=min(MAGNIFICATIONS),
        le=max(MAGNIFICATIONS),
        title="Magnification",
        description=(
            "Lowest magnification that counts as viewed: 4, 10, 20 or 40. Empty: as chosen in the project, or 10."
        ),
    )
    preparation: Preparation | None = Field(
        default=None, title="Preparation", description=("For slides whose preparation is not specified in the project.")
    )
    measure: bool = Field(
        default=False,
        title="Measure",
        description="Measure focus and obscured area first where this has not been done; takes a few seconds per "
        "slide.",
    )
    examples: int = Field(default=8, ge=0, le=12, title="Example cells", description="Images of cells per slide.")
    limit: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        title="Limit",
        description=(
            "Share of abnormal cells among the unreviewed, 0 to 0.5, below which review may stop. Empty: as "
            "chosen in the project, or 0.01."
        ),
    )
    blind: bool = Field(default=False, title="Blind", description="Leave out the models' scores and classes.")
    overwrite: bool = Field(
        default=False,
        title="Replace the file",
        description="Replace an existing file even if it is not a report or has been changed since.",
    )


DEFAULTS = ReportOptions()


@dataclass(frozen=True, slots=True)
class WrittenReport(JsonFields):
    """What a report came to.

    Parameters
    ----------
    out : str
        The file.
    slides : int
        How many it is on.
    unreadable : tuple of str
        Names of those whose file could not be read.
    result : Report
        What it tells, which is what the JSON holds.
    """

    out: str
    slides: int
    unreadable: tuple[str, ...]
    result: Report


def survey_slide(path: Path, mpp: float | None, token: Token | None = None) -> Events:
    """Judge focus and cover of a slide by spot checks; a job.

    Parameters
    ----------
    path : Path
        The slide's file.
    mpp : float or None
        µm per level-0 px.
    token : Token, optional
        Asks the job to stop.

    Yields
    ------
    Event
        The last one is ``Done`` with a `KeptSurvey`, ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_survey_steps(path, mpp, token))


def _survey_steps(path: Path, mpp: float | None, token: Token | None) -> Steps:
    with open_slide(path) as slide:
        for said in survey(slide, mpp, SPOTS):
            stop_if_cancelled(token, "The measurement was discarded.")
            if isinstance(said, Survey):
                assert mpp is not None
                yield Done(survey_facts(said, mpp))
            else:
                yield Advanced(*said, "Measuring focus and obscured area")


def write_result(
    project_folder: Path,
    out: Path,
    slide_id: str | None = None,
    options: ReportOptions = DEFAULTS,
    token: Token | None = None,
) -> Events:
    """Write the report on one slide of a project, or on all of them; a job.

    Parameters
    ----------
    project_folder : Path
        The project.
    out : Path
        ``NAME.html`` for one self-contained page with pictures, ``NAME.json`` for the same figures.
    slide_id : str, optional
        The slide; all slides without.
    options : ReportOptions
        What is told.
    token : Token, optional
        Asks the job to stop.

    Yields
    ------
    Event
        The last one is ``Done`` with a `WrittenReport`, ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_report_steps(project_folder, out, slide_id, options, token))


def _report_steps(folder: Path, out: Path, slide_id: str | None, options: ReportOptions, token: Token | None) -> Steps:
    _check(out, options)
    with Project.open(folder) as project:
        slides = project.slides()
        # Two patients' 001.png must not look like one on the page.
        names = distinct_names(slides)
        records = [replace(r, name=names[r.id]) for r in slides if slide_id in (None, r.id)]
        if not records:
            raise CytoError(f"The project {project.name} has no such slide to report on; add slides to it first.")
        magnification = options.magnification or magnification_for(project)
        found: list[tuple[OrderKey, SlideReport, Html]] = []
        unreadable: list[str] = []
        for number, record in enumerate(records):
            stop_if_cancelled(token)
            yield Advanced(number * _STEPS, len(records) * _STEPS, record.name)
            reporter = _Reporter(project, record, options, token)
            yield from reporter.measured(number * _STEPS, len(records) * _STEPS)
            facts, all_images = reporter.contents(magnification, with_images=out.suffix.lower() != ".json")
            found.append((reporter.order_key, facts, slide_part(facts, all_images, many=len(records) > 1)))
            if reporter.problem:
                unreadable.append(record.name)
                yield Noted(reporter.problem)
        stop_if_cancelled(token)
        # The most urgent slide first, of equal ones in the order of the project.
        found.sort(key=lambda each: each[0])
        contents = _report_of(project, magnification, tuple(facts for _, facts, _ in found))
        with replacing(out, options.overwrite, project.identity):
            _write(out, contents, [part for _, _, part in found])
        yield Done(WrittenReport(str(out), len(records), tuple(unreadable), contents))


def _check(out: Path, options: ReportOptions) -> None:
    """Refuse what cannot be written, before any work is done.

    Raises
    ------
    CytoError
        When the file's name says neither HTML nor JSON, its folder is not there, or there is no such objective.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise CytoError(f"Expected a report's name NAME.html or NAME.json, got {out.name!r}.")
    if not out.absolute().parent.is_dir():
        raise CytoError(f"The report cannot be written: there is no folder {out.absolute().parent}; create it first.")
    check_may_replace(out, options.overwrite)
    if options.magnification is not None and options.magnification not in MAGNIFICATIONS:
        known = ", ".join(f"{each:g}" for each in MAGNIFICATIONS)
        raise CytoError(f"Expected one of the magnifications {known}, got {options.magnification:g}.")


def _report_of(project: Project, magnification: float, slides: tuple[SlideReport, ...]) -> Report:
    return Report(
        kind="result",
        notice=DECISION_SUPPORT,
        words=WORDS,
        made_by=f"napari-cyto {__version__}",
        made_utc=now_utc().isoformat(timespec="seconds"),
        project=ReportedProject(project.name, project.scheme.name, tuple(project.scheme.ids)),
        magnification=magnification,
        slides=slides,
    )


def _write(out: Path, contents: Report, parts: list[Html]) -> None:
    if out.suffix.lower() == ".json":
        write_text(
            out, json.dumps(contents.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n", last_wins=False
        )
    else:
        write_text(out, result_page(contents, parts), last_wins=False)


class _Reporter:
    """Gathers what is told of one slide; a file that cannot be read is a sentence, and the rest is told."""

    def __init__(self, project: Project, record: SlideRecord, options: ReportOptions, token: Token | None) -> None:
        self.project = project
        self.record = record
        self.options = options
        self.problem = ""
        self.order_key: OrderKey = (0.0, 0.0, 0.0)
        self._token = token

    def measured(self, done: int, total: int) -> Iterator[Advanced]:
        """Measure focus and cover, if that is asked for and was not done; ``done`` of ``total`` steps are behind."""
        if not self.options.measure or survey_of(self.project, self.record.id) is not None:
            return
        try:
            with open_slide(self.project.slide_path(self.record)) as slide:
                for said in survey(slide, self.record.mpp):
                    stop_if_cancelled(self._token)
                    if isinstance(said, Survey):
                        keep_survey(self.project, self.record.id, survey_facts(said, self.record.mpp or 0.0))
                    else:
                        share = _MEASURED_SHARE * said[0] / max(1, said[1])
                        yield Advanced(done + round(share * _STEPS), total, self.record.name)
        except CytoError as error:
            stop_if_cancelled(self._token)
            self.problem = str(error)

    def contents(self, magnification: float, with_images: bool) -> tuple[SlideReport, SlideImages]:
        """Return facts and pictures of the slide."""
        found = gather_result(self.project, self.record.id, self._may_go_on)
        stop_if_cancelled(self._token)
        assert found is not None
        result = found.blinded() if self.options.blind else found
        self.order_key = result.order_key
        facts = slide_facts(
            self.project, self.record, result, magnification, self.options.preparation, self.options.limit
        )
        return facts, self._images(result, facts, magnification) if with_images else SlideImages()

    def _may_go_on(self) -> bool:
        return self._token is None or not self._token.cancelled()

    def _images(self, result: SlideResult, facts: SlideReport, magnification: float) -> SlideImages:
        try:
            with open_slide(self.project.slide_path(self.record)) as slide:
                best = cell_examples(slide, self.record.mpp, result.best, self.options.examples)
                attended = [(p.words, p.centre_yx) for score in facts.scores[:1] for p in score.most_attended]
                looked_at = place_examples(slide, self.record.mpp, attended[: self.options.examples])
                return SlideImages(best, self._overview(slide, magnification), looked_at)
        except CytoError as error:
            self.problem = self.problem or str(error)
            return SlideImages()

    def _overview(self, slide: Slide, magnification: float) -> Any:
        together = None
        for seen in self.project.coverage(self.record.id, slide.info.size_hw).values():
            together = seen if together is None else together.merged(seen)
        return map_image(slide, together, magnification)
