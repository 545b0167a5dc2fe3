"""Colours of classes, for the formats that write some."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.presets import PRESETS, preset

# Source: Okabe & Ito 2008, "Color Universal Design".
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#000000")


def class_colours(labels: LabelSet, class_ids: Iterable[str]) -> dict[str, str]:
    """Return ``#rrggbb`` for each class: the label set's own, else that of a shipped scheme, else one of a palette."""
    own = dict(labels.colours)
    return {
        class_id: own.get(class_id) or _shipped().get(class_id) or PALETTE[place % len(PALETTE)]
        for place, class_id in enumerate(class_ids)
    }


def rgb(colour: str) -> list[int]:
    """Return ``#rrggbb`` as three numbers 0 to 255."""
    return list(CellClass("any", "any", colour).rgb)


def hex_colour(red: int, green: int, blue: int) -> str:
    """Return three numbers 0 to 255 as ``#rrggbb``."""
    return f"#{red & 255:02x}{green & 255:02x}{blue & 255:02x}"


@cache
def _shipped() -> dict[str, str]:
    return {c.id: c.colour for name in reversed(PRESETS) for c in preset(name).classes}
