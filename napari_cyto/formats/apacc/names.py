"""Names of APACC slices and crops.

Source: Kupas et al. 2024, doi 10.1038/s41597-024-03596-3, and the names in the collection's own files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from napari_cyto.errors import FormatError

SLICE_SIDE = 2000
"""Height and width of a slice, level-0 px of the smear."""

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_STEM = re.compile(rf"(?P<smear>.+)_(?P<x>{_NUMBER})(?P<between>[_-])(?P<y>{_NUMBER})", re.DOTALL)
_CROP = re.compile(
    rf"(?P<smear>.+)_(?P<x>{_NUMBER})-(?P<y>{_NUMBER})_(?P<cell>{_NUMBER})"
    rf"_(?P<cx>{_NUMBER})-(?P<cy>{_NUMBER})_(?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})",
    re.DOTALL,
)


class StemStyle(StrEnum):
    """How the two numbers of a slice's stem are joined: ``10030_18_18000_136000`` or ``669-15_36000-74000``."""

    UNDERSCORE = "_"
    DASH = "-"


@dataclass(frozen=True, slots=True)
class SliceName:
    """Which slice of which smear; ``y0, x0`` is its top-left corner, level-0 px of the smear."""

    smear: str
    y0: int
    x0: int
    style: StemStyle = StemStyle.UNDERSCORE


@dataclass(frozen=True, slots=True)
class CropName:
    """Which cell of which slice; ``y, x`` is the crop's centre within the slice, px."""

    smear: str
    y0: int
    x0: int
    number: int
    y: int
    x: int
    day: date


def slice_stem(smear: str, y0: int, x0: int, style: StemStyle = StemStyle.UNDERSCORE) -> str:
    """Return the stem of a slice's files.

    Parameters
    ----------
    smear : str
        The smear's id.
    y0, x0 : int
        Top-left corner, level-0 px of the smear; multiples of 2000. The stem speaks x first.
    style : StemStyle
        How the two numbers are joined.

    Raises
    ------
    FormatError
        When a number is negative or off the grid, or the smear's id is empty.
    """
    if not smear or y0 < 0 or x0 < 0 or y0 % SLICE_SIDE or x0 % SLICE_SIDE:
        raise FormatError(
            f"Expected a smear id and a corner on the grid of {SLICE_SIDE} px for a slice, got {smear!r} and "
            f"x {x0}, y {y0}."
        )
    return f"{smear}_{x0}{style}{y0}"


def match_stem(stem: str) -> SliceName | None:
    """Return the slice that ``stem`` names, or None when it is not the stem of a slice."""
    found = _STEM.fullmatch(stem)
    if found is None:
        return None
    y0, x0 = int(found["y"]), int(found["x"])
    if y0 % SLICE_SIDE or x0 % SLICE_SIDE:
        return None
    return SliceName(found["smear"], y0, x0, StemStyle(found["between"]))


def parse_stem(stem: str) -> SliceName:
    """Return the slice that ``stem`` names.

    Raises
    ------
    FormatError
        When it is not ``smear_x_y`` or ``smear_x-y`` with multiples of 2000 and no zero padding.
    """
    name = match_stem(stem)
    if name is None:
        raise FormatError(
            f"Expected a slice's name like 10030_18_18000_136000 or 669-15_36000-74000 (smear, x, y; multiples of "
            f"{SLICE_SIDE}), got {stem!r:.120}."
        )
    return name


def crop_name(crop: CropName) -> str:
    """Return the file name of a cell's crop, e.g. ``669-15_36000-74000_10_850-1300_2021-07-07.png``.

    Raises
    ------
    FormatError
        When the smear's id is empty or a number is negative.
    """
    if not crop.smear or min(crop.y0, crop.x0, crop.number, crop.y, crop.x) < 0:
        raise FormatError(f"Expected a smear id and no negative number for a crop's name, got {crop}.")
    place = f"{crop.x0}-{crop.y0}_{crop.number}_{crop.x}-{crop.y}"
    return f"{crop.smear}_{place}_{crop.day.isoformat()}.png"


def match_crop_name(name: str) -> CropName | None:
    """Return the cell that the file name ``name`` speaks of, or None when it is not that of a crop."""
    stem, dot, extension = name.rpartition(".")
    found = _CROP.fullmatch(stem)
    if not dot or len(extension) != 3 or found is None:
        return None
    try:
        day = date.fromisoformat(found["day"])
    except ValueError:
        return None
    y0, x0, y, x = (int(found[k]) for k in ("y", "x", "cy", "cx"))
    return CropName(found["smear"], y0, x0, int(found["cell"]), y, x, day)


def parse_crop_name(name: str) -> CropName:
    """Return the cell that the file name ``name`` speaks of.

    Raises
    ------
    FormatError
        When it is not ``smear_x-y_number_x-y_YYYY-MM-DD.png``.
    """
    crop = match_crop_name(name)
    if crop is None:
        raise FormatError(
            f"Expected a crop's name like 669-15_36000-74000_10_850-1300_2021-07-07.png, got {name!r:.160}."
        )
    return crop
