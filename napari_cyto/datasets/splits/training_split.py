"""The cells of a training set divided into train, validation and test, so that no patient or smear is on two sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from napari_cyto.datasets.splits._overlap import overlaps
from napari_cyto.datasets.splits._rules import (
    refuse_divided,
    refuse_known,
    refuse_shares,
    sides_asked,
    too_few_groups,
    too_few_of_a_class,
    unknown_patients,
)
from napari_cyto.datasets.splits._stratified_groups import ALGORITHM, Counts, choose_groups, folds_of
from napari_cyto.datasets.splits._twin_slides import Pairs, twin_slides
from napari_cyto.datasets.splits.config import GroupUnit, SplitConfig
from napari_cyto.datasets.splits.groups import slide_groups
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Token

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SIDES = (TRAIN, VALIDATION, TEST)
_FINER: dict[GroupUnit, tuple[GroupUnit, ...]] = {
    "auto": ("auto", "smear", "image"),
    "patient": ("patient", "smear", "image"),
    "smear": ("smear", "image"),
    "image": ("image",),
}


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """Which side each slide is on.

    Parameters
    ----------
    data : TrainingSet
        What is divided.
    sides : mapping
        Slide key to ``train``, ``validation`` or ``test``.
    groups : mapping
        Slide key to the patient, smear or image that is kept together.
    record : dict
        How it was made: unit, seed, shares, algorithm, sides with keys and counts, overrides that were used, and the
        audit; JSON-able, for a model card.
    """

    data: TrainingSet
    sides: Mapping[str, str]
    groups: Mapping[str, str]
    record: dict[str, Any]

    def of(self, side: str) -> tuple[TrainingSlide, ...]:
        """Return the slides of a side, in the order of the set."""
        return tuple(slide for slide in self.data.slides if self.sides.get(slide.key) == side)

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Side to class id to cells."""
        return {side: self.data.counts(slide.key for slide in self.of(side)) for side in SIDES}


def split_training_set(
    data: TrainingSet,
    config: SplitConfig,
    twins: Pairs | None = None,
    token: Token | None = None,
    had_a_say: Collection[str] = (),
) -> TrainingSplit:
    """Divide a training set.

    Parameters
    ----------
    data : TrainingSet
        What is divided; all cells of a slide go to one side.
    config : SplitConfig
        How.
    twins : tuple of (key, key), optional
        Slides that show the same cells; looked for when not given and ``config.twins``.
    token : Token, optional
        Asks for a stop of that search.
    had_a_say : collection of str
        Keys of slides that a model which is continued from learnt from or was steered by: whatever else is asked for,
        neither they nor what belongs together with them is tested on.

    Raises
    ------
    SplitError
        When a side would be empty or lack a class, a patient is unknown, or published sides leak; the sentence names
        the override that allows it.
    JobCancelled
        When the user asked for it.
    """
    refuse_shares(config)
    if twins is None:
        twins = twin_slides(data.slides, token) if config.twins else ()
    dividing = _Dividing(data, config, twins, frozenset(had_a_say))
    return dividing.split()


def recorded_split(data: TrainingSet, record: Mapping[str, Any]) -> TrainingSplit:
    """Return the split that a model's card records, for the same or other data.

    Slides that the record does not know are on no side: the model has neither learnt from them nor was judged on them.

    Raises
    ------
    CytoError
        When the record tells no sides.
    """
    listed = record.get("sides")
    if not isinstance(listed, Mapping):
        raise CytoError("The model's card does not tell which slides it was trained on; judge it on other data.")
    sides = {str(key): str(side) for side, keys in listed.items() for key in keys}
    known = {slide.key: sides[slide.key] for slide in data.slides if slide.key in sides}
    return TrainingSplit(data, known, {key: key for key in known}, dict(record))


class _Dividing:
    """One division: groups, refusals, sides, audit."""

    def __init__(self, data: TrainingSet, config: SplitConfig, twins: Pairs, had_a_say: frozenset[str]) -> None:
        self.data, self.config, self.twins = data, config, twins
        # The same division whatever order the slides came in.
        self.slides = sorted(data.slides, key=lambda slide: slide.key)
        self.overruled: dict[str, Any] = {}
        with_cells = [slide for slide in self.slides if len(slide)]
        if unknown_patients(with_cells, config):
            self.overruled["unknown-patient"] = sum(not slide.patient for slide in with_cells)
        self.by, self.groups = self._groups()
        self.known = {self.groups[slide.key] for slide in self.slides if slide.key in had_a_say}

    def split(self) -> TrainingSplit:
        names, table = self._table()
        few = too_few_of_a_class(table, self.data.classes, self.config, _noun(self.by, self.slides))
        if few:
            self.overruled["few-groups"] = few
        published = self._published()
        of_group = self._sides(names, table, published)
        sides = {key: of_group[group] for key, group in self.groups.items()}
        split = TrainingSplit(self.data, sides, self.groups, {})
        return TrainingSplit(self.data, sides, self.groups, self._record(split, bool(published)))

    def _groups(self) -> tuple[GroupUnit, dict[str, str]]:
        """Return the unit, a finer one than asked for where that is allowed, and the group of each slide."""
        refused: list[str] = []
        for by in _FINER[self.config.by]:
            groups = grouped(self.slides, by, self.twins)
            used = sorted({groups[slide.key] for slide in self.slides if len(slide)})
            if not too_few_groups(used, self.config, _noun(by, self.slides)):
                break
            refused = refused or used
        if refused:
            self.overruled["single-group"] = {"groups": refused[:20], "divided_by": _unit(by, self.slides)}
        return by, groups

    def _table(self) -> tuple[list[str], Counts]:
        """Return the groups with cells, and how many of each class."""
        rows: dict[str, Counts] = {}
        for slide in self.slides:
            if len(slide):
                own = np.bincount(slide.class_index, minlength=len(self.data.classes)).astype(np.float64)
                group = self.groups[slide.key]
                rows[group] = rows[group] + own if group in rows else own
        return list(rows), np.stack(list(rows.values()))

    def _published(self) -> dict[str, str]:
        """Return the side of each group that came with one."""
        if not self.config.published or self.config.fold is not None:
            return {}
        came: dict[str, set[str]] = defaultdict(set)
        for slide in self.slides:
            if slide.side in SIDES:
                came[self.groups[slide.key]].add(slide.side)
        refuse_divided(came, _noun(self.by, self.slides))
        only = {group: next(iter(sides)) for group, sides in came.items()}
        return {group: side for group, side in only.items() if side != TEST or group not in self.known}

    def _sides(self, names: list[str], table: Counts, published: Mapping[str, str]) -> dict[str, str]:
        """Return the side of each group: test first, validation from what is left."""
        config = self.config
        sides = {group: side for group, side in published.items() if side != TRAIN}
        if config.fold is not None and len(names) >= config.folds:
            fold = folds_of(table, config.folds, config.seed)
            tested = {name for name, of in zip(names, fold, strict=True) if of == config.fold}
            sides |= dict.fromkeys(tested - self.known, TEST)
            test_share = 1 / config.folds
        else:
            test_share = config.test_share
            self._take(TEST, test_share, names, table, published, sides)
        self._take(VALIDATION, config.validation_share / (1 - test_share), names, table, published, sides)
        return {group: sides.get(group, TRAIN) for group in self.groups.values()}

    def _take(
        self,
        side: str,
        share: float,
        names: list[str],
        table: Counts,
        published: Mapping[str, str],
        sides: dict[str, str],
    ) -> None:
        """Fill one side out of the groups that are free for it.

        Published train groups are free only where none came for it, and to be tested on only those without a say.
        """
        came = side in published.values()
        barred = self.known if side == TEST else set()
        few_may_be_judged = bool(barred) and not came
        free = [i for i, n in enumerate(names) if not (n in sides or n in barred or (came and n in published))]
        if share > 0 and few_may_be_judged:
            refuse_known(len(free), len(barred), _noun(self.by, self.slides))
            # A share of all cells, out of those few that may be judged; what is new is there to be learnt from too.
            share = min(share * table.sum() / table[free].sum(), 0.5)
        if share <= 0 or not free or (came and len(free) < 2):
            return
        needed = 2 if side == TEST and self.config.validation_share > 0 else 1
        if len(free) <= needed and not came:
            needed = 1
        chosen = choose_groups(table[free], share, self.config.seed, needed)
        if few_may_be_judged and len(free) == 1:
            chosen = np.ones(1, dtype=np.bool_)
        sides |= {names[i]: side for i, taken in zip(free, chosen, strict=True) if taken}

    def _record(self, split: TrainingSplit, published: bool) -> dict[str, Any]:
        config = self.config
        side_of_group = {self.groups[key]: side for key, side in split.sides.items()}
        groups = Counter(side_of_group.values())
        lacking = {s: [c for c, n in split.counts[s].items() if not n] for s in SIDES if groups[s]}
        return {
            "unit": _unit(self.by, self.slides),
            "seed": config.seed,
            "validation_share": config.validation_share,
            "test_share": config.test_share if config.fold is None else 1 / config.folds,
            "fold": config.fold,
            "folds": config.folds if config.fold is not None else None,
            "published_sides": published,
            "algorithm": ALGORITHM,
            "overrides": self.overruled,
            "groups": {side: groups[side] for side in SIDES},
            "slides": {side: len(split.of(side)) for side in SIDES},
            "cells": split.counts,
            "lacking": {side: classes for side, classes in lacking.items() if classes},
            "sides": {side: [slide.key for slide in split.of(side)] for side in SIDES},
            "near_duplicates": [[self._name(a), self._name(b)] for a, b in self.twins],
            "audit": overlaps(split.sides, self.groups, self.data.slides, self.twins),
            "sides_asked": sides_asked(config),
        }

    def _name(self, key: str) -> str:
        return next(slide.name for slide in self.data.slides if slide.key == key)


def grouped(slides: Iterable[TrainingSlide], by: GroupUnit, twins: Pairs = ()) -> dict[str, str]:
    """Return the group of each slide, by key; the same pixels and ``twins`` are kept together whatever the unit."""
    records = [
        SlideRecord(
            id=slide.key,
            name=slide.name,
            patient=slide.patient if by in ("auto", "patient") else "",
            smear=slide.smear if by != "image" else "",
            fingerprint=slide.fingerprint if len(slide) else "",
        )
        for slide in slides
    ]
    return slide_groups(records, twins)


def _kinds(by: GroupUnit, slides: Iterable[TrainingSlide]) -> tuple[str, ...]:
    """Return what the groups of slides with cells are, coarsest first: a smear that is unknown cannot be gone by."""
    kinds = set()
    for slide in slides:
        if len(slide):
            known = (("patient", by in ("auto", "patient") and slide.patient), ("smear", by != "image" and slide.smear))
            kinds.add(next((kind for kind, value in known if value), "image"))
    return tuple(kind for kind in ("patient", "smear", "image") if kind in kinds)


def _unit(by: GroupUnit, slides: Iterable[TrainingSlide]) -> str:
    return ", else ".join(_kinds(by, slides))


def _noun(by: GroupUnit, slides: Iterable[TrainingSlide]) -> str:
    kinds = _kinds(by, slides)
    return kinds[0] if len(kinds) == 1 else "group"
