"""Which annotations an APACC dataset takes as cells, as which class, in which box."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme, SchemeMap
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.presets import map_between, preset, shipped_maps
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import ScaleUnknownError, SchemeError
from napari_cyto.formats.apacc.slice_losses import SliceLosses
from napari_cyto.formats.apacc.slices import Cell


def apacc_map(scheme: ClassScheme, own: Mapping[str, str] | None, used: Iterable[str]) -> SchemeMap:
    """Return the map from the project's classes to the collection's, good for all of ``used``.

    Parameters
    ----------
    scheme : ClassScheme
        The project's.
    own : mapping or None
        A user's map, class to APACC class, which goes before the shipped ones.
    used : iterable of str
        Class ids that occur.

    Raises
    ------
    SchemeError
        Listing the classes that have no counterpart.
    """
    target, used = preset("apacc"), set(used)
    if own is not None:
        wrong = sorted({v for v in own.values() if v not in target})
        if wrong:
            raise SchemeError(
                f"Expected APACC's classes ({', '.join(target.ids)}) in the class map, got {', '.join(wrong)}."
            )
        found = SchemeMap("own map", 1, scheme.name, target.name, tuple(sorted(own.items())))
    else:
        found = _usual_map(scheme, target)
    missing = found.unmapped(used)
    if missing:
        raise SchemeError(
            f"No APACC class ({', '.join(target.ids)}) is known for {', '.join(missing)}; map them "
            f"(--map {missing[0]}=unhealthy), or give those cells another class."
        )
    return found


def suggested_apacc_map(scheme: ClassScheme, used: Iterable[str]) -> dict[str, str] | None:
    """Return a first proposal of a map for classes without counterpart, or None when all have one.

    Parameters
    ----------
    scheme : ClassScheme
        The project's.
    used : iterable of str
        Class ids that occur.

    Returns
    -------
    dict or None
        Each of ``used``, in the scheme's order, with its APACC class; an empty text where nobody can know it. Classes
        that only share their name with a scheme that ships get what that one becomes, for a person to confirm.
    """
    target, used = preset("apacc"), set(used)
    usual = _usual_map(scheme, target)
    if not usual.unmapped(used):
        return None
    known: dict[str, str] = {}
    for shipped in shipped_maps():
        if shipped.target == target.name:
            known.update(shipped.pairs)
    known.update(usual.pairs)
    return {i: known.get(i, "") for i in scheme.ids if i in used}


def merge_losses(pairs: Mapping[str, str], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what an export cannot say any more because several classes become one, a sentence a target.

    Parameters
    ----------
    pairs : mapping
        Each class with what it becomes; a class that is not named stays as it is.
    counts : mapping
        How many cells of each class are written; only these classes can be lost.
    """
    sources: dict[str, list[str]] = {}
    for source in dict.fromkeys((*pairs, *counts)):
        sources.setdefault(pairs.get(source, source), []).append(source)
    sentences = []
    for target, merged in sources.items():
        here = [f"{counts[c]:,} {c}" for c in merged if counts.get(c) and c != target]
        if here and len(merged) > 1:
            verb = "becomes" if len(here) == 1 and here[0].startswith("1 ") else "become"
            sentences.append(
                f"{', '.join(here)} {verb} {target}, which stands for {', '.join(merged)}; the export does not record "
                "which of them a cell was."
            )
    return tuple(sentences)


def _usual_map(scheme: ClassScheme, target: ClassScheme) -> SchemeMap:
    try:
        return map_between(scheme, target)
    except SchemeError:
        same = tuple((i, i) for i in scheme.ids if i in target)
        return SchemeMap("classes of the same name", 1, scheme.name, target.name, same)


@dataclass(frozen=True)
class CellRule:
    """How annotations become cells.

    Parameters
    ----------
    scheme : ClassScheme
        The project's; its classes say how large a point's box is, µm.
    class_map : SchemeMap
        To the target's classes.
    statuses : frozenset of Status
        Which are written.
    point_px : float or None
        Side of a point's box, level-0 px, where µm cannot be used.
    """

    scheme: ClassScheme
    class_map: SchemeMap
    statuses: frozenset[Status]
    point_px: float | None = None

    def cells(self, slide: SlideRecord, annotations: Iterable[Annotation], losses: SliceLosses) -> list[Cell]:
        """Return the cells of one slide in their order; what is not written is counted in ``losses``.

        Raises
        ------
        CytoError
            When a point's box needs the slide's mpp and it is unknown.
        """
        cells = []
        for annotation in annotations:
            if losses.add_annotation(annotation, self.statuses) and annotation.class_id is not None:
                box = self._box(slide, annotation, annotation.class_id)
                cells.append(Cell(self.class_map.apply(annotation.class_id), box))
        return cells

    def _box(self, slide: SlideRecord, annotation: Annotation, class_id: str) -> Box:
        geometry = annotation.geometry
        if isinstance(geometry, Point):
            return whole_square(geometry.centre_yx, self.point_side_px(slide, class_id))
        y0, x0, y1, x1 = geometry.bounds_yxyx
        # An outline may be a line; a box needs some extent to be drawn.
        return Box(y0, x0, max(y1, math.nextafter(y0, math.inf)), max(x1, math.nextafter(x0, math.inf)))

    def point_side_px(self, slide: SlideRecord, class_id: str) -> float:
        """Return the side of a point's box on ``slide``, level-0 px.

        Raises
        ------
        CytoError
            When it needs the slide's mpp and that is unknown.
        """
        if slide.mpp:
            return self.scheme[class_id].box_um / slide.mpp
        if self.point_px is not None:
            return self.point_px
        raise ScaleUnknownError(
            f"Expected the µm per px of {slide.name} for the boxes around its points, got none; enter it in the Slide "
            f"dock, or give a box size in px (--point-px).",
            [slide.path],
        )


def whole_square(centre_yx: tuple[float, float], side_px: float) -> Box:
    """Return the square of whole px, at least one, that is nearest to ``side_px`` around ``centre_yx``."""
    side = max(1, round(side_px))
    y0, x0 = (math.floor(c - side / 2 + 0.5) for c in centre_yx)
    return Box(float(y0), float(x0), float(y0 + side), float(x0 + side))
