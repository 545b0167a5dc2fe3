"""The table of the images of a data set of ours: of which slide each is, which part it shows, at which scale."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cyto.domain.geometry import YXYX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.formats.tables import table_line, unguarded
from napari_cyto.formats.text import read_json

IMAGE_TABLE = "images.csv"
COLUMNS = (
    *("image", "split", "slide", "smear", "patient", "x0", "y0", "x1", "y1", "um_per_px", "fingerprint"),
    *("boxes", "boxes_cut", "boxes_shared", "padding_right", "padding_bottom"),
    "interpretation",
)
"""``x0`` to ``y1`` are where an image lies on its slide, level-0 px. Of its ``boxes`` the border cut ``boxes_cut``, and
another image has a box of the same cell for ``boxes_shared``. Its last px to the right and at the bottom, as many as
``padding_*`` say, lie beyond the slide. The interpretation is that of the whole slide, not of the image.
"""


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where an image lies on its slide, and what its borders did.

    Parameters
    ----------
    slide : str
        The slide's name.
    bounds_yxyx : tuple of float
        Where the image lies on it, level-0 px.
    padding_hw : tuple of int
        Px at its bottom and right that lie beyond the slide.
    boxes, cut, shared : int
        Boxes on it, those that its border cut, and those of cells that another image has as well.
    interpretation : str
        What a person says of the whole slide; empty before anyone did.
    """

    slide: str
    bounds_yxyx: YXYX
    padding_hw: tuple[int, int]
    boxes: int
    cut: int
    shared: int
    interpretation: str = ""


class ImageTable:
    """Writes the table, row by row; see `writing_image_table`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        stream.write(table_line(COLUMNS))

    def add(self, record: SlideRecord, split: str, place: ImagePlace) -> None:
        """Add an image, whose ``record`` has its smear, its patient, its scale and, if it is whole, a fingerprint."""
        y0, x0, y1, x1 = (f"{value:.10g}" for value in place.bounds_yxyx)
        mpp = "" if record.mpp is None else f"{record.mpp:.10g}"
        of = (record.name, split, place.slide, record.smear, record.patient, x0, y0, x1, y1, mpp, record.fingerprint)
        bottom, right = place.padding_hw
        self._stream.write(table_line((*of, place.boxes, place.cut, place.shared, right, bottom, place.interpretation)))


@contextmanager
def writing_image_table(folder: Path) -> Iterator[ImageTable]:
    """Give the table of a data set that is being made in ``folder``."""
    with (folder / IMAGE_TABLE).open("w", encoding="utf-8", errors="replace", newline="") as stream:
        yield ImageTable(stream)


def read_image_table(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what the table of a data set of ours says of its images, by their names; nothing where there is none.

    The values are those that ``slide_from_dict`` reads.
    """
    path = folder / IMAGE_TABLE
    try:
        record = read_json(folder / EXPORT_RECORD) if path.is_file() else None
    except (FormatError, OSError):
        return {}
    if not isinstance(record, dict) or record.get("images_in") != IMAGE_TABLE:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream):
            name = unguarded(row.get("image") or "")
            facts = {key: unguarded(row.get(key) or "") for key in ("smear", "patient", "fingerprint")}
            mpp = _number(row.get("um_per_px"))
            found[name] = {**facts, "mpp": mpp, "mpp_source": "format"} if mpp else facts
    return found


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
