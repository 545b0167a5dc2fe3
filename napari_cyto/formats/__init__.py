"""Label files of the field, one file a format; no Qt, no torch, no pixels."""

from __future__ import annotations

from napari_cyto.errors import FormatError
from napari_cyto.formats.apacc import ApaccFormat
from napari_cyto.formats.asap import AsapFormat
from napari_cyto.formats.atomic import atomic_file, atomic_folder
from napari_cyto.formats.coco import CocoFormat
from napari_cyto.formats.cric import CricFormat
from napari_cyto.formats.csv_points import CsvFormat
from napari_cyto.formats.geojson import GeoJsonFormat
from napari_cyto.formats.label_format import FormatOptions, LabelFormat
from napari_cyto.formats.safe_names import safe_name, safe_names
from napari_cyto.formats.yolo import YoloFormat

__all__ = [
    "FORMATS",
    "FormatOptions",
    "LabelFormat",
    "atomic_file",
    "atomic_folder",
    "get_format",
    "safe_name",
    "safe_names",
]

_ALL: tuple[LabelFormat, ...] = (
    ApaccFormat(),
    GeoJsonFormat(),
    CocoFormat(),
    YoloFormat(),
    CricFormat(),
    AsapFormat(),
    CsvFormat(),
)

FORMATS: dict[str, LabelFormat] = {f.name: f for f in _ALL}
"""Every label format by its name."""


def get_format(name: str) -> LabelFormat:
    """Return the label format called ``name``.

    Raises
    ------
    FormatError
        When there is none of that name.
    """
    if name not in FORMATS:
        raise FormatError(f"There is no format {name!r}; those that are known are {', '.join(FORMATS)}.")
    return FORMATS[name]
