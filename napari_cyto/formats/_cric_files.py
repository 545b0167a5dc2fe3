"""Where tables in CRIC's layout lie: CRIC's own, and collections of one table an image, such as APCData.

Source: the downloads of database.cric.com.br (``classifications.csv`` and ``.json``) and of APCData,
doi 10.17632/ytd568rh3p.1 (``labels/csv``, ``labels/json``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import folder_files
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.tables import Row
from napari_cyto.formats.text import Fault, read_json, shown

TABLES = ("classifications.csv", "cells.csv", "classifications.json")
_BELOW = ("", "csv", "json", "labels", "labels/csv", "labels/json")
_KEYS = ("cell_id", "bethesda_system", "nucleus_x", "nucleus_y")


def cric_files(source: Path) -> list[Path]:
    """Return the tables that ``source`` means: itself, of a folder CRIC's own, else all tables or all JSON files.

    Raises
    ------
    FormatError
        When a folder holds none.
    """
    if not source.is_dir():
        return [source]
    for name in TABLES:
        if (source / name).is_file():
            return [source / name]
    for below in (source / name for name in _BELOW):
        for suffix in (".csv", ".json") if below.is_dir() else ():
            if found := folder_files(below, (suffix,)):
                return found
    raise FormatError(f"neither {', '.join(TABLES)} nor any other table is in this folder.", source)


def image_folder(table: Path) -> Path:
    """Return where the images of a table lie: in ``images`` beside it or up to two folders above, else beside it."""
    above = [table.parent, *table.parent.parents][:3]
    return next((folder / "images" for folder in above if (folder / "images").is_dir()), table.parent)


def json_rows(path: Path, bad: BadRows) -> Iterator[tuple[Row, Fault]]:
    """Yield the cells of a JSON file as rows of the table, and a row for an image without cells.

    Raises
    ------
    FormatError
        When it is no list of images with classifications.
    """
    data, fault = read_json(path), Fault(path)
    images = [data] if isinstance(data, dict) else data
    if not isinstance(images, list):
        raise fault(f"expected a list of images with classifications, got {shown(data)}.")
    for place, image in enumerate(images, start=1):
        here = fault.at(f"image {place}")
        if not isinstance(image, Mapping) or not isinstance(cells := image.get("classifications"), list):
            bad.add(here("expected an image with classifications."))
            continue
        name = image.get("image_name") or image.get("image_filename")
        head = {"image_filename": name if isinstance(name, str) else ""}
        if not cells:
            yield Row(head), here
        for number, cell in enumerate(cells, start=1):
            at_cell = fault.at(f"image {place}, cell {number}")
            if isinstance(cell, Mapping):
                yield Row({**head, **{key: _text(cell.get(key)) for key in _KEYS}}), at_cell
            else:
                bad.add(at_cell(f"expected a mapping, got {shown(cell)}."))


def _text(value: object) -> str:
    return "" if value is None else str(value)
