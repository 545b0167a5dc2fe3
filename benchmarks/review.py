"""What one verdict costs in the review gallery: real key presses in the real window, until painted and on the disk.

    python benchmarks/review.py [--cells 10000] [--verdicts 200]

A scripted reviewer accepts, relabels and rejects cells, while the slide follows each of them. Before that it is timed
how long the dock takes to its first screen of pictures, and how many frames a second it scrolls. Needs a screen; Xvfb
will do: ``xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/review.py``.

The last line is one JSON object. ``verdict_ms`` is the bar: the median time from a key press until nothing is left to
do, the store's commit and the slide at the next cell included. ``verdict_cpu_ms`` is what the processor worked for it,
which other programs on the machine do not change much; ``paint_ms`` is one painting of the window in which nothing
changed, by the same clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_cyto.datasets.import_.slide_match import record_of_file
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.slides.tiff_writer import write_pyramid
from napari_cyto.store import Project

if TYPE_CHECKING:
    from napari_cyto.widgets.docks.review.dock import ReviewDock
    from napari_cyto.widgets.window import CytoWindow

warnings.filterwarnings("ignore")

MPP = 0.25
SLIDE_PX = 8192
SCROLL_PX = 40
SCROLL_FRAMES = 300
BAR_REVIEW_MS, BAR_FIRST_S, BAR_FPS = 80.0, 1.0, 30.0


def make_slide(path: Path) -> None:
    """Draw dark discs on a pale ground: enough for pictures that differ and tiles that take their time to decode."""
    rng = np.random.default_rng(3)
    ground = rng.integers(190, 235, (SLIDE_PX // 64, SLIDE_PX // 64, 3)).repeat(64, 0).repeat(64, 1).astype(np.uint8)
    ground -= rng.integers(0, 14, ground.shape, dtype=np.uint8)
    yy, xx = np.mgrid[-20:20, -20:20]
    disc = (yy**2 + xx**2 < 18**2)[..., None]
    for y, x in rng.integers(40, SLIDE_PX - 40, (10_000, 2)):
        part = ground[y - 20 : y + 20, x - 20 : x + 20]
        np.copyto(part, np.uint8(60 + x % 60), where=disc)
    write_pyramid(path, (SLIDE_PX, SLIDE_PX), lambda y, x, h, w: ground[y : y + h, x : x + w], mpp=MPP)


def make_project(folder: Path, slide: Path, cells: int) -> None:
    """Store ``cells`` predictions with scores, all over the slide."""
    rng, scheme, record = np.random.default_rng(5), preset("bethesda"), record_of_file(slide)
    graded = [c.id for c in scheme.classes if c.severity is not None]
    shares = rng.dirichlet(np.full(len(graded), 0.4), cells)
    places = rng.uniform(100, SLIDE_PX - 100, (cells, 2)).tolist()
    predictions = [
        Annotation(
            slide_id=record.id,
            geometry=Box.around((y, x), 120, 120),
            class_id=graded[int(row.argmax())],
            status=Status.UNREVIEWED,
            author="made",
            origin=origin_of_model("made", "0" * 64),
            scores=tuple((c, round(float(s), 4)) for c, s in zip(graded, row, strict=True)),
        )
        for (y, x), row in zip(places, shares, strict=True)
    ]
    with Project.create(folder, scheme) as project:
        project.add_slides([record])
        project.apply(edits.add(predictions, "Run detection"), "made")


def settle() -> None:
    """Let everything that waits happen: a draw may ask for a reload, and that for another draw."""
    from qtpy.QtWidgets import QApplication

    for _ in range(4):
        QApplication.processEvents()


def first_screen_s(window: CytoWindow) -> tuple[ReviewDock, float]:
    """Bring the dock to the front; return it, and how long until its cells have their pictures."""
    from qtpy.QtWidgets import QDockWidget

    from napari_cyto.widgets.docks.review.dock import ReviewDock

    dock = window.dock(ReviewDock)
    holder = dock
    while not isinstance(holder, QDockWidget):
        holder = holder.parentWidget()
    begin = time.perf_counter()
    holder.raise_()
    settle()
    while not (dock.review.cells and dock.crops.nbytes and dock.crops.is_idle):
        settle()
    return dock, time.perf_counter() - begin


def scroll_fps(dock: ReviewDock) -> float:
    """Scroll through the list, painting each step; return frames a second."""
    bar, gallery = dock.gallery.verticalScrollBar(), dock.gallery
    begin = time.perf_counter()
    for frame in range(SCROLL_FRAMES):
        bar.setValue(frame * SCROLL_PX)
        gallery.viewport().repaint()
        settle()
    seconds = time.perf_counter() - begin
    bar.setValue(0)
    settle()
    return SCROLL_FRAMES / seconds


def time_reviews(dock: ReviewDock, count: int) -> tuple[list[float], list[float]]:
    """Press a key for each of ``count`` cells; return how long each took and the processor's work, ms."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    keys = [Qt.Key.Key_A, Qt.Key.Key_5, Qt.Key.Key_X, Qt.Key.Key_A, Qt.Key.Key_3]
    dock.gallery.setFocus()
    QTest.keyClick(dock.gallery, Qt.Key.Key_Return)
    wall, work = [], []
    for turn in range(count):
        settle()
        begin, worked = time.perf_counter(), time.process_time()
        QTest.keyClick(dock.gallery, keys[turn % len(keys)])
        settle()
        wall.append((time.perf_counter() - begin) * 1e3)
        work.append((time.process_time() - worked) * 1e3)
    return wall, work


def paint_ms(window: CytoWindow, count: int = 40) -> float:
    """Return what painting the window once takes by itself, ms, median: no verdict can cost less on this machine."""
    from napari_cyto.widgets.canvas.napari_window import native_canvas

    canvas, took = native_canvas(window.viewer), []
    for _ in range(count):
        begin = time.perf_counter()
        canvas.update()
        settle()
        took.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(took)


def reviewed_on_disk(folder: Path) -> int:
    """Count what has a verdict, as another program sees it."""
    with Project.open(folder) as project:
        counts = project.status_counts()
    return counts.get(Status.ACCEPTED, 0) + counts.get(Status.REJECTED, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000, help="how many predictions wait")
    parser.add_argument("--verdicts", type=int, default=200, help="how many cells the reviewer judges")
    options = parser.parse_args()
    from napari_cyto.widgets.window import open_window, window_of

    with tempfile.TemporaryDirectory() as place:
        slide, folder = Path(place) / "slide.tif", Path(place) / "review.cyto"
        make_slide(slide)
        make_project(folder, slide, options.cells)
        window = window_of(open_window(folder))
        for _ in range(20):
            settle()
        dock, first_s = first_screen_s(window)
        fps = scroll_fps(dock)
        time_reviews(dock, 5)  # caches fill, shaders compile
        wall, work = time_reviews(dock, options.reviews)
        report(first_s, fps, wall, work, paint_ms(window), dock, reviewed_on_disk(folder), options)
        window.viewer.close()
        settle()


def report(
    first_s: float,
    fps: float,
    wall: list[float],
    work: list[float],
    paint: float,
    dock: ReviewDock,
    on_disk: int,
    options: argparse.Namespace,
) -> None:
    """Print the table, and the line for machines."""
    assert on_disk == options.reviews + 5, f"{on_disk} verdicts are on the disk, not {options.reviews + 5}"
    print(f"{options.cells:,} cells, {options.reviews} verdicts, all {on_disk} of them and the warm-up's on the disk")
    print(f"first screen of pictures {first_s:.2f} s (bar {BAR_FIRST_S:g})")
    print(f"scrolling {fps:.0f} frames/s (bar {BAR_FPS:g})")
    print(f"a verdict {statistics.median(wall):.1f} ms, median (bar {BAR_REVIEW_MS:g})")
    result = {
        "verdict_ms": round(statistics.median(wall), 1),
        "verdict_p95_ms": round(sorted(wall)[int(0.95 * len(wall))], 1),
        "verdict_cpu_ms": round(statistics.median(work), 1),
        "paint_ms": round(paint, 1),
        "first_screen_s": round(first_s, 3),
        "scroll_fps": round(fps, 1),
        "crops_mb": round(dock.crops.nbytes / 2**20, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
