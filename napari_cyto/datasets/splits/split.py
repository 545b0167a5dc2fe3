"""The train and test sides of a project's slides, by patient, else smear, else slide."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cyto.datasets.splits._search import ALGORITHM, choose_test_groups
from napari_cyto.datasets.splits.groups import slide_groups
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError
from napari_cyto.store import Project

TRAIN, TEST = "train", "test"
SIDES = (TRAIN, TEST)
APACC_TEST_SHARE = 20 / 107
"""The collection's own share: 20 of 107 smears. Source: Kupas et al. 2024, Table 2."""

CAME_WITH_DATA = "as it came with the data"
ALL_TO_TRAIN = "everything on the train side, as asked"

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Split:
    """Which side each slide is on, and what that makes of the classes.

    Parameters
    ----------
    sides : mapping
        Slide id to ``train`` or ``test``.
    groups : mapping
        Slide id to the patient, smear or slide that the split keeps together.
    class_counts : mapping
        Side to class id to cells.
    algorithm : str
        How the sides were found, in words.
    seed : int
        What makes the search repeatable.
    test_share : float
        The share that was asked for.
    cost : float or None
        What the search minimised (see ``algorithm``); None when nothing was searched.
    """

    sides: Mapping[str, str]
    groups: Mapping[str, str]
    class_counts: Mapping[str, Mapping[str, int]]
    algorithm: str
    seed: int
    test_share: float
    cost: float | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class with cells, alphabetically."""
        return tuple(sorted({c for counts in self.class_counts.values() for c, n in counts.items() if n}))

    def class_table(self) -> tuple[dict[str, Any], ...]:
        """Return one row a class: cells on each side, and its share of each side's cells and of the whole (0 to 1)."""
        totals = {side: sum(self.class_counts[side].values()) for side in SIDES}
        whole = sum(totals.values())
        rows = []
        for class_id in self.classes:
            row: dict[str, Any] = {"class": class_id}
            row |= {side: self.class_counts[side].get(class_id, 0) for side in SIDES}
            row["share"] = (row[TRAIN] + row[TEST]) / whole
            row |= {f"{side}_share": row[side] / totals[side] if totals[side] else 0.0 for side in SIDES}
            rows.append(row)
        return tuple(rows)

    def group_table(self) -> dict[str, tuple[str, ...]]:
        """Return the patients, smears or slides of each side, in alphabetical order."""
        return {side: tuple(sorted({self.groups[i] for i, s in self.sides.items() if s == side})) for side in SIDES}

    def to_dict(self) -> dict[str, Any]:
        """Return the split's tables as JSON-able values."""
        return {
            "algorithm": self.algorithm,
            "seed": self.seed,
            "test_share": self.test_share,
            "cost": self.cost,
            "classes": list(self.class_table()),
            "smears": {side: list(names) for side, names in self.group_table().items()},
        }


def split_by_group(
    slides: Iterable[SlideRecord],
    counts: Counts,
    *,
    test_share: float = APACC_TEST_SHARE,
    seed: int = 0,
    new: bool = False,
    all_to_train: bool = False,
    together: Iterable[tuple[str, str]] = (),
) -> Split:
    """Return the sides of ``slides``, never dividing a patient or smear.

    Parameters
    ----------
    slides : iterable of SlideRecord
        What is to be split; a ``side`` that came with one stays unless ``new``.
    counts : mapping
        Slide id to class id to number of cells; slides that are missing have none.
    test_share : float
        Share of the groups, and as nearly as possible of the cells, for the test side; 0 to 1, both excluded.
    seed : int
        Same seed, same split.
    new : bool
        Forget the sides that came with the data.
    all_to_train : bool
        No test side at all; for data of a single patient.
    together : iterable of (slide id, slide id)
        Pairs of slides to keep on one side besides those of one patient or smear.

    Raises
    ------
    SplitError
        When there is only one group with cells, or the share is not between 0 and 1.
    """
    if not 0 < test_share < 1:
        raise SplitError(f"Expected a test share between 0 and 1, got {test_share}; the APACC collection has 0.19.")
    records = list(slides)
    groups = slide_groups(records, together)
    if all_to_train:
        return _split({s.id: TRAIN for s in records}, groups, counts, ALL_TO_TRAIN, seed, test_share)
    came = {} if new else {s.id: s.side for s in records if s.side in SIDES}
    if records and len(came) == len(records):
        return _split(came, groups, counts, CAME_WITH_DATA, seed, test_share)
    side_of_group, cost = _sides_of_groups(groups, came, counts, test_share, seed)
    sides = {s.id: came.get(s.id) or side_of_group[groups[s.id]] for s in records}
    algorithm = f"{CAME_WITH_DATA} where it did; else {ALGORITHM}" if came else ALGORITHM
    return _split(sides, groups, counts, algorithm, seed, test_share, cost)


def split_slides(
    source: LabelSet | Project, test_share: float = APACC_TEST_SHARE, seed: int = 0, new: bool = False
) -> Split:
    """Return the sides of the slides of a project or label set, by its own classes; see ``split_by_group``.

    Raises
    ------
    SplitError
        When there is only one group with cells.
    """
    if isinstance(source, LabelSet):
        slides, annotations = source.slides, iter(source.annotations)
    else:
        slides, annotations = source.slides(), source.annotations()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for annotation in annotations:
        if annotation.class_id is not None and annotation.status is Status.ACCEPTED:
            counts[annotation.slide_id][annotation.class_id] += 1
    return split_by_group(slides, counts, test_share=test_share, seed=seed, new=new)


def _sides_of_groups(
    groups: Mapping[str, str], came: Mapping[str, str], counts: Counts, test_share: float, seed: int
) -> tuple[dict[str, str], float]:
    per_group: dict[str, Counter[str]] = defaultdict(Counter)
    for slide_id, group in groups.items():
        per_group[group].update({c: n for c, n in counts.get(slide_id, {}).items() if n > 0})
    given = {groups[slide_id]: side for slide_id, side in came.items()}
    names = [g for g in sorted(per_group) if per_group[g]]
    classes = sorted({c for name in names for c in per_group[name]})
    table = np.array([[per_group[g][c] for c in classes] for g in names], dtype=np.float64)
    table = table.reshape(len(names), len(classes))
    fixed = {side: np.array([given.get(g) == side for g in names], dtype=np.bool_) for side in SIDES}
    chosen, cost = choose_test_groups(table, fixed[TEST], fixed[TRAIN], test_share, seed)
    sides = {g: TEST if test else TRAIN for g, test in zip(names, chosen, strict=True)}
    # A group without cells weighs nothing in the search; it is dealt by the share alone.
    empty = [g for g in sorted(per_group) if not per_group[g]]
    n_test = round(test_share * len(empty))
    order = np.random.default_rng(seed).permutation(len(empty))
    sides |= {empty[i]: TEST if rank < n_test else TRAIN for rank, i in enumerate(order)}
    return sides | given, cost


def _split(
    sides: Mapping[str, str],
    groups: Mapping[str, str],
    counts: Counts,
    algorithm: str,
    seed: int,
    test_share: float,
    cost: float | None = None,
) -> Split:
    class_counts: dict[str, Counter[str]] = {side: Counter() for side in SIDES}
    for slide_id, side in sides.items():
        class_counts[side].update(counts.get(slide_id, {}))
    return Split(dict(sides), groups, class_counts, algorithm, seed, test_share, cost)
