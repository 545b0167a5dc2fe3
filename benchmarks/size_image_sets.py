"""What data sets with images cost, and what is left of them when they are stopped: fields, and a large slide in tiles.

    python benchmarks/size_image_sets.py [--fields 2000] [--cells 1000000] [--tile-mpp 2]

The projects are made once and kept in a temporary folder: small fields, and a slide of 100,000 x 220,000 px at 0.25 µm
whose file repeats one tile. Each export is a command line of its own, whose core seconds (user and system, children
included) and largest resident memory the system counts. Then the export of the slide is interrupted (SIGINT) and
killed (SIGKILL) in its middle: ``ended_s`` is how long it went on, ``left`` what lies there then. It ends with JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from _child_cost import child_cost
from _viewing_slide import _patches
from size_export import BATCH, KEPT, fields_of

SIZE_HW = (100_000, 220_000)
MPP = 0.25
TILE_PX = 1024
STEPS = (1, 4, 16)
STOP_AFTER_S = 6.0


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=2_000)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument(
        "--tile-mpp", type=float, default=2.0, help="0.5 is the default of exports, and 16 times the px"
    )
    options = parser.parse_args()
    words = ("--images", "tiles", "--tile-mpp", str(options.tile_mpp), "--tile-type", "jpeg", "--no-twins")
    slide = slide_of(options.cells)
    figures = {
        f"yolo, {options.fields} fields": exported("yolo", fields_of(options.fields)),
        f"coco, {options.cells} cells of a slide": exported("coco", slide, *words),
        "interrupted": stopped("coco", slide, signal.SIGINT, *words),
        "killed": stopped("coco", slide, signal.SIGKILL, *words),
    }
    print(json.dumps(figures, indent=1))


def exported(name: str, project: Path, *words: str) -> dict[str, Any]:
    """Return what an export takes, and how many images and boxes it wrote."""
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        cost, said = child_cost(_command(name, project, Path(folder) / "out", *words))
    result = json.loads(said)
    return {**cost, "images": sum(result["images"].values()), "boxes": result["boxes"]}


def stopped(name: str, project: Path, how: signal.Signals, *words: str) -> dict[str, Any]:
    """Return how long an export goes on once it is stopped, and what is left beside it; then export over it."""
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        target = Path(folder) / "out"
        command = [sys.executable, *_command(name, project, target, *words)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = time.monotonic()
        # In the middle: once images are written, and not before.
        while child.poll() is None and (not _images(Path(folder)) or time.monotonic() - started < STOP_AFTER_S):
            time.sleep(0.02)
        written = _images(Path(folder))
        child.send_signal(how)
        at = time.monotonic()
        child.wait()
        ended_s = time.monotonic() - at
        left = sorted(path.name.split("-")[0] for path in Path(folder).iterdir())
        assert not target.exists(), "half an export has its final name"
        few = ("--images", "tiles", "--tile-mpp", "8", "--no-twins")
        child_cost(_command(name, project, target, *few))
        after = sorted(path.name for path in Path(folder).iterdir())
    return {"images_by_then": written, "ended_s": round(ended_s, 2), "left": left, "after_the_next": after}


def _command(name: str, project: Path, target: Path, *words: str) -> tuple[str, ...]:
    return ("-m", "napari_cyto", "export", name, str(project), str(target), "--json", *words)


def _images(folder: Path) -> int:
    return sum(path.suffix in (".jpg", ".png") for path in folder.rglob("*"))


def slide_of(cells: int) -> Path:
    """Return a project of one large slide with cells all over it, made if it is not there yet."""
    from napari_cyto.domain import edits
    from napari_cyto.domain.annotation import Annotation
    from napari_cyto.domain.geometry import Box
    from napari_cyto.domain.presets import preset
    from napari_cyto.domain.slide_record import SlideRecord
    from napari_cyto.store import Project

    folder = KEPT / f"slide-{cells}"
    if folder.exists():
        return folder / "slide.cyto"
    making = KEPT / f"making-slide-{cells}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    write_one_tile_over_and_over(making / "slide.tif")
    names = ("NILM", "ASC-US", "LSIL", "HSIL")
    with Project.create(making / "slide.cyto", preset("bethesda")) as project:
        slide = SlideRecord(name="slide.tif", path=str(making / "slide.tif"), size_hw=SIZE_HW, mpp=MPP, patient="p")
        project.add_slides([slide])
        corners = np.random.default_rng(0).uniform(0, np.array(SIZE_HW) - 50, (cells, 2))
        listed = (
            Annotation(slide_id=slide.id, geometry=Box(y, x, y + 40, x + 44), class_id=names[k % 4], author="measured")
            for k, (y, x) in enumerate(corners.tolist())
        )
        while batch := list(islice(listed, BATCH)):
            project.apply(edits.add(batch, "add"), "measured")
    making.rename(folder)
    return folder / "slide.cyto"


def write_one_tile_over_and_over(path: Path) -> None:
    """Write a pyramid whose tiles all are the same bytes of the file: as large as wanted, in a moment."""
    tile = imagecodecs.jpeg8_encode(np.ascontiguousarray(_patches(np.random.default_rng(0))[0]), level=85)
    with path.open("wb") as stream:
        stream.write(struct.pack("<2sHI", b"II", 42, 0))
        at = stream.tell()
        stream.write(tile)
        place_of_next = 4
        for step in STEPS:
            place_of_next = _level(stream, [-(-side // step) for side in SIZE_HW], at, len(tile), place_of_next, step)


def _level(stream: Any, size_hw: list[int], at: int, length: int, place_of_next: int, step: int) -> int:
    height, width = size_hw
    count = -(-height // TILE_PX) * -(-width // TILE_PX)
    arrays = {}
    for tag, values in ((324, [at] * count), (325, [length] * count)):
        arrays[tag] = stream.tell()
        stream.write(np.array(values, np.uint32).tobytes())
    per_cm = stream.tell()
    stream.write(struct.pack("<II", round(1e4 / (MPP * step) * 1000), 1000))
    bits = stream.tell()
    stream.write(struct.pack("<HHHH", 8, 8, 8, 0))
    here = stream.tell()
    short, long, ratio = 3, 4, 5
    entries = [
        (254, long, 1, int(step > 1)),
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 3, bits),
        (259, short, 1, 7),
        (262, short, 1, 6),
        (277, short, 1, 3),
        (282, ratio, 1, per_cm),
        (283, ratio, 1, per_cm),
        (284, short, 1, 1),
        (296, short, 1, 3),
        (322, long, 1, TILE_PX),
        (323, long, 1, TILE_PX),
        (324, long, count, arrays[324]),
        (325, long, count, arrays[325]),
        (530, short, 2, 2 | 2 << 16),
    ]
    stream.write(struct.pack("<H", len(entries)))
    for entry in entries:
        stream.write(struct.pack("<HHII", *entry))
    stream.write(struct.pack("<I", 0))
    end = stream.tell()
    stream.seek(place_of_next)
    stream.write(struct.pack("<I", here))
    stream.seek(end)
    return end - 4


if __name__ == "__main__":
    main()
