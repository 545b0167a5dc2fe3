"""QuPath's tables of measurements: a row an object, with its centroid in µm or px.

Source: *Measure > Export measurements* of QuPath 0.2 to 0.6, https://qupath.readthedocs.io/en/stable/docs/tutorials/exporting_measurements.html.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_cyto.domain.geometry import Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import ScaleUnknownError
from napari_cyto.formats._label_set_builder import LabelSetBuilder
from napari_cyto.formats.label_files import label_stem
from napari_cyto.formats.tables import Row, Table, picked, picked_number
from napari_cyto.formats.text import Fault, class_name, free_text

MppFinder = Callable[[str], float | None]
"""Gives the µm per px of an image by its name, None where it is not known."""

# The micro sign, the Greek letter, and what becomes of either when UTF-8 is taken for another encoding.
_CENTROID = re.compile(r"centroid ([xy]) (px|pixels|(?:µ|μ|âµ|â¼|î¼|u|\ufffd+|mc)m)")
_CLASS = ("classification", "class")
_OTHER_OBJECTS = {
    "image": "image", "root": "root", "pathrootobject": "root", "root object (image)": "root", "tile": "tile",
    "pathtileobject": "tile", "tma core": "TMA core", "tmacoreobject": "TMA core",
}  # fmt: skip
_NUMBER = ("num points",)
_LINES = ("line", "polyline", "arrow")
# What QuPath shows as the name of objects that have none.
_NO_NAMES = frozenset(
    {
        *("annotation", "detection", "cell", "pathannotationobject", "pathdetectionobject", "pathcellobject"),
        *("ellipse", "rectangle", "polygon", "geometry", "points", "point"),
    }
)
_PROBABILITIES = ("detection probability", "probability")


def is_qupath(columns: Sequence[str]) -> bool:
    """Whether a table has QuPath's centroids."""
    return {"x", "y"} <= {found[1].lower() for name in columns if (found := _CENTROID.fullmatch(name))}


def read_qupath(path: Path, unclassified: str, mpp_finder: MppFinder, skip_bad: bool) -> LabelSet:
    """Return the cells of a table as points.

    Objects that are no cells (the image, tiles, TMA cores, lines, regions without a class) are left out and counted.

    Parameters
    ----------
    path : Path
        The table.
    unclassified : str
        The class of detections and points without one.
    mpp_finder : callable
        Gives the µm per px of an image; asked where centroids are in µm only.
    skip_bad : bool
        Whether rows that cannot be read are left out.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    table = Table(path)
    builder = LabelSetBuilder(path, skip_bad)
    axes = {found[1].lower(): name for name in _sorted(table.columns) if (found := _CENTROID.fullmatch(name))}
    table.check_numbers((*axes.values(), *_PROBABILITIES))
    in_px = all(_in_px(name) for name in axes.values())
    known: dict[str, float] = {}
    for row, fault in table.rows(builder.bad):
        with builder.bad:
            image = free_text(picked(row, ("image",)), 500) or label_stem(path)
            if not in_px and image not in known:
                known[image] = _mpp(image, mpp_finder, table.header)
            slide = builder.slide(SlideRecord(name=image), (path.parent,))
            if _is_cell(row, builder, fault):
                scale = 1.0 if in_px else known[image]
                y, x = (picked_number(row, (axes[axis],), axes[axis], fault) / scale for axis in "yx")
                _add(row, slide, Point(round(y, 6), round(x, 6)), unclassified, builder, fault)
    return builder.labels()


def _sorted(columns: Sequence[str]) -> list[str]:
    # Of both, px are taken: they need no scale.
    return sorted(columns, key=_in_px)


def _in_px(name: str) -> bool:
    return name.endswith(("px", "pixels"))


def _mpp(image: str, mpp_finder: MppFinder, header: Fault) -> float:
    mpp = mpp_finder(image)
    if mpp is None:
        fault = header(
            f"centroids are in µm, and the µm per px of {image!r:.200} is unknown; give it with --mpp, or give the "
            "slide that states it."
        )
        raise ScaleUnknownError(str(fault), [image]) from fault
    return mpp


def _is_cell(row: Row, builder: LabelSetBuilder, fault: Fault) -> bool:
    """Return whether a row is a cell, and count it where it is none."""
    kind, roi = picked(row, ("object type",)).lower(), picked(row, ("roi",)).lower()
    class_id, left_out = picked(row, _CLASS), builder.left_out
    other = _OTHER_OBJECTS.get(kind) or _OTHER_OBJECTS.get(picked(row, ("name",)).lower() if not roi else "")
    is_point = roi in ("points", "point")
    counted = picked_number(row, _NUMBER, "Num points", fault) if is_point and picked(row, _NUMBER) else 1
    is_region = "annotation" in kind and not class_id and not is_point and bool(roi)
    reasons = (
        (other, f"{other or ''}", "left out, since it is not a cell."),
        (roi in _LINES, "line", "left out, since lines are not cells."),
        (
            counted > 1,
            "set",
            ("of several points left out, since the table has only their centre; export GeoJSON instead."),
        ),
        (_is_ignored(class_id), "object", "of QuPath's classes Ignore* and Region* left out."),
        (is_region, "region", "left out, since the table has only its centre; export GeoJSON instead."),
    )
    for applies, what, words in reasons:
        if applies:
            left_out.add(what, words)
            return False
    return True


def _is_ignored(class_id: str) -> bool:
    return class_id.endswith("*") and class_id.startswith(("Ignore", "Region"))


def _add(row: Row, slide: SlideRecord, point: Point, unclassified: str, builder: LabelSetBuilder, fault: Fault) -> None:
    name = picked(row, _CLASS)
    class_id = class_name(name, fault) if name else unclassified
    if not name:
        builder.left_out.add("object", f"without a class read as {unclassified}.")
    called = picked(row, ("name",))
    builder.cell(
        slide,
        point,
        class_id,
        fault,
        score=_score(row, fault),
        note="" if called == name or called.lower() in _NO_NAMES else called,
        identity=_identity(picked(row, ("object id",))),
    )


def _score(row: Row, fault: Fault) -> float | None:
    if not picked(row, _PROBABILITIES):
        return None
    score = picked_number(row, _PROBABILITIES, "the probability", fault, 1.0)
    if score < 0:
        raise fault(f"expected a probability from 0 to 1, got {score:g}.")
    return score


def _identity(text: str) -> str:
    try:
        return uuid.UUID(text).hex if len(text) <= 64 else ""
    except ValueError:
        return ""
