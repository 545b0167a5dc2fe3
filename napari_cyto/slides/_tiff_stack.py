"""Which pages of a TIFF are the focal planes of one field, as OME, ImageJ, tifffile or the pages themselves say it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from napari_cyto.domain.tiff_layout import MOST_PAGES
from napari_cyto.slides._focal_planes import MOST_PLANES
from napari_cyto.slides._tiff_check import CheckedPage, CheckedTiff
from napari_cyto.slides._tiff_metadata import Ome, count_of, number_above_0, um_per
from napari_cyto.slides._tiff_tiles import Level, readable

_AXES = "ZCT"
# Of three grey pages nobody knows whether they are the colours of one image, and of four whether they are channels.
_FEWEST_GREY_PAGES = 5


@dataclass(frozen=True, slots=True)
class Stack:
    """The pages of each focal plane.

    Parameters
    ----------
    planes : tuple of tuple of CheckedPage
        Those that make up one plane's finest level: one, or the red, green and blue of it.
    spacing_um : float or None
        µm from one to the next.
    assumed : bool
        Whether the file does not say what its pages are.
    """

    planes: tuple[Level, ...]
    spacing_um: float | None
    assumed: bool = False


def alike(one: CheckedPage, other: CheckedPage) -> bool:
    """Whether two pages are cut alike, so that their tiles lie on each other."""
    return readable(one) and (one.size_hw, one.segment_hw, one.is_tiled) == (
        other.size_hw,
        other.segment_hw,
        other.is_tiled,
    )


def focal_stack(checked: CheckedTiff, ome: Ome | None, colours: int) -> Stack | None:
    """Return the focal planes that a file holds; None where there is one, or where what it holds is not certain.

    Parameters
    ----------
    checked : CheckedTiff
        The file.
    ome : Ome or None
        Its OME header.
    colours : int
        How many pages make up one colour image: 1 or 3.

    Source
    ------
    OME model 2016-06, "OME-TIFF specification" (DimensionOrder, TiffData); ImageJ, "Hyperstacks" (order XYCZT);
    tifffile, ``shape`` and ``axes`` in the description of the first page.
    """
    tiff, first = checked.tiff, checked.pages[0]
    spacing_um: float | None = None
    if ome is not None:
        pages = _of_ome(ome, first.samples, colours)
        spacing_um = _length_um(ome.pixels.get("PhysicalSizeZ"), ome.pixels.get("PhysicalSizeZUnit", "µm"))
    elif tiff.is_imagej:
        known = tiff.imagej_metadata or {}
        slices, channels = count_of(known, "slices"), count_of(known, "channels")
        # The channels of a page of colours are its own samples.
        stride = channels if first.samples == 1 else 1
        pages = [[z * stride + c for c in range(colours)] for z in range(slices)]
        spacing_um = _length_um(str(known.get("spacing", "")), str(known.get("unit", "")))
    elif (axes := _axes(first)) is not None:
        pages = _of_axes(*axes)
    else:
        return _of_equal_pages(checked)
    if not 2 <= len(pages) <= MOST_PLANES:
        return None
    by_name = {page.name: page for page in checked.pages}
    found = [[by_name.get(f"page {number + 1}") for number in plane] for plane in pages]
    planes = tuple(tuple(page for page in plane if page is not None and alike(page, first)) for plane in found)
    whole = all(len(plane) == len(numbers) for plane, numbers in zip(planes, pages, strict=True))
    return Stack(planes, spacing_um) if whole else None


def levels_of(stack: Stack, pages: list[CheckedPage], levels: list[Level]) -> list[list[Level]]:
    """Return the levels of each plane: those that every plane has, in its SubIFDs or as further pages in order.

    Parameters
    ----------
    stack : Stack
        The finest level of each plane.
    pages : list of CheckedPage
        Those of the file.
    levels : list of Level
        What the first plane has.
    """
    n_pages = sum(map(len, stack.planes))
    out: list[list[Level]] = [[plane] for plane in stack.planes]
    for level in levels[1:]:
        flat = [page for page in pages if alike(page, level[0])]
        found: list[Level] = []
        for number, plane in enumerate(stack.planes):
            below = [next((part for part in page.below if alike(part, level[0])), None) for page in plane]
            parts = tuple(part for part in below if part is not None)
            if len(parts) < len(plane) and len(flat) == n_pages:
                parts = tuple(flat[number * len(plane) : (number + 1) * len(plane)])
            found.append(parts)
        if any(len(parts) < len(level) for parts in found):
            break
        for plane_levels, parts in zip(out, found, strict=True):
            plane_levels.append(parts)
    return out


def _of_ome(ome: Ome, samples: int, colours: int) -> list[list[int]]:
    """Return the pages, from 0, of each focal plane of the first channel and time."""
    if len(ome.files) > 1:
        return []
    order = [axis for axis in ome.pixels.get("DimensionOrder", "XYZCT") if axis in _AXES]
    counts = {axis: ome.count(axis) for axis in _AXES}
    if samples > 1:
        counts["C"] = max(1, counts["C"] // samples)
    if sorted(order) != sorted(_AXES) or not 2 <= counts["Z"] <= MOST_PLANES:
        return []
    strides = {axis: math.prod(counts[before] for before in order[: order.index(axis)]) for axis in order}
    page_of = _pages_of_blocks(ome, strides, math.prod(counts.values()))
    return [[page_of(z * strides["Z"] + c * strides["C"]) for c in range(colours)] for z in range(counts["Z"])]


def _pages_of_blocks(ome: Ome, strides: dict[str, int], total: int) -> Callable[[int], int]:
    """Return how to find the page, from 0, of the plane with a number in the order of dimensions; -1 where none is."""
    if not ome.blocks:
        return lambda index: index
    known: dict[int, int] = {}
    for block in ome.blocks[:MOST_PAGES]:
        start = sum(stride * _whole(block.get(f"First{axis}"), 0) for axis, stride in strides.items())
        page = _whole(block.get("IFD"), 0)
        many = _whole(block.get("PlaneCount"), 1 if "IFD" in block else total)
        known |= {start + n: page + n for n in range(min(many, total, MOST_PAGES))}
    return lambda index: known.get(index, -1)


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() and len(text) < 7 else otherwise


def _axes(first: CheckedPage) -> tuple[str, tuple[int, ...]] | None:
    """Return the axes and the shape that tifffile wrote into the first page; None where it named no focal planes."""
    text = first.page.description
    if not text.startswith("{") or len(text) > 100_000:
        return None
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    axes, shape = said.get("axes"), said.get("shape")
    if not isinstance(axes, str) or not isinstance(shape, list) or len(axes) != len(shape):
        return None
    if not all(type(side) is int and 0 < side < 2**31 for side in shape):
        return None
    return axes.upper(), tuple(shape)


def _of_axes(axes: str, shape: tuple[int, ...]) -> list[list[int]]:
    at = axes.find("Z")
    page_axes = axes.find("Y")
    if at < 0 or not at < page_axes or not 2 <= shape[at] <= MOST_PLANES:
        return []
    stride = math.prod(shape[at + 1 : page_axes])
    return [[z * stride] for z in range(shape[at])]


def _of_equal_pages(checked: CheckedTiff) -> Stack | None:
    first = checked.pages[0]
    same = [page for page in checked.pages if page.size_hw == first.size_hw]
    fewest = 2 if first.samples >= 3 else _FEWEST_GREY_PAGES
    if not fewest <= len(same) <= MOST_PLANES or not all(alike(page, first) for page in same):
        return None
    kind = (first.samples, first.bits, first.photometric)
    if any((page.samples, page.bits, page.photometric) != kind for page in same):
        return None
    return Stack(tuple((page,) for page in same), None, assumed=True)


def _length_um(text: str | None, unit: str) -> float | None:
    value, per = number_above_0(text), um_per(unit)
    return None if value is None or per is None else value * per
