"""The split of an export: as many sets as there are groups for, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_cyto.datasets.splits.config import ExportSplitConfig
from napari_cyto.datasets.splits.split import Split, set_of
from napari_cyto.datasets.splits.split_slides import CellCounts, Pairs, grouped, in_order, split_slides
from napari_cyto.domain.slide_record import SlideRecord

_SHARES = (("test_share", "test"), ("validation_share", "validation"))


def split_for_export(
    slides: Iterable[SlideRecord], counts: CellCounts, config: ExportSplitConfig, twins: Pairs = ()
) -> tuple[Split[SlideRecord], tuple[str, ...]]:
    """Return the sets of the slides of an export, and remarks.

    With fewer patients or smears than sets there is no test set, then no validation set either, and that is said: a
    first export of a first slide must not end in a refusal.

    Parameters
    ----------
    slides : iterable of SlideRecord
        What is divided, in any order.
    counts : mapping
        Slide id to class id to number of cells.
    config : ExportSplitConfig
        How.
    twins : collection of (slide id, slide id)
        Slides that show the same cells.

    Raises
    ------
    SplitError
        When a setting cannot be met.
    """
    listed = in_order(slides)
    groups = grouped(listed, config.by, twins)
    count = len({groups[slide.id] for slide in listed if any(counts.get(slide.id, {}).values())})
    lacking: list[str] = []
    if not ((config.published and any(set_of(slide.side) for slide in listed)) or config.allows("single-group")):
        for share, name in _SHARES:
            if 0 < count < config.requested_sets and config.fold is None and getattr(config, share):
                config = config.model_copy(update={share: 0.0})
                lacking.append(name)
    split = split_slides(listed, counts, config, twins=twins)
    if not lacking:
        return split, ()
    of = "one patient or smear" if count == 1 else f"{count} patients or smears"
    if config.requested_sets == 1:
        algorithm = f"everything in the training set, since all cells are of {of}"
        split = replace(split, record=split.record | {"algorithm": algorithm})
    none = f"There is no {' and no '.join(lacking)} set, since all cells are of {of}"
    return split, (f"{none}; for one, add slides of another patient.",)
