"""What panning and zooming the map of 100,000 cells costs, and the nearest of 1,000,000 vectors: until painted, no GPU.

    python benchmarks/cell_map.py [--cells 100000] [--vectors 1000000] [--moves 120]

Needs a screen; Xvfb will do: ``xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/cell_map.py``.

The map alone, not in napari's window. The last line is one JSON object: frames/s of a pan by 15 px a frame (median and
95th percentile of the frame's time, those in which the dots are drawn anew counted too), of zooming, and seconds and
additional peak memory of the nearest 60 of all vectors.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np


def frames(cells: int, moves: int) -> dict[str, float]:
    """Return frames/s of pans and zooms of the map in a window of its own."""
    from qtpy.QtWidgets import QApplication

    from napari_cyto.widgets.docks.dot_plot import DotPlot

    app = QApplication.instance() or QApplication([])
    rng = np.random.default_rng(0)
    xy = (rng.normal(size=(40, 2))[rng.integers(0, 40, cells)] * 8 + rng.normal(size=(cells, 2))).astype(np.float32)
    colours = rng.choice(np.array([0xFF56B4E9, 0xFFE69F00, 0xFF009E73, 0xFFCC79A7], np.uint32), cells)
    plot = DotPlot()
    plot.resize(640, 640)
    plot.show_cells(xy, colours, np.ones(cells, bool))
    plot.show()
    for _ in range(10):
        app.processEvents()
    found: dict[str, float] = {"cells": cells}
    acts = {
        "pan": lambda n: plot.pan(15 if n // 60 % 2 else -15, 6),
        "zoom": lambda n: plot.zoom(1.1 if n % 2 else 0.9),
    }
    for name, act in acts.items():
        before, took = plot.renders, []
        for n in range(moves):
            begin = time.perf_counter()
            act(n)
            plot.repaint()
            app.processEvents()
            took.append(time.perf_counter() - begin)
        found[f"{name}_frames_per_s"] = round(1 / float(np.mean(took)), 1)
        found[f"{name}_median_ms"] = round(1e3 * float(np.median(took)), 2)
        found[f"{name}_p95_ms"] = round(1e3 * float(np.percentile(took, 95)), 2)
        found[f"{name}_drawn_anew"] = plot.renders - before
    plot.close()
    return found


def neighbours(vectors: int, length: int = 384) -> dict[str, float]:
    """Return what the nearest 60 of many vectors cost."""
    from napari_cyto.vectors.neighbours import nearest

    rng = np.random.default_rng(0)
    many = np.empty((vectors, length), np.float16)
    for start in range(0, vectors, 2_000):
        part = many[start : start + 2_000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    rows, _ = nearest(many, many[:1], 60)
    took = time.perf_counter() - begin
    if rows[0, 0] != 0:
        raise SystemExit("A vector is not its own nearest.")
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"vectors": vectors, "nearest_s": round(took, 2), "nearest_more_mb": round(more / 1024, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000, help="cells on the map")
    parser.add_argument("--vectors", type=int, default=1_000_000, help="vectors that are searched")
    parser.add_argument("--moves", type=int, default=120, help="frames of each kind")
    options = parser.parse_args()
    print(json.dumps(frames(options.cells, options.moves) | neighbours(options.vectors)))


if __name__ == "__main__":
    main()
