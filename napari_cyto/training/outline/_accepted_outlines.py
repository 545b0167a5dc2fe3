"""The outlines that people accepted in projects, each with the pixels round it: what a model of outlines learns on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.splits.split_slides import grouped
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, CellOutline
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide, fingerprint_as_annotated, open_slide
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.store import Project
from napari_cyto.synthesis.outlined_fields import OutlinedField, OutlinedTruth, PlacedMask

LEAST_OUTLINES = 10
"""Fewer accepted outlines say nothing that the made-up fields do not."""

_REACH = 6.5
"""Half of what a crop may show at most, in diameters of the nucleus (it then fills 8 % of the crop's side)."""

_HALF_PX = (48, 384)
_MOST_HALF_PX = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedOutline:
    """One cell: the field round it, its µm per px where known, and the patient, smear or slide that it is from."""

    field: OutlinedField
    mpp: float | None
    group: str


@dataclass(slots=True)
class AcceptedOutlines:
    """The cells found in projects, and how many were not taken for which reason."""

    cells: list[AcceptedOutline] = field(default_factory=list)
    found: int = 0
    not_accepted: int = 0
    plain: int = 0
    unreadable: list[str] = field(default_factory=list)

    def sentences(self) -> Iterator[str]:
        """Yield what a person should know of the data."""
        with_cell = sum(each.field.knows_cells for each in self.cells)
        yield f"{counted(len(self.cells), 'accepted outline')}, {with_cell} of them with the edge of the cytoplasm."
        if self.found > len(self.cells) and not self.unreadable:
            yield f"{self.found:,} accepted outlines were found; they were drawn from these at random (most_outlines)."
        if self.not_accepted:
            yield f"{counted(self.not_accepted, 'outline')} that nobody accepted left out."
        if self.plain:
            yield f"{counted(self.plain, 'outline')} that may be of a nucleus or of a cell left out."
        yield from self.unreadable

    def held_out(self, share: float, seed: int) -> tuple[list[AcceptedOutline], list[AcceptedOutline]]:
        """Return the cells to learn on, and those held out: whole patients, else smears or slides.

        About ``share`` of the cells are held out, never half of them or more; none where all are of one group.
        """
        sizes = Counter(each.group for each in self.cells)
        names = sorted(sizes)
        out: set[str] = set()
        for n in np.random.default_rng(seed).permutation(len(names)).tolist():
            so_far = sum(sizes[name] for name in out)
            if so_far < share * len(self.cells) and 2 * (so_far + sizes[names[n]]) < len(self.cells):
                out.add(names[n])
        kept = [each for each in self.cells if each.group not in out]
        return kept, [each for each in self.cells if each.group in out]


def accepted_outlines(
    sources: Sequence[str], most: int, seed: int, pulse: Callable[[], None] = lambda: None
) -> AcceptedOutlines:
    """Return the accepted outlines of projects with the pixels round them.

    Parameters
    ----------
    sources : sequence of str
        Project folders.
    most : int
        Of more outlines so many are drawn at random.
    seed : int
        Of that draw.
    pulse : callable
        Called between cells; raises to stop.

    Raises
    ------
    CytoError
        When there are fewer than `LEAST_OUTLINES`, or a project cannot be opened.
    """
    all_found = AcceptedOutlines()
    places: list[tuple[int, SlideRecord, CellOutline]] = []
    records: list[SlideRecord] = []
    for number, source in enumerate(sources):
        with Project.open(Project.folder_of(source)) as project:
            for record in project.slides():
                records.append(record)
                places += [(number, record, shape) for shape in _accepted(project.annotations(record.id), all_found)]
    all_found.found = len(places)
    if len(places) < LEAST_OUTLINES:
        more = f" ({counted(all_found.not_accepted, 'outline')} not accepted yet)" if all_found.not_accepted else ""
        raise CytoError(
            f"Expected at least {LEAST_OUTLINES} accepted outlines of cells in the data, got {len(places)}{more}; "
            "accept or draw more in the Annotate dock, or leave out --data to learn on made-up fields alone."
        )
    if len(places) > most:
        places = [places[n] for n in sorted(np.random.default_rng(seed).choice(len(places), most, replace=False))]
    groups = grouped(records, "auto")
    for number, source in enumerate(sources):
        with Project.open(Project.folder_of(source)) as project:
            for record in project.slides():
                shapes = [shape for of, each, shape in places if of == number and each.id == record.id]
                if shapes:
                    _read(project, record, shapes, groups[record.id], all_found, pulse)
    if len(all_found.cells) < LEAST_OUTLINES:
        raise CytoError(
            f"Expected at least {LEAST_OUTLINES} accepted outlines on slides that can be read, got "
            f"{len(all_found.cells)}. {' '.join(all_found.unreadable)}"
        )
    return all_found


def _accepted(annotations: Iterable[Annotation], into: AcceptedOutlines) -> Iterator[CellOutline]:
    for each in annotations:
        if each.is_region or each.status is Status.REJECTED:
            continue
        if isinstance(each.geometry, CellOutline):
            if each.geometry.accepted and each.status is Status.ACCEPTED:
                yield each.geometry
            else:
                into.not_accepted += 1
        elif hasattr(each.geometry, "vertices_yx"):
            into.plain += 1


def _read(
    project: Project,
    record: SlideRecord,
    shapes: Sequence[CellOutline],
    group: str,
    into: AcceptedOutlines,
    pulse: Callable[[], None],
) -> None:
    read: list[AcceptedOutline] = []
    try:
        path = project.slide_path(record)
        fingerprint_as_annotated(path, record.fingerprint)
        with open_slide(path) as slide:
            mpp = record.mpp if record.mpp is not None else slide.info.mpp
            for shape in shapes:
                pulse()
                read.append(AcceptedOutline(_field(slide, shape, mpp), mpp, group))
    except (CytoError, OSError) as error:
        left = counted(len(shapes) - len(read), "outline")
        into.unreadable.append(f"{left} of {record.name} left out: {error}")
    into.cells += read


def _field(slide: Slide, shape: CellOutline, mpp: float | None) -> OutlinedField:
    """Return the field round a cell, as much as a crop may show of it, cut off at the border of the slide."""
    corners = np.asarray(shape.cytoplasm_yx or shape.vertices_yx)
    low, high = np.asarray(shape.vertices_yx).min(axis=0), np.asarray(shape.vertices_yx).max(axis=0)
    middle = (low + high) / 2
    to_edge = float(np.abs(corners - middle).max()) + 8
    half = min(max(float(np.clip(_REACH * (high - low).max(), *_HALF_PX)), to_edge), _MOST_HALF_PX)
    pixels = SlidePixels(slide)
    top, left = (int(v) for v in np.maximum(np.floor(middle - half), 0))
    bottom, right = (int(v) for v in np.minimum(np.ceil(middle + half), pixels.size_hw))
    rgb = np.ascontiguousarray(pixels.read(0, top, left, bottom - top, right - left))
    nucleus = _on_field(shape.vertices_yx, top, left)
    cell = _on_field(shape.cytoplasm_yx, top, left) if shape.cytoplasm_yx else nucleus
    # Only figures ask for the scale, and they ask the cell.
    return OutlinedField(rgb, mpp or 1.0, (OutlinedTruth((nucleus,), cell, 0.0),), bool(shape.cytoplasm_yx))


def _on_field(ring_yx: Sequence[YX], top: int, left: int) -> PlacedMask:
    ring: npt.NDArray[np.float64] = np.asarray(ring_yx, np.float64) - (top, left)
    return PlacedMask.of_ring([(float(y), float(x)) for y, x in ring])
