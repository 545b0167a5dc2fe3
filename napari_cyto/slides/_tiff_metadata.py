"""What the words in a TIFF say of its pixels: their size in any unit, their planes, what further pages hold."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import tifffile

from napari_cyto.slides._flat_image import orientation_remark
from napari_cyto.slides.slide_info import BelievedMpp, believe_mpp

_ORIENTATION = 274
_UM_PER = {
    "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "µm": 1.0, "nm": 1e-3, "pm": 1e-6, "å": 1e-4,
    "in": 25_400.0, "ft": 304_800.0, "thou": 25.4, "pt": 25_400.0 / 72,
    "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0, "mikrometer": 1.0,
    "nanometer": 1e-3, "nanometre": 1e-3, "millimeter": 1e3, "millimetre": 1e3, "centimeter": 1e4, "centimetre": 1e4,
    "meter": 1e6, "metre": 1e6, "inch": 25_400.0, "inches": 25_400.0, "angstrom": 1e-4,
}  # fmt: skip
"""µm in one of each unit. Source: OME schema 2016-06, UnitsLength; ImageJ writes what its user typed."""
_UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}
# None of these goes over a character more than a few times, whatever a stranger wrote.
_PIXELS = re.compile(r"<(?:\w++:)?Pixels\b([^<>]*+)>")
_CHANNEL = re.compile(r"<(?:\w++:)?Channel\b([^<>]*+)>")
_BLOCK = re.compile(r"<(?:\w++:)?TiffData\b([^<>]*+)>")
_UUID = re.compile(r"<(?:\w++:)?UUID\b([^<>]*+)>")
_ATTRIBUTE = re.compile(r'\b(\w++)\s*+=\s*+"([^"]*)"')
_MPP_WORD = re.compile(r"(?:^|[|;,\s])MPP\s*=\s*([^|;,\s]{1,40})")
_OME_SIZES = ("PhysicalSizeX", "PhysicalSizeY")
_COLOURS = ("red", "green", "blue")
_OME_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
_MOST_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ome:
    """What the first image of an OME header says of its pixels, its channels, and where they lie."""

    pixels: dict[str, str]
    channels: tuple[dict[str, str], ...]
    blocks: tuple[dict[str, str], ...] = ()
    files: frozenset[str] = frozenset()

    def count(self, axis: str) -> int:
        """Return how many planes there are along ``Z``, ``C`` or ``T``."""
        text = self.pixels.get(f"Size{axis}", "1")
        return int(text) if text.isdigit() and len(text) < 7 else 1


def read_ome(description: str) -> Ome | None:
    """Return what an OME header says of its first image; None when there is none."""
    text = description[:_MOST_CHARS]
    found = _PIXELS.search(text)
    if found is None:
        return None
    ending = re.search(r"</(?:\w+:)?Pixels>", text[found.end() :])
    inside = text[found.end() : found.end() + ending.start()] if ending else ""
    channels = tuple(dict(_ATTRIBUTE.findall(attributes)) for attributes in _CHANNEL.findall(inside))
    blocks = tuple(dict(_ATTRIBUTE.findall(attributes)) for attributes in _BLOCK.findall(inside))
    files = frozenset(dict(_ATTRIBUTE.findall(of_file)).get("FileName", "") for of_file in _UUID.findall(inside))
    return Ome(dict(_ATTRIBUTE.findall(found.group(1))), channels, blocks, files)


def ome_of(tiff: tifffile.TiffFile) -> Ome | None:
    """Return the OME header of a TIFF."""
    return read_ome(tiff.pages.first.description) if tiff.is_ome else None


def believed_mpp(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> BelievedMpp:
    """Return µm per px as OME, ImageJ, the scanner's words or the resolution say it, in this order.

    A statement that is no number, or none above 0, is passed over, and told when nothing else says it.
    """
    ome = ome_of(tiff)
    if ome is not None and (mpp := _ome_mpp(ome)) is not None:
        return mpp
    if tiff.is_imagej and (mpp := _imagej_mpp(tiff, page)) is not None:
        return mpp
    word = _MPP_WORD.search(page.description[:_MOST_CHARS])
    if word is not None and (value := number_above_0(word.group(1))) is not None:
        return believe_mpp(value, value)
    unit = _UM_PER_TIFF_UNIT.get(int(getattr(page.resolutionunit, "value", page.resolutionunit) or 0))
    px_per_unit = page.resolution
    if unit is None or not all(px_per_unit):
        texts = [] if word is None else [word.group(1)]
        texts += [] if ome is None else [ome.pixels[name] for name in _OME_SIZES if name in ome.pixels]
        return _nonsense(texts[0]) if texts else believe_mpp(None, None)
    return believe_mpp(unit / px_per_unit[0], unit / px_per_unit[1])


def _nonsense(text: str) -> BelievedMpp:
    return BelievedMpp(None, "", f"The file says that a pixel covers {text[:40]!r}, which is not a length.")


def _ome_mpp(ome: Ome) -> BelievedMpp | None:
    sizes: dict[str, float] = {}
    for axis in "XY":
        value, unit = (
            number_above_0(ome.pixels.get(f"PhysicalSize{axis}")),
            ome.pixels.get(f"PhysicalSize{axis}Unit", "µm"),
        )
        if value is None:
            continue
        per = um_per(unit)
        if per is None:
            return BelievedMpp(None, "", f"The file gives the size of a pixel in {unit!r:.40}, which is not a length.")
        sizes[axis] = value * per
    return believe_mpp(sizes.get("X"), sizes.get("Y")) if sizes else None


def _imagej_mpp(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> BelievedMpp | None:
    """Return what ImageJ says: its unit is in words, and the resolution is in px per this unit."""
    per = um_per(str((tiff.imagej_metadata or {}).get("unit", "")))
    if per is None or not all(page.resolution):
        return None
    return believe_mpp(per / page.resolution[0], per / page.resolution[1])


def um_per(unit: str) -> float | None:
    """Return how many µm a unit is, by its sign or its name; None for what is no length."""
    plain = unit.strip().replace("&#181;", "µ").replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("\u03bc", "µ")
    plain = plain.replace("Å", "å").replace("\u212b", "å")
    return _UM_PER.get(plain, _UM_PER.get(plain.lower()) if len(plain) > 2 else None)


def number_above_0(text: str | None) -> float | None:
    """Return a text as a number, None for what is no finite one above 0."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def is_colour_in_planes(tiff: tifffile.TiffFile, ome: Ome | None) -> bool:
    """Return whether the first three pages of one size are the red, green and blue of one image.

    OME says so by three channels of one sample without other names or colours; ImageJ by three channels as well.
    """
    if ome is not None:
        samples = [channel.get("SamplesPerPixel", "1") for channel in ome.channels]
        if ome.count("C") != 3 or ome.pixels.get("DimensionOrder", "XYC")[:3] != "XYC" or set(samples) - {"1"}:
            return False
        names = [channel.get("Name", "").strip().lower() for channel in ome.channels]
        colours = [_rgb_of(channel.get("Color")) for channel in ome.channels]
        named = [name == colour or name == colour[0] for name, colour in zip(names, _COLOURS, strict=False)]
        return all(named) or tuple(colours) == _OME_COLOURS or not any((*names, *colours))
    known = tiff.imagej_metadata or {}
    return tiff.is_imagej and (count_of(known, "channels"), count_of(known, "frames")) == (3, 1)


def count_of(known: dict[str, object], name: str) -> int:
    """Return how many planes ImageJ says there are; 1 where it is no number that can be."""
    value = known.get(name, 1)
    return value if type(value) is int and 1 <= value < 10**6 else 1


def _rgb_of(text: str | None) -> tuple[int, int, int] | None:
    """Return OME's colour, a signed 32-bit RGBA."""
    try:
        value = int(text or "") & 0xFFFFFFFF
    except ValueError:
        return None
    return None if value == 0xFFFFFFFF else (value >> 24, value >> 16 & 255, value >> 8 & 255)


def plane_remarks(
    tiff: tifffile.TiffFile, ome: Ome | None, same_size: int, shown: int, *, is_stack: bool = False
) -> list[str]:
    """Return what to say of what the file holds and is not shown.

    Parameters
    ----------
    tiff : TiffFile
        The file.
    ome : Ome or None
        Its OME header.
    same_size : int
        How many pages have the size of the first one, it among them.
    shown : int
        How many of them make up the image that is shown.
    is_stack : bool
        Whether all its focal planes can be shown.
    """
    remarks = [orientation_remark(_orientation(tiff.pages.first))]
    known = tiff.imagej_metadata or {} if tiff.is_imagej else {}
    planes = ome.count("Z") if ome else count_of(known, "slices")
    times = ome.count("T") if ome else count_of(known, "frames")
    channels = ome.count("C") if ome else count_of(known, "channels")
    per_page = tiff.pages.first.samplesperpixel
    if planes > 1 and not is_stack:
        remarks.append(f"The file holds {planes} focal planes; the first is shown.")
    if times > 1:
        remarks.append(f"The file holds {times} time points; the first is shown.")
    if channels > max(shown, per_page):
        which = "the first is" if shown == 1 == per_page else f"the first {max(shown, per_page)} are"
        remarks.append(f"The file holds {channels} channels; {which} shown, so it is not a colour image of a smear.")
    if not is_stack and max(planes, times, channels) == 1 and same_size > shown:
        remarks.append(f"The file holds {same_size} images of this size; the first is shown.")
    return [remark for remark in remarks if remark]


def _orientation(page: tifffile.TiffPage) -> int | None:
    tag = page.tags.get(_ORIENTATION)
    return None if tag is None or not isinstance(tag.value, int) else int(tag.value)
