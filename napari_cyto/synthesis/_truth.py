"""What is really on a synthetic smear, cell by cell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Geometry, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.synthesis._specs import CLASSES

IntBox = tuple[int, int, int, int]
Shown: TypeAlias = Literal["cell", "nucleus", "centre"]

ARTEFACT = "rubbish"
AUTHOR = "synthesis"
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTruth:
    """One epithelial cell; level-0 px unless the name says µm.

    Parameters
    ----------
    class_id : str
        Bethesda class.
    kind : str
        Which kind of cell of that class.
    nucleus_yx : tuple of float
        Centre of the (first) nucleus.
    nucleus_box_yxyx : tuple of int
        Half-open box of the nucleus, of both where there are two.
    cell_box_yxyx : tuple of int
        Half-open box of the whole cell.
    nucleus_area_um2 : float
        Area of the first nucleus.
    cell_area_um2 : float
        Area of the whole cell, flaps that are folded back not counted.
    nuclei : int
        1 or 2.
    """

    class_id: str
    kind: str
    nucleus_yx: tuple[float, float]
    nucleus_box_yxyx: IntBox
    cell_box_yxyx: IntBox
    nucleus_area_um2: float
    cell_area_um2: float
    nuclei: int = 1

    @property
    def nc_ratio(self) -> float:
        """Area of the first nucleus over the area of the cell."""
        return self.nucleus_area_um2 / self.cell_area_um2


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactTruth:
    """Something that is no cell to judge: debris, a clump of polymorphs, a squame without nucleus; level-0 px."""

    kind: str
    box_yxyx: IntBox


@dataclass(frozen=True, slots=True)
class SmearTruth:
    """Everything to be found on one smear.

    Single polymorphs, red cells, bacteria and mucus are background and not listed.
    """

    cells: tuple[CellTruth, ...]
    artefacts: tuple[ArtefactTruth, ...]

    def counts(self) -> dict[str, int]:
        """Return how many there are of each class, those without any included."""
        counts = dict.fromkeys((*CLASSES, ARTEFACT), 0)
        for cell in self.cells:
            counts[cell.class_id] += 1
        counts[ARTEFACT] = len(self.artefacts)
        return counts

    def annotations(self, slide_id: str, shown: Shown = "cell") -> tuple[Annotation, ...]:
        """Return the truth as annotations whose ids are the same each time.

        Parameters
        ----------
        slide_id : str
            The slide that they lie on.
        shown : {"cell", "nucleus", "centre"}
            Boxes of whole cells, boxes of nuclei, or points at the nuclei's centres. Rubbish is a box in the first
            two and the middle of its box in the last.
        """
        things: list[tuple[str, Geometry]] = [(c.class_id, _cell_geometry(c, shown)) for c in self.cells]
        for piece in self.artefacts:
            box = Box(*piece.box_yxyx)
            things.append((ARTEFACT, Point(*box.centre_yx) if shown == "centre" else box))
        return tuple(
            Annotation(
                id=_stable_id(slide_id, shown, number),
                slide_id=slide_id,
                geometry=geometry,
                class_id=class_id,
                author=AUTHOR,
                created_utc=_EPOCH,
            )
            for number, (class_id, geometry) in enumerate(things)
        )

    def label_set(self, slide: SlideRecord, shown: Shown = "cell") -> LabelSet:
        """Return the truth of ``slide`` as a label set (see ``annotations``)."""
        return LabelSet((slide,), self.annotations(slide.id, shown), (*CLASSES, ARTEFACT))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-able values."""
        return {"cells": [_plain(c) for c in self.cells], "rubbish": [_plain(r) for r in self.artefacts]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SmearTruth:
        """Return the truth that ``to_dict`` gave."""
        return cls(
            tuple(CellTruth(**_tupled(c)) for c in data["cells"]),
            tuple(ArtefactTruth(**_tupled(r)) for r in data["rubbish"]),
        )


def _cell_geometry(cell: CellTruth, shown: Shown) -> Geometry:
    if shown == "centre":
        return Point(*cell.nucleus_yx)
    return Box(*(cell.cell_box_yxyx if shown == "cell" else cell.nucleus_box_yxyx))


def _stable_id(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:32]


def _plain(value: CellTruth | ArtefactTruth) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _tupled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


def enclosing(boxes: Iterable[IntBox]) -> IntBox:
    """Return the smallest box that holds all of ``boxes``."""
    rows = list(boxes)
    return (min(b[0] for b in rows), min(b[1] for b in rows), max(b[2] for b in rows), max(b[3] for b in rows))
