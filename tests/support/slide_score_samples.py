"""What a model said of a slide, as a project keeps it."""

from __future__ import annotations

from typing import Any

from napari_cyto.vectors import SlideScore


def score_of_cells(**changes: Any) -> SlideScore:
    """A score of 0.80 by a model called ``m`` from two seeds, but for some of its fields."""
    fields = {
        "model": "m",
        "sha256": "a" * 64,
        "positive": "HSIL",
        "score": 0.8,
        "low": 0.7,
        "high": 0.9,
        "seeds": (0.7, 0.9),
        "bag": "cells",
        "looked_at": 10,
        "without": 0,
        "at": "2026-01-01T00:00:00+00:00",
    }
    return SlideScore(**(fields | changes))
