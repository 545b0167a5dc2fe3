"""A COCO data set with its images: ``annotations/instances_train.json`` and so on beside ``images/train``.

Source: the layout that datumaro and the references of torchvision read; categories count from 1, as there 0 is the
background.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._json_pieces import json_text
from napari_cyto.formats.image_sets import SPLITS, LabelledCell, LabelledImage

ANNOTATIONS = "annotations"
INSTANCES = {split: f"instances_{split}.json" for split in SPLITS}

HEAD = '{"info": {"description": "Written by napari-cyto"},\n"images": ['
MIDDLE = '],\n"annotations": ['


def instance_files(folder: Path) -> dict[str, Path]:
    """Return the files of a COCO folder by the names of their sets."""
    found = ((split, folder / ANNOTATIONS / name) for split, name in INSTANCES.items())
    return {split: path for split, path in found if path.is_file()}


def coco_tail(numbers: dict[str, int]) -> str:
    """Return the end of a file: its categories, by name their number."""
    rows = (json_text({"id": n, "name": name, "supercategory": "cell"}) for name, n in numbers.items())
    return '],\n"categories": [' + ",".join(f"\n{row}" for row in rows) + "]}\n"


class CocoImages:
    """Writes the labels of a COCO data set.

    Parameters
    ----------
    folder : Path
        The folder of the data set.
    classes : sequence of str
        All classes.
    image_row : callable
        From the number of an image and its record to its entry.
    cell_row : callable
        From the ids of an annotation, as JSON, its cell and its image to its entry.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        image_row: Callable[[int, SlideRecord], dict[str, Any]],
        cell_row: Callable[[str, LabelledCell, SlideRecord], str],
    ) -> None:
        self._folder, self._image_row, self._cell_row = folder / ANNOTATIONS, image_row, cell_row
        self._numbers = {name: place for place, name in enumerate(classes, start=1)}
        self._parts: dict[str, _Part] = {}

    def image_folder(self, split: str) -> str:
        """Return ``images/train`` and so on."""
        return f"images/{split}"

    def add(self, image: LabelledImage) -> None:
        """Write the entries of an image and of what lies on it."""
        if image.split not in self._parts:
            self._folder.mkdir(exist_ok=True)
            self._parts[image.split] = _Part(self._folder / INSTANCES[image.split])
        part = self._parts[image.split]
        number = part.next_image()
        part.image(json_text(self._image_row(number, image.record)))
        for cell in image.cells:
            ids = f'"id": {part.next_cell()}, "image_id": {number}, "category_id": {self._numbers[cell.class_id]}'
            part.cell(self._cell_row(ids, cell, image.record))

    def finish(self) -> None:
        """End the files; a split without images has none."""
        for part in self._parts.values():
            part.finish(coco_tail(self._numbers))

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts.values():
            part.close()


class _Part:
    """The file of one split: its images are written at once, its annotations, which follow them, are kept aside."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", errors="replace", newline="")
        self._aside: IO[str] = tempfile.TemporaryFile(  # noqa: SIM115  lives as long as this does
            "w+", prefix="napari-cyto-", encoding="utf-8", errors="replace", newline=""
        )
        self._images = self._cells = 0
        self._file.write(HEAD)

    def next_image(self) -> int:
        self._images += 1
        return self._images

    def next_cell(self) -> int:
        self._cells += 1
        return self._cells

    def image(self, row: str) -> None:
        self._file.write(("\n" if self._images == 1 else ",\n") + row)

    def cell(self, row: str) -> None:
        self._aside.write(("\n" if self._cells == 1 else ",\n") + row)

    def finish(self, tail: str) -> None:
        self._file.write(MIDDLE)
        self._aside.seek(0)
        shutil.copyfileobj(self._aside, self._file)
        self._file.write(tail)
        self.close()

    def close(self) -> None:
        self._file.close()
        self._aside.close()
