"""The training, validation and test set of a data set of images, under the names that trainers give their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from napari_cyto.datasets.audit.report import Finding, Severity
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.splits.export_split import split_for_export
from napari_cyto.datasets.splits.leaks import shared_ties
from napari_cyto.datasets.splits.split import VALIDATION, Split, set_of
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError
from napari_cyto.formats.image_sets import VAL

Counts = Mapping[str, Mapping[str, int]]
Pairs = Sequence[tuple[str, str]]
_FOLDERS = {VALIDATION: VAL}
"""What trainers call a set other than a split does."""


@dataclass(frozen=True)
class Division:
    """Which set each slide is in.

    Parameters
    ----------
    split : Split
        The sets, and how they were found.
    remarks : tuple of str
        What a person should know of it.
    findings : tuple of Finding
        What the sets share; nothing, unless the data came divided.
    """

    split: Split[SlideRecord]
    remarks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @cached_property
    def split_of(self) -> Mapping[str, str]:
        """Slide id to ``train``, ``val`` or ``test``."""
        return {slide_id: _FOLDERS.get(name, name) for slide_id, name in self.split.sets.items()}

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The patients, smears or slides of each set."""
        return self.split.group_table(_FOLDERS)

    def to_json(self) -> dict[str, Any]:
        """Return the split's tables as JSON-able values, with the names of patients and smears."""
        return self.split.to_json(_FOLDERS)


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

    Raises
    ------
    SplitError
        When a setting cannot be met.
    """
    try:
        split, remarks = split_for_export(slides, counts, options, twins)
    except SplitError as error:
        if not (options.fill and options.published and any(set_of(slide.side) for slide in slides)):
            raise
        # Sets that came with the data are taken as they are where there is too little to complete them from; what is
        # wrong for another reason is refused once more.
        split, remarks = split_for_export(slides, counts, options.model_copy(update={"fill": False}), twins)
        remarks = (f"The sets that came with the data are kept as they are, and not completed: {error}", *remarks)
    findings = shared_ties(slides, split.sets) + _shared_cells(slides, split.sets, twins)
    return Division(split, remarks, findings)


def _shared_cells(slides: Sequence[SlideRecord], split_of: Mapping[str, str], twins: Pairs) -> tuple[Finding, ...]:
    names = {slide.id: slide.name for slide in slides}
    rows = tuple({split_of[a]: names[a], split_of[b]: names[b]} for a, b in twins if split_of[a] != split_of[b])
    if not rows:
        return ()
    first = " and ".join(rows[0].values())
    pairs = counted(len(rows), "pair of slides in two sets shows", "pairs of slides in two sets show")
    detail = f"{pairs} the same cell{', the first are' if len(rows) > 1 else ':'} {first}."
    return (Finding("same_cell", Severity.ERROR, detail, rows, leak=True),)
