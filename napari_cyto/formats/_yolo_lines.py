"""Single lines of YOLO label files: boxes, outlines, turned boxes, poses, and what detectors write behind them.

Source: https://docs.ultralytics.com/datasets/ (detect, segment, obb, pose) and the order in which Ultralytics saves
results as text: class, shape, confidence, track id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cyto.domain.geometry import YXYX, Box, Geometry, Polygon
from napari_cyto.formats._shapes import is_flat
from napari_cyto.formats.bad_rows import LeftOut
from napari_cyto.formats.tables import plain_number
from napari_cyto.formats.text import Fault, number, whole_number

_DIGITS = 4  # of a px; rounds off the noise of fraction x size
_BOX = 4
_SEEN = {"0", "1", "2"}


@dataclass(frozen=True, slots=True)
class YoloLine:
    """A label as its line has it; ``geometry`` in px of the image."""

    class_number: int
    geometry: Geometry
    score: float | None


def box_line(class_number: int, bounds_yxyx: YXYX, size_hw: tuple[int, int]) -> str:
    """Return the line of a box that lies within its image, both in px of it."""
    (y0, x0, y1, x1), (height, width) = bounds_yxyx, size_hw
    values = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
    return f"{class_number} {' '.join(map(_fraction, values))}\n"


def _fraction(value: float) -> str:
    """Return a fraction without an exponent: datumaro passes over a file, silently, whose first line has one."""
    text = plain_number(value)
    return np.format_float_positional(value, trim="-") if "e" in text else text


def read_line(
    tokens: Sequence[str], size_hw: tuple[int, int], pose_values: int, left_out: LeftOut, fault: Fault
) -> YoloLine:
    """Return the label of one line.

    Parameters
    ----------
    tokens : sequence of str
        The class's number and what follows it.
    size_hw : tuple of int
        Height and width of the image, px.
    pose_values : int
        How many numbers of key points follow a box; 0 where lines are no poses.
    left_out : LeftOut
        Counts the key points and track ids that are not read.
    fault : Fault
        The place of the line.

    Raises
    ------
    FormatError
        When it is no label, or a shape without area.
    """
    class_number = whole_number(tokens[0], "the class", fault)
    values = [number(token, "a value", fault, 10**9) for token in tokens[1:]]
    if pose_values and len(values) in (_BOX + pose_values, _BOX + pose_values + 1):
        left_out.add("pose", "read as its box, without the key points.")
        values = values[:_BOX] + values[_BOX + pose_values :]
    elif _is_tracked(tokens[1:], values):
        left_out.add("track id", "left out.")
        values.pop()
    elif _is_pose(tokens[1:]):
        raise fault(
            "its numbers look like a pose (a box, then points that end in 0, 1 or 2); add kpt_shape to the data.yaml."
        )
    score = values.pop() if len(values) >= _BOX and len(values) % 2 else None
    if score is not None and not 0 <= score <= 1:
        raise fault(f"expected a confidence from 0 to 1, got {score:g}.")
    if any(abs(value) > 1000 for value in values):
        raise fault("expected fractions of the image, got a value above 1000.")
    return YoloLine(class_number, _geometry(values, size_hw, fault), score)


def _is_tracked(tokens: Sequence[str], values: Sequence[float]) -> bool:
    """Whether a box is followed by a track id, alone or after its confidence: a whole number that is no fraction."""
    if len(values) not in (_BOX + 1, _BOX + 2) or not tokens[-1].isdigit():
        return False
    if len(values) == _BOX + 1:
        return values[-1] > 1
    x, y, w, h, confidence, track = values
    inside = all(abs(c - 0.5) + size / 2 <= 0.51 for c, size in ((x, w), (y, h)))
    return track > 1 or (track == 1 and inside and 0 <= confidence <= 1)


def _is_pose(tokens: Sequence[str]) -> bool:
    """Whether a box is followed by key points of three numbers, the last of each saying how well it is seen."""
    seen = {_plain(each) for each in tokens[_BOX + 2 :: 3]}
    # An even number of values may be an outline, whose corners can lie on the border (0, 1) but not at 2.
    may_be_outline = len(tokens) % 2 == 0 and "2" not in seen
    return len(tokens) > _BOX + 2 and (len(tokens) - _BOX) % 3 == 0 and seen <= _SEEN and not may_be_outline


def _plain(token: str) -> str:
    return token.rstrip("0").rstrip(".") or "0" if "." in token else token


def _geometry(values: Sequence[float], size_hw: tuple[int, int], fault: Fault) -> Geometry:
    height, width = size_hw
    if len(values) > _BOX:
        pairs = zip(values[1::2], values[0::2], strict=True)
        corners = tuple((round(y * height, _DIGITS), round(x * width, _DIGITS)) for y, x in pairs)
        if is_flat(corners):
            raise fault("the outline has no area.")
        return Polygon(corners)
    if len(values) != _BOX:
        raise fault(f"expected five values (class, x, y, width, height), got {len(values) + 1}.")
    x, y, w, h = values
    edges = ((y - h / 2) * height, (x - w / 2) * width, (y + h / 2) * height, (x + w / 2) * width)
    y0, x0, y1, x1 = (round(edge, _DIGITS) for edge in edges)
    if y1 <= y0 or x1 <= x0:
        raise fault(f"expected a box with width and height above 0, got {w:g} x {h:g}.")
    return Box(y0, x0, y1, x1)
