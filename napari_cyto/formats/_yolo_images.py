"""A YOLO data set with its images: ``images/train``, ``labels/train`` and so on, ``data.yaml`` beside them.

Source: https://docs.ultralytics.com/datasets/detect/. ``data.yaml`` names no ``path``: Ultralytics then looks beside
the file itself, whereas a relative one is looked for in the working directory or a folder of the user's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from napari_cyto.formats._per_slide import write_pieces
from napari_cyto.formats._yolo_lines import box_line
from napari_cyto.formats.image_sets import SPLITS, LabelledImage


class YoloImages:
    """Writes the labels of a YOLO data set.

    Parameters
    ----------
    folder : Path
        The folder of the data set.
    classes : sequence of str
        All classes; the first one is number 0.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, tuple(classes)
        self._numbers = {name: place for place, name in enumerate(self._classes)}
        self._splits: set[str] = set()

    def image_folder(self, split: str) -> str:
        """Return ``images/train`` and so on."""
        return f"images/{split}"

    def add(self, image: LabelledImage) -> None:
        """Write the label file of an image, which is empty where it has no cells."""
        assert image.record.size_hw is not None
        if image.split not in self._splits:
            self._splits.add(image.split)
            (self._folder / "labels" / image.split).mkdir(parents=True, exist_ok=True)
        size_hw = image.record.size_hw
        lines = (box_line(self._numbers[cell.class_id], cell.bounds_yxyx, size_hw) for cell in image.cells)
        write_pieces(self._folder / "labels" / image.split / f"{Path(image.record.name).stem}.txt", lines)

    def finish(self) -> None:
        """Write ``data.yaml``; a split without images is not named."""
        data: dict[str, Any] = {s: f"images/{s}" for s in SPLITS if s in self._splits}
        data["names"] = dict(enumerate(self._classes))
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        (self._folder / "data.yaml").write_bytes(text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing stays open."""
