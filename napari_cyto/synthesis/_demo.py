"""The smears of the demonstration: a large one, and two small ones of other patients so that a split has groups."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.jobs.events import Token
from napari_cyto.synthesis._cache import Advance, MadeSmear, obtain_smear
from napari_cyto.synthesis._layout import CELLS_MM2, SmearSpec

DemoSmear = MadeSmear

DEMO_SIZE_PX = 20_000
_SMALL_SHARE = 0.3
_LEAST_PX = 1500
_SEEDS = {"demo_1": 5, "demo_2": 31, "demo_3": 47}


def demo_specs(size_px: int = DEMO_SIZE_PX) -> dict[str, SmearSpec]:
    """Return the demonstration's smears by name; the first is ``size_px`` square, the others three tenths of that."""
    small = max(_LEAST_PX, round(size_px * _SMALL_SHARE))
    denser = {class_id: per_mm2 * (1 if class_id == "NILM" else 2) for class_id, per_mm2 in CELLS_MM2.items()}
    return {
        name: SmearSpec((size_px, size_px), seed) if number == 0 else SmearSpec((small, small), seed, cells_mm2=denser)
        for number, (name, seed) in enumerate(_SEEDS.items())
    }


def demo_smear(
    cache_dir: Path | None = None,
    size_px: int = DEMO_SIZE_PX,
    *,
    advance: Advance | None = None,
    token: Token | None = None,
) -> DemoSmear:
    """Return the large demo smear with its truth, made once and kept (see ``obtain_smear``).

    Raises
    ------
    JobCancelled
        When asked to stop; nothing is left behind.
    CytoError
        When the cache cannot be written.
    """
    name, spec = next(iter(demo_specs(size_px).items()))
    return obtain_smear(spec, name, cache_dir, advance=advance, token=token)
