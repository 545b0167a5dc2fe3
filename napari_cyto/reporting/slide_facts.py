"""The result of a slide as plain values: what the report's page and its JSON both tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from napari_cyto.domain.adequacy import SOURCE, Preparation, obscured_words
from napari_cyto.domain.counts import counted
from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.reporting.slide_summary import SlideResult
from napari_cyto.reporting.stored_facts import preparation_of, survey_of, tissue_of
from napari_cyto.review.control_cells import METHOD, control_cells, estimate_words, limit_of, stop_words
from napari_cyto.review.query import ReviewQuery
from napari_cyto.review.slide_risk import ORDER, ORDER_SOURCE
from napari_cyto.store import Project

Plain = dict[str, Any]

FOCUS_METHOD = (
    "Tiles of 128 µm on a regular grid over the tissue, at 0.5 µm per pixel. Out of focus: the variance of the "
    "Laplacian at 0.5 µm is less than 0.30 of that at 1 µm, each normalised for its scale (Pech-Pacheco et al., ICPR "
    "2000; Lindeberg, IJCV 30, 1998)."
)
OBSCURED_METHOD = (
    "Share of the stained area where dark pixels (optical density over 0.35) fill 30 % or more of their "
    "surroundings: inflammation, blood, thick groups. Thresholds were set by eye on fields of conventional "
    "smears."
)
LOOKED_METHOD = (
    "An area counts as viewed when it was on screen for at least 0.25 s at this magnification or more (40x: "
    "0.25 µm per screen pixel). Being on screen is not the same as being read."
)
CANNOT_SAY = (
    (
        "This covers only what was annotated or predicted. Cells that no person annotated and no model found are "
        "missing, and some predictions are wrong."
    ),
    (
        "Only the classes of this project are counted: a glandular lesion, organism or reactive change that is "
        "not among them is not reported. That none is reported does not mean that there is none."
    ),
    (
        "Cells of any kind and condition are counted. Whether they are squamous, well preserved and well "
        "visualized, and whether the transformation zone was sampled, is for you to assess."
    ),
    (
        "The obscured area is estimated from colour: it does not distinguish blood, inflammation and thick "
        "groups of epithelial cells, and a crowded dark group may be the one that matters."
    ),
    (
        "The excess orders slides for reading; it is not a probability of disease. A slide with a few high-grade "
        "cells may have no excess: no more predicted than expected does not mean none."
    ),
    "Age, history, HPV result and earlier smears are not considered.",
)


def slide_facts(
    project: Project,
    record: SlideRecord,
    result: SlideResult,
    magnification: float,
    preparation: Preparation | None = None,
    limit: float | None = None,
) -> Plain:
    """Return what is told of a slide.

    Parameters
    ----------
    project : Project
        Where it is.
    record : SlideRecord
        The slide.
    result : SlideResult
        What its marks come to.
    magnification : float
        From which objective on a look counts.
    preparation : Preparation, optional
        How it was prepared, where nobody said so in the project.
    limit : float, optional
        Share of abnormal cells among the unreviewed, 0 to 1, under which one may stop; that of the project without it.
    """
    said, by = preparation_of(project, record.id)
    cells = result.cellularity(said or preparation)
    survey = survey_of(project, record.id)
    scheme = project.scheme
    return {
        "id": record.id,
        "name": record.name,
        "smear": record.smear,
        "patient": record.patient,
        "progress": record.progress.value,
        "size_hw": list(record.size_hw) if record.size_hw else None,
        "mpp": record.mpp,
        "is_blind": result.is_blind,
        "cells": result.cells,
        "proposed_cells": result.proposed_cells,
        "counts": [asdict(count) | {"name": scheme[count.class_id].name} for count in result.counts],
        "highest_accepted": None if result.accepted is None else asdict(result.accepted),
        "highest_proposed": None if result.proposed is None else asdict(result.proposed),
        "best_cells": [asdict(cell) for cell in result.best],
        "high_grade": None if result.risk is None or result.is_blind else result.risk.as_dict(),
        "adequacy": {
            "preparation": cells.preparation.value if cells.preparation else None,
            "said_by": by,
            "cells": cells.cells,
            "reached": cells.reached.value,
            "has_abnormal": cells.has_abnormal,
            "sentence": cells.sentence,
        },
        "survey": None if survey is None else {k: v for k, v in survey.items() if k not in ("tissue", "form")},
        "unreviewed": unreviewed(project, record.id, limit, result.is_blind),
        "looked_at": looked_at(project, record, magnification, survey),
        "origins": result.origins if not result.is_blind else {},
    }


def unreviewed(project: Project, slide_id: str, limit: float | None = None, is_blind: bool = False) -> Plain:
    """Return what the control cells of a slide that were read say of its cells that were not."""
    followed = control_cells(project, ReviewQuery(slide_ids=(slide_id,)))
    found = followed.estimate(limit=limit_of(project) if limit is None else limit)
    hidden = {"missed": None, "corrected": None} if is_blind else {}
    return (
        found.as_dict()
        | hidden
        | {
            "sentence": f"{estimate_words(found, is_blind)} {stop_words(found)}".strip(),
            "by_rank": followed.bands(),
        }
    )


def looked_at(
    project: Project, record: SlideRecord, magnification: float, survey: Mapping[str, Any] | None
) -> Plain | None:
    """Return which share of a slide was looked at by whom; None where its size is not known."""
    if record.size_hw is None:
        return None
    by_person = project.coverage(record.id, record.size_hw)
    tissue = tissue_of(survey)
    together = Coverage(record.size_hw)
    for seen in by_person.values():
        together = together.merged(seen)
    return {
        "magnification": magnification,
        "share": round(together.share(magnification, tissue), 4),
        "of": "tissue" if tissue is not None and tissue.any() else "slide",
        "by_person": {name: round(seen.share(magnification, tissue), 4) for name, seen in sorted(by_person.items())},
    }


def methods() -> Plain:
    """Return how each figure comes about, and from where."""
    return {
        "high_grade": {"order": ORDER, "source": ORDER_SOURCE},
        "adequacy": {"source": SOURCE},
        "unreviewed": METHOD,
        "focus": FOCUS_METHOD,
        "obscured": OBSCURED_METHOD,
        "looked_at": LOOKED_METHOD,
    }


def survey_words(told: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return what the spot checks say of focus, and of what is obscured."""
    if told is None:
        return ("Not measured.", "Not measured.")
    if told["out_of_focus"] is None:
        return ("No stained area to measure.", "No stained area to measure.")
    low, high = (100 * end for end in told["out_of_focus_interval"])
    focus = (
        f"{100 * told['out_of_focus']:.0f} % of {told['judged']} tiles out of focus "
        f"({low:.0f} to {high:.0f} %); median sharpness {told['focus']:.2f}."
    )
    share = told["obscured"]
    return (focus, f"{100 * share:.0f} % of the stained area ({obscured_words(share)}).")


def grade_words(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is told of the highest grade: that a person accepted, and that is only proposed."""
    accepted, proposed = facts["highest_accepted"], facts["highest_proposed"]
    words = (
        "None accepted"
        if accepted is None
        else f"{accepted['class_id']}: {counted(accepted['cells'], 'cell')} accepted"
    )
    if facts["is_blind"]:
        return (words, "Predictions hidden in a blind reading")
    if proposed is None:
        return (words, "None predicted")
    best = "" if proposed["score"] is None else f", best score {proposed['score']:.2f}"
    return (words, f"{proposed['class_id']}: {counted(proposed['cells'], 'cell')} predicted{best}")


def looked_words(looked: Mapping[str, Any] | None) -> str:
    """Return which share was looked at, as a sentence."""
    if looked is None:
        return "The size of this slide is not known."
    words = f"{100 * looked['share']:.0f} % of the {looked['of']} at {looked['magnification']:g}x or more"
    people = looked["by_person"]
    if len(people) > 1:
        words += " (" + ", ".join(f"{name} {100 * share:.0f} %" for name, share in people.items()) + ")"
    return words + "."
