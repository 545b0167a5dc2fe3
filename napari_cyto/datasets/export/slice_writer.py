"""One slice onto the disk: its image, its label file, its crops and its overview."""

from __future__ import annotations

import math
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from napari_cyto.datasets._crops import RGB, cut_window, pad_centred
from napari_cyto.datasets._exchange_options import ApaccExportOptions
from napari_cyto.datasets.audit.crop_prints import CropPrint, make_print
from napari_cyto.datasets.export._apacc_plan import SlicePlan, SlidePlan
from napari_cyto.datasets.export._slice_overview import NAME_HEIGHT_PX, NAME_WIDTH_PX, draw_overview
from napari_cyto.datasets.export._slice_png import Colour, encode_padded, encode_png
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.formats.apacc.label_lines import slice_labels
from napari_cyto.formats.apacc.names import SLICE_SIDE, CropName, crop_name
from napari_cyto.formats.apacc.slices import SliceCell
from napari_cyto.slides import Slide

SLICES, CELLS, OVERVIEW = "slices", "cells", "overview"
FOLDERS = (SLICES, CELLS, OVERVIEW)
SIZE_HW = (SLICE_SIDE, SLICE_SIDE)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one slice: its files below the export's folder, its cells by class, the prints of its crops."""

    slide_id: str
    files: tuple[str, ...]
    class_counts: Counter[str]
    prints: tuple[tuple[str, CropPrint], ...]


class SliceWriter:
    """Writes slices below ``folder``; safe for use from several threads.

    Parameters
    ----------
    folder : Path
        The export's folder, under its temporary name.
    options : ApaccExportOptions
        What is wanted of each slice.
    day : date
        The date in crop names.
    stop : threading.Event
        Set when the export was cancelled; a writer looks at it between its steps.
    """

    def __init__(self, folder: Path, options: ApaccExportOptions, day: date, stop: threading.Event) -> None:
        self._folder = folder
        self._options = options
        self._day = day
        self._stop = stop

    def write(self, slide: Slide | None, plan: SlidePlan, piece: SlicePlan, side: str) -> Written:
        """Write one slice of an open slide to ``side``; only its label file when there is no slide.

        Raises
        ------
        CytoError
            When the slide is not what its record says.
        JobCancelled
            When the export was cancelled meanwhile.
        """
        self._go_on()
        text = slice_labels([c.box for c in piece.cells], [c.class_id for c in piece.cells])
        files = [self._bytes(Path(SLICES, side, f"{piece.stem}.txt"), text.encode("utf-8"))]
        prints: list[tuple[str, CropPrint]] = []
        if slide is not None:
            image = self._read(slide, plan, piece)
            beyond = slide.info.background_rgb
            self._go_on()
            on_slide = image[: slide.info.height - piece.y0, : slide.info.width - piece.x0]
            files.append(self._image(on_slide, beyond, plan, Path(SLICES, side, f"{piece.stem}.png")))
            if self._options.overview and piece.cells:
                self._go_on()
                drawn = draw_overview(image, piece.cells, SIZE_HW)
                files.append(self._padded(Path(OVERVIEW, side, f"{piece.stem}.png"), drawn, beyond))
            files += self._crops(image, piece, side, prints)
        return Written(plan.slide.id, tuple(files), Counter(cell.class_id for cell in piece.cells), tuple(prints))

    def _read(self, slide: Slide, plan: SlidePlan, piece: SlicePlan) -> RGB:
        """Return what of the slice there is: all of it, or as much as holds the slide, the cells and their names."""
        if plan.as_came and slide.info.size_hw != (SLICE_SIDE, SLICE_SIDE):
            raise CytoError(
                f"Expected a slice of {SLICE_SIDE} x {SLICE_SIDE} px, got {slide.info.height} x {slide.info.width} px "
                f"({plan.path}); import the folder of slices again."
            )
        ends: list[tuple[float, float]] = [(slide.info.height - piece.y0, slide.info.width - piece.x0)]
        ends += [(cell.box.y1 + NAME_HEIGHT_PX, cell.box.x1 + NAME_WIDTH_PX) for cell in piece.cells]
        height, width = (min(SLICE_SIDE, math.ceil(max(each))) for each in zip(*ends, strict=True))
        return slide.read_region(0, piece.y0, piece.x0, height, width)

    def _crops(self, image: RGB, piece: SlicePlan, side: str, prints: list[tuple[str, CropPrint]]) -> Iterator[str]:
        for number, cell in enumerate(sorted(piece.cells, key=lambda c: c.class_id), start=1):
            self._go_on()
            name, crop = self._crop_name(piece, number, cell), cut_window(image, _whole(cell))
            if self._options.twins:
                prints.append((name, make_print(crop)))
            if self._options.crops:
                padded = crop if self._options.pad_crops_px is None else pad_centred(crop, self._options.pad_crops_px)
                yield self._png(Path(CELLS, side, cell.class_id, name), padded)

    def _crop_name(self, piece: SlicePlan, number: int, cell: SliceCell) -> str:
        # The cell's number is its line in the label file, counted from 1.
        smear, y0, x0 = piece.origin
        y, x = (int(v) for v in cell.box.centre_yx)
        return crop_name(CropName(smear, y0, x0, number, y, x, self._day))

    def _image(self, image: RGB, beyond: Colour, plan: SlidePlan, name: Path) -> str:
        if not (plan.as_came and plan.path is not None and plan.path.suffix.lower() == ".png"):
            return self._padded(name, image, beyond)
        target = self._made(name)
        shutil.copyfile(plan.path, target)
        return name.as_posix()

    def _png(self, name: Path, image: RGB) -> str:
        return self._bytes(name, encode_png(image))

    def _padded(self, name: Path, image: RGB, beyond: Colour) -> str:
        return self._bytes(name, encode_padded(image, SIZE_HW, beyond))

    def _bytes(self, name: Path, data: bytes) -> str:
        with self._made(name).open("wb") as file:
            file.write(data)
        return name.as_posix()

    def _made(self, name: Path) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise JobCancelled("Cancelled.")


def move_side(folder: Path, files: tuple[str, ...], side: str) -> tuple[str, ...]:
    """Move files of an export (``slices/train/...``) to another side; return their new names."""
    moved = []
    for name in files:
        top, _, rest = name.split("/", 2)
        new = f"{top}/{side}/{rest}"
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, folder / new)  # noqa: PTH105  thousands of them
        moved.append(new)
    return tuple(moved)


def _whole(cell: SliceCell) -> tuple[int, int, int, int]:
    y0, x0, y1, x1 = (int(v) for v in cell.box.bounds_yxyx)
    return (y0, x0, y1, x1)
