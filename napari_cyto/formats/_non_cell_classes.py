"""Classes that name no cells, whatever program wrote them: ``Ignore*`` and ``Region*``, as QuPath calls them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.formats.annotation_spool import class_ids_of, spooled
from napari_cyto.formats.bad_rows import LeftOut


def is_ignored(name: str | None) -> bool:
    """Whether a class is QuPath's ``Ignore*``, or one derived from it, in any case."""
    return name is not None and _base(name) == "ignore"


def is_region(name: str | None) -> bool:
    """Whether a class is QuPath's ``Region*``, in any case, which is an area and no cell."""
    return name is not None and _base(name) == "region"


def only_cells(labels: LabelSet, source: str) -> LabelSet:
    """Return labels without what is to be ignored, and with areas of the class ``Region*`` as regions.

    Points of that class enclose nothing and are left out. Both classes go from the list of classes; what was done is
    counted in the remarks.

    Parameters
    ----------
    labels : LabelSet
        As a reader took them from the source.
    source : str
        The name of the source, for the remarks.
    """
    names = {*labels.classes, *class_ids_of(labels.annotations)}
    no_cells = {name for name in names if is_ignored(name) or is_region(name)}
    if not no_cells:
        return labels
    left_out = LeftOut()
    return replace(
        labels,
        annotations=spooled(_sifted(labels.annotations, left_out)),
        classes=tuple(name for name in labels.classes if name not in no_cells),
        colours=tuple((name, colour) for name, colour in labels.colours if name not in no_cells),
        remarks=(*labels.remarks, *left_out.remarks(source)),
    )


def _sifted(annotations: Collection[Annotation], left_out: LeftOut) -> Iterator[Annotation]:
    for a in annotations:
        if is_ignored(a.class_id):
            left_out.add("annotation", f"of the class {a.class_id} left out.")
        elif not is_region(a.class_id):
            yield a
        elif isinstance(a.geometry, (Box, Polygon)):
            left_out.add("area", f"of the class {a.class_id} read as regions, inside which every cell is annotated.")
            yield replace(a, class_id=None, scores=(), geometry=_outline(a.geometry))
        else:
            left_out.add("point", f"of the class {a.class_id} left out.")


def _outline(area: Box | Polygon) -> Polygon:
    if isinstance(area, Polygon):
        return area
    y0, x0, y1, x1 = area.bounds_yxyx
    return Polygon(((y0, x0), (y0, x1), (y1, x1), (y1, x0)))


@lru_cache(maxsize=1024)
def _base(name: str) -> str:
    return name.partition(":")[0].strip().lower().removesuffix("*")
