"""How long a click waits for its outline: real orders to a real process beside the window, on a made-up smear.

    python benchmarks/outline_clicks.py [--clicks 40]

The bar is ``click_ms``: the median of warm clicks, from the order to the last word of the answer. ``click_core_ms`` is
what the processor worked for one, which other programs on the machine change less; ``first_s`` is the first click of a
process, the loading of the model included. Once for the network that ships and once for the watershed. What the window
does with an answer, a commit and a redraw, is in the figures of ``annotation.py``. Needs no window.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import psutil

from napari_cyto.inference.client import InferenceLink
from napari_cyto.inference.orders import Answer, Order
from napari_cyto.inference.outline.clicks import ClickRequest
from napari_cyto.jobs.events import Done, Failed, Measured
from napari_cyto.synthesis import SmearSpec, obtain_smear

SIDE_PX = 3000
BAR_MS = 150.0
PATIENCE_S = 300.0
PAUSE_S = 0.001


def answer_to(link: InferenceLink, request: ClickRequest) -> tuple[float, list[Answer]]:
    """Send an order, and return how long its answer took, s, and what it was."""
    started_s, heard = time.perf_counter(), []
    link.send(Order("outline", clicks=request))
    while not any(isinstance(a.event, Done) for a in heard):
        heard += link.answers()
        failed = [a.event.message for a in heard if isinstance(a.event, Failed)]
        took_s = time.perf_counter() - started_s
        if failed or took_s > PATIENCE_S:
            raise SystemExit(failed[0] if failed else f"No answer after {PATIENCE_S:.0f} s.")
        time.sleep(PAUSE_S)
    return time.perf_counter() - started_s, heard


def measure(method: str | None, clicks: int) -> dict[str, float]:
    """Click on nuclei of the smear, one after the other."""
    smear = obtain_smear(SmearSpec((SIDE_PX, SIDE_PX), 41), "outline_clicks")
    places = [cell.nucleus_yx for cell in smear.smear_truth.cells]
    chosen = [places[i] for i in np.random.default_rng(2).choice(len(places), clicks)]
    link = InferenceLink(gives_way=False)
    try:
        requests = [
            ClickRequest(slide=smear.slide_path, clicks_yx=(yx,), mpp=smear.record.mpp, model=method, generation=n)
            for n, yx in enumerate(chosen)
        ]
        first_s, _ = answer_to(link, requests[0])
        process = psutil.Process(link.pid)
        before = process.cpu_times()
        answers = [answer_to(link, request) for request in requests]
        after = process.cpu_times()
    finally:
        link.close()
    took_ms = sorted(1000 * seconds for seconds, _ in answers)
    cells = [a.event.values for _, heard in answers for a in heard if isinstance(a.event, Measured)]
    core_s = after.user + after.system - before.user - before.system
    return {
        "click_ms": round(statistics.median(took_ms), 1),
        "click_ms_95": round(took_ms[int(0.95 * (len(took_ms) - 1))], 1),
        "click_core_ms": round(1000 * core_s / clicks, 1),
        "first_s": round(first_s, 2),
        "found_share": round(sum(bool(cell["nucleus_yx"]) for cell in cells) / clicks, 3),
    }


def main() -> None:
    """Measure both methods."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=40)
    clicks = parser.parse_args().clicks
    figures = {"network": measure(None, clicks), "watershed": measure("watershed", clicks), "bar_click_ms": BAR_MS}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
