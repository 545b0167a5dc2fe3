"""What of a slide a detector learns from and is judged on: all of a field of view, little of a slide.

Nobody annotates a whole slide. Where no region says that every cell inside is annotated, most cells of a slide carry
no annotation, and to take them for background would teach a detector to leave cells out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.known_area import KnownArea

FIELD_MM2 = 1.0
"""A picture up to this size is a field of view, taken for annotated whole; a 20x objective shows about as much."""

AROUND_UM = 15.0
"""So far around an annotation it is known what is a cell: farther away, in CRIC, the next nucleus is likely."""


Rest = Literal["ignored", "background-unless-sure", "positive-unlabelled"]
"""What a detector's loss makes of the part of a slide that nobody annotated."""

_REST: dict[Rest, str] = {
    "ignored": "left out, since it may hold cells that nobody annotated.",
    "background-unless-sure": "left out of metrics and threshold, since it may hold cells that nobody annotated; in "
    "training, only what looks unlike a cell counts as background there.",
    "positive-unlabelled": "left out of metrics and threshold, since it may hold cells that nobody annotated; in "
    "training it counts as unlabelled: background, less the cells expected there.",
}


@dataclass(frozen=True, slots=True)
class AreaRule:
    """Which part of a slide counts where no region says so.

    Parameters
    ----------
    around_um : float
        On slides: how far around an annotation or a rejected prediction, µm.
    field_mm2 : float
        Pictures up to this many mm² are fields of view, which count whole.
    """

    around_um: float = AROUND_UM
    field_mm2: float = FIELD_MM2

    def area(self, slide: TrainingSlide, mpp: float | None = None) -> KnownArea:
        """Return where on a slide it is known which objects are cells.

        Regions say so themselves. A slide in a data set of fields without any cell is empty, and counts whole.
        Without a scale a picture is taken for a field.

        Parameters
        ----------
        slide : TrainingSlide
            With its annotations.
        mpp : float, optional
            µm per level-0 px; the slide's own without it.
        """
        scale = mpp or slide.mpp
        is_slide = scale is not None and slide.size_hw[0] * slide.size_hw[1] * (scale / 1000) ** 2 > self.field_mm2
        spots = [slide.rejected_yx, *([slide.centres_yx] if is_slide else [])]
        places = np.concatenate(spots)
        only_rejected = len(slide.rejected_yx) > 0 and not len(slide)
        if not slide.regions and not ((is_slide or only_rejected) and len(places)):
            return KnownArea()
        inside = KnownArea(slide.regions).contains(places) if slide.regions else np.zeros(len(places), dtype=bool)
        outside = places[~inside]
        reach_px = self.around_um / scale if scale is not None and len(outside) else 0.0
        return KnownArea(slide.regions, outside, reach_px)


RULE = AreaRule()


@dataclass(frozen=True, slots=True)
class AreaUsed:
    """How much of slides counts, and how much is left out.

    Parameters
    ----------
    used_mm2, slides_mm2 : float
        Of the slides whose µm per px are known.
    limited : int
        Slides of which a part only counts.
    annotations, rejected, regions : int
        On these: cells, rejected predictions and regions.
    around_um : float
        As in `AreaRule`.
    """

    used_mm2: float
    slides_mm2: float
    limited: int
    annotations: int
    rejected: int
    regions: int
    around_um: float

    def sentence(self, verb: str, rest: Rest = "ignored") -> str:
        """Return what is used and what is left out; empty where all of every slide is used.

        Parameters
        ----------
        verb : str
            What is done there, such as ``Trained on``.
        rest : str
            What the loss of a detector makes of the rest, as its recipe says.
        """
        if not self.limited:
            return ""
        counted = ((self.annotations, "annotation"), (self.rejected, "rejected prediction"))
        spots = " and ".join(f"{n:,} {noun}{'s' * (n != 1)}" for n, noun in counted if n)
        inside = f"inside {self.regions:,} region{'s' * (self.regions != 1)}" if self.regions else ""
        near = f"within {self.around_um:g} µm of {spots}" if spots else ""
        where = " and ".join(part for part in (inside, near) if part)
        share = 100 * (1 - self.used_mm2 / self.slides_mm2) if self.slides_mm2 else 0.0
        whose = "the slide" if self.limited == 1 else f"these {self.limited:,} slides"
        return (
            f"{verb} {_area(self.used_mm2)} {where}; {_percent(share)} of {whose} is {_REST[rest]} To have all of a "
            "part count, annotate every cell in it and draw a region around it."
        )


def area_used(slides: Sequence[TrainingSlide], rule: AreaRule = RULE) -> AreaUsed:
    """Return how much counts of those slides of which a part only counts."""
    used = whole = 0.0
    limited = [(slide, area) for slide in slides if not (area := rule.area(slide)).is_everywhere]
    for slide, area in limited:
        if slide.mpp is not None:
            mm2 = (slide.mpp / 1000) ** 2
            used += area.area_px(slide.size_hw) * mm2
            whole += slide.size_hw[0] * slide.size_hw[1] * mm2
    with_reach = [slide for slide, area in limited if area.reach_px]
    return AreaUsed(
        used,
        whole,
        len(limited),
        sum(len(slide) for slide in with_reach),
        sum(len(slide.rejected_yx) for slide in with_reach),
        sum(len(slide.regions) for slide, _ in limited),
        rule.around_um,
    )


def _area(mm2: float) -> str:
    return f"{mm2:.1f} mm²" if mm2 >= 1 else f"{mm2:.2g} mm²"


def _percent(share: float) -> str:
    return f"{min(share, 99.9):.1f} %" if share >= 99 else f"{share:.0f} %"
