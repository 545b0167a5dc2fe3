"""The report on the result of slides: one page that fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_cyto.evaluation.report import Example
from napari_cyto.evaluation.report.content import image_uri
from napari_cyto.evaluation.report.markup import Html, element, join, percent, shown
from napari_cyto.evaluation.report.page import document
from napari_cyto.evaluation.report.parts import gallery, section, tile
from napari_cyto.evaluation.report.tables import facts, table
from napari_cyto.reporting.images import MAP_PX, RGB
from napari_cyto.reporting.slide_facts import (
    AdequacyFacts,
    LookedAt,
    Methods,
    Report,
    SlideReport,
    grade_words,
    looked_words,
    survey_words,
)
from napari_cyto.reporting.slide_summary import DECISION_SUPPORT
from napari_cyto.review.slide_risk import SlideRisk, risk_words
from napari_cyto.vectors import SCORE_NOTICE


@dataclass(frozen=True)
class SlideImages:
    """Pictures of one slide: its best cells, the slide itself (uint8 RGB (h, w, 3)) with what was looked at, and what
    its score rests on most.
    """

    best: tuple[Example, ...] = ()
    overview: RGB | None = None
    attended: tuple[Example, ...] = ()


def result_page(report: Report, slides: Sequence[Html]) -> str:
    """Return the whole page as text.

    Parameters
    ----------
    report : Report
        What the JSON holds.
    slides : sequence of Html
        What `slide_part` made of each slide.
    """
    many = len(report.slides) != 1
    name = report.project.name if many else report.slides[0].name
    body = [
        element(
            "header",
            element("h1", name, element("small", " project report" if many else " slide report")),
            element("p", f"Project {report.project.name}; {report.made_utc}, {report.made_by}.", cls="note"),
        ),
        element("p", element("b", f"{DECISION_SUPPORT}."), " ", report.words, cls="warnings"),
        _overview(report) if many else None,
        *slides,
        _methods(report.methods),
        section("Limitations", element("ul", *(element("li", words) for words in report.cannot_say))),
    ]
    return document(f"{name}: report", body)


def _overview(report: Report) -> Html:
    columns = (
        "slide",
        "interpretation",
        "score",
        "accepted",
        "predicted",
        "high grade predicted",
        "expected",
        "cells",
        "adequacy",
        "obscured",
        "viewed",
    )
    return section(f"{len(report.slides):,} slides", table(columns, (_row(slide) for slide in report.slides)))


def _row(slide: SlideReport) -> list[object]:
    accepted, proposed = slide.highest_accepted, slide.highest_proposed
    return [
        slide.name,
        slide.interpretation.category if slide.interpretation else "–",
        _score_cell(slide),
        accepted.class_id if accepted else "–",
        proposed.class_id if proposed else "–",
        *predicted_words(slide.high_grade),
        shown(slide.cells),
        slide.adequacy.cellularity.reached.value,
        percent(slide.survey.obscured, 0) if slide.survey else "–",
        percent(slide.looked_at.share, 0) if slide.looked_at else "–",
    ]


def _score_cell(slide: SlideReport) -> str:
    if not slide.scores:
        return "–"
    newest = slide.scores[0]
    return f"{newest.score.score:.2f}{' (out of date)' if newest.changes else ''}"


def predicted_words(risk: SlideRisk | None) -> tuple[str, str]:
    """Return how many unreviewed cells are predicted as high grade, and how many are expected of a negative slide."""
    if risk is None or not risk.of:
        return "–", "–"
    expected = risk.expected
    if expected is None:
        return shown(risk.predicted), "not known"
    words = f"{risk.predicted:,}{' (excess)' if risk.is_excess else ''}"
    return words, f"{expected.low:,.0f} to {expected.high:,.0f}"


def _excess_tile(risk: SlideRisk | None) -> Html:
    if risk is None or not risk.of:
        return tile("High grade predicted", None, "–", "no prediction")
    expected = risk.expected
    if expected is None:
        return tile("High grade predicted", None, shown(risk.predicted), "unreviewed; expected number unknown")
    note = f"unreviewed; {expected.low:,.0f} to {expected.high:,.0f} expected on a negative slide"
    return tile("High grade predicted", None, shown(risk.predicted), note)


def slide_part(slide: SlideReport, all_images: SlideImages, many: bool) -> Html:
    """Return what the page tells of one slide; under its own name where there are many."""
    parts = [element("h2", slide.name)] if many else []
    return join([*parts, *_slide_body(slide, all_images)])


def _slide_body(slide: SlideReport, all_images: SlideImages) -> Iterator[Html | None]:
    accepted, proposed = grade_words(slide)
    looked, adequacy = slide.looked_at, slide.adequacy
    preparation = adequacy.cellularity.preparation
    said = slide.interpretation
    words = (
        "not specified" if said is None else f"{said.name}: {said.words}" if said.name != said.category else said.words
    )
    yield element("p", f"Interpretation of the slide: {words}.", cls="verdict")
    yield element("p", f"Highest grade: {accepted}. {proposed}.", cls="verdict")
    for reported in slide.scores[:1]:
        yield element("p", f"Score of the slide: {reported.sentence}", cls="verdict")
        yield element("p", reported.out_of_date, cls="warnings") if reported.changes else None
        yield element("p", SCORE_NOTICE, cls="note")
    yield element(
        "div",
        _excess_tile(slide.high_grade),
        tile("Cells", None, shown(slide.cells), f"{slide.proposed_cells:,} predicted only"),
        tile("Cell count", None, adequacy.cellularity.reached.value, _adequacy_note(adequacy)),
        tile("Viewed", None, *(_looked_tile(looked))),
        cls="tiles",
    )
    yield gallery("Best cells of the highest grade", "Accepted cells first, then predictions.", all_images.best)
    yield gallery("What the score rests on", "What the model of slides looked at most.", all_images.attended)
    yield section("Cells", _counts(slide))
    focus, obscured = survey_words(slide.survey)
    rows = (
        ("High grade predicted", risk_words(slide.high_grade) if slide.high_grade else None),
        ("Cell count", adequacy.cellularity.sentence),
        (
            "Preparation",
            (f"{preparation.value} (specified by {adequacy.said_by or 'the author of this report'})"),
        )
        if preparation
        else ("Preparation", "not specified"),
        ("Focus", focus),
        ("Obscured", obscured),
        ("Viewed", looked_words(looked)),
        ("Unreviewed cells", slide.unreviewed.sentence),
        *(("Earlier score", f"{each.sentence} {each.out_of_date}".strip()) for each in slide.scores[1:]),
        ("Smear", slide.smear),
        ("Patient", slide.patient),
        ("µm per pixel", slide.mpp),
        ("Origin of cells", "; ".join(f"{origin} ({n:,})" for origin, n in slide.origins.items())),
    )
    yield section("Quality and reading", facts(rows), _map(all_images.overview))


def _adequacy_note(adequacy: AdequacyFacts) -> str:
    found = adequacy.cellularity
    if found.has_abnormal:
        return "satisfactory because of abnormal cells"
    return found.preparation.value if found.preparation else "–"


def _looked_tile(looked: LookedAt | None) -> tuple[str, str]:
    if looked is None:
        return ("–", "")
    return (percent(looked.share, 0), f"of the {looked.of}, {looked.magnification:g}x or more")


def _counts(slide: SlideReport) -> Html:
    blind = slide.is_blind
    columns = ("class", "accepted", *(() if blind else ("corrected", "predicted")), "rejected")
    rows = [
        (
            c.name if c.class_id in c.name else f"{c.class_id} ({c.name})",
            shown(c.accepted),
            *(() if blind else (shown(c.corrected), shown(c.proposed))),
            shown(c.rejected),
        )
        for c in slide.counts
    ]
    words = f"Blind reading: {slide.proposed_cells:,} unreviewed predictions; their classes and scores are left out."
    return join((table(columns, rows), element("p", words, cls="note") if blind else None))


def _map(overview: RGB | None) -> Html | None:
    if overview is None:
        return None
    image = Html(f'<img src="{image_uri(overview, MAP_PX)}" alt="The slide; green: viewed">')
    return element("figure", image, element("figcaption", "Green: viewed.", cls="note"))


def _methods(methods: Methods) -> Html:
    rows = (
        ("Order and excess", f"{methods.order} {methods.order_source}"),
        ("Cell count", f"Thresholds: {methods.adequacy_source}."),
        ("Focus", methods.focus),
        ("Obscured", methods.obscured),
        ("Viewed", methods.looked_at),
        ("Unreviewed cells", methods.unreviewed),
    )
    return section("Methods", facts(rows))
