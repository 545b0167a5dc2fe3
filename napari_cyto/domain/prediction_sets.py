"""Prediction sets: the classes that cannot be excluded of a cell, where that holds, and how it was found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from napari_cyto.domain.counts import counted
from napari_cyto.domain.statistics.conformal import fewest_groups

FEWEST_GROUPS_OF_SCANNER = 50
"""Groups of a scanner from which on its slides count as calibrated: with as many a farther colour than all of theirs
comes of chance in 2 % of slides. The number is the program's own choice."""

Shares: TypeAlias = npt.NDArray[np.float64]
Sets: TypeAlias = npt.NDArray[np.bool_]
ShortText: TypeAlias = Annotated[str, Field(max_length=200)]
Rate: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Threshold: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Lab: TypeAlias = tuple[
    Annotated[float, Field(ge=0, le=100)],
    Annotated[float, Field(ge=-200, le=200)],
    Annotated[float, Field(ge=-200, le=200)],
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SlideLook(_Value):
    """What is known of how a slide was imaged."""

    scanner: ShortText = Field(default="", description="As its file says; empty where it does not.")
    colour_lab: Lab | None = Field(default=None, description="Mean CIELAB colour of its stained parts.")


class CalibratedScanner(_Value):
    """A scanner that groups of the calibration were imaged with, and the colours of their stains."""

    scanner: ShortText = ""
    groups: Count
    colour_lab: Lab = Field(description="Mean over its slides.")
    reach: float = Field(ge=0, le=400, description="The farthest of its slides from the mean, CIE 1976 Delta E.")


class ClassThreshold(_Value):
    """From which probability on a class is in the set of a cell."""

    id: ShortText
    threshold: Threshold
    groups: Count = Field(description="Groups with cells of the class.")
    cells: Count


class HighGradeRule(_Value):
    """Which cells have a high-grade class in their set at any rate: the likeliest of these."""

    classes: tuple[ShortText, ...] = Field(min_length=1, max_length=1_000, description="The high-grade classes.")
    must_find: tuple[ShortText, ...] = Field(min_length=1, max_length=1_000, description="Whose cells the rate is of.")
    alpha: Rate
    threshold: Threshold = Field(description="Of the high-grade classes' probabilities together.")
    groups: Count
    cells: Count


class PredictionSets(_Value):
    """Thresholds that make prediction sets, with all that they rest on.

    Raises
    ------
    ValueError
        When the parts contradict each other, or fewer groups are stated than the rates need.
    """

    alpha: Rate = Field(description="Share of each class's cells that may be missed, in the mean of new groups.")
    unit: ShortText = Field(description="What the groups are, as people read it: patients, smears, images.")
    groups: Count
    cells: Count
    classes: tuple[ClassThreshold, ...] = Field(min_length=2, max_length=1_000)
    high_grade: HighGradeRule | None = None
    scanners: tuple[CalibratedScanner, ...] = Field(min_length=1, max_length=1_000)
    data_fingerprint: ShortText
    model: ShortText = Field(description="Id of the model.")
    model_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_utc: ShortText
    made_by: ShortText

    @field_validator("created_utc")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        datetime.fromisoformat(text)
        return text

    @model_validator(mode="after")
    def _agrees(self) -> PredictionSets:
        ids = self.class_ids
        if len(set(ids)) < len(ids):
            raise ValueError("a class has two thresholds")
        scanners = [each.scanner for each in self.scanners]
        if len(set(scanners)) < len(scanners):
            raise ValueError("a scanner is stated twice")
        parts: list[tuple[str, float, int, int]] = [(c.id, self.alpha, c.groups, c.cells) for c in self.classes]
        rule = self.high_grade
        if rule is not None:
            parts.append(("the high-grade classes", rule.alpha, rule.groups, rule.cells))
            unknown = sorted({*rule.classes, *rule.must_find} - set(ids))
            if unknown or len(set(rule.classes)) < len(rule.classes):
                raise ValueError(f"expected high-grade classes among those with a threshold, got {unknown[:3]}")
        for name, alpha, groups, cells in parts:
            if groups < fewest_groups(alpha):
                raise ValueError(
                    f"a rate of {alpha:g} needs {fewest_groups(alpha):,} groups with {name}, and {groups:,} are stated"
                )
            if groups > min(cells, self.groups) or cells > self.cells:
                raise ValueError(f"more groups or cells are stated of {name} than there are")
        return self

    @property
    def class_ids(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return tuple(c.id for c in self.classes)

    def sets(self, shares: Shares) -> Sets:
        """Return which classes are in the set of each cell, bool ``(n, classes)``.

        Parameters
        ----------
        shares : ndarray, float64, (n, classes)
            Probabilities in the order of ``class_ids``, each row with sum 1. A row with NaN gives an empty set.

        Notes
        -----
        A class is in the set when its probability reaches its threshold (Sadinle, Lei and Wasserman 2019, JASA
        114(525), section 2.2: sets from thresholds of class probabilities). The likeliest high-grade class is added
        where the high-grade classes together reach theirs; a larger set misses no more, so both promises hold.
        """
        found: Sets = shares >= np.array([c.threshold for c in self.classes])
        rule = self.high_grade
        if rule is not None and len(shares):
            places = [self.class_ids.index(class_id) for class_id in rule.classes]
            among = shares[:, places]
            suspicious = np.flatnonzero(high_grade_share(among) >= rule.threshold)
            found[suspicious, np.array(places)[among[suspicious].argmax(axis=1)]] = True
        return found

    def void_reason(self, look: SlideLook | None, *, is_local: bool) -> str:
        """Return why the sets do not hold on a slide, as a sentence; empty where they do.

        Parameters
        ----------
        look : SlideLook or None
            How it was imaged; None where that is unknown.
        is_local : bool
            Whether the calibration is of the same project: only there two files that name no scanner count as of
            the same one.

        Notes
        -----
        Groups are exchangeable only where they are made alike. Colour: a new slide is farther from the mean than all
        ``n`` calibrated ones with a probability of about ``1 / (n + 1)`` where it is of the same kind (rank of an
        exchangeable score: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, section 2.2).
        """
        if look is None or look.colour_lab is None:
            return "How the slide was imaged is not known yet: predict on it again, or calibrate the project."
        if not look.scanner and not is_local:
            return "The file of the slide does not name its scanner, so it may be one that was not calibrated."
        known = next((each for each in self.scanners if each.scanner == look.scanner), None)
        name = look.scanner or "without a name in their files"
        if known is None:
            calibrated = ", ".join(each.scanner or "one without a name" for each in self.scanners)
            return f"The scanner ({name}) was not calibrated; calibrated: {calibrated[:200]}."
        if known.groups < FEWEST_GROUPS_OF_SCANNER:
            return (
                f"Only {counted(known.groups, 'group')} of this scanner ({name}) calibrated, of "
                f"{FEWEST_GROUPS_OF_SCANNER} that are needed."
            )
        distance = colour_distance(look.colour_lab, known.colour_lab)
        if distance > known.reach:
            return (
                f"Its stain is farther from the mean colour than that of any calibrated slide (Delta E {distance:.1f}, "
                f"the farthest {known.reach:.1f})."
            )
        return ""

    def renamed(self, names: Mapping[str, str]) -> PredictionSets | None:
        """Return the same with the ids of another scheme; None where two classes become one."""
        if len({names[class_id] for class_id in self.class_ids}) < len(self.classes):
            return None
        rule = self.high_grade
        return self.model_copy(
            update={
                "classes": tuple(c.model_copy(update={"id": names[c.id]}) for c in self.classes),
                "high_grade": rule
                and rule.model_copy(
                    update={
                        "classes": tuple(names[c] for c in rule.classes),
                        "must_find": tuple(names[c] for c in rule.must_find),
                    }
                ),
            }
        )


def high_grade_share(shares: Shares) -> Shares:
    """Return the probability ``(n,)`` of the high-grade classes together, from those of each ``(n, classes)``."""
    total: Shares = shares.sum(axis=1)
    return total


def colour_distance(one: Lab, other: Lab) -> float:
    """Return how far two CIELAB colours are apart, Delta E of CIE 1976 (CIE 15:2018, section 8.2.1)."""
    return math.dist(one, other)
