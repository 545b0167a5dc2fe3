"""Labels that do not lie on their image: those that miss it wholly, and those that reach over its border."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from napari_cyto.domain.annotation_rows import KIND, SLIDE, X1, Y0, Row
from napari_cyto.domain.geometry import Geometry, lies_outside
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError
from napari_cyto.formats.annotation_spool import rows_of
from napari_cyto.formats.text import Fault


def outside_sentence(geometry: Geometry, size_hw: tuple[int, int], name: str) -> str:
    """Return the sentence on a shape that lies wholly outside the image ``name``; level-0 px."""
    y, x = geometry.centre_yx
    return f"it lies entirely outside {name}, at x {x:g}, y {y:g} of {size_hw[1]} x {size_hw[0]} px."


def check_inside(geometry: Geometry, size_hw: tuple[int, int], name: str, fault: Fault) -> None:
    """Refuse a shape that lies wholly outside its image.

    Raises
    ------
    FormatError
        Made by ``fault``.
    """
    if lies_outside(geometry, size_hw):
        raise fault(outside_sentence(geometry, size_hw, name))


def refuse_fractions(labels: LabelSet, path: Path) -> None:
    """Refuse labels of an image that all lie within its first px: their numbers are fractions of the image.

    Raises
    ------
    FormatError
        Naming the image.
    """
    found = {slide.id: _Fractions() for slide in labels.slides}
    waiting = len(found)
    for row in chain.from_iterable(rows_of(labels.annotations)):
        waiting -= found[row[SLIDE]].disproved_by(row)
        if not waiting:
            return
    for slide in labels.slides:
        if found[slide.id].are_all():
            raise FormatError(
                f"all positions on {slide.name!r:.200} are from 0 to 1, fractions of the image; expected pixels.", path
            )


class _Fractions:
    """Whether all shapes of one image lie within its first px, and what they are."""

    def __init__(self) -> None:
        self._disproved = False
        self._points = self._areas = 0
        self._whole = True

    def disproved_by(self, row: Row) -> bool:
        """Take one more shape; return whether it is the first that is no fraction of the image."""
        if self._disproved:
            return False
        bounds = row[Y0 : X1 + 1]
        self._disproved = min(bounds) < 0 or max(bounds) > 1
        self._areas += row[KIND] != "point"
        self._points += row[KIND] == "point"
        self._whole = self._whole and not self._disproved and all(value == int(value) for value in bounds)
        return self._disproved

    def are_all(self) -> bool:
        # One point may lie there; two, or anything with an area, would be smaller than what can be seen.
        return not self._disproved and not self._whole and (self._areas > 0 or self._points > 1)
