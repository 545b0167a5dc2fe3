"""A Pascal VOC data set with its images: ``JPEGImages``, ``Annotations`` and the lists in ``ImageSets/Main``.

Source: the PASCAL VOC development kit (Everingham et al. 2010); images of all splits lie in one folder there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._per_slide import write_pieces
from napari_cyto.formats.image_sets import LabelledCell, LabelledImage


def labelmap_holds(name: str) -> bool:
    """Whether a line of ``labelmap.txt`` says this name: a colon ends it, and ``#`` begins a remark."""
    return ":" not in name and not name.startswith("#")


class VocImages:
    """Writes the labels of a VOC data set.

    Parameters
    ----------
    folder : Path
        The folder of the data set.
    classes : sequence of str
        All classes.
    lines : callable
        From an image's record and what lies on it to the lines of its file.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        lines: Callable[[SlideRecord, Sequence[LabelledCell]], Iterator[str]],
    ) -> None:
        self._folder, self._classes, self._lines = folder, classes, lines
        self._files = ExitStack()
        self._lists: dict[str, IO[str]] = {}

    def image_folder(self, split: str) -> str:  # noqa: ARG002  one folder for all
        """Return ``JPEGImages``, whatever the split and the kind of file."""
        return "JPEGImages"

    def add(self, image: LabelledImage) -> None:
        """Write the file of an image, and its name into the list of its split."""
        stem = Path(image.record.name).stem
        annotations, lists = self._folder / "Annotations", self._folder / "ImageSets" / "Main"
        if image.split not in self._lists:
            annotations.mkdir(exist_ok=True)
            lists.mkdir(parents=True, exist_ok=True)
            opened = (lists / f"{image.split}.txt").open("w", encoding="utf-8", errors="replace", newline="")
            self._lists[image.split] = self._files.enter_context(opened)
        write_pieces(annotations / f"{stem}.xml", self._lines(image.record, image.cells))
        self._lists[image.split].write(f"{stem}\n")

    def finish(self) -> None:
        """End the lists, of which a split without images has none, and name the classes.

        VOC's own classes are known to everybody, others are not: datumaro and CVAT read them from ``labelmap.txt``.
        """
        self.close()
        listed = dict.fromkeys(("background", *filter(labelmap_holds, self._classes)))
        rows = ["# label:color_rgb:parts:actions\n", *(f"{name}:::\n" for name in listed)]
        (self._folder / "labelmap.txt").write_bytes("".join(rows).encode("utf-8", "replace"))

    def close(self) -> None:
        """Let go of the lists."""
        self._files.close()
