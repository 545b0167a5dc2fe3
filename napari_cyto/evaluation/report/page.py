"""The page: screening first, then the rest, the model's card and the limits; nothing is fetched, nothing runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_cyto.domain.counts import counted
from napari_cyto.domain.resources import resource_path
from napari_cyto.evaluation.evaluation_result import EvaluatedModel, ModelEvaluation
from napari_cyto.evaluation.report._classifier_sections import classifier_sections, screening_page
from napari_cyto.evaluation.report._detector_sections import INCOMPLETE, detection_page, detector_sections
from napari_cyto.evaluation.report.content import ReportCurves
from napari_cyto.evaluation.report.markup import Html, element, join
from napari_cyto.evaluation.report.parts import gallery, section
from napari_cyto.evaluation.report.tables import facts
from napari_cyto.evaluation.scores import ClassifierScores, DetectorScores
from napari_cyto.files.atomic import write_text
from napari_cyto.files.replacement import check_may_replace, replacing

PAGE_NAME, JSON_NAME = "index.html", "evaluation.json"

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

GALLERIES = {
    "classifier": (
        ("Worst errors", "Cells off by the most grades first, then those it was most certain of."),
        ("Most certain correct answers", "Class by class."),
    ),
    "detector": (
        ("Missed cells", "One per image, as far as there is room."),
        ("Most certain detections where no cell is annotated", "Many of these are cells that nobody annotated."),
    ),
}


def check_report_place(folder: Path, overwrite: bool) -> None:
    """Refuse, before any work is done, a folder whose files of these names are no report, or were changed since.

    Raises
    ------
    FormatError
        Saying what is there.
    """
    for name in (PAGE_NAME, JSON_NAME):
        check_may_replace(folder / name, overwrite)


def write_report(
    folder: Path, found: ModelEvaluation, curves: ReportCurves, overwrite: bool = False
) -> tuple[Path, Path]:
    """Write ``index.html`` and ``evaluation.json`` into a folder, which is made if it is not there.

    Parameters
    ----------
    folder : Path
        Where; files of these names are replaced if a report wrote them and nobody touched them since.
    found : ModelEvaluation
        What is told.
    curves : ReportCurves
        What the page draws besides.
    overwrite : bool
        Whether files that are no report may be replaced.

    Returns
    -------
    tuple of Path
        The page and the JSON file.

    Raises
    ------
    FormatError
        When the place cannot be written or the disk is full.
    """
    page, data = folder / PAGE_NAME, folder / JSON_NAME
    with replacing(data, overwrite), replacing(page, overwrite):
        plain = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(data, plain + "\n", last_wins=False)
        write_text(page, report_page(found, curves), last_wins=False)
    return page, data


def report_page(found: ModelEvaluation, curves: ReportCurves) -> str:
    """Return the whole page as text."""
    model, kind, scores = found.model, found.kind, found.scores
    body = [
        _header(found),
        _warnings(found.data.warnings),
        *(screening_page(scores) if isinstance(scores, ClassifierScores) else detection_page(scores.detection)),
        *_later_sections(scores, curves),
        *(
            gallery(*words, examples)
            for words, examples in zip(GALLERIES[kind], (curves.worst, curves.best), strict=True)
        ),
        _card(model),
        _limits(found),
    ]
    return document(f"{model.id}: evaluation", body)


def document(title: str, body: Iterable[object]) -> str:
    """Return a page with a title around what stands in it."""
    style = Html(resource_path("report", "report.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", title),
        element("style", style),
    )
    page = element("html", head, element("body", element("main", *body)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _header(found: ModelEvaluation) -> Html:
    model, data = found.model, found.data
    words = (
        f"{counted(data.cells, 'cell')} on {counted(data.slides, 'slide or image', 'slides or images')}, of "
        f"{counted(data.groups, 'independent patient, smear or image', 'independent patients, smears or images')}; "
        f"set: {data.side}. "
    )
    return element(
        "header",
        element("h1", model.id, element("small", f" {found.kind}, {model.architecture}")),
        element("p", words, element("span", "; ".join(data.sources), cls="sources"), cls="note"),
    )


def _warnings(sentences: Iterable[str]) -> Html | None:
    rows = [element("li", sentence) for sentence in sentences]
    return element("ul", *rows, cls="warnings") if rows else None


def _later_sections(scores: ClassifierScores | DetectorScores, curves: ReportCurves) -> Iterator[Html]:
    if isinstance(scores, ClassifierScores):
        yield from classifier_sections(scores, curves)
        return
    yield from detector_sections(scores.detection, curves)
    if scores.found_cells:
        words = "Classes of the found cells, evaluated like those of a classifier."
        yield section("Classes of found cells", element("p", words, cls="note"))
        yield from screening_page(scores.found_cells)
        yield from classifier_sections(scores.found_cells, curves)


def _card(model: EvaluatedModel) -> Html:
    card = model.card
    rows = (
        ("summary", card.get("summary")),
        ("intended use", card.get("intended_use")),
        ("limits", card.get("limits")),
        ("licence", card.get("licence")),
        ("attribution", card.get("attribution")),
        ("classes", ", ".join(model.classes)),
        ("scheme", model.scheme),
        ("µm per px of the input", model.mpp),
        ("made", f"{model.created_utc} by {model.made_by}"),
        ("weights", f"SHA-256 {model.sha256}"),
        ("parent", "; ".join(f"{p.id} ({p.added})" for p in model.parents)),
    )
    details = [
        element(
            "details", element("summary", name), element("pre", json.dumps(card[name], indent=1, ensure_ascii=False))
        )
        for name in ("data", "split", "recipe", "metrics")
        if card.get(name)
    ]
    return section("Model card", facts(rows), join(details))


def _limits(found: ModelEvaluation) -> Html:
    data, scores = found.data, found.scores
    is_bound = isinstance(scores, DetectorScores) and scores.detection.precision_is != "measured"
    says = [
        "Scores hold for cells like these: same preparation, stain, scanner and readers. The annotations are taken "
        "as the truth, and readers disagree.",
        *([INCOMPLETE] if is_bound else []),
        "Single cells were evaluated, not patients; the diagnosis of a smear rests on many cells.",
        *data.warnings,
        *data.remarks,
        f"Evaluated {data.evaluated_utc} with {data.made_by}; data fingerprint {data.fingerprint}.",
    ]
    return section("Limitations", element("ul", *(element("li", sentence) for sentence in says)))
