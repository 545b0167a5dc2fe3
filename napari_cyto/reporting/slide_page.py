"""The report on the result of slides: one page that fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_cyto.evaluation.report import Example
from napari_cyto.evaluation.report.content import image_uri
from napari_cyto.evaluation.report.markup import Html, element, join, percent, shown
from napari_cyto.evaluation.report.page import document
from napari_cyto.evaluation.report.parts import gallery, section, tile
from napari_cyto.evaluation.report.tables import facts, table
from napari_cyto.reporting.images import MAP_PX, RGB
from napari_cyto.reporting.slide_facts import grade_words, looked_words, survey_words
from napari_cyto.reporting.slide_summary import DECISION_SUPPORT

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class SlideImages:
    """Pictures of one slide: its best cells, and the slide itself (uint8 RGB (h, w, 3)) with what was looked at."""

    best: tuple[Example, ...] = ()
    overview: RGB | None = None


def result_page(told: Plain, slides: Sequence[Html]) -> str:
    """Return the whole page as text.

    Parameters
    ----------
    told : mapping
        What `result_job.write_result` puts into the JSON.
    slides : sequence of Html
        What `slide_part` made of each slide.
    """
    many = len(told["slides"]) != 1
    name = told["project"]["name"] if many else told["slides"][0]["name"]
    body = [
        element(
            "header",
            element("h1", name, element("small", " project report" if many else " slide report")),
            element("p", f"Project {told['project']['name']}; {told['made_utc']}, {told['made_by']}.", cls="note"),
        ),
        element("p", element("b", f"{DECISION_SUPPORT}."), " ", told["words"], cls="warnings"),
        _overview(told) if many else None,
        *slides,
        _methods(told),
        section("Limitations", element("ul", *(element("li", words) for words in told["cannot_say"]))),
    ]
    return document(f"{name}: report", body)


def _overview(told: Plain) -> Html:
    columns = (
        "slide",
        "accepted",
        "predicted",
        "high grade predicted",
        "expected",
        "cells",
        "adequacy",
        "obscured",
        "viewed",
    )
    return section(f"{len(told['slides']):,} slides", table(columns, (_row(slide) for slide in told["slides"])))


def _row(slide: Plain) -> list[object]:
    accepted, proposed, survey, looked = (
        slide[name] for name in ("highest_accepted", "highest_proposed", "survey", "looked_at")
    )
    return [
        slide["name"],
        accepted["class_id"] if accepted else "–",
        proposed["class_id"] if proposed else "–",
        *predicted_words(slide),
        shown(slide["cells"]),
        slide["adequacy"]["reached"],
        percent(survey["obscured"], 0) if survey else "–",
        percent(looked["share"], 0) if looked else "–",
    ]


def predicted_words(slide: Plain) -> tuple[str, str]:
    """Return how many unreviewed cells are predicted as high grade, and how many are expected of a negative slide."""
    told = slide["high_grade"]
    if told is None or not told["of"]:
        return "–", "–"
    if told["expected"] is None:
        return shown(told["predicted"]), "not known"
    low, high = told["expected_range"]
    return f"{told['predicted']:,}{' (excess)' if told['is_excess'] else ''}", f"{low:,.0f} to {high:,.0f}"


def _excess_tile(told: Plain | None) -> Html:
    if told is None or not told["of"]:
        return tile("High grade predicted", None, "–", "no prediction")
    if told["expected"] is None:
        return tile("High grade predicted", None, shown(told["predicted"]), "unreviewed; expected number unknown")
    low, high = told["expected_range"]
    note = f"unreviewed; {low:,.0f} to {high:,.0f} expected on a negative slide"
    return tile("High grade predicted", None, shown(told["predicted"]), note)


def slide_part(slide: Plain, pictures: SlideImages, many: bool) -> Html:
    """Return what the page tells of one slide; under its own name where there are many."""
    parts = [element("h2", slide["name"])] if many else []
    return join([*parts, *_slide_body(slide, pictures)])


def _slide_body(slide: Plain, pictures: SlideImages) -> Iterator[Html | None]:
    accepted, proposed = grade_words(slide)
    looked, adequacy = slide["looked_at"], slide["adequacy"]
    yield element("p", f"Highest grade: {accepted}. {proposed}.", cls="verdict")
    yield element(
        "div",
        _excess_tile(slide["high_grade"]),
        tile("Cells", None, shown(slide["cells"]), f"{slide['proposed_cells']:,} predicted only"),
        tile("Cell count", None, adequacy["reached"], _adequacy_note(adequacy)),
        tile("Viewed", None, *(_looked_tile(looked))),
        cls="tiles",
    )
    yield gallery("Best cells of the highest grade", "Accepted cells first, then predictions.", pictures.best)
    yield section("Cells", _counts(slide))
    focus, obscured = survey_words(slide["survey"])
    rows = (
        ("High grade predicted", (slide["high_grade"] or {}).get("sentence")),
        ("Cell count", adequacy["sentence"]),
        (
            "Preparation",
            (f"{adequacy['preparation']} (specified by {adequacy['said_by'] or 'the author of this report'})"),
        )
        if adequacy["preparation"]
        else ("Preparation", "not specified"),
        ("Focus", focus),
        ("Obscured", obscured),
        ("Viewed", looked_words(looked)),
        ("Unreviewed cells", slide["unreviewed"]["sentence"]),
        ("Smear", slide["smear"]),
        ("Patient", slide["patient"]),
        ("µm per pixel", slide["mpp"]),
        ("Origin of cells", "; ".join(f"{origin} ({n:,})" for origin, n in slide["origins"].items())),
    )
    yield section("Quality and reading", facts(rows), _map(pictures.overview))


def _adequacy_note(adequacy: Plain) -> str:
    if adequacy["has_abnormal"]:
        return "satisfactory because of abnormal cells"
    return adequacy["preparation"] or "–"


def _looked_tile(looked: Plain | None) -> tuple[str, str]:
    if looked is None:
        return ("–", "")
    return (percent(looked["share"], 0), f"of the {looked['of']}, {looked['magnification']:g}x or more")


def _counts(slide: Plain) -> Html:
    blind = slide["is_blind"]
    columns = ("class", "accepted", *(() if blind else ("corrected", "predicted")), "rejected")
    rows = [
        (
            c["name"] if c["class_id"] in c["name"] else f"{c['class_id']} ({c['name']})",
            shown(c["accepted"]),
            *(() if blind else (shown(c["corrected"]), shown(c["proposed"]))),
            shown(c["rejected"]),
        )
        for c in slide["counts"]
    ]
    words = f"Blind reading: {slide['proposed_cells']:,} unreviewed predictions; their classes and scores are left out."
    return join((table(columns, rows), element("p", words, cls="note") if blind else None))


def _map(overview: RGB | None) -> Html | None:
    if overview is None:
        return None
    image = Html(f'<img src="{image_uri(overview, MAP_PX)}" alt="The slide; green: viewed">')
    return element("figure", image, element("figcaption", "Green: viewed.", cls="note"))


def _methods(told: Plain) -> Html:
    methods = told["methods"]
    rows = (
        ("Order and excess", f"{methods['high_grade']['order']} {methods['high_grade']['source']}"),
        ("Cell count", f"Thresholds: {methods['adequacy']['source']}."),
        ("Focus", methods["focus"]),
        ("Obscured", methods["obscured"]),
        ("Viewed", methods["looked_at"]),
        ("Unreviewed cells", methods["unreviewed"]),
    )
    return section("Methods", facts(rows))
