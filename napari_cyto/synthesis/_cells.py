"""Put epithelial cells on the glass, alone, in sheets and in crowded groups, and keep their truth."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import Token
from napari_cyto.synthesis._catalogue import Catalogue
from napari_cyto.synthesis._specs import CellKind, kinds_of
from napari_cyto.synthesis._sprite import Sprite
from napari_cyto.synthesis._stains import Palette
from napari_cyto.synthesis._stamps import CellStamps, Stamp, StampList, stamp_at
from napari_cyto.synthesis._truth import CellTruth, IntBox, enclosing

_BIN_PX = 128


class Crowd:
    """Places already taken, each a disc in level-0 px."""

    def __init__(self) -> None:
        self._bins: defaultdict[tuple[int, int], list[tuple[float, float, float, bool]]] = defaultdict(list)

    def add(self, y: float, x: float, radius_px: float, abnormal: bool) -> None:
        """Take a place."""
        self._bins[int(y) // _BIN_PX, int(x) // _BIN_PX].append((y, x, radius_px, abnormal))

    def free(self, y: float, x: float, radius_px: float, from_abnormal_px: float = 0.0) -> bool:
        """Whether a disc fits there; abnormal ones keep at least ``from_abnormal_px`` from its middle."""
        reach = int(np.ceil((max(radius_px, from_abnormal_px) + _BIN_PX / 2) / _BIN_PX))
        row, column = int(y) // _BIN_PX, int(x) // _BIN_PX
        for r in range(row - reach, row + reach + 1):
            for c in range(column - reach, column + reach + 1):
                for oy, ox, other, abnormal in self._bins.get((r, c), ()):
                    least = max(radius_px + other, from_abnormal_px if abnormal else 0.0)
                    if (oy - y) ** 2 + (ox - x) ** 2 < least**2:
                        return False
        return True


YX = tuple[float, float]

_TRIES = 14
_LEAST_VARIANTS = 10
# Share of superficial cells that show keratohyaline granules.
_GRANULAR = 0.14


@dataclass(slots=True, eq=False)
class Bench:
    """Everything that goes into laying out one smear; ``variety`` is the share of a kind's variants that is drawn."""

    rng: np.random.Generator
    size_hw: tuple[int, int]
    catalogue: Catalogue
    palette: Palette
    token: Token | None = None
    variety: float = 1.0
    stamps: StampList = field(default_factory=StampList)
    crowd: Crowd = field(default_factory=Crowd)
    cells: list[CellTruth] = field(default_factory=list)
    parts: list[CellStamps] = field(default_factory=list)

    @property
    def um(self) -> float:
        """Px per µm."""
        return 1 / self.catalogue.mpp

    def stop_if_cancelled(self) -> None:
        """Leave the work when its user asked for that.

        Raises
        ------
        JobCancelled
            Nothing is kept.
        """
        if self.token is not None and self.token.cancelled():
            raise JobCancelled("Cancelled. No smear was made.")

    def inside(self, y: float, x: float, margin_px: float) -> bool:
        """Whether a disc at ``y, x`` lies within the slide and left of the coverslip's edge."""
        height, width = self.size_hw
        return margin_px < y < height - margin_px and margin_px < x < 0.965 * width - margin_px


@dataclass(frozen=True, slots=True)
class _Draft:
    """A cell that has been chosen but not placed yet."""

    kind: CellKind
    tone: str
    body: Sprite
    nuclei: tuple[Sprite, ...]

    @property
    def radius_px(self) -> float:
        return float(np.sqrt(self.body.area_px / np.pi))

    @property
    def nucleus_radius_px(self) -> float:
        return float(np.sqrt(self.nuclei[0].area_px / np.pi))


def place_group(bench: Bench, class_id: str, centre_yx: YX, count: int, spacing: tuple[float, float]) -> int:
    """Put up to ``count`` cells of a class round a place, each touching or overlapping one before.

    Parameters
    ----------
    bench : Bench
        Where they go.
    class_id : str
        Bethesda class.
    centre_yx : tuple of float
        Where the first one should lie, level-0 px.
    count : int
        How many.
    spacing : tuple of float
        Distance between neighbours as a share of the sum of their radii, least and greatest.

    Returns
    -------
    int
        How many found room.
    """
    rng = bench.rng
    members: list[tuple[float, float, float]] = []
    kinds = kinds_of(class_id)
    shares = np.array([k.share for k in kinds])
    kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
    tone = str(rng.choice(kind.tones))
    heading = rng.uniform(0, np.pi)
    for _ in range(count):
        if rng.random() < 0.3:
            kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
        if rng.random() < 0.35 or tone not in kind.tones:
            tone = str(rng.choice(kind.tones))
        draft = _draft(bench, kind, tone)
        for _ in range(_TRIES):
            y, x = _beside(rng, members, centre_yx, draft.radius_px, spacing, heading)
            if _fits(bench, draft, y, x):
                _place(bench, draft, (y, x))
                members.append((y, x, draft.radius_px))
                break
    return len(members)


def _draft(bench: Bench, kind: CellKind, tone: str) -> _Draft:
    rng = bench.rng
    variants = max(_LEAST_VARIANTS, round(kind.variants * bench.variety))
    number = int(rng.integers(variants))
    body = bench.catalogue.body(kind, number)
    first = bench.catalogue.nucleus(kind, number if kind.paired else int(rng.integers(variants)))
    if rng.random() < kind.binucleate:
        return _Draft(kind, tone, body, (first, bench.catalogue.nucleus(kind, int(rng.integers(variants)))))
    return _Draft(kind, tone, body, (first,))


def _beside(
    rng: np.random.Generator,
    members: list[tuple[float, float, float]],
    centre_yx: YX,
    radius_px: float,
    spacing: tuple[float, float],
    heading: float,
) -> YX:
    if not members:
        return (centre_yx[0] + rng.normal(0, radius_px), centre_yx[1] + rng.normal(0, radius_px))
    y, x, other = members[rng.integers(len(members))]
    # Groups are drawn out along the stroke that smeared them.
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else heading + np.pi * rng.integers(2) + rng.normal(0, 0.4)
    distance = (radius_px + other) * rng.uniform(*spacing)
    return (y + distance * np.sin(angle), x + distance * np.cos(angle))


def _fits(bench: Bench, draft: _Draft, y: float, x: float) -> bool:
    reach = max(draft.body.shape_hw) / 2 * 1.1
    if not bench.inside(y, x, max(reach, 2 * draft.radius_px)):
        return False
    keep_off = 0.75 * draft.radius_px if draft.kind.class_id == "NILM" else 0.0
    return bench.crowd.free(y, x, _own_room(draft), keep_off)


def _place(bench: Bench, draft: _Draft, centre_yx: YX) -> None:
    rng = bench.rng
    orientation = int(rng.integers(8))
    body = stamp_at(draft.body, bench.palette.cytoplasm(rng, draft.tone), centre_yx, orientation)
    bench.stamps.add(body)
    boxes: list[IntBox] = []
    centres: list[YX] = []
    nuclei: list[Stamp] = []
    for offset_y, offset_x in _nucleus_offsets(rng, draft):
        nucleus = draft.nuclei[len(boxes)]
        turn = orientation if draft.kind.paired else int(rng.integers(8))
        held = (centre_yx[0] + offset_y, centre_yx[1] + offset_x)
        stamp = stamp_at(nucleus, bench.palette.nucleus(rng), held, turn)
        bench.stamps.add(stamp)
        nuclei.append(stamp)
        boxes.append(stamp.extent_yxyx)
        centres.append((stamp.y0 + stamp.sprite.anchor_yx[0], stamp.x0 + stamp.sprite.anchor_yx[1]))
    bench.crowd.add(*centre_yx, _own_room(draft), draft.kind.class_id != "NILM")
    if draft.kind.name == "superficial" and rng.random() < _GRANULAR:
        granules = bench.catalogue.small("granules", int(rng.integers(16)))
        bench.stamps.add(stamp_at(granules, bench.palette.nucleus(rng), centre_yx, int(rng.integers(8))))
    area_um2 = bench.catalogue.mpp**2
    bench.parts.append(CellStamps(body, tuple(nuclei)))
    bench.cells.append(
        CellTruth(
            class_id=draft.kind.class_id,
            kind=draft.kind.name,
            nucleus_yx=centres[0],
            nucleus_box_yxyx=enclosing(boxes),
            cell_box_yxyx=enclosing([body.extent_yxyx, *boxes]),
            nucleus_area_um2=draft.nuclei[0].area_px * area_um2,
            cell_area_um2=draft.body.area_px * area_um2,
            nuclei=len(boxes),
        )
    )


def _own_room(draft: _Draft) -> float:
    """Return the radius (px) that no other cell's like may enter: the nuclei, and flat cells stack only so deep."""
    if draft.kind.paired:
        # Crowded lesional nuclei touch and overlap a little.
        return 0.9 * draft.nucleus_radius_px
    nuclei = draft.nucleus_radius_px * (1.05 if len(draft.nuclei) == 1 else 2.1)
    return max(nuclei, 0.4 * draft.radius_px)


def _nucleus_offsets(rng: np.random.Generator, draft: _Draft) -> list[YX]:
    """Return where the nuclei lie from the cell's middle, px: a little off it, two side by side."""
    if draft.kind.paired:
        wander = 0.3 * max(draft.radius_px - draft.nucleus_radius_px, 0) if draft.kind.body.form == "oval" else 0.0
    else:
        wander = 0.0 if draft.kind.body.halo_um else 0.13 * draft.radius_px
    y, x = rng.uniform(-wander, wander, 2) if wander else (0.0, 0.0)
    if len(draft.nuclei) == 1:
        return [(float(y), float(x))]
    apart = 0.5 * sum(float(np.sqrt(n.area_px / np.pi)) for n in draft.nuclei) * rng.uniform(0.92, 1.08)
    angle = rng.uniform(0, 2 * np.pi)
    dy, dx = apart * np.sin(angle), apart * np.cos(angle)
    return [(float(y + dy), float(x + dx)), (float(y - dy), float(x - dx))]
