"""What a training of few cells takes: memory of all its processes together, core seconds, time.

    python benchmarks/size_training.py [--count 124] [--recipe light]

Class folders of made cells, two classes, are written and trained on by the command line in a process of its own, for
two epochs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NUCLEUS_PX = {"NILM": 12, "HSIL": 32}
SIDE_PX = 256
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
_EVERY_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=124)
    parser.add_argument("--recipe", default="light")
    options = parser.parse_args()
    rows = {f"training {options.count} cells": measure(options.count, options.recipe)}
    for name, row in rows.items():
        print(name, row)
    print(json.dumps(rows))


def measure(count: int, recipe: str = "light") -> dict[str, Any]:
    """Return what a training of a classifier on ``count`` cells takes.

    Parameters
    ----------
    count : int
        How many cells.
    recipe : str
        Which of the recipes that ship.

    Returns
    -------
    dict
        ``peak_mb`` (10^6 bytes, the largest sum of the proportional memory of the process and all its children),
        ``told_mb`` (what was said before the first step), ``peak_children`` (their largest number),
        ``core_s``, ``wall_s`` (s), ``cells``, ``epochs``.
    """
    with tempfile.TemporaryDirectory() as folder:
        cells = make_cells(Path(folder) / "cells", count)
        words = ["train", "classifier", "--data", f"folders:{cells}@0.2", "--out", str(Path(folder) / "model")]
        words += ["--recipe", recipe, "--set", "phases.0.epochs=2", "--json"]
        words += ["--set", "split.overrides=unknown-patient,few-groups", "--set", "split.twins=false"]
        started = time.perf_counter()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as heard:
            child = subprocess.Popen([sys.executable, "-m", "napari_cyto", *words], stdout=out, stderr=heard)
            memory = _Memory(child.pid)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            memory.stop()
            out.seek(0)
            said = out.read()
            heard.seek(0)
            warned = re.search(rb"takes about ([0-9.]+) GB of memory", heard.read())
        if child.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")
        return {
            "peak_mb": round(memory.peak_bytes / 1e6),
            "peak_children": memory.most,
            "core_s": round(used.ru_utime + used.ru_stime, 1),
            "wall_s": round(time.perf_counter() - started, 1),
            "cells": count,
            "told_mb": round(1000 * float(warned[1])) if warned else 0,
            "epochs": json.loads(said)["epochs"],
        }


class _Memory:
    """Looks at a process and its descendants until it is stopped: Linux tells what each has for itself."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes, self.most = 0, 0
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            family = _family(self._pid)
            self.peak_bytes = max(self.peak_bytes, sum(map(_pss_bytes, family)))
            self.most = max(self.most, len(family) - 1)


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        try:
            found += [int(p) for p in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
        except OSError:
            continue
    return found


def _pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def make_cells(folder: Path, count: int, seed: int = 0) -> Path:
    """Write ``count`` pictures of one pale cell each, in folders of a class and a side; HSIL has a large nucleus."""
    rng = np.random.default_rng(seed)
    split_of = [side for side, share in SHARES.items() for _ in range(round(share * count))]
    split_of = [*split_of, *["train"] * count][:count]
    for number, side in enumerate(split_of):
        name = list(NUCLEUS_PX)[number % 2]
        place = folder / side / name
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_cell(NUCLEUS_PX[name], rng)).save(place / f"{number}.png")
    return folder


def _cell(nucleus_px: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2 + rng.normal(0, 4, 2)[:, None, None]
    pixels = np.full((SIDE_PX, SIDE_PX, 3), 215.0) + rng.normal(0, 6, (SIDE_PX, SIDE_PX, 3))
    pixels[np.hypot(y, x) < nucleus_px + rng.normal(0, 2)] -= (120, 130, 70)
    return np.clip(pixels, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
