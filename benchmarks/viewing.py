"""How long the window is blocked while looking around a 40,000 x 40,000 px slide.

Our reader, numpy in memory (napari's own floor) and napari-wsi look at the same places of the same file, each in
a process of its own, taking turns so that a busy machine slows all of them. The last line is one JSON object.

Needs a screen or Xvfb (``apt-get install xvfb``), and ``pip install -r benchmarks/requirements.txt``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from _viewing_slide import make_slide

HERE = Path(__file__).parent
Of: TypeAlias = Callable[[list[tuple[float, float]]], float]

SCREEN = "-screen 0 1600x1200x24"


@dataclass
class Contender:
    """A child process with one way of showing the slide."""

    name: str
    process: subprocess.Popen[str]
    jumps_ms: list[list[tuple[float, float]]] = field(default_factory=list)
    pans_ms: list[list[tuple[float, float]]] = field(default_factory=list)
    first_paint_ms: float = 0.0
    peak_rss_mb: float = 0.0

    def ask(self, **order: object) -> dict:
        """Send an order and return the answer; without one, wait for the greeting."""
        if order:
            print(json.dumps(order), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The window of {self.name} ended early; its messages are above.")
        return json.loads(line)


def start(name: str, slide: Path, places: list[tuple[int, int]]) -> Contender:
    command = [sys.executable, str(HERE / "_viewing_window.py"), name, str(slide), json.dumps(places)]
    if not os.environ.get("DISPLAY"):
        if shutil.which("xvfb-run") is None:
            raise SystemExit("There is no screen, and xvfb-run is not installed: apt-get install xvfb.")
        command = ["xvfb-run", "-a", "-s", SCREEN, *command]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    contender = Contender(name, process)
    contender.first_paint_ms = contender.ask()["first_paint_ms"]
    return contender


def measure(contenders: list[Contender], jumps: dict[str, int], pans: int, rounds: int) -> None:
    for turn in range(rounds):
        for contender in contenders:
            count = jumps[contender.name] // rounds
            contender.jumps_ms.append(contender.ask(do="jumps", first=turn * count, count=count)["times_ms"])
            contender.pans_ms.append(contender.ask(do="pans", first=turn, count=pans // rounds)["times_ms"])
    for contender in contenders:
        contender.peak_rss_mb = contender.ask(do="quit")["peak_rss_mb"]
        contender.process.wait(60)


def blocked(times_ms: list[tuple[float, float]]) -> float:
    return statistics.median(t for t, _ in times_ms)


def shown(times_ms: list[tuple[float, float]]) -> float:
    return statistics.median(t for _, t in times_ms)


def row(contender: Contender) -> str:
    def three(turns: list[list[tuple[float, float]]]) -> str:
        times = [pair for turn in turns for pair in turn]
        return f"{blocked(times):8.1f} {np.percentile([t for t, _ in times], 90):8.1f} {shown(times):8.1f}"

    return (
        f"{contender.name:12} {three(contender.jumps_ms)}   {three(contender.pans_ms)}   "
        f"{contender.first_paint_ms:10.0f} {contender.peak_rss_mb:10.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small slide and few jumps, to see that it runs")
    parser.add_argument("--without-napari-wsi", action="store_true", help="leave out the slowest contender")
    options = parser.parse_args()
    side = 8_000 if options.quick else 40_000
    names = ["ours", "memory"] + ([] if options.without_napari_wsi else ["napari_wsi"])
    jumps = (
        {"ours": 30, "memory": 30, "napari_wsi": 6} if options.quick else {"ours": 600, "memory": 120, "napari_wsi": 90}
    )
    pans, rounds = (20, 1) if options.quick else (300, 30)
    print(f"making or finding a slide of {side} x {side} px ...", file=sys.stderr)
    slide = make_slide(side)
    rng = np.random.default_rng(1)
    # As many places as our reader has jumps: none is met twice, so its cache never helps by accident.
    places = [(int(y), int(x)) for y, x in rng.integers(600, side - 1800, (jumps["ours"], 2))]
    contenders = [start(name, slide, places[: jumps[name]]) for name in names]
    measure(contenders, jumps, pans, rounds)
    print(
        f"{'':12} {'jump ms':>8} {'p90':>8} {'shown':>8}   {'pan ms':>8} {'p90':>8} {'shown':>8}   "
        f"{'first ms':>10} {'peak MB':>10}"
    )
    for contender in contenders:
        print(row(contender))
    print(json.dumps(ratios({c.name: c for c in contenders})))


def ratio(mine: list[list[tuple[float, float]]], theirs: list[list[tuple[float, float]]], of: Of) -> float:
    """Compare turn by turn, and take the median turn: what else the machine does then weighs on both alike."""
    return statistics.median(of(a) / of(b) for a, b in zip(mine, theirs, strict=True))


def ratios(by_name: dict[str, Contender]) -> dict[str, float]:
    us, floor = by_name["ours"], by_name["memory"]
    result = {
        "jump_vs_memory": round(ratio(us.jumps_ms, floor.jumps_ms, blocked), 3),
        "pan_vs_memory": round(ratio(us.pans_ms, floor.pans_ms, blocked), 3),
        "peak_rss_mb": round(us.peak_rss_mb),
        "jump_shown_vs_memory": round(ratio(us.jumps_ms, floor.jumps_ms, shown), 3),
    }
    if "napari_wsi" in by_name:
        them = by_name["napari_wsi"]
        result["jump_vs_napari_wsi"] = round(ratio(them.jumps_ms, us.jumps_ms, blocked), 2)
        result["jump_shown_vs_napari_wsi"] = round(ratio(them.jumps_ms, us.jumps_ms, shown), 2)
    return result


if __name__ == "__main__":
    main()
