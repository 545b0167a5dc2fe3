"""Outlines as label images: each pixel holds the number of the cell that covers it; a table says whose number it is.

A slide or a part of it becomes a TIFF of 16 bits, or 32 where there are more cells; slices as APACC's data set has them
become PNGs of 16 bits.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.import_.relink import slide_named
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, YXYX, CellOutline, Polygon, boxes_overlap, pixels_in_outline
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_folder
from napari_cyto.formats.apacc.names import SLICE_SIDE, slice_stem
from napari_cyto.formats.apacc.slices import is_slice
from napari_cyto.formats.apacc.smear_names import SmearNames
from napari_cyto.formats.slide_names import slide_stems
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.slides.tiff_writer import write_label_image
from napari_cyto.store import Project

MOST_PX = 1 << 28
"""Largest image, px: 16,384 a side; larger parts are for slices."""

COLUMNS = ("label", "annotation", "class", "status", "outline_accepted", "pixels", "pixels_hidden")

_MOST_16 = np.iinfo(np.uint16).max


class LabelImageOptions(BaseModel):
    """What is drawn, and into what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: str | None = Field(
        default=None, title="Slide", description="Only this slide, by its name in the project; all by default."
    )
    region_yxyx: tuple[int, int, int, int] | None = Field(
        default=None, title="Region", description="Only this part of the slide, half-open, level-0 px."
    )
    ring: Literal["nucleus", "cell"] = Field(
        default="nucleus",
        title="Outline",
        description="Which outline is drawn: of the nucleus, or of the whole cell where it is known.",
    )
    accepted_only: bool = Field(
        default=False, title="Accepted only", description="Only outlines that a person drew or accepted."
    )
    pieces: Literal["whole", "slices"] = Field(
        default="whole",
        title="Images",
        description="One TIFF for a slide or region, or a PNG for each slice of 2000 px that has an outline, named as "
        "APACC names slices.",
    )


@dataclass(frozen=True, slots=True)
class LabelImageExport(JsonFields):
    """What was written.

    Parameters
    ----------
    target : str
        The folder.
    images, labels : int
        How many; a cell on two slices has a label on each.
    without_outline, not_accepted, rejected : int
        Cells that are not drawn: points and boxes, or cells without the outline asked for; outlines left out because
        nobody accepted them; and rejected cells.
    without_pixel : int
        Outlines so small that no pixel's centre lies in them.
    overlapping : int
        Labels of which another one, further down in the table, hides pixels.
    hidden : int
        Labels of which nothing is to be seen.
    """

    target: str
    images: int
    labels: int
    without_outline: int
    not_accepted: int
    rejected: int
    without_pixel: int
    overlapping: int
    hidden: int


@dataclass
class _Sums:
    images: int = 0
    labels: int = 0
    without_outline: int = 0
    not_accepted: int = 0
    rejected: int = 0
    without_pixel: int = 0
    overlapping: int = 0
    hidden: int = 0


@dataclass
class _Piece:
    """One image: its cells and where it lies, level-0 px."""

    stem: str
    bounds: tuple[int, int, int, int]
    cells: list[tuple[Annotation, tuple[YX, ...]]] = field(default_factory=list)


def export_label_images(
    project_folder: Path, target: Path, options: LabelImageOptions, token: Token | None = None
) -> Events:
    """Write label images of a project's outlines; a job. The target is complete or as it was.

    Parameters
    ----------
    project_folder : Path
        The project.
    target : Path
        The folder to be.
    options : LabelImageOptions
        What is drawn.
    token : Token, optional
        Asks for a stop.

    Yields
    ------
    Event
        ``Done.result`` is a `LabelImageExport`.
    """
    return ending_once(_steps(project_folder, target, options, token))


def _steps(place: Path, target: Path, options: LabelImageOptions, token: Token | None) -> Steps:
    with Project.open(place) as project:
        slides: Sequence[SlideRecord] = project.slides()
        if options.slide is not None:
            slides = [slide_named(project, options.slide)]
        if options.region_yxyx is not None and len(slides) != 1:
            raise CytoError(f"Expected one slide for a region, got {counted(len(slides), 'slide')}; name one.")
        sums, stems, smears = _Sums(), slide_stems(slides), SmearNames(slides)
        pieces = [
            (slide, piece)
            for slide in slides
            for piece in _pieces(
                project,
                slide,
                stems[slide.id] if options.pieces == "whole" or is_slice(slide) else smears[slide],
                options,
                sums,
            )
        ]
        if not pieces:
            raise CytoError("No cell has an outline that could be drawn; outline the cells first.")
        with atomic_folder(target, {"kind": "label images", "ring": options.ring}) as folder:
            for done, (slide, piece) in enumerate(pieces):
                stop_if_cancelled(token, "Nothing was written.")
                yield Advanced(done, len(pieces), f"{piece.stem}: {counted(len(piece.cells), 'cell')}")
                _write(folder, slide, piece, options, sums)
    if sums.overlapping:
        yield Noted(
            f"{counted(sums.overlapping, 'label')} partly hidden by labels further down in the table, of which "
            f"{sums.hidden:,} wholly: pixels have one number."
        )
    yield Done(LabelImageExport(str(target), **vars(sums)))


def _pieces(
    project: Project, slide: SlideRecord, stem: str, options: LabelImageOptions, sums: _Sums
) -> Iterator[_Piece]:
    if slide.size_hw is None:
        raise CytoError(f"The size of {slide.name} is unknown, so its label image would have none; relink its file.")
    height, width = slide.size_hw
    y0, x0, y1, x1 = options.region_yxyx or (0, 0, height, width)
    y0, x0, y1, x1 = max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)
    if y0 >= y1 or x0 >= x1:
        raise CytoError(f"{slide.name} is {width} x {height} px, and the region lies outside it.")
    cells = list(_outlined(project, slide.id, (y0, x0, y1, x1), options, sums))
    if options.pieces == "whole":
        if (y1 - y0) * (x1 - x0) > MOST_PX:
            raise CytoError(
                f"{slide.name} is {x1 - x0} x {y1 - y0} px, too large for one label image of at most {MOST_PX:,} px; "
                "give a region, or choose slices."
            )
        if cells:
            yield _Piece(stem if options.region_yxyx is None else f"{stem}_{x0}_{y0}", (y0, x0, y1, x1), cells)
        return
    for top in range(y0 // SLICE_SIDE * SLICE_SIDE, y1, SLICE_SIDE):
        for left in range(x0 // SLICE_SIDE * SLICE_SIDE, x1, SLICE_SIDE):
            # As APACC's own, a slice at the border is as large as all others.
            bounds = (top, left, top + SLICE_SIDE, left + SLICE_SIDE)
            inside = [(cell, ring) for cell, ring in cells if boxes_overlap(Polygon(ring).bounds_yxyx, bounds)]
            if inside:
                yield _Piece(stem if is_slice(slide) else slice_stem(stem, top, left), bounds, inside)


def _outlined(
    project: Project, slide_id: str, bounds: YXYX, options: LabelImageOptions, sums: _Sums
) -> Iterator[tuple[Annotation, tuple[YX, ...]]]:
    for cell in project.annotations(slide_id):
        if cell.is_region or not boxes_overlap(_box(cell), bounds):
            continue
        shape = cell.geometry
        ring: tuple[YX, ...] = ()
        if isinstance(shape, CellOutline):
            ring = shape.vertices_yx if options.ring == "nucleus" else shape.cytoplasm_yx
        if cell.status is Status.REJECTED:
            sums.rejected += 1
        elif not isinstance(shape, CellOutline) or not ring:
            sums.without_outline += 1
        elif options.accepted_only and not shape.accepted:
            sums.not_accepted += 1
        else:
            yield cell, ring


def _box(cell: Annotation) -> YXYX:
    shape = cell.geometry
    whole = isinstance(shape, CellOutline) and shape.cytoplasm_yx
    y0, x0, y1, x1 = Polygon(whole).bounds_yxyx if whole else shape.bounds_yxyx
    return (y0, x0, max(y1, y0 + 1e-6), max(x1, x0 + 1e-6))


def _write(folder: Path, slide: SlideRecord, piece: _Piece, options: LabelImageOptions, sums: _Sums) -> None:
    labels, drawn = _drawn(piece)
    left = np.bincount(labels.ravel(), minlength=len(piece.cells) + 1)[1:]
    if options.pieces == "slices":
        if len(piece.cells) > _MOST_16:
            raise CytoError(f"{piece.stem} has more than {_MOST_16:,} cells, too many for a PNG of 16 bits.")
        Image.fromarray(labels.astype(np.uint16)).save(folder / f"{piece.stem}.png")
    else:
        kind = np.uint16 if len(piece.cells) <= _MOST_16 else np.uint32
        write_label_image(folder / f"{piece.stem}.tif", labels.astype(kind), slide.mpp)
    with (folder / f"{piece.stem}.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        for n, (cell, _) in enumerate(piece.cells):
            shape = cell.geometry
            accepted = "yes" if isinstance(shape, CellOutline) and shape.accepted else "no"
            row = (n + 1, cell.id, cell.class_id, cell.status.value, accepted, left[n], drawn[n] - left[n])
            table.writerow(row)
    sums.images += 1
    sums.labels += len(piece.cells)
    sums.without_pixel += int((drawn == 0).sum())
    sums.overlapping += int((left < drawn).sum())
    sums.hidden += int(((left == 0) & (drawn > 0)).sum())


def _drawn(piece: _Piece) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the labels ``(h, w)``, and how many pixels each cell covers, hidden ones included."""
    top, left, bottom, right = piece.bounds
    labels = np.zeros((bottom - top, right - left), np.uint32)
    drawn = np.zeros(len(piece.cells), np.int64)
    for n, (_, ring) in enumerate(piece.cells):
        y0, x0, y1, x1 = Polygon(ring).bounds_yxyx
        a, b = max(int(np.floor(y0)), top), max(int(np.floor(x0)), left)
        c, d = min(int(np.ceil(y1)), bottom), min(int(np.ceil(x1)), right)
        if a >= c or b >= d:
            continue
        inside = pixels_in_outline(ring, (a, b), (c - a, d - b))
        drawn[n] = inside.sum()
        labels[a - top : c - top, b - left : d - left][inside] = n + 1
    return labels, drawn
