"""Fields of made-up smears with exact masks of nuclei and cells, in stains that vary more than real ones.

An outline network learns on them, and is measured on others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cyto.domain.geometry import YX, pixels_in_outline
from napari_cyto.synthesis._layout import Smear, SmearSpec, lay_out
from napari_cyto.synthesis._render import Renderer
from napari_cyto.synthesis._stains import Coefficients
from napari_cyto.synthesis._stamps import Stamp, StampList

CELLS_MM2: Mapping[str, float] = {
    "NILM": 230.0,
    "ASC-US": 40.0,
    "LSIL": 40.0,
    "ASC-H": 60.0,
    "HSIL": 60.0,
    "SCC": 40.0,
}
"""Cells of each class on a square millimetre: outlines of abnormal ones matter most."""

_MOST_COEFFICIENT = 255
_MARGIN_PX = 3


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMask:
    """A mask at its place: ``mask`` (h, w) bool, its top-left corner ``y0, x0`` in px of the field."""

    mask: NDArray[np.bool_]
    y0: int
    x0: int

    @classmethod
    def of_ring(cls, ring_yx: Sequence[YX]) -> PlacedMask:
        """Return the mask of what a ring, px of the field ``(y, x)``, encloses."""
        ring = np.asarray(ring_yx)
        top, left = (int(v) for v in np.floor(ring.min(axis=0)) - _MARGIN_PX)
        height, width = (int(v) for v in np.ceil(ring.max(axis=0)) + _MARGIN_PX - (top, left))
        return cls(pixels_in_outline(ring, (top, left), (height, width)), top, left)

    def on(self, top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
        """Return the mask in a box of the field, ``(height, width)`` bool."""
        out = np.zeros((height, width), bool)
        mh, mw = self.mask.shape
        a, b = max(self.y0, top), max(self.x0, left)
        c, d = min(self.y0 + mh, top + height), min(self.x0 + mw, left + width)
        if a < c and b < d:
            out[a - top : c - top, b - left : d - left] = self.mask[
                a - self.y0 : c - self.y0, b - self.x0 : d - self.x0
            ]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedTruth:
    """One cell of a field.

    Parameters
    ----------
    nuclei : tuple of PlacedMask
        One or two.
    cell : PlacedMask
        The whole cell, its nuclei not counted where they reach beyond it.
    overlap : float
        Share of the cell, 0 to 1, on which other cells lie.
    """

    nuclei: tuple[PlacedMask, ...]
    cell: PlacedMask
    overlap: float


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedField:
    """Pixels and the cells on them.

    Parameters
    ----------
    rgb : ndarray
        uint8 RGB ``(h, w, 3)``.
    mpp : float
        µm per px.
    cells : tuple of OutlinedTruth
        Each cell.
    knows_cells : bool
        Whether the masks of whole cells are known; else a cell's mask is that of its nucleus.
    """

    rgb: NDArray[np.uint8]
    mpp: float
    cells: tuple[OutlinedTruth, ...]
    knows_cells: bool = True

    def save(self, path: Path) -> None:
        """Write the field into a file ``.npz``."""
        masks = [m for c in self.cells for m in (c.cell, *c.nuclei)]
        np.savez(
            path,
            rgb=self.rgb,
            mpp=self.mpp,
            knows_cells=self.knows_cells,
            nuclei=np.array([len(c.nuclei) for c in self.cells]),
            overlap=np.array([c.overlap for c in self.cells]),
            places=np.array([(m.y0, m.x0, *m.mask.shape) for m in masks], np.int64).reshape(-1, 4),
            bits=np.packbits(np.concatenate([m.mask.ravel() for m in masks] or [np.zeros(0, bool)])),
        )

    @classmethod
    def load(cls, path: Path) -> OutlinedField:
        """Return what ``save`` wrote."""
        with np.load(path) as kept:
            masks = iter(_unpacked(kept["places"], kept["bits"]))
            cells = []
            for count, overlap in zip(kept["nuclei"], kept["overlap"], strict=True):
                cell = next(masks)
                cells.append(OutlinedTruth(tuple(next(masks) for _ in range(count)), cell, float(overlap)))
            return cls(kept["rgb"], float(kept["mpp"]), tuple(cells), bool(kept.get("knows_cells", True)))


def _unpacked(places: NDArray[np.int64], bits: NDArray[np.uint8]) -> Iterator[PlacedMask]:
    flat, start = np.unpackbits(bits).astype(bool), 0
    for y0, x0, height, width in places.tolist():
        yield PlacedMask(flat[start : start + height * width].reshape(height, width), y0, x0)
        start += height * width


def make_field(seed: int, size_px: int = 1536, mpp: float = 0.25, variety: float = 1.0) -> OutlinedField:
    """Return a field; the same seed gives the same one.

    Parameters
    ----------
    seed : int
        Decides everything.
    size_px : int
        Its side.
    mpp : float
        µm per px.
    variety : float
        How far the stains of field and cells stray from Papanicolaou's: 0 not at all, 1 from hardly stained to dark.
    """
    smear = lay_out(SmearSpec((size_px, size_px), seed, mpp, CELLS_MM2))
    rng = np.random.default_rng([seed, 7])
    drawn = _restained(rng, smear, variety) if variety else smear.renderer
    return OutlinedField(drawn.draw(0, 0, size_px, size_px), mpp, _truths(smear, size_px))


def _truths(smear: Smear, size_px: int) -> tuple[OutlinedTruth, ...]:
    count = np.zeros((size_px, size_px), np.uint8)
    bodies = [_placed(parts.body) for parts in smear.parts]
    for body in bodies:
        count += body.on(0, 0, size_px, size_px)
    truths = []
    for parts, body in zip(smear.parts, bodies, strict=True):
        covered = count[body.on(0, 0, size_px, size_px)] > 1
        overlap = float(covered.mean()) if covered.size else 1.0
        truths.append(OutlinedTruth(tuple(_placed(n) for n in parts.nuclei), body, overlap))
    return tuple(truths)


def _placed(stamp: Stamp) -> PlacedMask:
    return PlacedMask(np.ascontiguousarray(stamp.sprite.mask), stamp.y0, stamp.x0)


def _restained(rng: np.random.Generator, smear: Smear, variety: float) -> Renderer:
    """Return the smear drawn with other dyes: a tint and two strengths for the field, and as many for each cell."""
    of_nuclei, of_bodies = (_strength(rng, variety, spread) for spread in (0.35, 0.45))
    tints = {kind: np.exp(variety * rng.normal(0, 0.2, 3)) for kind in ("nucleus", "body", "other")}
    changed: dict[int, Stamp] = {}
    for parts in smear.parts:
        body = tints["body"] * of_bodies * np.exp(variety * rng.normal(0, 0.25))
        nucleus = tints["nucleus"] * of_nuclei * np.exp(variety * rng.normal(0, 0.15))
        changed[id(parts.body)] = _tinted(parts.body, body)
        changed.update({id(n): _tinted(n, nucleus) for n in parts.nuclei})
    other = tints["other"]
    stamps = StampList([changed.get(id(s)) or _tinted(s, other) for s in smear.renderer.stamps.stamps])
    return Renderer(smear.renderer.glass, stamps)


def _strength(rng: np.random.Generator, variety: float, spread: float) -> float:
    return float(np.exp(variety * (rng.normal(0, spread) - spread / 3)))


def _tinted(stamp: Stamp, factors: NDArray[np.float64]) -> Stamp:
    coefficients: Coefficients = np.clip(np.rint(stamp.coefficients * factors), 0, _MOST_COEFFICIENT).astype(np.uint16)
    return replace(stamp, coefficients=coefficients)
