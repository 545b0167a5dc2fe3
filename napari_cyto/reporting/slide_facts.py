"""The result of a slide as a value: what the report's page and its JSON both tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_cyto.domain.adequacy import SOURCE, Cellularity, Preparation, obscured_words
from napari_cyto.domain.counts import counted
from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.json_values import JsonFields, to_plain
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.reporting.slide_score import ReportedScore, reported_scores
from napari_cyto.reporting.slide_summary import BestCell, Grade, SlideResult
from napari_cyto.reporting.stored_facts import KeptSurvey, SurveyFacts, preparation_of, survey_of
from napari_cyto.review.control_cells import (
    METHOD,
    Estimate,
    RankBand,
    control_cells,
    estimate_words,
    limit_of,
    stop_words,
)
from napari_cyto.review.query import ReviewQuery
from napari_cyto.review.slide_risk import ORDER, ORDER_SOURCE, SlideRisk
from napari_cyto.store import Project
from napari_cyto.vectors import SCORE_NOTICE

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
    SCORE_NOTICE,
    "Age, history, HPV result and earlier smears are not considered.",
)


@dataclass(frozen=True, slots=True)
class NamedCount(JsonFields):
    """How many cells of a class a person accepted, of these against the model, a model proposed, a person rejected."""

    class_id: str
    accepted: int
    corrected: int
    proposed: int
    rejected: int
    name: str


@dataclass(frozen=True, slots=True)
class AdequacyFacts:
    """How the cells compare with the Bethesda thresholds, and who said how the slide was prepared (nobody: empty)."""

    cellularity: Cellularity
    said_by: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, with its sentence."""
        found = self.cellularity
        return {
            "preparation": found.preparation.value if found.preparation else None,
            "said_by": self.said_by,
            "cells": found.cells,
            "reached": found.reached.value,
            "has_abnormal": found.has_abnormal,
            "sentence": found.sentence,
        }


@dataclass(frozen=True, slots=True)
class UnreviewedFacts:
    """What the control cells that were read say of the cells that were not.

    Parameters
    ----------
    estimate : Estimate
        At most how many abnormal cells are left.
    by_rank : tuple of RankBand
        Cells by their rank, the riskiest first.
    is_blind : bool
        Whether what the model had called is left out.
    """

    estimate: Estimate
    by_rank: tuple[RankBand, ...]
    is_blind: bool = False

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return f"{estimate_words(self.estimate, self.is_blind)} {stop_words(self.estimate)}".strip()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, with its sentence."""
        hidden = {"missed": None, "corrected": None} if self.is_blind else {}
        return self.estimate.to_json() | hidden | {"sentence": self.sentence, "by_rank": to_plain(self.by_rank)}


@dataclass(frozen=True, slots=True)
class LookedAt(JsonFields):
    """Which share of a slide was looked at.

    Parameters
    ----------
    magnification : float
        From which objective on a look counts.
    share : float
        By anyone, 0 to 1.
    of : str
        ``tissue``, or ``slide`` where it is not known where the tissue lies.
    by_person : mapping of str to float
        By each, 0 to 1.
    """

    magnification: float
    share: float
    of: str
    by_person: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideReport(JsonFields):
    """What is told of a slide.

    Parameters
    ----------
    id, name, smear, patient : str or None
        Which it is, and whose.
    interpretation : Interpretation or None
        What a person says of the slide as a whole.
    scores : tuple of ReportedScore
        What models of slides said of it, the newest first; none in a blind reading.
    progress : Progress
        How far its reading is.
    size_hw : tuple of int or None
        Level-0 px.
    mpp : float or None
        µm per level-0 px.
    is_blind : bool
        Whether what models say is left out.
    cells, proposed_cells : int
        How many cells are accepted or proposed, and how many of these only proposed.
    counts : tuple of NamedCount
        The most severe class first.
    highest_accepted, highest_proposed : Grade or None
        The highest grade that a person accepted, and that a model only proposed.
    best_cells : tuple of BestCell
        Of these grades.
    high_grade : SlideRisk or None
        What models predict beyond their errors.
    adequacy : AdequacyFacts
        Whether there are enough cells.
    survey : SurveyFacts or None
        Focus and obscured area; None before they were measured.
    unreviewed : UnreviewedFacts
        What is known of cells that nobody read.
    looked_at : LookedAt or None
        Which share was looked at; None where the size of the slide is not known.
    origins : mapping of str to int
        How many cells came from where.
    """

    id: str
    name: str
    smear: str | None
    patient: str | None
    interpretation: Interpretation | None
    scores: tuple[ReportedScore, ...]
    progress: Progress
    size_hw: tuple[int, int] | None
    mpp: float | None
    is_blind: bool
    cells: int
    proposed_cells: int
    counts: tuple[NamedCount, ...]
    highest_accepted: Grade | None
    highest_proposed: Grade | None
    best_cells: tuple[BestCell, ...]
    high_grade: SlideRisk | None
    adequacy: AdequacyFacts
    survey: SurveyFacts | None
    unreviewed: UnreviewedFacts
    looked_at: LookedAt | None
    origins: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Methods:
    """How each figure comes about, and from where."""

    order: str = ORDER
    order_source: str = ORDER_SOURCE
    adequacy_source: str = SOURCE
    unreviewed: str = METHOD
    focus: str = FOCUS_METHOD
    obscured: str = OBSCURED_METHOD
    looked_at: str = LOOKED_METHOD

    def to_json(self) -> dict[str, Any]:
        """Return them by the figure that they are of."""
        return {
            "high_grade": {"order": self.order, "source": self.order_source},
            "adequacy": {"source": self.adequacy_source},
            "unreviewed": self.unreviewed,
            "focus": self.focus,
            "obscured": self.obscured,
            "looked_at": self.looked_at,
        }


@dataclass(frozen=True, slots=True)
class ReportedProject(JsonFields):
    """Of which project a report is: its name, its class scheme and the ids of the classes."""

    name: str
    scheme: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(JsonFields):
    """A report on slides, whether as a page or as JSON.

    Parameters
    ----------
    kind : str
        ``result``.
    notice, words : str
        That it is no diagnosis, and what it is.
    made_by, made_utc : str
        By which version, and when, in ISO 8601.
    project : ReportedProject
        Of which project.
    magnification : float
        From which objective on a look counts.
    slides : tuple of SlideReport
        The most urgent first.
    methods : Methods
        How the figures come about.
    cannot_say : tuple of str
        What it does not cover.
    """

    kind: str
    notice: str
    words: str
    made_by: str
    made_utc: str
    project: ReportedProject
    magnification: float
    slides: tuple[SlideReport, ...]
    methods: Methods = Methods()
    cannot_say: tuple[str, ...] = CANNOT_SAY


def slide_facts(
    project: Project,
    record: SlideRecord,
    result: SlideResult,
    magnification: float,
    preparation: Preparation | None = None,
    limit: float | None = None,
) -> SlideReport:
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
    return SlideReport(
        id=record.id,
        name=record.name,
        smear=record.smear,
        patient=record.patient,
        interpretation=record.interpretation,
        scores=() if result.is_blind else reported_scores(project, record),
        progress=record.progress,
        size_hw=record.size_hw,
        mpp=record.mpp,
        is_blind=result.is_blind,
        cells=result.cells,
        proposed_cells=result.proposed_cells,
        counts=tuple(
            NamedCount(c.class_id, c.accepted, c.corrected, c.proposed, c.rejected, scheme[c.class_id].name)
            for c in result.counts
        ),
        highest_accepted=result.accepted,
        highest_proposed=result.proposed,
        best_cells=result.best,
        high_grade=None if result.is_blind else result.risk,
        adequacy=AdequacyFacts(cells, by),
        survey=None if survey is None else survey.facts,
        unreviewed=unreviewed(project, record.id, limit, result.is_blind),
        looked_at=looked_at(project, record, magnification, survey),
        origins={} if result.is_blind else result.origins,
    )


def unreviewed(project: Project, slide_id: str, limit: float | None = None, is_blind: bool = False) -> UnreviewedFacts:
    """Return what the control cells of a slide that were read say of its cells that were not."""
    followed = control_cells(project, ReviewQuery(slide_ids=(slide_id,)))
    found = followed.estimate(limit=limit_of(project) if limit is None else limit)
    return UnreviewedFacts(found, followed.bands(), is_blind)


def looked_at(
    project: Project, record: SlideRecord, magnification: float, survey: KeptSurvey | None
) -> LookedAt | None:
    """Return which share of a slide was looked at by whom; None where its size is not known."""
    if record.size_hw is None:
        return None
    by_person = project.coverage(record.id, record.size_hw)
    tissue = None if survey is None else survey.tissue
    together = Coverage(record.size_hw)
    for seen in by_person.values():
        together = together.merged(seen)
    return LookedAt(
        magnification=magnification,
        share=round(together.share(magnification, tissue), 4),
        of="tissue" if tissue is not None and tissue.any() else "slide",
        by_person={name: round(seen.share(magnification, tissue), 4) for name, seen in sorted(by_person.items())},
    )


def survey_words(found: SurveyFacts | None) -> tuple[str, str]:
    """Return what the spot checks say of focus, and of what is obscured."""
    if found is None:
        return ("Not measured.", "Not measured.")
    if found.out_of_focus is None or found.out_of_focus_interval is None or found.obscured is None:
        return ("No stained area to measure.", "No stained area to measure.")
    low, high = (100 * end for end in found.out_of_focus_interval)
    focus = (
        f"{100 * found.out_of_focus:.0f} % of {found.judged} tiles out of focus "
        f"({low:.0f} to {high:.0f} %); median sharpness {found.focus:.2f}."
    )
    return (focus, f"{100 * found.obscured:.0f} % of the stained area ({obscured_words(found.obscured)}).")


def grade_words(slide: SlideReport) -> tuple[str, str]:
    """Return what is told of the highest grade: that a person accepted, and that is only proposed."""
    accepted, proposed = slide.highest_accepted, slide.highest_proposed
    words = "None accepted" if accepted is None else f"{accepted.class_id}: {counted(accepted.cells, 'cell')} accepted"
    if slide.is_blind:
        return (words, "Predictions hidden in a blind reading")
    if proposed is None:
        return (words, "None predicted")
    best = "" if proposed.score is None else f", best score {proposed.score:.2f}"
    return (words, f"{proposed.class_id}: {counted(proposed.cells, 'cell')} predicted{best}")


def looked_words(looked: LookedAt | None) -> str:
    """Return which share was looked at, as a sentence."""
    if looked is None:
        return "The size of this slide is not known."
    words = f"{100 * looked.share:.0f} % of the {looked.of} at {looked.magnification:g}x or more"
    people = looked.by_person
    if len(people) > 1:
        words += " (" + ", ".join(f"{name} {100 * share:.0f} %" for name, share in people.items()) + ")"
    return words + "."
