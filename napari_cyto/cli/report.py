"""The verb ``report`` with its options: what the slides of a project come to, as a page or as JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.errors import CytoError
from napari_cyto.reporting.job import ReportOptions, WrittenReport, write_result
from napari_cyto.reporting.slide_facts import SlideReport, grade_words, looked_words, survey_words
from napari_cyto.reporting.slide_page import predicted_words
from napari_cyto.review.slide_risk import risk_words

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
SlideName = Annotated[
    str | None, typer.Option("--slide", metavar="NAME", help="Only this slide, by its name in the project.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.html|FILE.json", help="A page with images that works offline, or JSON."),
]


def command() -> Callable[..., None]:
    """Return the verb, with the options of `ReportOptions` among its own."""
    return with_options(report, ReportOptions)


def report(
    project: ProjectFolder,
    slide: SlideName = None,
    out: Out = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Report on the slides of a project: cell counts, highest grade, adequacy, focus, what was viewed.

    Decision support, not a diagnosis. The counts are of annotations by people and predictions by models.
    """
    if out is None:
        raise CytoError(
            "Expected a file for the report, a page or JSON, got none: napari-cyto report PROJECT --out FILE.html."
        )
    options = checked(ReportOptions, given)
    slide_id = None if slide is None else slide_id_of(project, slide)
    title = f"Report on {project.name}"
    written: WrittenReport = follow(lambda token: write_result(project, out, slide_id, options, token=token), title)
    if as_json:
        print_json(written.to_json())
    else:
        _report(written)


def slide_id_of(project: Path, name: str) -> str:
    """Return the id of the slide that is called ``name``.

    Raises
    ------
    CytoError
        When there is none, or there are several.
    """
    from napari_cyto.datasets.import_.relink import slide_named
    from napari_cyto.store import Project

    with Project.open(project) as opened:
        return slide_named(opened, name).id


def _report(written: WrittenReport) -> None:
    result = written.result
    slides = result.slides
    if len(slides) == 1:
        _report_slide(slides[0])
    else:
        heads = ("slide", "accepted", "unreviewed", "high grade predicted", "expected", "cells", "adequacy")
        print_table("Slides", heads, map(_row, slides))
    print(f"{result.notice}. {result.words}")
    print_facts([("out", written.out)])


def _report_slide(slide: SlideReport) -> None:
    accepted, predicted_grade = grade_words(slide)
    focus, obscured = survey_words(slide.survey)
    counts = [(c.class_id, c.accepted, c.corrected, c.proposed, c.rejected) for c in slide.counts]
    print_table(slide.name, ("class", "accepted", "of these corrected", "unreviewed", "rejected"), counts)
    print_facts(
        [
            ("highest grade", f"{accepted}; {predicted_grade}"),
            *(("score of the slide", f"{each.sentence} {each.out_of_date}".strip()) for each in slide.scores),
            ("high grade predicted", (slide.high_grade and risk_words(slide.high_grade)) or "-"),
            ("cell count", slide.adequacy.cellularity.sentence),
            ("focus", focus),
            ("obscured", obscured),
            ("viewed", looked_words(slide.looked_at)),
            ("unreviewed cells", slide.unreviewed.sentence),
        ]
    )


def _row(slide: SlideReport) -> tuple[object, ...]:
    accepted, predicted_grade = slide.highest_accepted, slide.highest_proposed
    return (
        slide.name,
        accepted.class_id if accepted else "-",
        predicted_grade.class_id if predicted_grade else "-",
        *predicted_words(slide.high_grade),
        slide.cells,
        slide.adequacy.cellularity.reached.value,
    )
