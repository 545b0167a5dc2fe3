"""How long a user waits for the predictions of a field: through the dock's own commands and the warm child, no window.

The models that ship, on a made slide in a new project. The clock runs from asking till the cells are in the project and
the window is told so. The last line is JSON: ``first_s`` (models warm, the first question), ``later_s`` (other fields,
median), ``network_s`` (the networks alone on a field's tile and cells), ``later_over_network_s``, ``cancel_s``, and
``start_s`` (child started, models loaded and exported before).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference import made_slide

SIDE, FIELD_HW = 8192, (945, 1191)
PATIENCE_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="nucleus-detector")
    parser.add_argument("--classifier", default=None, help="such as bethesda-light; none by default")
    parser.add_argument("--fields", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), options.detector, options.classifier, options.fields)))


def measured(folder: Path, detector: str, classifier: str | None, fields: int) -> dict[str, Any]:
    from napari_cyto.domain.presets import preset
    from napari_cyto.session import Session
    from napari_cyto.widgets.docks.predict._predictor import Predictor

    session = Session("ann")
    session.projects.create(folder / "p.cyto", preset("bethesda"))
    (record,) = session.slides.add([made_slide(folder, SIDE, SIDE)])
    session.slides.go_to(record.id)
    predictor = Predictor(session)
    results: list[Any] = []
    predictor.finished.connect(results.append)
    predictor.failed.connect(results.append)

    def field(number: int) -> float:
        y, x = 300.0 + 900 * (number // 5), 200.0 + 1300 * (number % 5)
        session.set_view((y, x, y + FIELD_HW[0], x + FIELD_HW[1]))
        started_s = time.perf_counter()
        predictor.ask("field", detector, classifier)
        wait(predictor, lambda: bool(results))
        taken_s = time.perf_counter() - started_s
        if not isinstance(results[-1], dict) or not results.pop()["cells"]:
            raise SystemExit(f"no cells were found: {results}")
        return taken_s

    started_s = time.perf_counter()
    predictor.warm(detector, classifier)
    # An order that asks for nothing more is answered when the models are there.
    session.set_view((0.0, 0.0, 64.0, 64.0))
    predictor.ask("field", detector, classifier)
    wait(predictor, lambda: bool(results))
    start_s = time.perf_counter() - started_s
    results.clear()
    first_s, later_s = field(0), [field(n + 1) for n in range(fields)]
    predictor.ask("slide", detector, classifier)
    wait(predictor, lambda: False, 1.0)
    started_s = time.perf_counter()
    predictor.cancel()
    wait(predictor, lambda: bool(results))
    cancel_s = time.perf_counter() - started_s
    predictor.close()
    session.close()
    network_s = network_seconds(detector, classifier)
    return {
        "models": [detector, classifier],
        "start_s": round(start_s, 3),
        "first_s": round(first_s, 3),
        "later_s": round(statistics.median(later_s), 3),
        "network_s": round(network_s, 3),
        "later_over_network_s": round(statistics.median(later_s) - network_s, 3),
        "cancel_s": round(cancel_s, 3),
    }


def wait(predictor: Any, until: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    end_s = time.monotonic() + patience_s
    while not until() and time.monotonic() < end_s:
        predictor.poll()
        time.sleep(0.01)


def network_seconds(detector: str, classifier: str | None) -> float:
    """Return what the networks take for a field's tile, and for 32 cells of it where they are classified."""
    import numpy as np

    from napari_cyto.inference.classify import CellClassifier
    from napari_cyto.inference.engine.detect import CellDetector
    from napari_cyto.models._probe_fields import probe
    from napari_cyto.models.library import bundle_named

    finder = CellDetector(bundle_named(detector), runtime="auto")
    tile = probe((1, 512, 512, 3))[0]
    jobs: list[Callable[[], Any]] = [lambda: finder.runtime.cells(tile, 0.3)]
    if classifier is not None:
        namer = CellClassifier(bundle_named(classifier), runtime="auto")
        crops = np.zeros((32, len(namer.rule.windows), namer.rule.size_px, namer.rule.size_px, 3), np.uint8)
        jobs.append(lambda: namer.scores(crops))
    return sum(timed(job) for job in jobs)


def timed(job: Callable[[], Any]) -> float:
    job()
    times = []
    for _ in range(5):
        started_s = time.perf_counter()
        job()
        times.append(time.perf_counter() - started_s)
    return statistics.median(times)


if __name__ == "__main__":
    main()
