"""By what the cells of the map are coloured, and the legend of it."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.vectors.cell_facts import CellFacts
from napari_cyto.widgets.ramp import NO_NUMBER, RAMP, packed, ramp_rgb

Colours = npt.NDArray[np.uint32]

# Source: Okabe and Ito 2008, Color Universal Design; without its black, which the ground is near.
_SAFE = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#bbbbbb")
_AGREE, _DIFFER = "#56b4e9", "#ff7f2a"
_MOST_NAMES, _MOST_LONG, _LONGEST_NAME = 14, 8, 24


class ColourBy(StrEnum):
    """What the colour of a cell says."""

    CLASS = "class"
    SCORE = "score"
    SLIDE = "slide"
    READER = "reader"
    AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True)
class Coloured:
    """The colours of cells, and what they mean.

    Parameters
    ----------
    colours : ndarray, uint32 (n,)
        0xFFRRGGBB.
    legend : str
        Rich text.
    """

    colours: Colours
    legend: str


def coloured(
    by: ColourBy,
    facts: CellFacts,
    slide_ids: Sequence[str],
    names: Mapping[str, str],
    scheme: ClassScheme,
    *,
    blind: bool,
) -> Coloured:
    """Return the colours of cells.

    Parameters
    ----------
    by : ColourBy
        What the colour says.
    facts : CellFacts
        What is known of the cells; those that are gone are left out of the legend.
    slide_ids : sequence of str
        The slide of each.
    names : mapping of slide id to name
        For the legend.
    scheme : ClassScheme
        The colours of classes.
    blind : bool
        Whether what a model says is hidden: unreviewed cells have no class then, and scores are not shown.
    """
    there = facts.statuses != ""
    if by is ColourBy.SCORE:
        return Coloured(*_by_score(facts, blind))
    if by is ColourBy.CLASS:
        hidden = (facts.statuses == Status.UNREVIEWED) & blind
        labels = np.where(hidden, "", facts.classes)
        return _named(labels, there, {c.id: c.colour for c in scheme.classes}, "class hidden (blind)")
    if by is ColourBy.SLIDE:
        of = np.array(slide_ids, dtype=object)
        known = list(dict.fromkeys(of[there].tolist()))
        label = np.array([names.get(s, "slide removed") for s in of.tolist()], dtype=object)
        return _named(label, there, _palette([names.get(s, "slide removed") for s in known]), "")
    if by is ColourBy.READER:
        known = [name for name, _ in Counter(facts.readers[there].tolist()).most_common() if name]
        return _named(facts.readers, there, _palette(known), "unreviewed")
    if blind:
        return Coloured(_filled(len(there)), "Hidden in a blind reading.")
    silent = facts.model_classes == ""
    said = np.where(silent, "", np.where(facts.model_classes == facts.classes, "model agrees", "model differs"))
    return _named(said.astype(object), there, {"model agrees": _AGREE, "model differs": _DIFFER}, "no model's class")


def _by_score(facts: CellFacts, blind: bool) -> tuple[Colours, str]:
    if blind:
        return _filled(len(facts.scores)), "Scores are hidden in a blind reading."
    colours = packed(ramp_rgb(facts.scores))
    steps = "".join(f"<span style='color:{colour}'>&#9632;</span>" for colour in RAMP)
    return colours, f"0 {steps} 1: the model's highest score. <span style='color:{NO_NUMBER}'>&#9632;</span> no score"


def _named(
    labels: npt.NDArray[np.object_], there: npt.NDArray[np.bool_], colour_of: Mapping[str, str], none: str
) -> Coloured:
    known, codes = np.unique(labels.astype(str), return_inverse=True)
    table = np.array([_packed(colour_of.get(name, NO_NUMBER)) for name in known.tolist()], dtype=np.uint32)
    counts = Counter(dict(zip(known.tolist(), np.bincount(codes[there], minlength=len(known)).tolist(), strict=True)))
    longest = max(map(len, known.tolist()), default=0)
    most = _MOST_LONG if longest > _LONGEST_NAME // 2 else _MOST_NAMES
    parts = [
        f"<span style='color:{colour_of.get(name, NO_NUMBER)}'>&#9632;</span>&nbsp;"
        f"{escape(_short(name) or none)}&nbsp;{count:,}"
        for name, count in counts.most_common(most)
        if count
    ]
    more = sum(count > 0 for count in counts.values()) - len(parts)
    return Coloured(table[codes], " &nbsp; ".join(parts) + (f" &nbsp; and {more} more" if more > 0 else ""))


def _palette(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name; colour-blind people can distinguish the first eight."""
    made = {}
    for n, name in enumerate(names):
        if n < len(_SAFE):
            made[name] = _SAFE[n]
        else:
            r, g, b = colorsys.hsv_to_rgb((n * 0.618) % 1, 0.65, 0.95)
            made[name] = f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}"
    return made


def _filled(count: int) -> Colours:
    return np.full(count, _packed(NO_NUMBER), dtype=np.uint32)


def _packed(colour: str) -> int:
    return 0xFF000000 | int(colour[1:7], 16)


def _short(name: str) -> str:
    """Return a name of at most so many letters, its middle left out: slides of one series begin and end alike."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
