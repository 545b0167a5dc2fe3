"""The training, validation and test set of a data set of images, under the names that trainers give their folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_cyto.datasets.audit.report import Finding, Severity
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.splits.export_split import split_for_export
from napari_cyto.datasets.splits.leaks import shared_ties
from napari_cyto.datasets.splits.split import VALIDATION
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError
from napari_cyto.formats.image_sets import SPLITS, VAL

Counts = Mapping[str, Mapping[str, int]]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Division:
    """Which set each slide is in.

    Parameters
    ----------
    sides : mapping
        Slide id to ``train``, ``val`` or ``test``.
    groups : mapping
        Slide id to the patient, smear or slide that is kept together.
    counts : mapping
        Slide id to class id to annotations.
    algorithm : str
        How the sets were found, in words.
    remarks : tuple of str
        What a person should know of it.
    findings : tuple of Finding
        What the sets share; nothing, unless the data came divided.
    """

    sides: Mapping[str, str]
    groups: Mapping[str, str]
    counts: Counts
    algorithm: str = ""
    remarks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the division's tables as JSON-able values, with the names of patients and smears."""
        cells: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        for slide_id, side in self.sides.items():
            cells[side].update(self.counts.get(slide_id, {}))
        totals = {split: sum(of.values()) for split, of in cells.items()}
        rows = []
        for class_id in sorted({class_id for of in cells.values() for class_id, n in of.items() if n}):
            row: dict[str, Any] = {"class": class_id}
            for split in SPLITS:
                row[split] = cells[split][class_id]
                row[f"{split}_share"] = cells[split][class_id] / totals[split] if totals[split] else 0.0
            rows.append(row)
        names = {s: sorted({self.groups[i] for i, side in self.sides.items() if side == s}) for s in SPLITS}
        return {"algorithm": self.algorithm, "classes": rows, "smears": names}


def divide(slides: Sequence[SlideRecord], counts: Counts, options: ImageExportOptions, twins: Pairs = ()) -> Division:
    """Return the sets of slides; nothing that belongs to one patient, smear or slide is divided.

    Parameters
    ----------
    slides : sequence of SlideRecord
        What is divided.
    counts : mapping
        Slide id to class id to annotations.
    options : ImageExportOptions
        How.
    twins : sequence of (slide id, slide id)
        Slides that show the same cells.
    """
    try:
        split, remarks = split_for_export(slides, counts, options, twins)
    except SplitError:
        if not any(slide.side for slide in slides) or not options.published:
            raise
        # Sets that came with the data are taken as they are where there is too little to complete them from.
        split, remarks = split_for_export(slides, counts, options.model_copy(update={"fill": False}), twins)
    sides = {slide_id: VAL if name == VALIDATION else name for slide_id, name in split.sets.items()}
    findings = shared_ties(slides, split.sets) + _shared_cells(slides, sides, twins)
    return Division(sides, split.groups, counts, split.algorithm, remarks, findings)


def _shared_cells(slides: Sequence[SlideRecord], sides: Mapping[str, str], twins: Pairs) -> tuple[Finding, ...]:
    names = {slide.id: slide.name for slide in slides}
    rows = tuple({sides[a]: names[a], sides[b]: names[b]} for a, b in twins if sides[a] != sides[b])
    if not rows:
        return ()
    first = " and ".join(rows[0].values())
    detail = f"{len(rows):,} pair(s) of slides in two sets show the same cell: {first} for one."
    return (Finding("same_cell", Severity.ERROR, detail, rows, leak=True),)
