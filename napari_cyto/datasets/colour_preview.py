"""What matching colours to a picture does to the slide on screen: the same slide before and after."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.jobs.events import Advanced, Done, Events, Token
from napari_cyto.jobs.outcome import ending_once

SIDE_PX = 480


def preview_colour(target: Path, slide: Path, token: Token | None = None) -> Events:
    """Match ``slide`` to the picture ``target``; a job.

    Parameters
    ----------
    target : Path
        The picture whose colours the slide gets.
    slide : Path
        The slide file.
    token : Token, optional
        Not asked: this takes a second at most.

    Yields
    ------
    Event
        The result holds ``before`` and ``after``, uint8 RGB ``(h, w, 3)`` at low power.
    """
    del token
    yield from ending_once(_look(target, slide))


def _look(target: Path, slide: Path) -> Events:
    # The window imports this module for its job's name; the colours themselves are a child's business.
    from napari_cyto.datasets.colour_match import preview_match

    yield Advanced(0, 0, "Matching colours…")
    shown = preview_match(slide, target, SIDE_PX)
    yield Done({"before": shown.before, "after": shown.after})
