"""Data sets of images with their labels, in the layout that trainers of detectors expect; a format declares its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from napari_cyto.domain.geometry import YXYX, Polygon
from napari_cyto.domain.slide_record import SlideRecord

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)
"""Names of the training, validation and test set, as trainers call their folders."""


@dataclass(frozen=True, slots=True)
class LabelledCell:
    """A cell on an image: its class, its box and its outline where it has one; px of that image.

    ``cut`` is whether the border of the image cut the box.
    """

    class_id: str
    bounds_yxyx: YXYX
    outline: Polygon | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image of a data set.

    Parameters
    ----------
    split : str
        One of ``SPLITS``.
    record : SlideRecord
        Its file's name, size in px and µm per px.
    cells : sequence of LabelledCell
        What lies on it.
    """

    split: str
    record: SlideRecord
    cells: Sequence[LabelledCell]


class ImageSetWriter(Protocol):
    """Writes the labels of a data set, image by image; the images themselves are written by who exports."""

    def image_folder(self, split: str) -> str:
        """Return the folder for the images of a split, below that of the data set, with slashes."""
        ...

    def add(self, image: LabelledImage) -> None:
        """Write the labels of one more image."""
        ...

    def finish(self) -> None:
        """Write what names splits and classes; nothing is added after that."""
        ...

    def close(self) -> None:
        """Let go of the files, finished or not."""
        ...


@runtime_checkable
class ImageSetFormat(Protocol):
    """A label format from which detectors are trained: it can be written with images and splits."""

    def unreadable_names(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Return the classes whose names readers of a data set would take for something else."""
        ...

    def image_set(self, folder: Path, classes: Sequence[str], **options: Any) -> ImageSetWriter:
        """Return the writer of a data set.

        Parameters
        ----------
        folder : Path
            The folder of the data set, which is there.
        classes : sequence of str
            All classes, in the order in which they are numbered.
        **options
            Of the format, as ``LabelFormat.write`` takes them.
        """
        ...
