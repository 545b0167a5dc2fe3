"""The shapes of COCO annotations: boxes, outlines, masks and key points, as the tools of the field write them.

Source: the data format page of cocodataset.org; masks as ``pycocotools`` runs them (``common/maskApi.c``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon, pixels_in_outline, rectangle
from napari_cyto.formats._json_pieces import json_text
from napari_cyto.formats._shapes import is_flat, turned_box
from napari_cyto.formats.bad_rows import LeftOut
from napari_cyto.formats.text import Fault, number, shown, whole_number

_DIGITS = 6  # of a px; rounds off the noise of x + width
_MOST_RUNS = 1 << 24


def is_set(value: object) -> bool:
    """Whether a flag is set, however it is written: 1, true, "1", "true"."""
    return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else value in (1, True)


def shape_of(entry: Mapping[str, Any], outlines: bool, left_out: LeftOut, fault: Fault) -> Geometry | None:
    """Return the box, outline or point of an annotation, level-0 px, or None where it has no shape at all.

    Parameters
    ----------
    entry : mapping
        The annotation.
    outlines : bool
        Whether outlines are read where there are some, not only their boxes.
    left_out : LeftOut
        Counts what is read as something else, or not read.
    fault : Fault
        The place of the entry.

    Raises
    ------
    FormatError
        When the shape is wrong.
    """
    bbox, parts = entry.get("bbox"), entry.get("segmentation")
    rings = _rings(parts, fault)
    points = _visible(entry.get("keypoints"), fault)
    _check_one_place(rings, bbox, fault)
    if outlines and len(rings) == 1 and rectangle(rings[0]) is None:  # many tools write each box as an outline too
        return _noting(rings[0], points, left_out)
    mask = parts if isinstance(parts, Mapping) else None
    if outlines and (len(rings) > 1 or mask is not None):
        left_out.add("outline", "of several parts or masks read as boxes.")
    if bbox not in (None, []) and not (points and _is_empty(bbox)):
        return _noting(_turned(_box(bbox, fault), entry, left_out, fault), points, left_out)
    if rings:
        return _noting(_around(rings, fault), points, left_out)
    if mask is not None:
        return _mask_box(mask, fault)
    if len(points) == 1:
        return points[0]
    if points:
        raise fault(f"expected a box, an outline or one key point, got {len(points)} key points.")
    return None


def areas_of(entry: Mapping[str, Any], left_out: LeftOut, fault: Fault) -> list[Geometry]:
    """Return the outlines of a region, each part by itself, or its box; a box round a mask would say too much.

    Raises
    ------
    FormatError
        When the shape is wrong.
    """
    parts = entry.get("segmentation")
    if isinstance(parts, Mapping):
        left_out.add("mask", "of regions left out; export outlines.")
        return []
    rings = _rings(parts, fault)
    if rings:
        return list(rings)
    shape = shape_of(entry, True, left_out, fault)
    return [] if shape is None else [shape]


def check_mask_size(entry: Mapping[str, Any], size_hw: tuple[int, int] | None, fault: Fault) -> None:
    """Refuse a mask that is of another size than its image: its runs would lie elsewhere on it.

    Raises
    ------
    FormatError
        Saying both sizes, px.
    """
    mask = entry.get("segmentation")
    said = mask.get("size") if isinstance(mask, Mapping) else None
    if size_hw is not None and isinstance(said, list) and said != list(size_hw):
        sizes = [" x ".join(str(v) for v in size[:2]) for size in (said, size_hw)]
        raise fault(f"the mask's size is {sizes[0]:.40} px, but its image has {sizes[1]} (height x width).")


def _check_one_place(rings: Sequence[Polygon], bbox: object, fault: Fault) -> None:
    """Refuse an entry whose outline has nothing of its box: one of them is another cell's."""
    if not rings or bbox in (None, []) or _is_empty(bbox):
        return
    box, ring = _box(bbox, fault).bounds_yxyx, _around(rings, fault).bounds_yxyx
    if any(box[k + 2] < ring[k] or ring[k + 2] < box[k] for k in (0, 1)):
        raise fault("its outline and its bbox lie at two places.")


def _noting(shape: Geometry, points: Sequence[Point], left_out: LeftOut) -> Geometry:
    left_out.add("key point", "left out; the cell's box or outline was read.", len(points))
    return shape


def _rings(parts: object, fault: Fault) -> list[Polygon]:
    """Return the outlines of a segmentation; those of fewer than three corners are none."""
    if not isinstance(parts, list) or not parts:
        return []
    listed = parts if isinstance(parts[0], list) else [parts]
    return [_ring(part, fault) for part in listed if isinstance(part, list) and len(part) >= 6]


def _ring(part: Sequence[object], fault: Fault) -> Polygon:
    values = [number(v, "a corner", fault) for v in part]
    if len(values) % 2:
        raise fault(f"expected x and y for each corner of the outline, got {len(values)} numbers.")
    corners = tuple(zip(values[1::2], values[0::2], strict=True))
    if is_flat(corners):
        raise fault("its outline has no area.")
    return Polygon(corners)


def _around(rings: Sequence[Polygon], fault: Fault) -> Box:
    bounds = [ring.bounds_yxyx for ring in rings]
    y0, x0 = min(b[0] for b in bounds), min(b[1] for b in bounds)
    y1, x1 = max(b[2] for b in bounds), max(b[3] for b in bounds)
    return _box([x0, y0, x1 - x0, y1 - y0], fault)


def _is_empty(bbox: object) -> bool:
    return isinstance(bbox, list) and len(bbox) == 4 and any(v in (0, 0.0, "0") for v in bbox[2:])


def _box(bbox: object, fault: Fault) -> Box:
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise fault(f"expected a bbox [x, y, width, height], got {shown(bbox)}.")
    x, y, width, height = (number(v, what, fault) for v, what in zip(bbox, ("x", "y", "width", "height"), strict=True))
    y1, x1 = round(y + height, _DIGITS), round(x + width, _DIGITS)
    if y1 <= y or x1 <= x:
        raise fault(f"expected a bbox with width and height above 0, got {width:g} x {height:g}.")
    return Box(y, x, y1, x1)


def _turned(box: Box, entry: Mapping[str, Any], left_out: LeftOut, fault: Fault) -> Box | Polygon:
    """Return a box turned by the attribute that CVAT writes, degrees clockwise about its centre."""
    attributes = entry.get("attributes")
    said = attributes.get("rotation") if isinstance(attributes, Mapping) else None
    said = entry.get("rotation") if said is None else said
    degrees = 0.0 if said is None or said == "" else number(said, "the rotation", fault, 3600.0)
    if not degrees % 360:
        return box
    left_out.add("box", "turned by the rotation that the file states.")
    return turned_box(box, degrees)


def _visible(keypoints: object, fault: Fault) -> list[Point]:
    """Return the key points that are marked: x, y and a visibility above 0."""
    if not isinstance(keypoints, list) or not keypoints or len(keypoints) % 3:
        return []
    values = [number(v, "a key point", fault) for v in keypoints]
    triples = zip(values[0::3], values[1::3], values[2::3], strict=True)
    return [Point(y, x) for x, y, visible in triples if visible > 0]


def _mask_box(mask: Mapping[str, Any], fault: Fault) -> Box:
    """Return the box round a mask of runs down its columns, first background, then cell."""
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        raise fault(f"expected the mask's size [height, width], got {shown(size)}.")
    height = whole_number(size[0], "the mask's height", fault)
    width = whole_number(size[1], "the mask's width", fault)
    runs = _packed_runs(counts, fault) if isinstance(counts, str) else _plain_runs(counts, fault)
    ends = list(accumulate(runs))
    if sum(runs) != height * width:
        raise fault(f"the mask's counts are of {sum(runs)} px, but its size is {width} x {height}.")
    filled = [(start, end) for start, end in list(pairwise([0, *ends]))[1::2] if end > start]
    if not filled or not height:
        raise fault("the mask is empty.")
    x0, x1 = filled[0][0] // height, (filled[-1][1] - 1) // height + 1
    y0, y1 = height, 0
    for start, end in filled:
        spans = start // height != (end - 1) // height
        y0 = 0 if spans else min(y0, start % height)
        y1 = height if spans else max(y1, (end - 1) % height + 1)
    return Box(y0, x0, y1, x1)


def _plain_runs(counts: object, fault: Fault) -> list[int]:
    if not isinstance(counts, list) or len(counts) > _MOST_RUNS:
        raise fault(f"expected the mask's counts, got {shown(counts)}.")
    return [whole_number(v, "a mask's count", fault, 10**12) for v in counts]


def mask_of(outline: Polygon, size_hw: tuple[int, int]) -> tuple[str, int]:
    """Return an outline as a mask of runs, JSON, as ``pycocotools`` packs it, and how many pixels it covers.

    Parameters
    ----------
    outline : Polygon
        In px of its image.
    size_hw : tuple of int
        Of that image.
    """
    height, width = size_hw
    y0, x0, y1, x1 = outline.bounds_yxyx
    top, left = max(math.floor(y0), 0), max(math.floor(x0), 0)
    bottom, right = min(math.ceil(y1), height), min(math.ceil(x1), width)
    inside = pixels_in_outline(outline.vertices_yx, (top, left), (max(bottom - top, 0), max(right - left, 0)))
    columns, rows = np.nonzero(inside.T)
    places = (columns + left) * height + rows + top
    breaks = np.flatnonzero(np.diff(places) != 1)
    starts, ends = np.concatenate([places[:1], places[breaks + 1]]), np.concatenate([places[breaks], places[-1:]]) + 1
    edges = np.column_stack([starts, ends]).ravel().tolist()
    runs = [end - start for start, end in pairwise([0, *edges, height * width])]
    return f'{{"size": [{height}, {width}], "counts": {json_text(_packed(runs))}}}', len(places)


def _packed(runs: Sequence[int]) -> str:
    """Return runs as ``_packed_runs`` reads them; source: ``rleToString`` of ``maskApi.c``."""
    letters = []
    for n, run in enumerate(runs):
        value, goes_on = run - (runs[n - 2] if n > 2 else 0), True
        while goes_on:
            bits, value = value & 31, value >> 5
            goes_on = value != (-1 if bits & 16 else 0)
            letters.append(chr(bits + (32 if goes_on else 0) + 48))
    return "".join(letters)


def _packed_runs(text: str, fault: Fault) -> list[int]:
    """Return the runs that ``pycocotools`` packs: 5 bits a letter, from the third on as differences to two before."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise fault("the counts of the mask are not packed as pycocotools does it.")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if any(run < 0 for run in runs):
        raise fault("the counts of the mask are not packed as pycocotools does it.")
    return runs
