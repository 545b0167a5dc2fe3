"""How busy the engine keeps the network: a whole slide's MP/s end to end against the bare network on tiles in memory.

Both are measured in the same run, in turns, on a made slide that is stained all over, in whichever runtime is the
fastest that keeps the outputs; and beside them the loop that everybody writes first (``read_region``, plain PyTorch in
fp32, one tile after the other), in a process as everybody starts it. The memory is that of a fresh process, and of
another with half as large a slide. The last line is JSON: ``engine_efficiency``, ``vs_naive``, ``peak_rss_mb``,
``rss_growth_mb``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from napari_cyto.jobs.allocator import ALLOCATOR

SLIDE_MPP = 0.25
NAIVE = "CYTO_NAIVE_MP_PER_S"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="nucleus-detector")
    parser.add_argument("--side", type=int, default=28672, help="of the made slide, px")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--runtime", default="auto", help="auto, torch or openvino")
    options = parser.parse_args()
    if sys.platform.startswith("linux") and not all(name in os.environ for name in ALLOCATOR):
        # The naive loop is measured in a process as everybody starts it.
        naive = naive_mp_per_s(options.detector)
        environment = {**os.environ, **ALLOCATOR, NAIVE: str(naive)}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    naive = float(os.environ.get(NAIVE) or naive_mp_per_s(options.detector))
    print(json.dumps(measured(options.detector, options.side, options.turns, options.runtime, naive)))


def made_slide(folder: Path, height: int, width: int) -> Path:
    """Write a slide of dark discs on uneven stain, in JPEG tiles, with the levels that scanners write."""
    from _repeated_slide import write_repeated

    from napari_cyto.models._probe_fields import probe

    # About as many cells as a crowded field of a smear has: the detector tells of some 400 in a Mpx.
    small = probe((1024, 1024, 3), apart_px=100).repeat(4, axis=0).repeat(4, axis=1)
    return write_repeated(folder / f"made{height}x{width}.tif", (height, width), small, SLIDE_MPP)


def measured(name: str, side: int, turns: int, runtime: Any, naive: float) -> dict[str, Any]:
    from napari_cyto.inference.engine.detect import CellDetector
    from napari_cyto.inference.engine.plan import make_plan
    from napari_cyto.models.library import bundle_named
    from napari_cyto.slides import open_slide

    with tempfile.TemporaryDirectory() as folder:
        smaller, path = (made_slide(Path(folder), side, width) for width in (side, 2 * side))
        # Each in a process of its own: what the one leaves behind shall not count for the other.
        peaks_mb = [alone(peak_mb, each, name, runtime) for each in (smaller, path)]
        detector = CellDetector(bundle_named(name), "cpu", runtime=runtime)
        with open_slide(path) as slide:
            plan = make_plan(slide, SLIDE_MPP, detector)
            tile = plan.tiles[0]
            look = bare_network(detector, plan.view.read(tile.y0, tile.x0, tile.height, tile.width))
            tile_mp = tile.height * tile.width / 1e6
            look(2)
            # The network before and after each whole slide: what else the machine does changes by the minute.
            rates = [(whole(path, detector), look(8) * tile_mp, look(8) * tile_mp) for _ in range(turns)]
    engine = statistics.median(r[0] for r in rates)
    return {
        "detector": name,
        "runtime": detector.runtime.title,
        "tile_px": [tile.height, tile.width],
        "tiles": len(plan.tiles),
        "engine_mp_per_s": round(engine, 2),
        "network_mp_per_s": round(statistics.median(n for r in rates for n in r[1:]), 2),
        # Of each turn by itself: what else the machine does weighs on both of its halves.
        "engine_efficiency": round(statistics.median(2 * r[0] / (r[1] + r[2]) for r in rates), 3),
        "turns": [[round(rate, 2) for rate in r] for r in rates],
        "naive_mp_per_s": round(naive, 2),
        "vs_naive": round(engine / naive, 2),
        "peak_rss_mb": round(peaks_mb[1]),
        "rss_growth_mb": round(peaks_mb[1] - peaks_mb[0]),
    }


def whole(path: Path, detector: Any) -> float:
    """Return MP/s, px of the model, of a slide from opening it until its last cell is told."""
    from napari_cyto.inference.engine.pipeline import Engine
    from napari_cyto.inference.engine.plan import make_plan
    from napari_cyto.slides import open_slide

    started_s = time.perf_counter()
    with open_slide(path) as slide:
        plan = make_plan(slide, SLIDE_MPP, detector)
        for _ in Engine(slide, plan, detector).steps():
            pass
    return plan.megapixels / (time.perf_counter() - started_s)


def peak_mb(path: Path, name: str, runtime: Any) -> float:
    """Return the most memory that this process has held, MB, after one whole slide."""
    from napari_cyto.inference.engine.detect import CellDetector
    from napari_cyto.models.library import bundle_named

    whole(path, CellDetector(bundle_named(name), "cpu", runtime=runtime))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(job: Callable[..., float], *figures: Any) -> float:
    """Return what a job comes to in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(job, *figures).result()


def bare_network(detector: Any, pixels: Any) -> Callable[[int], float]:
    """Return what runs the network alone ``n`` times on a tile in memory, and returns tiles a second."""
    import numpy as np

    runtime, tile = detector.runtime, np.ascontiguousarray(pixels)
    if runtime.title.startswith("OpenVINO"):
        network = runtime.network(*tile.shape[:2])

        def once(_: int) -> None:
            with network.outputs(tile[None]):
                pass

        workers = 2
    else:
        images = runtime.prepared(tile)

        def once(_: int) -> None:
            runtime.run(images)

        workers = 1

    def look(n: int) -> float:
        with ThreadPoolExecutor(workers) as pool:
            started_s = time.perf_counter()
            list(pool.map(once, range(n)))
            return n / (time.perf_counter() - started_s)

    return look


def naive_mp_per_s(name: str, tiles: int = 6, tile_px: int = 1024, side: int = 16384) -> float:
    """Return MP/s, px of the model, of the loop that everybody writes: read, resize, fp32, one tile after the other."""
    import numpy as np
    import torch
    from openslide import OpenSlide
    from PIL import Image

    from napari_cyto.models.library import bundle_named

    bundle = bundle_named(name)
    network, norm = bundle.load_network(), bundle.manifest.normalisation
    scale = (bundle.manifest.mpp or SLIDE_MPP) / SLIDE_MPP
    mean, std = torch.tensor(norm.mean).view(3, 1, 1), torch.tensor(norm.std).view(3, 1, 1)
    with tempfile.TemporaryDirectory() as folder, OpenSlide(made_slide(Path(folder), side, side)) as slide:
        level = slide.get_best_level_for_downsample(scale)
        read_px = round(tile_px * scale / slide.level_downsamples[level])
        times = []
        for n in range(tiles):
            started_s = time.perf_counter()
            at = round(n * tile_px * scale) % (side - round(tile_px * scale))
            image = slide.read_region((at, 0), level, (read_px, read_px)).convert("RGB")
            pixels = np.asarray(image.resize((tile_px, tile_px), Image.Resampling.BILINEAR))
            images = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - mean) / std
            with torch.no_grad():
                network.decode(network(images[None]), bundle.manifest.decision.score_threshold)
            times.append(time.perf_counter() - started_s)
    return tile_px**2 / 1e6 / statistics.median(times)


if __name__ == "__main__":
    main()
