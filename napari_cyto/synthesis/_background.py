"""Put on the glass what is not epithelium: inflammation, blood, bacteria, mucus, debris."""

from __future__ import annotations

import numpy as np

from napari_cyto.synthesis._cells import YX, Bench
from napari_cyto.synthesis._fields import Terrain, sample_places
from napari_cyto.synthesis._small_objects import SMALL
from napari_cyto.synthesis._specs import KINDS
from napari_cyto.synthesis._stains import Coefficients
from napari_cyto.synthesis._stamps import Stamp, stamp_at
from napari_cyto.synthesis._truth import ArtefactTruth, IntBox, enclosing

# How many lie on a square millimetre of a moderately inflamed smear.
_POLYMORPHS_MM2 = 420
_RODS_MM2 = 22
_MUCUS_MM2 = 1.6
_BLOOD_PATCHES_MM2 = 2.2
_DEBRIS_MM2 = 4.0
_CLUMPS_MM2 = 1.6
_SQUAMES_MM2 = 2.4


def place_surroundings(bench: Bench, terrain: Terrain, area_mm2: float) -> tuple[ArtefactTruth, ...]:
    """Put everything that is no epithelial cell onto the glass; return what of it counts as rubbish."""
    rng = bench.rng
    for name, per_mm2, where in (
        ("mucus", _MUCUS_MM2, terrain.haze + 0.3 * terrain.cells),
        ("rods", _RODS_MM2, terrain.haze),
        ("polymorph", _POLYMORPHS_MM2 * 0.6, terrain.inflammation + 0.08 * terrain.cells),
    ):
        for y, x in sample_places(rng, where, rng.poisson(per_mm2 * area_mm2)):
            _small(bench, name, (y, x))
    for y, x in sample_places(rng, terrain.inflammation**2, rng.poisson(_POLYMORPHS_MM2 * 0.4 / 9 * area_mm2)):
        _scatter(bench, "polymorph", (y, x), int(rng.geometric(1 / 9)), rng.uniform(12, 40))
    for y, x in sample_places(rng, terrain.cells, rng.poisson(_BLOOD_PATCHES_MM2 * area_mm2)):
        place_blood(bench, (y, x))
    return tuple(_artefacts(bench, terrain, area_mm2))


def place_blood(bench: Bench, centre_yx: YX) -> None:
    """Put a patch of red cells round a place, level-0 px."""
    count = int(min(bench.rng.geometric(1 / 22), 90))
    _scatter(bench, "red cell", centre_yx, count, bench.rng.uniform(18, 70))


def place_diathesis(bench: Bench, centre_yx: YX) -> None:
    """Put old blood, polymorphs and rods round a carcinoma: the tumour's diathesis."""
    _scatter(bench, "polymorph", centre_yx, int(bench.rng.integers(15, 45)), 90)
    _scatter(bench, "red cell", centre_yx, int(bench.rng.integers(10, 40)), 80)


def _artefacts(bench: Bench, terrain: Terrain, area_mm2: float) -> list[ArtefactTruth]:
    rng = bench.rng
    found: list[ArtefactTruth] = []

    def count(per_mm2: float) -> int:
        return max(2, int(rng.poisson(per_mm2 * area_mm2)))

    for y, x in sample_places(rng, 0.15 + terrain.cells, count(_DEBRIS_MM2)):
        _keep(bench, found, "debris", [_small(bench, "debris", (y, x))])
    for y, x in sample_places(rng, 0.05 + terrain.inflammation, count(_CLUMPS_MM2)):
        stamps = _scatter(bench, "polymorph", (y, x), int(rng.integers(10, 30)), rng.uniform(9, 15))
        _keep(bench, found, "clump of polymorphs", stamps)
    squames = next(k for k in KINDS if k.name == "superficial")
    for y, x in sample_places(rng, terrain.cells, count(_SQUAMES_MM2)):
        if bench.inside(y, x, 45 * bench.um) and bench.crowd.free(y, x, 6 * bench.um, 25 * bench.um):
            body = bench.catalogue.body(squames, int(rng.integers(squames.variants)))
            dyes = bench.palette.cytoplasm(rng, str(rng.choice(("orange", "pink", "salmon"))))
            stamp = stamp_at(body, dyes, (y, x), int(rng.integers(8)))
            bench.stamps.add(stamp)
            bench.crowd.add(y, x, 5 * bench.um, abnormal=False)
            _keep(bench, found, "squame without nucleus", [stamp])
    return found


def _keep(bench: Bench, found: list[ArtefactTruth], kind: str, stamps: list[Stamp]) -> None:
    """List the stamps as one piece of rubbish, cut to the slide; nothing when all of it lies outside."""
    height, width = bench.size_hw
    if not stamps:
        return
    y0, x0, y1, x1 = enclosing(s.extent_yxyx for s in stamps)
    box: IntBox = (max(y0, 0), max(x0, 0), min(y1, height), min(x1, width))
    if box[2] - box[0] > 4 and box[3] - box[1] > 4:
        found.append(ArtefactTruth(kind=kind, box_yxyx=box))


def _scatter(bench: Bench, name: str, centre_yx: YX, count: int, spread_um: float) -> list[Stamp]:
    rng = bench.rng
    places = np.array(centre_yx) + rng.normal(0, spread_um * bench.um, (count, 2)) * np.array([0.75, 1.25])
    return [_small(bench, name, (float(y), float(x))) for y, x in places if _clear(bench, y, x)]


def _clear(bench: Bench, y: float, x: float) -> bool:
    """Whether a small object there would leave the nuclei of epithelial cells in sight."""
    return bench.crowd.free(y, x, 3.0 * bench.um)


def _small(bench: Bench, name: str, centre_yx: YX) -> Stamp:
    rng = bench.rng
    sprite = bench.catalogue.small(name, int(rng.integers(SMALL[name][1])))
    orientation = int(rng.choice([0, 2, 4, 6])) if name == "mucus" else int(rng.integers(8))
    stamp = stamp_at(sprite, _dyes(bench, name), centre_yx, orientation)
    if name in ("mucus", "rods", "debris") or _clear(bench, *centre_yx):
        bench.stamps.add(stamp)
    return stamp


def _dyes(bench: Bench, name: str) -> Coefficients:
    rng, palette = bench.rng, bench.palette
    if name == "polymorph":
        return np.vstack([palette.cytoplasm(rng, "pale"), palette.nucleus(rng, 0.1)])
    if name == "debris":
        tone = str(rng.choice(("brown", "lilac", "teal", "orange")))
        return np.vstack([palette.cytoplasm(rng, tone), palette.nucleus(rng)])
    if name == "red cell":
        return palette.cytoplasm(rng, "red cell")
    if name == "rods":
        return palette.bacteria()
    return palette.cytoplasm(rng, "mucus")[:1]
