"""The Ki-67 proliferation index of each slide and region of a label set, with the cells that each rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import YXYX, Polygon
from napari_cyto.domain.json_values import to_plain
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.statistics import clustered_share
from napari_cyto.errors import CytoError
from napari_cyto.evaluation._proliferation import (
    FEWEST_CELLS,
    NEGATIVE,
    POSITIVE,
    ProliferationIndex,
    proliferation_index,
)

__all__ = ["Ki67", "ProliferationIndex", "RegionIndex", "SlideIndex", "ki67_of"]


@dataclass(frozen=True, slots=True)
class RegionIndex:
    """The index of a region: its name, its bounds ``y0, x0, y1, x1`` (level-0 px), and what was counted in it."""

    region: str
    bounds_yxyx: YXYX
    index: ProliferationIndex

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {"region": self.region, "bounds_yxyx": list(self.bounds_yxyx)} | self.index.to_json()


@dataclass(frozen=True, slots=True)
class SlideIndex:
    """The index of a slide: its name, what was counted on it, and its regions."""

    slide: str
    index: ProliferationIndex
    regions: tuple[RegionIndex, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {"slide": self.slide} | self.index.to_json() | {"regions": to_plain(self.regions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ki67:
    """The Ki-67 index of label files.

    Parameters
    ----------
    whole : ProliferationIndex
        Of all slides together.
    interval : tuple of float or None
        Its 95 % interval: of one slide of counting alone, of several with what they differ by; None without cells.
    slides : tuple of SlideIndex
        Of each slide.
    positive_classes, negative_classes : tuple of str
        Ids of the classes of stained and unstained tumour cells.
    other_cells, proposed_cells : int
        Cells of other classes, and cells that nobody reviewed.
    fewest_cells : int
        How many tumour cells an index should rest on.
    """

    whole: ProliferationIndex
    interval: tuple[float, float] | None
    slides: tuple[SlideIndex, ...]
    positive_classes: tuple[str, ...]
    negative_classes: tuple[str, ...]
    other_cells: int
    proposed_cells: int
    fewest_cells: int = FEWEST_CELLS

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "all": self.whole.to_json() | {"interval": self.interval},
            "slides": to_plain(self.slides),
            "positive_classes": list(self.positive_classes),
            "negative_classes": list(self.negative_classes),
            "other_cells": self.other_cells,
            "proposed_cells": self.proposed_cells,
            "fewest_cells": self.fewest_cells,
        }


def ki67_of(labels: LabelSet, positive: Sequence[str] = POSITIVE, negative: Sequence[str] = NEGATIVE) -> Ki67:
    """Return the proliferation index of each slide and of each of its regions.

    Parameters
    ----------
    labels : LabelSet
        Cells of stained and unstained tumour classes; rejected ones do not count, proposals do.
    positive, negative : sequence of str
        Class ids of stained and unstained tumour cells.

    Raises
    ------
    CytoError
        When no cell is of any of these classes.

    Notes
    -----
    Source: Dowsett et al. 2011, JNCI 103(22) (500 cells); `napari_cyto.domain.statistics` (intervals).
    """
    tumour = {*positive, *negative}
    cells = [a for a in labels.annotations if not a.is_region and a.status is not Status.REJECTED]
    if not any(a.class_id in tumour for a in cells):
        seen = ", ".join(sorted({a.class_id or "" for a in cells})) or "none"
        raise CytoError(
            f"The Ki-67 index counts cells of the classes {', '.join([*positive, *negative])}, but the classes here "
            f"are {seen}; map them with --class-map FILE."
        )
    slides = tuple(_slide(labels, slide.id, slide.name, positive, negative) for slide in labels.slides)
    whole = ProliferationIndex(sum(s.index.positive for s in slides), sum(s.index.negative for s in slides))
    interval = whole.interval
    if len(slides) > 1:
        # Slides differ more than counting alone tells.
        found = clustered_share([s.index.positive for s in slides], [s.index.count for s in slides])
        if found.low is not None and found.high is not None:
            interval = (found.low, found.high)
    return Ki67(
        whole=whole,
        interval=interval,
        slides=slides,
        positive_classes=tuple(positive),
        negative_classes=tuple(negative),
        other_cells=sum(a.class_id not in tumour for a in cells),
        proposed_cells=sum(a.status is Status.UNREVIEWED for a in cells),
    )


def _slide(labels: LabelSet, slide_id: str, name: str, positive: Sequence[str], negative: Sequence[str]) -> SlideIndex:
    shown = labels.of_slide(slide_id)
    cells = [a for a in shown if not a.is_region]
    regions = [a for a in shown if a.is_region and a.status is not Status.REJECTED]
    return SlideIndex(
        name,
        proliferation_index(cells, None, positive, negative),
        tuple(
            RegionIndex(
                _name(region, number),
                region.geometry.bounds_yxyx,
                proliferation_index(cells, region.geometry, positive, negative),
            )
            for number, region in enumerate(regions, start=1)
            if isinstance(region.geometry, Polygon)
        ),
    )


def _name(region: Annotation, number: int) -> str:
    return region.note or f"region {number}"
