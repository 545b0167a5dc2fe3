"""The cells of a slide that are outlined, those that are left as they are, and whether an outline is a cell's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import (
    Box,
    CellOutline,
    Polygon,
    area,
    box_contains_point,
    distance,
    is_on_image,
    points_in_outline,
)
from napari_cyto.inference.outline._outline_request import CellWithout, OutlineRequest, Why
from napari_cyto.inference.outline.computed import FoundOutline
from napari_cyto.store import Project

BESIDE_RADII = 0.5
"""How far from a nucleus its point may lie, in radii of that nucleus: hands are not that exact, other cells farther."""


@dataclass
class CellsToOutline:
    """The cells of a slide, or of a part of it.

    Parameters
    ----------
    chosen : list of Annotation
        Those that are outlined.
    without : list of CellWithout
        Those that have none in the end.
    seen : int
        How many of the chosen ones were looked at.
    cells, had_outline, had_plain_outline, rejected : int
        All of them, and those that stay as they are; see `SlideOutlines`.
    """

    chosen: list[Annotation] = field(default_factory=list)
    without: list[CellWithout] = field(default_factory=list)
    seen: int = 0
    cells: int = 0
    had_outline: int = 0
    had_plain_outline: int = 0
    rejected: int = 0

    @property
    def places_yx(self) -> npt.NDArray[np.float64]:
        """Where the chosen cells lie, float64 (n, 2), level-0 px."""
        return np.array([cell.geometry.centre_yx for cell in self.chosen], np.float64).reshape(-1, 2)

    def keep_those_on(self, size_hw: tuple[int, int]) -> None:
        """Leave out chosen cells that do not lie on an image of this size, level-0 px."""
        beyond = [cell for cell in self.chosen if not is_on_image(cell.geometry.centre_yx, size_hw)]
        self.without += [CellWithout(cell.id, cell.geometry.centre_yx, Why.OFF_IMAGE) for cell in beyond]
        self.chosen = [cell for cell in self.chosen if is_on_image(cell.geometry.centre_yx, size_hw)]


def cells_to_outline(project: Project, slide_id: str, request: OutlineRequest) -> CellsToOutline:
    """Return the cells of a slide that a request is about.

    Parameters
    ----------
    project : Project
        Open.
    slide_id : str
        The slide in it.
    request : OutlineRequest
        Which part of it, and what of those that have an outline.
    """
    cells = CellsToOutline()
    for one in _in_part(project, slide_id, request):
        cells.cells += 1
        shape = one.geometry
        if one.status is Status.REJECTED:
            cells.rejected += 1
        elif isinstance(shape, CellOutline) and (shape.accepted or not request.again):
            cells.had_outline += 1
        elif isinstance(shape, Polygon) and not isinstance(shape, CellOutline):
            cells.had_plain_outline += 1
        else:
            cells.chosen.append(one)
    return cells


def own_outline(
    project: Project, cell: Annotation, found: FoundOutline, size_hw: tuple[int, int], score_from: float | None
) -> CellOutline | Why:
    """Return the shape of an outline, or why it is not taken for the outline of this cell.

    Parameters
    ----------
    project : Project
        Open; it knows the other cells.
    cell : Annotation
        A point, a box, or a cell that had an outline.
    found : FoundOutline
        What lies under it.
    size_hw : tuple of int
        Of the slide, level-0 px.
    score_from : float or None
        The least score that counts.
    """
    if found.is_damaged:
        return Why.UNREADABLE
    shape = found.cell.geometry(size_hw)
    if shape is None:
        return Why.NOTHING
    if score_from is not None and found.cell.score < score_from:
        return Why.UNSURE
    if _is_beside(shape, cell):
        return Why.BESIDE
    return Why.SHARED if _holds_another(project, shape, cell) else shape


def _in_part(project: Project, slide_id: str, request: OutlineRequest) -> Iterable[Annotation]:
    region, within = request.region_yxyx, request.within_yx
    line = None if within is None else np.array(within)
    if region is None and line is not None:
        region = (*line.min(axis=0), *line.max(axis=0))
    found = project.annotations(slide_id) if region is None else project.in_box(slide_id, region)
    for one in found:
        centre = one.geometry.centre_yx
        if one.is_region or (request.region_yxyx is not None and not box_contains_point(request.region_yxyx, centre)):
            continue
        if line is None or points_in_outline(np.array([centre]), line)[0]:
            yield one


def _is_beside(shape: CellOutline, cell: Annotation) -> bool:
    if isinstance(cell.geometry, Box):
        # A box may be of the whole cell, whose nucleus lies anywhere in it.
        return not box_contains_point(cell.geometry.bounds_yxyx, shape.centre_yx, closed=True)
    radius = float(np.sqrt(area(shape) / np.pi))
    return distance(shape, cell.geometry.centre_yx) > BESIDE_RADII * radius


def _holds_another(project: Project, shape: CellOutline, cell: Annotation) -> bool:
    """Whether another cell lies in the nucleus: two nuclei became one, or two annotations are of one cell."""
    near = project.in_box(cell.slide_id, shape.bounds_yxyx)
    others = [a.geometry.centre_yx for a in near if _is_other_cell(a, cell)]
    return bool(others) and bool(points_in_outline(np.array(others), shape.vertices_yx).any())


def _is_other_cell(one: Annotation, cell: Annotation) -> bool:
    return one.id != cell.id and not one.is_region and one.status is not Status.REJECTED
