"""What an import of very many annotations costs, and its undo: core seconds, memory, time.

    python benchmarks/size_import.py [--count 100000] [--undo 30000]

A QuPath GeoJSON of points, boxes and outlines is made (about 460 bytes an annotation, as QuPath writes them) and
imported into a new project by the command line, in a process of its own; then an import of ``--undo`` annotations is
taken back as the window does it. Each is done at the count and at ten times as many. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import uuid
from pathlib import Path
from typing import Any

from _child_cost import child_cost

SIDE_PX = 100_000
"""Of the slide on which the annotations lie; no picture of it is made."""
CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
_COLOURS = {name: [40 * place, 90, 200 - 30 * place] for place, name in enumerate(CLASSES)}
_AUTHOR = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--undo", type=int, default=30_000)
    options = parser.parse_args()
    rows = {f"import {n}": measure(n) for n in (options.count, 10 * options.count)}
    rows |= {f"undo {n}": measure_undo(n) for n in (options.undo, 10 * options.undo)}
    for name, row in rows.items():
        print(name, row)
    print(json.dumps(rows))


def measure(count: int) -> dict[str, Any]:
    """Return what the import of ``count`` annotations into a new project takes.

    Parameters
    ----------
    count : int
        How many annotations.

    Returns
    -------
    dict
        ``core_s`` and ``wall_s`` (s), ``peak_mb`` (10^6 bytes of resident memory), ``input_mb``, ``annotations``.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = make_geojson(Path(folder) / "made.geojson", count)
        project = Path(folder) / "made.cyto"
        words = ("import", "geojson", str(source), str(project), "--scheme", "bethesda", "--author", _AUTHOR, "--json")
        row, said = _in_child(("-m", "napari_cyto", *words))
        return row | {"input_mb": round(source.stat().st_size / 1e6, 1), "annotations": said["annotations_added"]}


def measure_undo(count: int) -> dict[str, Any]:
    """Return what taking back an import of ``count`` annotations takes: as `measure`, and ``undo_s`` alone.

    ``core_s`` and ``peak_mb`` are of a process that opens the project and does nothing but the undo.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = make_geojson(Path(folder) / "made.geojson", count)
        project = Path(folder) / "made.cyto"
        words = ("import", "geojson", str(source), str(project), "--scheme", "bethesda", "--author", _AUTHOR, "--json")
        _in_child(("-m", "napari_cyto", *words))
        row, said = _in_child(("-c", _UNDO, str(project), _AUTHOR))
        return row | said


_UNDO = """
import json, sys, time
from napari_cyto.store import Project
with Project.open(sys.argv[1]) as project:
    started = time.perf_counter()
    entry = project.undo(sys.argv[2])
    print(json.dumps({"undo_s": round(time.perf_counter() - started, 2), "annotations": entry.count}))
"""


def _in_child(words: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    row, said = child_cost(words)
    return row, json.loads(said)


def make_geojson(path: Path, count: int, seed: int = 0) -> Path:
    """Write ``count`` annotations as QuPath does: a third each points, boxes and outlines of 16 corners."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        for number in range(count):
            stream.write((",\n" if number else "\n") + json.dumps(_feature(rng, number)))
        stream.write("\n]}\n")
    return path


def _feature(rng: random.Random, number: int) -> dict[str, Any]:
    y, x = rng.uniform(100, SIDE_PX - 100), rng.uniform(100, SIDE_PX - 100)
    name = CLASSES[rng.randrange(len(CLASSES))]
    return {
        "type": "Feature",
        "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "geometry": _geometry(rng, number % 3, round(y, 2), round(x, 2)),
        "properties": {
            "objectType": "annotation",
            "classification": {"name": name, "color": _COLOURS[name]},
            "measurements": {
                "Detection probability": round(rng.random(), 4),
                "Area px^2": round(rng.uniform(9, 999), 2),
            },
        },
    }


def _geometry(rng: random.Random, kind: int, y: float, x: float) -> dict[str, Any]:
    if kind == 0:
        return {"type": "Point", "coordinates": [x, y]}
    if kind == 1:
        h, w = rng.randrange(20, 90), rng.randrange(20, 90)
        return {"type": "Polygon", "coordinates": [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]]]}
    radius = rng.uniform(8, 40)
    turns = (2 * math.pi * corner / 16 for corner in range(16))
    ring = [[round(x + radius * math.cos(t), 2), round(y + radius * math.sin(t), 2)] for t in turns]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


if __name__ == "__main__":
    main()
