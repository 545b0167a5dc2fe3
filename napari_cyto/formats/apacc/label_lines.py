"""The lines of APACC label files, to the byte.

Source: Kupas et al. 2024, doi 10.1038/s41597-024-03596-3; the layout is that of the collection's files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from napari_cyto.domain.geometry import Box
from napari_cyto.errors import FormatError
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.formats.bad_rows import BadRows

CLASS_NUMBERS = {"healthy": 0, "rubbish": 1, "unhealthy": 2, "bothcells": 3}
CLASSES = tuple(CLASS_NUMBERS)
COLOURS = {"healthy": "#368364", "rubbish": "#0066cc", "unhealthy": "#be201c", "bothcells": "#512888"}

# Shortest step of a centre is 0.00025 = 25 units of 1e-5, of a size 0.0005.
_UNITS = 100_000
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,60}|\.[0-9]{1,60})([eE][+-]?[0-9]{1,3})?")
_CLASS = re.compile(r"[0-9]{1,9}")
_FARTHEST = 1000.0


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One cell of a label file; ``box`` in slice px, ``line`` counted from 1."""

    class_number: int
    box: Box
    line: int

    @property
    def class_id(self) -> str | None:
        """The class's name, None for a number that the collection does not know."""
        return CLASSES[self.class_number] if self.class_number < len(CLASSES) else None


def whole_box(box: Box, side: int = SLICE_SIDE) -> Box | None:
    """Return ``box`` (slice px) with whole corners, clipped to the slice, at least 1 px; None when outside it."""
    y0, y1 = _whole_span(box.y0, box.y1, side)
    x0, x1 = _whole_span(box.x0, box.x1, side)
    if y0 >= y1 or x0 >= x1:
        return None
    return Box(float(y0), float(x0), float(y1), float(x1))


def _whole_span(low: float, high: float, side: int) -> tuple[int, int]:
    if high <= 0 or low >= side:
        return (0, 0)
    first, last = max(round(low), 0), min(round(high), side)
    if first >= last:  # thinner than a pixel after rounding: the pixel that it lies in
        first = min(max(int((low + high) / 2), 0), side - 1)
        last = first + 1
    return (first, last)


def label_line(class_id: str, box: Box) -> str:
    """Return the line of one cell, without its line end.

    Parameters
    ----------
    class_id : str
        One of the collection's four classes.
    box : Box
        Slice px; rounded to whole px and clipped to the slice.

    Raises
    ------
    FormatError
        When the class is not one of the four, or the box lies outside the slice.
    """
    if class_id not in CLASS_NUMBERS:
        raise FormatError(
            f"Expected a class of APACC ({', '.join(CLASSES)}), got {class_id!r}; choose a class map to these."
        )
    whole = whole_box(box)
    if whole is None:
        raise FormatError(
            f"A box of class {class_id} at y, x {box.centre_yx} lies outside its slice of {SLICE_SIDE} px."
        )
    y0, x0, y1, x1 = (int(v) for v in whole.bounds_yxyx)
    unit = _UNITS // SLICE_SIDE
    numbers = ((x0 + x1) * unit // 2, (y0 + y1) * unit // 2, (x1 - x0) * unit, (y1 - y0) * unit)
    return " ".join((str(CLASS_NUMBERS[class_id]), *map(_shortest, numbers)))


def _shortest(units: int) -> str:
    whole, part = divmod(units, _UNITS)
    return f"{whole}.{part:05d}".rstrip("0") if part else str(whole)


def slice_labels(boxes: Sequence[Box], class_ids: Sequence[str]) -> str:
    """Return the label file of one slice: grouped by class name, in the given order within a class.

    Parameters
    ----------
    boxes : sequence of Box
        Slice px; rounded to whole px and clipped to the slice.
    class_ids : sequence of str
        The class of each box.

    Raises
    ------
    FormatError
        When a class is not one of the four, or a box lies outside the slice.
    """
    rows = sorted(zip(class_ids, boxes, strict=True), key=lambda row: row[0])
    return "".join(label_line(class_id, box) + "\n" for class_id, box in rows)


def parse_label_text(text: str, path: object = None, bad: BadRows | None = None) -> tuple[LabelLine, ...]:
    """Return the cells of a label file, corners rounded to whole px as the collection's reader does.

    Boxes that reach out of the slice and unknown class numbers are returned as they stand, for the audit
    to find. Blank lines and CRLF are put up with.

    Parameters
    ----------
    text : str
        The file's content.
    path : optional
        What to call the file in an error.
    bad : BadRows, optional
        Takes the lines that cannot be read; without it the first of them is refused.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    lines = (line for line in enumerate(text.split("\n"), start=1) if line[1].strip())
    parsed: list[LabelLine] = []
    for number, line in lines:
        with nullcontext() if bad is None else bad:
            parsed.append(_parse_line(line, number, path))
    return tuple(parsed)


def _parse_line(line: str, number: int, path: object) -> LabelLine:
    tokens = line.split()
    if len(tokens) != 5:
        raise FormatError(
            "expected five values (class, x centre, y centre, width, height), "
            f"got {len(tokens)}: {line.strip()!r:.80}.",
            path,
            number,
        )
    if not _CLASS.fullmatch(tokens[0]):
        raise FormatError(f"expected a whole number as the class, got {tokens[0]!r:.40}.", path, number)
    x, y, width, height = (_fraction(token, path, number) * SLICE_SIDE for token in tokens[1:])
    edges = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    corners = tuple(float(round(edge)) for edge in edges)
    if corners[2] <= corners[0] or corners[3] <= corners[1]:
        raise FormatError(
            f"expected a width and height of at least one pixel (0.0005), got {line!r:.80}.", path, number
        )
    return LabelLine(int(tokens[0]), Box(*corners), number)


def _fraction(token: str, path: object, number: int) -> float:
    value = float(token) if _NUMBER.fullmatch(token) else float("nan")
    if not abs(value) <= _FARTHEST:
        raise FormatError(f"expected a fraction of the slice from 0 to 1, got {token!r:.40}.", path, number)
    return value
