"""What an extraction found out so far, kept beside its target: a run that was stopped goes on from there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.domain.json_values import to_plain
from napari_cyto.files.atomic import write_text
from napari_cyto.inference._checkpoint import Records, read_record, why_anew
from napari_cyto.inference.outline.computed import FoundOutline
from napari_cyto.store import Project

Centres = npt.NDArray[np.float64]

_REQUEST = "request.json"
_BESIDE, _INSIDE = ".extract", "extract"
_PLAN = 1
"""Rises when nuclei are put into other batches, whose numbers then mean others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleiDependOn:
    """All that the nuclei of a slide and their outlines depend on.

    Parameters
    ----------
    slide : str
        Fingerprint of its file.
    models : str
        SHA-256 of detector and outline model.
    mpp : float
        µm per level-0 px.
    region : tuple or None
        ``(y0, x0, y1, x1)``, level-0 px.
    score_from : float or None
        The least score that counts; the detector's own where None.
    plan : int
        How nuclei are put into batches.
    """

    slide: str
    models: str
    mpp: float
    region: YXYX | None
    score_from: float | None
    plan: int = _PLAN


def kept_beside(out: Path) -> Path:
    """Return the folder of what is done for a target: in a project, else beside the folder of crops."""
    if out.suffix.lower() == ".cyto" or Project.is_project(out):
        return out / _INSIDE
    return out.with_name(f"{out.name}{_BESIDE}")


class KeptNuclei:
    """The nuclei of one slide, in a folder.

    What is found is used as it is read back, so that a run that goes on comes to the very same cells.

    Parameters
    ----------
    folder : Path
        Made when it is not there. What it holds of another request is dropped.
    depends_on : NucleiDependOn
        All that the nuclei depend on.

    Attributes
    ----------
    news : str or None
        That an earlier run goes on, or why it does not; None where there was none.
    """

    def __init__(self, folder: Path, depends_on: NucleiDependOn) -> None:
        now: dict[str, Any] = json.loads(json.dumps(to_plain(depends_on)))
        before, self.news = read_record(folder / _REQUEST), None
        if before != now:
            if before is not None:
                self.news = f"starting over: {why_anew(before, now)}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / _REQUEST, json.dumps(now, indent=1) + "\n")
        self.detection = folder / "detection"
        self._centres, self._rings = Records(folder / "centres.bin"), Records(folder / "outlines.bin")
        if before == now and self.centres_yx is not None:
            done = len({number for number, _ in self._rings.read()})
            self.news = f"resuming: all nuclei are found, {counted(done, 'batch', 'batches')} of them outlined"

    @property
    def centres_yx(self) -> Centres | None:
        """Centres of all nuclei, float64 (n, 2), level-0 px; None while they are not all found."""
        for _, centres in self._centres.read():
            return centres.astype(np.float64)
        return None

    def keep_centres(self, centres_yx: Sequence[YX]) -> None:
        """Keep the centres of all nuclei, level-0 px."""
        self._centres.append(0, np.array(centres_yx, np.float32).reshape(-1, 2))

    def outlines(self) -> dict[int, npt.NDArray[np.float32]]:
        """Return the batches that are outlined, by their numbers: rows as `rows_of` makes them."""
        return dict(self._rings.read())

    def keep_outlines(self, number: int, rows: npt.NDArray[np.float32]) -> None:
        """Keep the outlines of a batch."""
        self._rings.append(number, rows)


def rows_of(found: Iterable[FoundOutline]) -> npt.NDArray[np.float32]:
    """Return the nuclei of a batch as rows: number in the batch, then y and x beside its centre, level-0 px.

    A nucleus without an outline has no row, one on a damaged part of the file a single one, which is no place.
    """
    parts = [np.zeros((0, 3))]
    for number, one in enumerate(found):
        ring = np.array(one.cell.nucleus_yx, np.float64).reshape(-1, 2) - one.cell.click_yx
        if one.is_damaged:
            ring = np.full((1, 2), np.nan)
        parts.append(np.insert(ring, 0, number, axis=1))
    return np.concatenate(parts).astype(np.float32)


def rings_of(rows: npt.NDArray[np.float32], centres_yx: Centres) -> tuple[list[tuple[YX, ...]], int]:
    """Return the rings of a batch, level-0 px, and how many nuclei lie on damaged parts of the file."""
    numbers = rows[:, 0].astype(int)
    rings, damaged = [], 0
    for number in np.unique(numbers).tolist():
        ring = rows[numbers == number, 1:].astype(np.float64) + centres_yx[number]
        if np.isnan(ring).any():
            damaged += 1
        else:
            rings.append(tuple((y, x) for y, x in ring.tolist()))
    return rings, damaged
