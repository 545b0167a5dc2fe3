"""How busy the engine keeps the network: a whole slide's MP/s end to end against the bare network on tiles in memory.

Both are measured in the same run, in turns, and the loop that everybody writes first (``read_region``, fp32, one tile
after the other) beside them, on a made slide that is stained all over. The last line is JSON: ``engine_efficiency``,
``vs_naive``, ``peak_rss_mb``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from napari_cyto.inference.allocator import ALLOCATOR

SLIDE_MPP = 0.25


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--detector", default="nucleus-detector")
    wanted.add_argument("--side", type=int, default=8192, help="of the made slide, px")
    wanted.add_argument("--turns", type=int, default=3)
    asked = wanted.parse_args()
    if sys.platform.startswith("linux") and not all(name in os.environ for name in ALLOCATOR):
        # The naive loop is measured in a process as everybody starts it.
        naive = naive_mp_per_s(asked.detector, asked.side)
        environment = {**os.environ, **ALLOCATOR, "CYTO_NAIVE_MP_PER_S": str(naive)}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    naive = float(os.environ.get("CYTO_NAIVE_MP_PER_S") or naive_mp_per_s(asked.detector, asked.side))
    print(json.dumps(measured(asked.detector, asked.side, asked.turns, naive)))


def made_slide(folder: Path, side: int) -> Path:
    """Write a slide of noise on stain in JPEG tiles, one level."""
    import numpy as np
    import tifffile

    path = folder / "made.tif"
    rng = np.random.default_rng(0)
    small = rng.integers(90, 220, (side // 16, side // 16, 3), dtype=np.uint8)
    pixels = small.repeat(16, axis=0).repeat(16, axis=1)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", compression="jpeg")
    return path


def measured(name: str, side: int, turns: int, naive: float) -> dict[str, Any]:
    import torch

    from napari_cyto.inference.detecting import CellDetector, prepared
    from napari_cyto.inference.engine import Engine
    from napari_cyto.inference.engine_plan import make_plan
    from napari_cyto.models.library import bundle_named
    from napari_cyto.slides import open_slide

    detector = CellDetector(bundle_named(name))
    with tempfile.TemporaryDirectory() as folder, open_slide(made_slide(Path(folder), side)) as slide:
        plan = make_plan(slide, SLIDE_MPP, detector)
        view, tile = plan.view, plan.tiles[0]
        pixels = view.read(tile.y0, tile.x0, tile.height, tile.width)
        images = prepared(pixels, detector.manifest.normalisation)
        detector.run(images)

        def bare() -> float:
            started_s = time.perf_counter()
            for _ in plan.tiles:
                detector.run(images)
            return len(plan.tiles) * tile.height * tile.width / 1e6 / (time.perf_counter() - started_s)

        def whole() -> float:
            started_s = time.perf_counter()
            for _ in Engine(slide, plan, detector).steps():
                pass
            return plan.megapixels / (time.perf_counter() - started_s)

        rates = [(whole(), bare()) for _ in range(turns)]
    engine = statistics.median(r[0] for r in rates)
    return {
        "detector": name,
        "runtime": "torch",
        "threads": torch.get_num_threads(),
        "tile_px": [tile.height, tile.width],
        "tiles": len(plan.tiles),
        "engine_mp_per_s": round(engine, 2),
        "network_mp_per_s": round(statistics.median(r[1] for r in rates), 2),
        # Of each turn by itself: what else the machine does weighs on both of its halves.
        "engine_efficiency": round(statistics.median(a / b for a, b in rates), 3),
        "naive_mp_per_s": round(naive, 2),
        "vs_naive": round(engine / naive, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def naive_mp_per_s(name: str, side: int, tiles: int = 6, tile_px: int = 1024) -> float:
    """Return MP/s, px of the model, of the loop that everybody writes: read, resize, fp32, one tile after the other."""
    import numpy as np
    import torch
    from openslide import OpenSlide
    from PIL import Image

    from napari_cyto.models.library import bundle_named

    bundle = bundle_named(name)
    network, norm = bundle.load_network(), bundle.manifest.normalisation
    read_px = round(tile_px * (bundle.manifest.mpp or SLIDE_MPP) / SLIDE_MPP)
    mean, std = torch.tensor(norm.mean).view(3, 1, 1), torch.tensor(norm.std).view(3, 1, 1)
    with tempfile.TemporaryDirectory() as folder, OpenSlide(made_slide(Path(folder), side)) as slide:
        times = []
        for n in range(tiles):
            started_s = time.perf_counter()
            at = (n * read_px % (side - read_px), 0)
            picture = slide.read_region(at, 0, (read_px, read_px)).convert("RGB")
            pixels = np.asarray(picture.resize((tile_px, tile_px), Image.Resampling.BILINEAR))
            images = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - mean) / std
            with torch.no_grad():
                network.decode(network(images[None]), bundle.manifest.decision.score_threshold)
            times.append(time.perf_counter() - started_s)
    return tile_px**2 / 1e6 / statistics.median(times)


if __name__ == "__main__":
    main()
