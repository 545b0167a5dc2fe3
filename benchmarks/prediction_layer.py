"""What panning, zooming and filtering cost with 1,000,000 predictions on the slide: a real window, until painted.

    python benchmarks/prediction_layer.py [--predictions 1000000] [--rounds 12]

Two windows on the same pixels stand side by side and take turns, one with the predictions and one without. Each looks
at places from the whole slide (the map) to single cells (points and outlines), pans and zooms there. Needs a screen;
Xvfb will do: ``xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/prediction_layer.py``.

The last line is one JSON object: ``pan_ratio`` and ``zoom_ratio`` (with predictions over without, medians), what moving
the threshold costs, ms, and how long the columns of the slide take to be read, s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

sys.path.insert(0, str(Path(__file__).parent))
from annotation import MPP, SLIDE_PX, Desk, until_painted_ms

warnings.filterwarnings("ignore")

# Canvas px per µm: the whole slide, a tenth of it, a field, single cells.
ZOOMS = (0.06, 0.3, 1.0, 4.0)
AT_ONCE = 50_000
LONGEST_READ_S = 600.0


def make_project(folder: Path, predictions: int) -> None:
    """Store ``predictions`` boxes with scores of seven classes, in crowds as cells lie."""
    rng = np.random.default_rng(7)
    scheme = preset("bethesda")
    graded = [c.id for c in scheme.classes if c.severity is not None]
    slide = SlideRecord(name="made", size_hw=(SLIDE_PX, SLIDE_PX), mpp=MPP, mpp_source="user")
    crowds = rng.uniform(0.1 * SLIDE_PX, 0.9 * SLIDE_PX, (400, 2))
    with Project.create(folder, scheme) as project:
        project.add_slides([slide])
        for first in range(0, predictions, AT_ONCE):
            n = min(AT_ONCE, predictions - first)
            places = crowds[rng.integers(0, len(crowds), n)] + rng.normal(0, 1500, (n, 2))
            scores = rng.dirichlet(np.full(len(graded), 0.4), n).round(4)
            part = [
                Annotation(
                    slide_id=slide.id,
                    geometry=Box.around((y, x), 60, 60),
                    class_id=graded[int(np.argmax(of))],
                    status=Status.UNREVIEWED,
                    author="finder",
                    origin=origin_of_model("finder", "0" * 64),
                    scores=tuple(zip(graded, of.tolist(), strict=True)),
                )
                for (y, x), of in zip(np.clip(places, 1, SLIDE_PX - 1).tolist(), scores, strict=True)
            ]
            project.apply(edits.add(part, "Predict"), "finder")


def rest(desk: Desk, seconds: float = 0.3) -> None:
    """Let timers run out, so that none of it counts for the next thing measured."""
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        desk.settle()
        time.sleep(0.01)


def go(desk: Desk, zoom: float, shift_px: float) -> None:
    """Look at a place right of the middle, level-0 px, at a zoom."""
    window = desk._window
    window.camera_of(desk.viewer).zoom = zoom
    window.look_at(desk.viewer, (SLIDE_PX / 2, SLIDE_PX / 2 + shift_px), MPP)
    desk.settle()


def time_moves(desk: Desk, zoom: float) -> tuple[list[float], list[float]]:
    """Return the ms of five pans by 100 screen px, and of zooming in and out by a turn of the wheel."""
    go(desk, zoom, 0)
    rest(desk)
    step_px = 100 / zoom / MPP
    pans = [until_painted_ms(desk, lambda s=step: go(desk, zoom, step_px * s)) for step in range(1, 6)]
    rest(desk)
    zooms = [until_painted_ms(desk, lambda f=factor: go(desk, zoom * f, 0)) for factor in (1.25, 1.0, 0.8, 1.0)]
    rest(desk)
    return pans, zooms


def time_threshold(desk: Desk, zoom: float) -> list[float]:
    """Return the ms that each move of the threshold takes until the picture is right."""
    go(desk, zoom, 0)
    rest(desk)
    session = desk.session
    took = []
    for threshold in (0.3, 0.5, 0.7, 0.9, 0.0):
        shown = replace(session.shown_filter, threshold=threshold)
        took.append(until_painted_ms(desk, lambda s=shown: session.view.show_only(s)))
    return took


def wait_until_read(desk: Desk) -> float:
    """Return how long it takes until the columns of the slide are there, s."""
    begin = time.perf_counter()
    while desk.canvas.prediction_layer.table is None:
        desk.settle()
        time.sleep(0.01)
        if time.perf_counter() - begin > LONGEST_READ_S:
            raise SystemExit("The cells of the slide were not read in ten minutes.")
    desk.settle()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", "--proposals", type=int, default=1_000_000, help="predictions on the slide")
    parser.add_argument("--rounds", type=int, default=12, help="how often each place is looked at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "many.cyto"
        begin = time.perf_counter()
        make_project(folder, options.predictions)
        print(f"stored {options.predictions:,} predictions in {time.perf_counter() - begin:.1f} s", flush=True)
        bare, many = Desk(None), Desk(folder)
        read_s = wait_until_read(many)
        print(f"read in {read_s:.1f} s", flush=True)
        report(compare(bare, many, options.rounds), many, options.predictions, read_s)
        for desk in (bare, many):
            desk.close()


def compare(bare: Desk, many: Desk, rounds: int) -> dict[float, dict[str, list[float]]]:
    """Return, by zoom, the ms of pans and zooms without (``bare``) and with predictions."""
    desks = [("bare", bare), ("many", many)]
    times = {zoom: {f"{k}_{name}": [] for k in ("pan", "zoom") for name, _ in desks} for zoom in ZOOMS}
    for turn in range(rounds + 1):
        for zoom in ZOOMS:
            for name, desk in desks if turn % 2 else desks[::-1]:
                pans, zooms = time_moves(desk, zoom)
                if turn:  # the first fills caches and compiles shaders
                    times[zoom][f"pan_{name}"] += pans
                    times[zoom][f"zoom_{name}"] += zooms
    return times


def report(times: dict[float, dict[str, list[float]]], many: Desk, predictions: int, read_s: float) -> None:
    """Print the table, and the line for machines."""
    print(f"\nms until painted, median, without and with {predictions:,} predictions")
    ratios: dict[str, list[float]] = {"pan": [], "zoom": []}
    for zoom, of in times.items():
        go(many, zoom, 0)
        rest(many)
        shows = "map" if many.canvas.shown.is_heat else f"{len(many.canvas.shown.annotations)} cells"
        for kind, found in ratios.items():
            without, with_them = statistics.median(of[f"{kind}_bare"]), statistics.median(of[f"{kind}_many"])
            found.append(with_them / without)
            print(f"{zoom:5} px/µm {shows:>11} {kind:5}{without:8.1f}{with_them:8.1f}  x {found[-1]:.2f}")
    thresholds = {zoom: statistics.median(time_threshold(many, zoom)) for zoom in (ZOOMS[0], ZOOMS[-1])}
    whole = {
        kind: statistics.median([v for of in times.values() for v in of[f"{kind}_many"]])
        / statistics.median([v for of in times.values() for v in of[f"{kind}_bare"]])
        for kind in ratios
    }
    result = {
        "pan_ratio": round(whole["pan"], 3),
        "zoom_ratio": round(whole["zoom"], 3),
        "pan_ratio_worst": round(max(ratios["pan"]), 3),
        "zoom_ratio_worst": round(max(ratios["zoom"]), 3),
        "threshold_map_ms": round(thresholds[ZOOMS[0]], 1),
        "threshold_cells_ms": round(thresholds[ZOOMS[-1]], 1),
        "read_s": round(read_s, 1),
        "predictions": predictions,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
