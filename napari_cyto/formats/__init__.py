"""Label files of the field, one file a format; no Qt, no torch, no pixels."""

from __future__ import annotations

from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_file, atomic_folder
from napari_cyto.files.safe_names import safe_name, safe_names
from napari_cyto.formats._asap import AsapFormat
from napari_cyto.formats._coco import CocoFormat
from napari_cyto.formats._coco_results import CocoResultsFormat
from napari_cyto.formats._cvat import CvatFormat
from napari_cyto.formats._geojson import GeoJsonFormat
from napari_cyto.formats._imagescope import ImageScopeFormat
from napari_cyto.formats._label_studio import LabelStudioFormat
from napari_cyto.formats._labelme import LabelMeFormat
from napari_cyto.formats._registry import FORMATS
from napari_cyto.formats._sipakmed import SipakmedFormat
from napari_cyto.formats._via import ViaFormat
from napari_cyto.formats._voc import VocFormat
from napari_cyto.formats._yolo import YoloFormat
from napari_cyto.formats.apacc.apacc_format import ApaccFormat
from napari_cyto.formats.cric import CricFormat
from napari_cyto.formats.csv_points import CsvFormat
from napari_cyto.formats.label_format import Capabilities, FormatOptions, LabelFormat, ReadOnly

__all__ = [
    "FORMATS",
    "WRITTEN",
    "Capabilities",
    "FormatOptions",
    "LabelFormat",
    "annotation_spool",
    "atomic_file",
    "atomic_folder",
    "bad_rows",
    "boxes",
    "colours",
    "cric",
    "csv_points",
    "csv_sizes",
    "format_guess",
    "get_format",
    "image_sets",
    "image_size",
    "image_table",
    "label_files",
    "label_format",
    "labels_outside",
    "safe_name",
    "safe_names",
    "schemes",
    "slide_names",
    "tables",
    "tables_qupath",
    "text",
    "written_format",
]

_ALL: tuple[LabelFormat, ...] = (
    ApaccFormat(),
    GeoJsonFormat(),
    CocoFormat(),
    YoloFormat(),
    CricFormat(),
    AsapFormat(),
    CsvFormat(),
    VocFormat(),
    LabelStudioFormat(),
    LabelMeFormat(),
    CvatFormat(),
    ImageScopeFormat(),
    ViaFormat(),
    CocoResultsFormat(),
    SipakmedFormat(),
)

FORMATS.update({f.name: f for f in _ALL})

WRITTEN: dict[str, LabelFormat] = {name: f for name, f in FORMATS.items() if not isinstance(f, ReadOnly)}
"""Those that are written too."""


def written_format(name: str) -> LabelFormat:
    """Return the label format called ``name``, which must be one that is written.

    Raises
    ------
    FormatError
        When there is none of that name, or it is only read.
    """
    chosen = get_format(name)
    if name not in WRITTEN:
        raise FormatError(
            f"{chosen.title} can be imported but not exported; formats for export are {', '.join(WRITTEN)}."
        )
    return chosen


def get_format(name: str) -> LabelFormat:
    """Return the label format called ``name``.

    Raises
    ------
    FormatError
        When there is none of that name.
    """
    if name not in FORMATS:
        raise FormatError(f"There is no format {name!r}; known formats are {', '.join(FORMATS)}.")
    return FORMATS[name]
