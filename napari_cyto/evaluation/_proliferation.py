"""The Ki-67 proliferation index: the share of tumour cells whose nucleus is stained, with the count it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Polygon, points_in_outline
from napari_cyto.domain.statistics import share_interval
from napari_cyto.errors import CytoError

POSITIVE = ("tumour-positive",)
NEGATIVE = ("tumour-negative",)
"""Classes of the shipped scheme ``ki67``; other cells and normal ones do not count."""

FEWEST_CELLS = 500
"""Source: Dowsett et al. 2011, JNCI 103(22), International Ki67 in Breast Cancer Working Group."""


@dataclass(frozen=True, slots=True)
class ProliferationIndex:
    """Stained and unstained tumour cells, and what follows from them.

    Parameters
    ----------
    positive, negative : int
        Tumour cells that are stained, and that are not.
    """

    positive: int
    negative: int

    def __post_init__(self) -> None:
        if self.positive < 0 or self.negative < 0:
            raise CytoError(f"Expected counts of cells of 0 or more, got {self.positive} and {self.negative}.")

    @property
    def count(self) -> int:
        """Cells that the index rests on."""
        return self.positive + self.negative

    @property
    def index(self) -> float | None:
        """Stained share, 0 to 1; None without tumour cells."""
        return self.positive / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of counting alone; None without tumour cells.

        Source: see `napari_cyto.domain.statistics.share_interval`.
        """
        return share_interval(self.positive, self.count)

    @property
    def warning(self) -> str:
        """A sentence when the cells are too few to report the index, else empty."""
        if self.count >= FEWEST_CELLS:
            return ""
        return (
            f"The index rests on {self.count} tumour cells, but at least {FEWEST_CELLS} are required; annotate or "
            "detect more cells before reporting it."
        )

    def to_json(self) -> dict[str, Any]:
        """Return counts, index, interval and warning as JSON-able values."""
        return {
            "index": self.index,
            "interval": self.interval,
            "positive": self.positive,
            "negative": self.negative,
            "count": self.count,
            "warning": self.warning,
        }


def proliferation_index(
    annotations: Iterable[Annotation],
    region: Polygon | None = None,
    positive: Sequence[str] = POSITIVE,
    negative: Sequence[str] = NEGATIVE,
) -> ProliferationIndex:
    """Count the tumour cells of one slide, or of a region of it.

    Parameters
    ----------
    annotations : iterable of Annotation
        Cells of one slide, level-0 px; rejected ones and regions do not count.
    region : Polygon, optional
        Only cells whose centre lies within count, level-0 px.
    positive, negative : sequence of str
        Class ids of stained and unstained tumour cells.

    Raises
    ------
    CytoError
        When a class is called both.
    """
    both = sorted({*positive} & {*negative})
    if both:
        raise CytoError(f"The class {both[0]!r} cannot be both positive and negative; name it once.")
    cells = [a for a in annotations if a.status is not Status.REJECTED and a.class_id in {*positive, *negative}]
    inside = np.ones(len(cells), dtype=bool)
    if region is not None:
        centres = np.asarray([a.geometry.centre_yx for a in cells], np.float64).reshape(-1, 2)
        inside = points_in_outline(centres, region.vertices_yx)
    stained = np.asarray([a.class_id in positive for a in cells], dtype=bool)
    return ProliferationIndex(int((inside & stained).sum()), int((inside & ~stained).sum()))
