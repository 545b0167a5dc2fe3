"""Lay out a whole smear: where the stroke left cells, where the lesions are, what lies between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_cyto.jobs.events import Token
from napari_cyto.synthesis._background import place_diathesis, place_surroundings
from napari_cyto.synthesis._catalogue import Catalogue
from napari_cyto.synthesis._cells import Bench, place_group
from napari_cyto.synthesis._fields import Terrain, make_terrain, sample_places
from napari_cyto.synthesis._glass import Glass
from napari_cyto.synthesis._render import Renderer
from napari_cyto.synthesis._stains import Palette
from napari_cyto.synthesis._stamps import CellStamps
from napari_cyto.synthesis._truth import SmearTruth

DEFAULT_MPP = 0.25

# Cells a square millimetre; a smear from NILM to carcinoma does not occur, a demonstration of every class has to.
CELLS_MM2: Mapping[str, float] = {
    "NILM": 250.0,
    "ASC-US": 9.0,
    "LSIL": 12.0,
    "ASC-H": 6.0,
    "HSIL": 14.0,
    "SCC": 6.0,
}
_AT_LEAST = 3
# A smaller smear has too few cells for anybody to notice that some of them are alike.
_AREA_FOR_ALL_MM2 = 6.0

_Somewhere = Callable[[], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Habit:
    """How cells of a class keep together: group sizes and spacing (share of the sum of two radii)."""

    group: tuple[int, int]
    spacing: tuple[float, float]


_HABITS = {
    "NILM": _Habit((1, 26), (0.6, 0.98)),
    "ASC-US": _Habit((1, 3), (0.7, 1.0)),
    "LSIL": _Habit((1, 6), (0.62, 0.95)),
    "ASC-H": _Habit((1, 6), (0.75, 1.1)),
    "HSIL": _Habit((3, 24), (0.58, 0.86)),
    "SCC": _Habit((3, 12), (0.8, 1.25)),
}


@dataclass(frozen=True, slots=True)
class SmearSpec:
    """What kind of smear to make.

    Parameters
    ----------
    size_hw : tuple of int
        Height and width, px.
    seed : int
        The same seed gives the same smear.
    mpp : float
        µm per px.
    cells_mm2 : mapping
        Cells of each class on a square millimetre; a class that is absent does not occur.
    """

    size_hw: tuple[int, int]
    seed: int = 1
    mpp: float = DEFAULT_MPP
    cells_mm2: Mapping[str, float] = field(default_factory=lambda: CELLS_MM2)

    @property
    def area_mm2(self) -> float:
        """Area of the glass, mm²."""
        return self.size_hw[0] * self.size_hw[1] * (self.mpp / 1000) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class Smear:
    """A laid-out smear: its spec, what draws it, its truth, and the stamps of each of the truth's cells."""

    spec: SmearSpec
    renderer: Renderer
    truth: SmearTruth
    parts: tuple[CellStamps, ...] = ()


def lay_out(spec: SmearSpec, token: Token | None = None) -> Smear:
    """Return the smear that ``spec`` describes; one of 20,000 x 20,000 px takes some seconds, no pixels yet.

    Raises
    ------
    JobCancelled
        When ``token`` asks to stop.
    """
    rng = np.random.default_rng([spec.seed, 1])
    terrain = make_terrain(rng, spec.size_hw)
    bench = Bench(
        rng,
        spec.size_hw,
        Catalogue(spec.mpp, spec.seed),
        Palette(rng),
        token,
        min(1.0, spec.area_mm2 / _AREA_FOR_ALL_MM2),
    )
    _place_lesions(bench, terrain, spec)
    _place_normal(bench, terrain, spec)
    artefacts = place_surroundings(bench, terrain, spec.area_mm2)
    glass = Glass(np.random.default_rng([spec.seed, 2]), spec.size_hw, terrain, spec.mpp)
    return Smear(spec, Renderer(glass, bench.stamps), SmearTruth(tuple(bench.cells), artefacts), tuple(bench.parts))


def _n_cells(spec: SmearSpec, class_id: str) -> int:
    per_mm2 = spec.cells_mm2.get(class_id, 0.0)
    return max(_AT_LEAST, round(per_mm2 * spec.area_mm2)) if per_mm2 > 0 else 0


def _place_lesions(bench: Bench, terrain: Terrain, spec: SmearSpec) -> None:
    """Put abnormal cells into foci: low-grade, high-grade and invasive ones apart from each other."""
    rng = bench.rng
    foci_each = max(1, round(spec.area_mm2 / 2.5))
    for classes in (("ASC-US", "LSIL"), ("ASC-H", "HSIL"), ("SCC",)):
        foci = sample_places(rng, np.clip(terrain.cells - 0.15, 0, 1), foci_each)
        for class_id in classes:
            _fill(bench, class_id, _n_cells(spec, class_id), _round_foci(rng, foci, terrain, 300 * bench.um))


def _place_normal(bench: Bench, terrain: Terrain, spec: SmearSpec) -> None:
    n_cells = _n_cells(spec, "NILM")
    _fill(bench, "NILM", n_cells, lambda: sample_places(bench.rng, terrain.cells**1.3, 1)[0])


def _round_foci(rng: np.random.Generator, foci: NDArray[np.float64], terrain: Terrain, spread_px: float) -> _Somewhere:
    def somewhere() -> NDArray[np.float64]:
        for _ in range(8):
            place = foci[rng.integers(len(foci))] + rng.normal(0, spread_px, 2)
            if rng.random() < 0.8 and terrain.cells_at(*place) > 0.1:
                return np.asarray(place)
        return np.asarray(sample_places(rng, terrain.cells, 1)[0])

    return somewhere


def _fill(bench: Bench, class_id: str, n_cells: int, somewhere: _Somewhere) -> None:
    """Put groups of a class at places that ``somewhere`` gives, until as many cells as wanted lie there."""
    rng, habit = bench.rng, _HABITS[class_id]
    placed = 0
    for _ in range(20 * n_cells):
        bench.stop_if_cancelled()
        if placed >= n_cells:
            return
        low, high = habit.group
        mean = (low + high) / 4
        count = int(np.clip(low - 1 + rng.geometric(1 / max(mean, 1)), low, high))
        y, x = somewhere()
        if not bench.inside(y, x, 0):
            continue
        found = place_group(bench, class_id, (float(y), float(x)), min(count, n_cells - placed), habit.spacing)
        if found and class_id == "SCC" and rng.random() < 0.5:
            place_diathesis(bench, (float(y), float(x)))
        placed += found
