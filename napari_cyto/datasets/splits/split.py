"""A split: which slide is in the training, the validation or the test set, and what that makes of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SETS = (TRAIN, VALIDATION, TEST)
_CALLED = {"training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "testing": TEST}

Slide = TypeVar("Slide")
_AS_HERE: Mapping[str, str] = {}


def set_of(side: str) -> str:
    """Return the set that a slide came with, whatever its data set calls it; empty for none."""
    name = _CALLED.get(side, side)
    return name if name in SETS else ""


@dataclass(frozen=True, eq=False)
class Split(Generic[Slide]):
    """Which set each slide is in.

    Parameters
    ----------
    slides : mapping
        What is divided, in its order: slide key or id to slide.
    sets : mapping
        Slide key to ``train``, ``validation`` or ``test``; slides that are in none are left out.
    groups : mapping
        Slide key to the patient, smear or image that is kept together.
    counts : mapping
        Set to class id to cells, of all three sets and all classes.
    record : dict
        How it was made: unit, seed, shares, algorithm, sets with keys and counts, overrides that were used, and the
        audit; JSON-able, for a model card or an export's record.
    """

    slides: Mapping[str, Slide]
    sets: Mapping[str, str]
    groups: Mapping[str, str]
    counts: Mapping[str, Mapping[str, int]]
    record: dict[str, Any]

    def of(self, name: str) -> tuple[Slide, ...]:
        """Return the slides of a set, in their order."""
        return tuple(slide for key, slide in self.slides.items() if self.sets.get(key) == name)

    @property
    def algorithm(self) -> str:
        """How the sets were found, in words."""
        return str(self.record.get("algorithm", ""))

    @property
    def requested(self) -> tuple[str, ...]:
        """The sets that were asked for, or have slides."""
        used = {*self.sets.values(), *self.record.get("sets_asked", ())}
        return tuple(name for name in SETS if name in used)

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class with cells, alphabetically."""
        return tuple(sorted({c for counts in self.counts.values() for c, n in counts.items() if n}))

    def class_table(self, called: Mapping[str, str] = _AS_HERE) -> tuple[dict[str, Any], ...]:
        """Return one row a class: cells in each set, and its share of each set's cells and of the whole (0 to 1).

        ``called`` gives sets other names.
        """
        counts = {called.get(name, name): self.counts[name] for name in self.requested}
        totals = {name: sum(of.values()) for name, of in counts.items()}
        whole = sum(totals.values())
        rows = []
        for class_id in self.classes:
            row: dict[str, Any] = {"class": class_id}
            row |= {name: of.get(class_id, 0) for name, of in counts.items()}
            row["share"] = sum(row[name] for name in counts) / whole
            row |= {f"{name}_share": row[name] / totals[name] if totals[name] else 0.0 for name in counts}
            rows.append(row)
        return tuple(rows)

    def group_table(self, called: Mapping[str, str] = _AS_HERE) -> dict[str, tuple[str, ...]]:
        """Return the patients, smears or slides of each set, alphabetically; ``called`` gives sets other names."""
        members: dict[str, set[str]] = {name: set() for name in self.requested}
        for key, name in self.sets.items():
            members[name].add(self.groups[key])
        return {called.get(name, name): tuple(sorted(of)) for name, of in members.items()}

    def to_json(self, called: Mapping[str, str] = _AS_HERE) -> dict[str, Any]:
        """Return the split's tables as JSON-able values, for an export's record and preview.

        ``called`` gives sets other names.
        """
        shown = ("algorithm", "seed", "validation_share", "test_share", "cost", "overrides", "reason")
        return {
            **{name: self.record[name] for name in shown if name in self.record},
            "classes": list(self.class_table(called)),
            "smears": {name: list(groups) for name, groups in self.group_table(called).items()},
        }
