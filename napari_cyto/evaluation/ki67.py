"""The Ki-67 proliferation index of each slide and region of a label set, with the cells that each rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Polygon
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

Plain = dict[str, Any]


def ki67_of(labels: LabelSet, positive: Sequence[str] = POSITIVE, negative: Sequence[str] = NEGATIVE) -> Plain:
    """Return the proliferation index of each slide and of each of its regions.

    Parameters
    ----------
    labels : LabelSet
        Cells of stained and unstained tumour classes; rejected ones do not count, proposals do.
    positive, negative : sequence of str
        Class ids of stained and unstained tumour cells.

    Returns
    -------
    dict
        ``all`` and, in ``slides``, each slide with its ``regions``: ``index`` (share, 0 to 1, None without tumour
        cells), ``interval`` (95 %; of one slide of counting alone, of several with what they differ by), ``positive``,
        ``negative``, ``count``, ``warning``; JSON-able.

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
    slides = [_slide(labels, slide.id, slide.name, positive, negative) for slide in labels.slides]
    total = ProliferationIndex(sum(s["positive"] for s in slides), sum(s["negative"] for s in slides))
    whole = total.as_dict()
    if len(slides) > 1:
        # Slides differ more than counting alone tells.
        found = clustered_share([s["positive"] for s in slides], [s["count"] for s in slides])
        whole |= {"interval": (found.low, found.high)} if found.low is not None else {}
    return {
        "all": whole,
        "slides": slides,
        "positive_classes": list(positive),
        "negative_classes": list(negative),
        "other_cells": sum(a.class_id not in tumour for a in cells),
        "proposed_cells": sum(a.status is Status.UNREVIEWED for a in cells),
        "fewest_cells": FEWEST_CELLS,
    }


def _slide(labels: LabelSet, slide_id: str, name: str, positive: Sequence[str], negative: Sequence[str]) -> Plain:
    of_slide = labels.of_slide(slide_id)
    cells = [a for a in of_slide if not a.is_region]
    regions = [a for a in of_slide if a.is_region and a.status is not Status.REJECTED]
    return {
        "slide": name,
        **proliferation_index(cells, None, positive, negative).as_dict(),
        "regions": [
            {"region": _name(region, number), "bounds_yxyx": list(region.geometry.bounds_yxyx)}
            | proliferation_index(cells, region.geometry, positive, negative).as_dict()
            for number, region in enumerate(regions, start=1)
            if isinstance(region.geometry, Polygon)
        ],
    }


def _name(region: Annotation, number: int) -> str:
    return region.note or f"region {number}"
