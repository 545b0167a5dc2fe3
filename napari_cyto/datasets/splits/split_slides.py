"""Slides divided into a training, a validation and a test set, so that no patient or smear is in two of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from napari_cyto.datasets.splits._groups import slide_groups
from napari_cyto.datasets.splits._optimizer import ALGORITHM, ALGORITHM_OF_COUNT, Counts, choose_groups, folds_of
from napari_cyto.datasets.splits._rules import (
    refuse_divided,
    refuse_known,
    refuse_shares,
    too_few_groups,
    too_few_of_a_class,
    unknown_patients,
)
from napari_cyto.datasets.splits.config import GroupUnit, SplitConfig
from napari_cyto.datasets.splits.leaks import overlaps
from napari_cyto.datasets.splits.split import SETS, TEST, TRAIN, VALIDATION, Split, set_of
from napari_cyto.domain.slide_record import SlideRecord

Pairs = Collection[tuple[str, str]]
CellCounts = Mapping[str, Mapping[str, int]]

CAME_WITH_DATA = "as it came with the data"
ALL_TO_TRAIN = "everything in the training set, as requested"

_FINER: dict[GroupUnit, tuple[GroupUnit, ...]] = {
    "auto": ("auto", "smear", "image"),
    "patient": ("patient", "smear", "image"),
    "smear": ("smear", "image"),
    "image": ("image",),
}


def split_slides(
    slides: Iterable[SlideRecord],
    counts: CellCounts,
    config: SplitConfig,
    *,
    classes: Sequence[str] | None = None,
    twins: Pairs = (),
    known: Collection[str] = (),
) -> Split[SlideRecord]:
    """Divide slides.

    Parameters
    ----------
    slides : iterable of SlideRecord
        What is divided, in an order that is the same each time (see ``in_order``); all cells of a slide go to one set.
    counts : mapping
        Slide id to class id to number of cells; slides that are missing have none.
    config : SplitConfig
        How.
    classes : sequence of str, optional
        All classes that are to be spread; those that have cells without.
    twins : collection of (slide id, slide id)
        Slides that show the same cells, to be kept together like those of one patient.
    known : collection of str
        Ids of slides that a model which is continued from learnt from or was steered by: whatever else is asked for,
        neither they nor what belongs together with them is tested on.

    Raises
    ------
    SplitError
        When a set would be empty or lack a class, a patient is unknown, or published sets leak; the sentence names
        the override that allows it.
    """
    refuse_shares(config)
    listed = list(slides)
    of_all = classes or sorted({c for of_slide in counts.values() for c, n in of_slide.items() if n > 0})
    return _Division(listed, counts, tuple(of_all), config, twins, frozenset(known)).split()


def in_order(slides: Iterable[SlideRecord]) -> tuple[SlideRecord, ...]:
    """Return slides in an order that hangs on what they are, not on how they came."""
    return tuple(sorted(slides, key=lambda s: (s.patient or s.smear or s.name, s.smear, s.name, s.stem, s.id)))


def grouped(slides: Iterable[SlideRecord], by: GroupUnit, twins: Pairs = ()) -> dict[str, str]:
    """Return the group of each slide, by id; the same pixels and ``twins`` are kept together whatever the unit."""
    records = [
        SlideRecord(
            id=slide.id,
            name=slide.name,
            stem=slide.stem,
            patient=slide.patient if by in ("auto", "patient") else "",
            smear=slide.smear if by != "image" else "",
            fingerprint=slide.fingerprint,
        )
        for slide in slides
    ]
    return slide_groups(records, twins)


class _Division:
    """One division: groups, refusals, sets, audit."""

    def __init__(
        self,
        slides: Sequence[SlideRecord],
        counts: CellCounts,
        classes: tuple[str, ...],
        config: SplitConfig,
        twins: Pairs,
        known: frozenset[str],
    ) -> None:
        self.slides, self.counts, self.classes, self.config, self.twins = slides, counts, classes, config, twins
        self.overruled: dict[str, Any] = {}
        self.cost: float | None = None
        self.with_cells = [slide for slide in slides if any(n > 0 for n in counts.get(slide.id, {}).values())]
        self.came = self._came()
        if self._is_given():
            self.by, self.groups = config.by, grouped(slides, config.by, twins)
        else:
            if unknown := unknown_patients(self.with_cells, config):
                self.overruled["unknown-patient"] = unknown
            self.by, self.groups = self._groups()
        self.noun = _noun(self.by, self.with_cells)
        self.known = {self.groups[slide.id] for slide in slides if slide.id in known}
        self.divided = self._divided()

    def split(self) -> Split[SlideRecord]:
        if self._is_given():
            return self._made(dict(self.came), CAME_WITH_DATA)
        names, table = self._table()
        spread = dict(zip(self.classes, (table > 0).sum(axis=0).tolist(), strict=True))
        if few := too_few_of_a_class(spread, self.config, self.noun):
            self.overruled["few-groups"] = few
        refuse_divided(self.divided, self.config, self.noun)
        if self.divided:
            self.overruled["leak"] = self.divided[:20]
        published = self._published()
        of_group = self._sets(names, table, published)
        sets = {
            slide.id: self.came[slide.id]
            if self.groups[slide.id] in self.divided and slide.id in self.came
            else of_group[self.groups[slide.id]]
            for slide in self.slides
        }
        return self._made(sets, self._algorithm(bool(published)))

    def _came(self) -> dict[str, str]:
        """Return the set of each slide that came with one which is to be kept."""
        if not self.config.published or self.config.fold is not None:
            return {}
        came = {slide.id: name for slide in self.slides if (name := set_of(slide.side))}
        return {slide_id: name if name in self.config.sets else TRAIN for slide_id, name in came.items()}

    def _is_given(self) -> bool:
        """Whether nothing is left to be found."""
        return bool(self.slides) and not self.config.fill and len(self.came) == len(self.slides)

    def _groups(self) -> tuple[GroupUnit, dict[str, str]]:
        """Return the unit, a finer one than asked for where that is allowed, and the group of each slide."""
        refused: list[str] = []
        for by in _FINER[self.config.by]:
            groups = grouped(self.slides, by, self.twins)
            used = sorted({groups[slide.id] for slide in self.with_cells})
            if not too_few_groups(used, self.config, _noun(by, self.with_cells)):
                break
            refused = refused or used
        if refused:
            self.overruled["single-group"] = {"groups": refused[:20], "divided_by": _unit(by, self.with_cells)}
        return by, groups

    def _divided(self) -> list[str]:
        """Return the groups that came in more than one set."""
        sets: dict[str, set[str]] = defaultdict(set)
        for slide_id, name in self.came.items():
            sets[self.groups[slide_id]].add(name)
        return sorted(group for group, names in sets.items() if len(names) > 1)

    def _table(self) -> tuple[list[str], Counts]:
        """Return the groups with cells, and how many of each class."""
        rows: dict[str, Counts] = {}
        for slide in self.with_cells:
            of_slide = self.counts[slide.id]
            own = np.array([of_slide.get(class_id, 0) for class_id in self.classes], dtype=np.float64)
            group = self.groups[slide.id]
            rows[group] = rows[group] + own if group in rows else own
        return list(rows), np.array(list(rows.values()), dtype=np.float64).reshape(len(rows), len(self.classes))

    def _published(self) -> dict[str, str]:
        """Return the set of each group that came with one."""
        only = {self.groups[slide_id]: name for slide_id, name in self.came.items()}
        return {group: name for group, name in only.items() if name != TEST or group not in self.known}

    def _sets(self, names: list[str], table: Counts, published: Mapping[str, str]) -> dict[str, str]:
        """Return the set of each group: test first, validation from what is left."""
        config = self.config
        sets = {group: name for group, name in published.items() if name != TRAIN}
        if config.fold is not None and len(names) >= config.folds:
            fold = folds_of(table, config.folds, config.seed)
            tested = {name for name, of in zip(names, fold, strict=True) if of == config.fold}
            sets |= dict.fromkeys(tested - self.known, TEST)
            test_share = 1 / config.folds
        else:
            test_share = config.test_share
            self._take(TEST, test_share, names, table, published, sets)
        self._take(VALIDATION, config.validation_share / (1 - test_share), names, table, published, sets)
        if config.share_of == "groups":
            self._deal_empty(names, published, sets)
        return {group: sets.get(group, TRAIN) for group in self.groups.values()}

    def _take(
        self,
        name: str,
        share: float,
        names: list[str],
        table: Counts,
        published: Mapping[str, str],
        sets: dict[str, str],
    ) -> None:
        """Fill one set out of the groups that are free for it.

        Published training groups are free only where none came for it and published sets are to be completed; and to
        be tested on only those that no earlier model knows.
        """
        config = self.config
        came = name in published.values()
        barred = self.known if name == TEST else set()
        few_may_be_tested = bool(barred) and not came
        kept = published if came or not config.fill else {}
        free = [i for i, n in enumerate(names) if not (n in sets or n in barred or n in kept)]
        if share > 0 and few_may_be_tested:
            refuse_known(len(free), len(barred), self.noun, config)
            # A share of all cells, out of those few that may be tested; what is new is there to be learnt from too.
            share = min(share * table.sum() / table[free].sum(), 0.5)
        if share <= 0 or not free or (came and len(free) < 2):
            return
        needed = 2 if name == TEST and config.validation_share > 0 else 1
        if len(free) <= needed and not came:
            needed = 1
        others = bool(few_may_be_tested or set(kept.values()) & {TRAIN})
        count = None
        if config.share_of == "groups":
            count = min(max(round(share * len(free)), 1), len(free) - 1)
        chosen, cost = choose_groups(table[free], share, config.seed, needed, count)
        if others and len(free) == 1:
            chosen = np.ones(1, dtype=np.bool_)
        self.cost = cost if name == TEST else self.cost
        sets |= {names[i]: name for i, taken in zip(free, chosen, strict=True) if taken}

    def _deal_empty(self, names: list[str], published: Mapping[str, str], sets: dict[str, str]) -> None:
        """Deal groups without cells, which weigh nothing, by the shares alone."""
        config = self.config
        empty = sorted({*self.groups.values()} - {*names, *published, *self.known})
        order = np.random.default_rng(config.seed).permutation(len(empty))
        test_share = config.test_share if config.fold is None else 1 / config.folds
        n_test, n_validation = (round(share * len(empty)) for share in (test_share, config.validation_share))
        if config.fold is not None:
            order = np.roll(order, -config.fold * n_test)
        for i, rank in enumerate(np.argsort(order)):
            if rank < n_test + n_validation:
                sets[empty[i]] = TEST if rank < n_test else VALIDATION

    def _algorithm(self, published: bool) -> str:
        if self.config.requested_sets == 1:
            return ALL_TO_TRAIN
        found = ALGORITHM_OF_COUNT if self.config.share_of == "groups" else ALGORITHM
        return f"{CAME_WITH_DATA} where it did; else {found}" if published and not self.config.fill else found

    def _made(self, sets: dict[str, str], algorithm: str) -> Split[SlideRecord]:
        counts = {name: dict.fromkeys(self.classes, 0) for name in SETS}
        for slide_id, name in sets.items():
            for class_id, number in self.counts.get(slide_id, {}).items():
                counts[name][class_id] = counts[name].get(class_id, 0) + number
        slides = {slide.id: slide for slide in self.slides}
        return Split(slides, sets, self.groups, counts, self._record(sets, counts, algorithm))

    def _record(
        self, sets: Mapping[str, str], counts: Mapping[str, Mapping[str, int]], algorithm: str
    ) -> dict[str, Any]:
        config = self.config
        groups = Counter({self.groups[key]: name for key, name in sets.items()}.values())
        slides = Counter(sets.values())
        lacking = {s: [c for c, n in counts[s].items() if not n] for s in SETS if groups[s]}
        names = {slide.id: slide.name for slide in self.slides}
        return {
            "unit": _unit(self.by, self.with_cells),
            "seed": config.seed,
            "validation_share": config.validation_share,
            "test_share": config.test_share if config.fold is None else 1 / config.folds,
            "fold": config.fold,
            "folds": config.folds if config.fold is not None else None,
            "published_sides": bool(self.came),
            "algorithm": algorithm,
            "cost": self.cost,
            "overrides": self.overruled,
            "reason": config.reason,
            "groups": {name: groups[name] for name in SETS},
            "slides": {name: slides[name] for name in SETS},
            "cells": {name: dict(of) for name, of in counts.items()},
            "lacking": {name: classes for name, classes in lacking.items() if classes},
            # Called sides as ever: models of other versions are read by it, and read it.
            "sides": {name: [slide.id for slide in self.slides if sets[slide.id] == name] for name in SETS},
            "near_duplicates": [[names[a], names[b]] for a, b in self.twins],
            "audit": overlaps(sets, self.groups, self.slides, self.twins),
            "sides_asked": config.requested_sets,
            "sets_asked": _requested(config),
        }


def _requested(config: SplitConfig) -> list[str]:
    test = config.fold is not None or config.test_share > 0
    return [TRAIN, *[VALIDATION][: config.validation_share > 0], *[TEST][:test]]


def _kinds(by: GroupUnit, slides: Iterable[SlideRecord]) -> tuple[str, ...]:
    """Return what the groups of slides are, coarsest first: a smear that is unknown cannot be gone by."""
    kinds = set()
    for slide in slides:
        known = (("patient", by in ("auto", "patient") and slide.patient), ("smear", by != "image" and slide.smear))
        kinds.add(next((kind for kind, value in known if value), "image"))
    return tuple(kind for kind in ("patient", "smear", "image") if kind in kinds)


def _unit(by: GroupUnit, slides: Iterable[SlideRecord]) -> str:
    return ", else ".join(_kinds(by, slides))


def _noun(by: GroupUnit, slides: Iterable[SlideRecord]) -> str:
    kinds = _kinds(by, slides)
    return kinds[0] if len(kinds) == 1 else "group"
