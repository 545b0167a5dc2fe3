"""What a model of outlines is worth: Dice of nuclei and cells, and failures, on fields that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.statistics.bootstrap import Estimate, Resampling, estimate, share_estimate
from napari_cyto.inference.outline.outlines import OutlineMethod, dice, mask_of
from napari_cyto.slides.pixel_source import ImagePixels
from napari_cyto.synthesis.outlined_fields import OutlinedField

FAILURE = 0.5
"""A Dice of the nucleus below it counts as a failure."""

MOST_OVERLAP = 0.3
"""Cells on which others lie to a larger share are not measured on."""

PROTOCOL = (
    "One click at the deepest place of each nucleus; cells that the border cuts, or on which others lie to more than "
    "30 %, are left out. Failures: Dice of the nucleus below 0.5. Intervals (95 %) over fields, of a project over "
    "patients, else smears or slides."
)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A field to measure on, its µm per px where known, and what it is grouped by for intervals."""

    field: OutlinedField
    mpp: float | None
    group: str


@dataclass(frozen=True, slots=True)
class OutlineFigures(JsonFields):
    """Dice (0 to 1) and failures on held-out nuclei.

    Parameters
    ----------
    nucleus_dice : Estimate
        The mean; a nucleus that was not found has 0.
    failures : Estimate
        Share of nuclei whose Dice is below `FAILURE`.
    cell_dice : Estimate or None
        The mean, of cells whose edge is known; None where none is.
    """

    nucleus_dice: Estimate
    failures: Estimate
    cell_dice: Estimate | None


def outline_figures(
    method: OutlineMethod, held_out: Sequence[HeldOut], pulse: Callable[[], None] = lambda: None
) -> OutlineFigures | None:
    """Return how well a method outlines what lies on fields; None where there is no whole nucleus on them.

    Parameters
    ----------
    method : OutlineMethod
        What is measured.
    held_out : sequence of HeldOut
        Fields that nothing was trained on.
    pulse : callable
        Called between nuclei; raises to stop.
    """
    nuclei: list[tuple[float, str]] = []
    cells: list[tuple[float, str]] = []
    for each in held_out:
        pixels, size = ImagePixels(each.field.rgb), each.field.rgb.shape[:2]
        for truth in each.field.cells:
            pulse()
            nucleus = truth.nuclei[0].on(0, 0, *size)
            if truth.overlap > MOST_OVERLAP or nucleus.sum() != truth.nuclei[0].mask.sum():
                continue
            found = method.outline(pixels, deepest(nucleus), each.mpp)
            nuclei.append((dice(mask_of(found.nucleus_yx, size), nucleus), each.group))
            if each.field.knows_cells:
                body = truth.cell.on(0, 0, *size) | nucleus
                cells.append((dice(mask_of(found.cytoplasm_yx, size), body), each.group))
    if not nuclei:
        return None
    of_nuclei = np.array([value for value, _ in nuclei])
    groups = [group for _, group in nuclei]
    failed = share_estimate(of_nuclei < FAILURE, np.ones(len(nuclei), bool), groups)
    return OutlineFigures(_mean(nuclei), failed, _mean(cells) if cells else None)


def deepest(mask: npt.NDArray[np.bool_]) -> YX:
    """Return the place of a mask that is farthest from its border, px."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (float(y) + 0.5, float(x) + 0.5)


def _mean(values: Sequence[tuple[float, str]]) -> Estimate:
    numbers = np.array([value for value, _ in values])
    return estimate(lambda drawn: float(numbers[drawn].mean()), [g for _, g in values], Resampling(draws=1000))


def on_card(figures: dict[str, OutlineFigures]) -> dict[str, object]:
    """Return figures as a card holds them: by what was measured, then by where, with their intervals in words."""
    card: dict[str, object] = {
        "nucleus Dice": {name: words_of(each.nucleus_dice) for name, each in figures.items()},
        "failures, %": {name: words_of(each.failures, 100) for name, each in figures.items()},
        "nuclei": {name: each.nucleus_dice.n for name, each in figures.items()},
        "protocol": PROTOCOL,
    }
    if cells := {name: words_of(each.cell_dice) for name, each in figures.items() if each.cell_dice is not None}:
        card["cell Dice"] = cells
    return card


def words_of(value: Estimate, times: int = 1) -> str:
    """Return an estimate with its interval in words, multiplied."""
    digits = 3 if times == 1 else 1
    if value.value is None:
        return "cannot say"
    known = value.low is not None and value.high is not None
    ends = f" ({value.low * times:.{digits}f} to {value.high * times:.{digits}f})" if known else ""  # type: ignore[operator]
    return f"{value.value * times:.{digits}f}{ends}"
