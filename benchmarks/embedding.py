"""Crops per second of the engine that embeds cells, over those of the bare network on crops that lie in memory.

A pyramidal JPEG slide of repeated fields carries cells at random places, as dense as on a smear. In turns, in one
process, the network alone encodes crops that were cut before, and the engine reads the slide, cuts, encodes and keeps
the same cells' vectors, with an empty tile cache each time. Wanted: ``ratio`` >= 0.85, in the fastest runtime whose
vectors point where torch's do (``least_cosine`` >= 0.999). ``processor_ratio`` compares the processor's seconds
instead, which other programs on the machine disturb less. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _repeated_slide import write_repeated

from napari_cyto.inference.embed._slide_vectors import SlideLacking, encoded_here, keep_vectors
from napari_cyto.inference.embed.encode import CellEncoder
from napari_cyto.models._probe_fields import probe_field
from napari_cyto.models.library import bundle_named
from napari_cyto.slides import open_slide
from napari_cyto.slides._tile_cache import shared_cache
from napari_cyto.vectors import VectorFile

MPP, SIDE_PX, FIELD_PX = 0.25, 8192, 2048
COMPARED = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="cell-encoder")
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), options.encoder, options.cells, options.rounds)))


def measured(folder: Path, name: str, cells: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one encoder."""
    path = write_repeated(folder / "smear.tif", (SIDE_PX, SIDE_PX), probe_field(0, MPP, FIELD_PX)[0], MPP)
    bundle = bundle_named(name)
    encoder = CellEncoder(bundle)
    rng = np.random.default_rng(0)
    centres = rng.uniform(100, SIDE_PX - 100, (cells, 2))
    ids = [f"{n:032x}" for n in range(cells)]
    with open_slide(path) as slide:
        crops = encoder.rule.cut(slide, centres, MPP)
    truth = CellEncoder(bundle, runtime="torch").vectors(crops[:COMPARED])
    found = encoder.vectors(crops[:COMPARED])
    cosines = (truth * found).sum(1) / np.linalg.norm(truth, axis=1) / np.linalg.norm(found, axis=1)
    alone, whole = [], []
    for turn in range(rounds):
        alone.append(timed(lambda: [encoder.vectors(crops[n : n + 64]) for n in range(0, cells, 64)]))
        shared_cache().clear()
        file = VectorFile(folder / str(turn), encoder.kind)
        with open_slide(path) as slide:
            lacking = SlideLacking("s", cells, ids, centres, 0)
            steps = keep_vectors(encoded_here(slide, MPP, lacking, encoder), lacking, file)
            whole.append(timed(lambda steps=steps: list(steps)))
        assert len(file) == cells
    pairs = list(zip(alone, whole, strict=True))
    return {
        "encoder": bundle.id,
        "runtime": encoder.runtime.title,
        "least_cosine": round(float(cosines.min()), 5),
        "network_crops_per_s": round(cells / statistics.median(a[0] for a in alone), 1),
        "engine_crops_per_s": round(cells / statistics.median(w[0] for w in whole), 1),
        "ratio": round(statistics.median(a[0] / w[0] for a, w in pairs), 3),
        "processor_ratio": round(statistics.median(a[1] / w[1] for a, w in pairs), 3),
    }


def timed(work: Any) -> tuple[float, float]:
    """Return the seconds that work takes, by the clock and by the processor."""
    clock_s, processor_s = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock_s, time.process_time() - processor_s


if __name__ == "__main__":
    main()
