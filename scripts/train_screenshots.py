"""Make the images of training from a run on CRIC in the real window, all of it by clicks.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/train_screenshots.py CRIC_FOLDER [FOLDER]``

CRIC_FOLDER holds CRIC's images and its table of cells; some tens of the images are trained on for a few epochs at a
coarse resolution, which takes some minutes on two cores. It prints how late the window's event loop was meanwhile.
"""

from __future__ import annotations

import csv
import itertools
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from screenshots import IMAGE_FOLDER, raise_dock, save, settle, write_light

from napari_cyto.cli.entry import run
from napari_cyto.widgets.canvas.napari_window import qt_window
from napari_cyto.widgets.docks.models.dock import ModelsDock
from napari_cyto.widgets.docks.train.dock import TrainDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

IMAGES, EPOCHS, INPUT_PX = 60, 6, 96
LONGEST_S = 1800.0
RARE = ("HSIL", "SCC", "ASC-H", "ASC-US", "LSIL")


class HeartBeat:
    """Measures how late the event loop is: a timer of 10 ms, and the gaps between its beats."""

    def __init__(self) -> None:
        self._beats: list[float] = []
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(lambda: self._beats.append(time.perf_counter()))
        self._timer.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what the block takes: saving a picture is the script's own work, not the window's."""
        self._timer.stop()
        self._beats.append(math.nan)
        yield
        self._timer.start()

    def words(self) -> str:
        """Return median, 99th percentile and longest gap, ms, and when those over 100 ms were, s from the begin."""
        self._timer.stop()
        pairs = [(a, b) for a, b in itertools.pairwise(self._beats) if not math.isnan(b - a)]
        gaps = sorted((b - a) * 1e3 for a, b in pairs)
        late = [f"{b - self._beats[0]:.1f}" for a, b in pairs if b - a > 0.1]
        summary = (
            f"median {gaps[len(gaps) // 2]:.0f}, 99 % {gaps[int(0.99 * len(gaps))]:.0f}, longest {gaps[-1]:.0f} ms"
        )
        return f"{len(gaps)} beats: {summary}; {len(late)} over 100 ms{' at ' if late else ''}{', '.join(late)}"


def subset(cric: Path, folder: Path, images: int = IMAGES) -> Path:
    """Copy the images with the most rare cells, and their rows."""
    with (cric / "cells.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    name = next(k for k in rows[0] if "image" in k or "file" in k)
    kind = next(k for k in rows[0] if "class" in k or "bethesda" in k or "label" in k)
    weight: dict[str, int] = {}
    for row in rows:
        weight[row[name]] = weight.get(row[name], 0) + (row[kind] in RARE)
    chosen = set(sorted(weight, key=lambda n: (-weight[n], n))[:images])
    (folder / "images").mkdir(parents=True)
    for each in chosen:
        found = next((cric / "images").glob(f"{Path(each).stem}.*"))
        shutil.copy2(found, folder / "images")
    with (folder / "cells.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row[name] in chosen)
    return folder


def click(widget: QWidget) -> None:
    """Press the left button on a widget."""
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
    settle(0.3)


def enter(widget: QWidget, words: str) -> None:
    """Type over what stands in a field."""
    widget.setFocus()
    widget.selectAll()
    QTest.keyClicks(widget, words)
    settle(0.1)


def scrolled(dock: TrainDock | ModelsDock, place: float, path: Path) -> None:
    """Save a dock scrolled to a share of its length."""
    bar = dock._scroll.verticalScrollBar()
    bar.setValue(int(place * bar.maximum()))
    settle(0.4)
    save(dock, path)


def wait(condition: object, seconds: float = LONGEST_S) -> None:
    """Let the window work until something is true."""
    assert callable(condition)
    end_s = time.monotonic() + seconds
    while not condition() and time.monotonic() < end_s:
        settle(0.2)


def match_colours(window: CytoWindow, image: Path, path: Path) -> None:
    """Show what matching colours to a picture does to the slide on screen, and leave it off again."""
    dock = window.dock(TrainDock)
    raise_dock(dock)
    wait(lambda: dock.setup.looked is not None)
    colour = dock.setup.colour
    dock._scroll.ensureWidgetVisible(colour.on)
    click(colour.on)
    enter(colour.path, str(image))
    QTest.keyClick(colour.path, Qt.Key.Key_Return)
    wait(lambda: colour._images.count() > 0, 60)
    dock._scroll.ensureWidgetVisible(colour.shown)
    settle(1)
    save(colour, path)
    click(colour.on)


def train(window: CytoWindow, folder: Path) -> TrainDock:
    """Set up a run by clicks and follow it to its end."""
    dock = window.dock(TrainDock)
    raise_dock(dock)
    wait(lambda: dock.setup.looked is not None)
    settings = dock.setup.settings
    enter(settings._phases[0][0].form.controls["epochs"].widget, str(EPOCHS))
    enter(settings._crop[0].form.controls["size_px"].widget, str(INPUT_PX))
    enter(dock.name, "cric-light")
    settle()
    save(dock, folder / "train-setup.png")
    beat = HeartBeat()
    click(dock.start)
    assert not dock.words.text(), dock.words.text()
    assert dock.watch is not None
    watch = dock.watch
    wait(lambda: watch.state.ended or len(watch.state.epochs) >= EPOCHS - 2)
    assert not watch.state.ended, watch.state.sentence
    with beat.paused():
        scrolled(dock, 0, folder / "train-curves.png")
        scrolled(dock, 1, folder / "train-worst.png")
    wait(lambda: watch.state.ended)
    print("event loop while training:", beat.words())
    settle()
    return dock


def evaluate_in_window(window: CytoWindow, dock: TrainDock, folder: Path, target: Path) -> None:
    """Open the largest wrong field, go to its first cell, use the model."""
    outcome = dock.outcome
    print(outcome.sentence.text())
    scrolled(dock, 0, folder / "train-figures.png")
    matrix = outcome.matrix
    fields = [(r, c) for r in range(matrix.rowCount()) for c in range(matrix.columnCount()) if r != c]
    row, column = max(fields, key=lambda f: int("0" + matrix.item(*f).text().strip("·").replace(",", "")))
    QTest.mouseClick(
        matrix.viewport(), Qt.MouseButton.LeftButton, pos=matrix.visualItemRect(matrix.item(row, column)).center()
    )
    settle(3)
    gallery = outcome.field.gallery
    dock._scroll.ensureWidgetVisible(gallery)
    item = gallery.item(0)
    QTest.mouseClick(gallery.viewport(), Qt.MouseButton.LeftButton, pos=gallery.visualItemRect(item).center())
    settle(3)
    save(qt_window(window.viewer), target / "train-confusion.jpg")
    save(dock, folder / "train-matrix.png")
    click(outcome.use)
    models = window.dock(ModelsDock)
    raise_dock(models)
    settle()
    models.refresh("cric-light")
    scrolled(models, 0, folder / "models-list.png")
    scrolled(models, 1, folder / "models-card.png")


def beside(paths: list[Path], target: Path) -> None:
    """Put pictures of docks beside each other."""
    all_images = [Image.open(path).convert("RGB") for path in paths]
    gap = 12
    whole = Image.new("RGB", (sum(p.width + gap for p in all_images) - gap, max(p.height for p in all_images)), "white")
    left = 0
    for image in all_images:
        whole.paste(image, (left, 0))
        left += image.width + gap
    write_light(whole, target)
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Train on a part of CRIC and take the pictures."""
    cric = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGE_FOLDER
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        project = folder / "CRIC.cyto"
        assert run(["import", "cric", str(subset(cric, folder / "cric")), str(project)]) == 0
        window = window_of(open_window(project))
        qt_window(window.viewer).move(0, 0)
        settle(3)
        match_colours(window, min((cric / "images").iterdir()), target / "match-colours.jpg")
        dock = train(window, folder)
        evaluate_in_window(window, dock, folder, target)
        beside([folder / f"train-{n}.png" for n in ("setup", "curves", "worst")], target / "train.jpg")
        beside([folder / f"{n}.png" for n in ("train-figures", "models-list", "models-card")], target / "models.jpg")
        window.viewer.close()
        settle()


if __name__ == "__main__":
    main()
