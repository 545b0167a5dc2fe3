"""What a report shows besides the numbers: curves, and cells as pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_cyto.evaluation._ranking import Curve
from napari_cyto.evaluation.report.markup import Html, element

EXAMPLE_PX = 112
JPEG_QUALITY = 88


@dataclass(frozen=True)
class Example:
    """A cell to look at.

    Parameters
    ----------
    shown_image : ndarray, uint8, RGB
        (h, w, 3), the cell with its surroundings.
    caption : str
        What a person must know of it, one line.
    note : str
        Where it is, smaller.
    """

    shown_image: npt.NDArray[np.uint8]
    caption: str
    note: str = ""

    def figure(self) -> Html:
        """Return the picture, embedded, with its caption."""
        uri = image_uri(self.shown_image)
        image = Html(f'<img src="{uri}" width="{EXAMPLE_PX}" height="{EXAMPLE_PX}" alt="">')
        caption = element("figcaption", self.caption, element("small", self.note) if self.note else None)
        return element("figure", image, caption, cls="cell")


@dataclass(frozen=True)
class Curves:
    """A ROC and a precision-recall curve.

    Parameters
    ----------
    name, colour : str
        What it is of; ``#rrggbb``.
    roc, precision_recall : float64 array (p, 2)
        As `Ranking` returns them.
    area : float or None
        Under the ROC curve.
    prevalence : float
        Share of positives: the precision of guessing.
    """

    name: str
    colour: str
    roc: Curve
    precision_recall: Curve
    area: float | None
    prevalence: float


@dataclass(frozen=True)
class ReportCurves:
    """Curves and pictures of a report.

    Parameters
    ----------
    binary : tuple of Curves
        High-grade against the rest, abnormal against normal.
    per_class : tuple of Curves
        Each class against the rest.
    budget : float64 array (p, 2)
        Detections a marked cell, and the recall that they give.
    worst, best : tuple of Example
        Cells to look at.
    """

    binary: tuple[Curves, ...] = ()
    per_class: tuple[Curves, ...] = ()
    budget: Curve = field(default_factory=lambda: np.empty((0, 2)))
    worst: tuple[Example, ...] = ()
    best: tuple[Example, ...] = ()


def image_uri(shown_image: npt.NDArray[np.uint8], longest_px: int = 2 * EXAMPLE_PX) -> str:
    """Return a picture (h, w, 3), uint8, RGB, as a data URI that a page can hold, shrunk to at most ``longest_px``."""
    image = Image.fromarray(shown_image)
    image.thumbnail((longest_px, longest_px))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
