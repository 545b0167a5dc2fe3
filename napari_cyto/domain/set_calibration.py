"""From labelled cells with a model's probabilities to thresholds for prediction sets, or a refusal with numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto import __version__
from napari_cyto.domain.high_grade import Graded, high_grade_of
from napari_cyto.domain.prediction_sets import (
    CalibratedScanner,
    ClassThreshold,
    HighGradeRule,
    Lab,
    PredictionSets,
    Shares,
    SlideLook,
    colour_distance,
    high_grade_share,
)
from napari_cyto.domain.quantities import MissRate
from napari_cyto.domain.statistics.conformal import controlled_threshold, fewest_groups, lowest_rate
from napari_cyto.errors import CytoError

MUST_FIND = ("HSIL", "SCC")
"""Cells that must not be left without any high-grade class; in schemes without these, all high-grade ones."""


class SetRates(BaseModel):
    """How much may be missed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: MissRate = Field(
        default=0.1,
        title="Missed per class",
        description="Share of each class's cells whose set may lack it, on average over new patients or images.",
    )
    high_grade_alpha: MissRate = Field(
        default=0.1,
        title="Missed high grade",
        description="Share of HSIL and SCC cells whose set may lack every high-grade class.",
    )


@dataclass(frozen=True, eq=False)
class LabelledShares:
    """Labelled cells with a model's probabilities.

    Parameters
    ----------
    classes : sequence of Graded (k,)
        In the order of the columns.
    shares : ndarray, float64, (n, k)
        Probabilities; each row with sum 1.
    truth : ndarray, int, (n,)
        The place of each cell's true class.
    groups : sequence of str (n,)
        Whom each cell is of: patient, smear or image.
    slides : sequence of str (n,)
        The slide that each cell lies on.
    looks : mapping of slide to SlideLook
        How slides were imaged.
    unit : str
        What the groups are.
    """

    classes: Sequence[Graded]
    shares: Shares
    truth: npt.NDArray[np.intp]
    groups: Sequence[str]
    slides: Sequence[str]
    looks: Mapping[str, SlideLook]
    unit: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """Prediction sets, where they are kept, and what to know of them.

    Parameters
    ----------
    kept_in : str
        The folder of a bundle, or a project.
    sets : PredictionSets
        The thresholds.
    remarks : tuple of str
        What was left out, a sentence each.
    """

    kept_in: str
    sets: PredictionSets
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        sets = self.sets.model_dump(mode="json")
        return {"kept_in": self.kept_in, "prediction_sets": sets, "remarks": list(self.remarks)}


class OfSomebody(Protocol):
    """What must be known of a slide: a slide of a project and one of training data both tell it."""

    @property
    def patient(self) -> str:
        """Whose it is; empty where unknown."""
        ...

    @property
    def smear(self) -> str:
        """Which smear it is of; empty where unknown."""
        ...


def unit_of(slides: Iterable[OfSomebody], otherwise: str) -> str:
    """Return what the groups of slides are, in words: patients, else smears, else what they are called."""
    kinds = {"patients" if slide.patient else "smears" if slide.smear else otherwise for slide in slides}
    return " or ".join(kind for kind in ("patients", "smears", otherwise) if kind in kinds) or otherwise


def calibrated(cells: LabelledShares, rates: SetRates, model: tuple[str, str], data_fingerprint: str) -> PredictionSets:
    """Return thresholds that keep the rates on new groups.

    Parameters
    ----------
    cells : LabelledShares
        That the model was not trained on.
    rates : SetRates
        How much may be missed.
    model : (str, str)
        Its id and the SHA-256 of its weights.
    data_fingerprint : str
        Of the cells.

    Raises
    ------
    CytoError
        When a rate cannot be reached with the groups that there are: every class that lacks groups is named with how
        many it needs.
    """
    ids = tuple(c.id for c in cells.classes)
    groups = np.asarray(cells.groups)
    high = tuple(c for c in ids if c in high_grade_of(cells.classes))
    must_find = tuple(c for c in high if c in MUST_FIND) or high
    is_found = np.isin(cells.truth, [ids.index(c) for c in must_find])
    parts = {class_id: cells.truth == place for place, class_id in enumerate(ids)}
    _refuse_unreachable(parts, is_found if must_find else None, must_find, groups, rates, cells.unit)
    rows = []
    for place, (class_id, mine) in enumerate(parts.items()):
        threshold = controlled_threshold(cells.shares[mine, place], groups[mine], rates.alpha)
        rows.append(
            ClassThreshold(
                id=class_id, threshold=_as_share(threshold), groups=_count(groups[mine]), cells=int(mine.sum())
            )
        )
    rule = None
    if must_find:
        of_high = high_grade_share(cells.shares[is_found][:, [ids.index(c) for c in high]])
        rule = HighGradeRule(
            classes=high,
            must_find=must_find,
            alpha=rates.high_grade_alpha,
            threshold=_as_share(controlled_threshold(of_high, groups[is_found], rates.high_grade_alpha)),
            groups=_count(groups[is_found]),
            cells=int(is_found.sum()),
        )
    return PredictionSets(
        alpha=rates.alpha,
        unit=cells.unit,
        groups=_count(groups),
        cells=len(groups),
        classes=tuple(rows),
        high_grade=rule,
        scanners=scanners_of(cells),
        data_fingerprint=data_fingerprint,
        model=model[0],
        model_sha256=model[1],
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"napari-cyto {__version__}",
    )


def scanners_of(cells: LabelledShares) -> tuple[CalibratedScanner, ...]:
    """Return the scanners of the cells' slides with their colours, the commonest first.

    Raises
    ------
    CytoError
        When of no slide it is known how it was imaged.
    """
    group_of = dict(zip(cells.slides, cells.groups, strict=True))
    by_scanner: dict[str, list[str]] = {}
    for slide in group_of:
        look = cells.looks.get(slide)
        if look is not None and look.colour_lab is not None:
            by_scanner.setdefault(look.scanner, []).append(slide)
    if not by_scanner:
        raise CytoError("Expected slides of whose stained parts the colour can be measured, got none.")
    found = []
    for scanner, slides in by_scanner.items():
        colours = np.array([cells.looks[slide].colour_lab for slide in slides])
        mean: Lab = tuple(np.round(colours.mean(axis=0), 3).tolist())
        reach = max(colour_distance(tuple(colour), mean) for colour in colours.tolist())
        groups = len({group_of[slide] for slide in slides})
        # Rounded up, so that the farthest slide of the calibration is inside.
        found.append(CalibratedScanner(scanner=scanner, groups=groups, colour_lab=mean, reach=round(reach + 0.005, 2)))
    return tuple(sorted(found, key=lambda each: (-each.groups, each.scanner)))


def _refuse_unreachable(
    parts: Mapping[str, npt.NDArray[np.bool_]],
    is_found: npt.NDArray[np.bool_] | None,
    must_find: Sequence[str],
    groups: npt.NDArray[np.str_],
    rates: SetRates,
    unit: str,
) -> None:
    """Refuse rates for which classes lie in too few groups, all of them in one sentence."""
    lacking, lowest = [], 0.0
    needs = fewest_groups(rates.alpha)
    for class_id, mine in parts.items():
        there = _count(groups[mine])
        if there < needs:
            lacking.append(f"{class_id} ({there:,})")
            lowest = max(lowest, lowest_rate(there))
    if lacking:
        advice = f"the lowest rate that all classes reach is {lowest:.3g}" if lowest < 1 else "annotate more"
        raise CytoError(
            f"A rate of {rates.alpha:g} needs at least {needs:,} {unit} with each class, and there are too few with "
            f"{', '.join(lacking)}; {advice}."
        )
    if is_found is None:
        return
    there, needs = _count(groups[is_found]), fewest_groups(rates.high_grade_alpha)
    if there < needs:
        raise CytoError(
            f"A rate of {rates.high_grade_alpha:g} for high grade needs at least {needs:,} {unit} with "
            f"{' or '.join(must_find)}, and there are {there:,}; the lowest rate that they reach is "
            f"{lowest_rate(there):.3g}."
        )


def _count(groups: npt.NDArray[np.str_]) -> int:
    return len(np.unique(groups))


def _as_share(threshold: float) -> float:
    return min(1.0, max(0.0, threshold))
