"""How much sooner two workers are done than one, and what a laboratory needs: measured on a made slide, in turns.

    python benchmarks/scaling.py [--side 16384] [--turns 3] [--classifier bethesda-light]

One worker has one core to itself, two have two, and whoever gives out the work shares them: reading has threads of its
own, so that counting threads would not do. Run it on at least two idle cores of a Linux machine. The slide has drawn
cells all over. Checked on the way: both write the very same cells. What is counted begins when the
workers are there, their models loaded. The last line is JSON: ``scaling`` (MP/s of two workers over those of one, the
median of the turns), ``scaling_classified`` (the same with a classifier), the rates of one core, and ``lab_cores``:
the cores that ``--slides-a-day`` need, by the assumptions that are options.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MPP = 0.25
FIELD_PX = 2048
CELLS_PER_MM2 = 40
TILE_PX = 1024
"""Smaller than by itself, so that a made slide has many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", default="nucleus-detector")
    parser.add_argument("--classifier", default="bethesda-light", help="'' to leave it out")
    parser.add_argument("--side", type=int, default=16384, help="of the made slide, px of 0.25 µm; a multiple of 2048")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--slides-a-day", type=int, default=500)
    parser.add_argument("--stained-mm2", type=float, default=314, help="of a slide: a circle of 20 mm")
    parser.add_argument("--cells", type=int, default=40_000, help="that are found and classified on a slide")
    parser.add_argument("--hours", type=float, default=20, help="of a day in which the machines work")
    parser.add_argument("--reserve", type=float, default=1.5, help="cores over those that are needed without a pause")
    options = parser.parse_args()
    # Read by the networks' libraries when they are imported, and handed on to the workers.
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        slide = made_slide(Path(folder), options.side)
        print(json.dumps(measured(options, slide, Path(folder))))


def made_slide(folder: Path, side: int) -> Path:
    """Write a slide of drawn cells, pale bodies with dark nuclei, with the levels of scanners: one field all over."""
    import numpy as np
    from _repeated_slide import write_repeated

    rng, reach = np.random.default_rng(0), 100
    field = np.full((FIELD_PX, FIELD_PX, 3), (238, 232, 240), np.uint8)
    y, x = np.mgrid[-reach:reach, -reach:reach]
    for cy, cx in rng.integers(reach, FIELD_PX - reach, (round(CELLS_PER_MM2 * (FIELD_PX * MPP / 1000) ** 2), 2)):
        part = field[cy - reach : cy + reach, cx - reach : cx + reach]
        part[np.hypot(y, x * rng.uniform(0.7, 1.3)) < rng.uniform(50, 95)] = rng.integers((170, 190, 200), 225)
        part[np.hypot(y, x * rng.uniform(0.8, 1.2)) < rng.uniform(13, 24)] = rng.integers((60, 50, 100), 140)
    field += rng.integers(0, 12, field.shape, dtype=np.uint8)
    return write_repeated(folder / "made.tif", (side, side), field, MPP)


def measured(options: argparse.Namespace, slide: Path, folder: Path) -> dict[str, Any]:
    rates: dict[tuple[int, bool], list[float]] = {}
    cells: set[tuple[Any, ...]] = set()
    found = megapixels = 0
    for turn in range(options.turns):
        for classified in (False, True)[: 1 + bool(options.classifier)]:
            for workers in (1, 2) if turn % 2 else (2, 1):
                out = folder / f"{turn}-{classified}-{workers}.cyto"
                result = one_run(options, slide, out, workers, classified)
                rates.setdefault((workers, classified), []).append(result["megapixels"] / result["seconds"])
                found, megapixels = result["cells"], result["megapixels"]
                cells.add((classified, *stored(out)))
                print(f"{workers} worker(s){', classified' * classified}: {result['seconds']:.1f} s, {found} cells")
    figures: dict[str, Any] = {"detector": options.detector, "megapixels": megapixels, "cells": found}
    figures |= {"same_cells": len(cells) == 1 + bool(options.classifier), "turns": options.turns}
    middle = {key: statistics.median(of) for key, of in rates.items()}
    for classified, name in ((False, ""), (True, "_classified")):
        if (1, classified) in rates:
            ratios = [two / one for one, two in zip(rates[1, classified], rates[2, classified], strict=True)]
            figures[f"scaling{name}"] = round(statistics.median(ratios), 2)
            figures[f"one_worker_mp_per_s{name}"] = round(middle[1, classified], 2)
            figures[f"two_workers_mp_per_s{name}"] = round(middle[2, classified], 2)
    return figures | laboratory(options, slide, folder)


def one_run(options: argparse.Namespace, slide: Path, out: Path, workers: int, classified: bool) -> dict[str, Any]:
    """Return the result of the slide."""
    from napari_cyto.inference.many_slides import SeveralRequest, run_several
    from napari_cyto.jobs.events import Done

    request = SeveralRequest(
        slides=(slide,),
        detector=options.detector,
        classifier=options.classifier if classified else None,
        mpp=MPP,
        tile_px=TILE_PX,
        out=out,
        workers=workers,
    )
    with only_cores(workers):
        *_, end = run_several(request)
    if not isinstance(end, Done):
        raise SystemExit(str(end))
    result: dict[str, Any] = end.result["done"][0]
    return result


@contextmanager
def only_cores(count: int) -> Iterator[None]:
    """Keep this process and those that it starts to ``count`` cores while the block runs."""
    before = os.sched_getaffinity(0)
    if len(before) < count:
        raise SystemExit(f"{count} workers need {count} cores, but there are {len(before)}.")

    def keep(cores: set[int]) -> None:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended since
                os.sched_setaffinity(int(thread.name), cores)

    keep(set(sorted(before)[:count]))
    try:
        yield
    finally:
        keep(before)


def stored(out: Path) -> tuple[Any, ...]:
    """Return all that is told of the cells, in their order."""
    from napari_cyto.store import Project

    with Project.open(out) as project:
        return tuple((a.geometry, a.class_id, a.scores) for a in project.annotations())


def laboratory(options: argparse.Namespace, slide: Path, folder: Path) -> dict[str, Any]:
    """Return the cores that a laboratory needs, and what that rests on.

    In the time of the processor that one thread takes, so that other work on the machine does not count.
    """
    from napari_cyto.inference._job import run
    from napari_cyto.inference.request import PredictRequest
    from napari_cyto.inference.runtimes.model_cache import LoadedModels
    from napari_cyto.jobs.events import Done
    from napari_cyto.models.library import bundle_named

    models, spent_s = LoadedModels(), {}
    for name, classifier in (("", None), (options.classifier, options.classifier or None)):
        request = PredictRequest(
            slide=slide, detector=options.detector, classifier=classifier, mpp=MPP, tile_px=TILE_PX
        )
        for turn in range(2):  # the first loads and compiles
            started_s = time.process_time()
            *_, end = run(
                request.model_copy(update={"out": folder / f"lab{bool(classifier)}{turn}.cyto"}), None, models
            )
            spent_s[name] = time.process_time() - started_s
        if not isinstance(end, Done):
            raise SystemExit(str(end))
    mpp = bundle_named(options.detector).manifest.mpp or MPP
    rate = end.result["megapixels"] / spent_s[""]
    core_s = options.stained_mm2 / mpp**2 / rate
    figures: dict[str, Any] = {"mp_per_core_s": round(rate, 2), "detect_core_s_a_slide": round(core_s, 1)}
    if options.classifier:
        each_s = (spent_s[options.classifier] - spent_s[""]) / end.result["cells"]
        figures |= {
            "cells_per_core_s": round(1 / each_s, 1),
            "classify_core_s_a_slide": round(options.cells * each_s, 1),
        }
        core_s += options.cells * each_s
    cores = options.slides_a_day * core_s / (options.hours * 3600) * options.reserve
    return figures | {"slides_a_day": options.slides_a_day, "lab_cores": round(cores, 1)}


if __name__ == "__main__":
    main()
