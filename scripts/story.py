"""Act the whole story in the real window, by keys and clicks, and take its pictures.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/story.py CRIC_FOLDER|demo [FOLDER] [--images 16] [--epochs 3]``

Open, propose, review, export, train a detector, propose again with it: CRIC_FOLDER holds CRIC's images and its table
of cells; the first ones come without their labels. With ``demo`` it is the smear that the program draws itself, its
first slide without labels. What each step ended with is printed, and how late the window's event loop was meanwhile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, raise_dock, save, settle
from train_screenshots import HeartBeat, beside, click, enter, scrolled, subset, wait

from napari_cyto.cli.entry import run
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Status
from napari_cyto.files.user_folders import DATA_VARIABLE
from napari_cyto.store import Project
from napari_cyto.synthesis.demo_job import demo_project
from napari_cyto.widgets.canvas.napari_window import native_canvas, qt_window
from napari_cyto.widgets.docks.export.dock import ExportDock
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.train.dock import TrainDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

UNLABELLED = 3
NAME = "story-detector"
DEMO, DEMO_PX = "demo", 8000
REVIEWS = (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_3, Qt.Key.Key_X, Qt.Key.Key_A, Qt.Key.Key_5) * 3


def fields(cric: Path, folder: Path, images: int) -> Path:
    """Make a project of CRIC's fields whose first ones come without labels."""
    place = folder / "CRIC.cyto"
    assert run(["import", "cric", str(subset(cric, folder / "cric", images)), str(place)]) == 0
    return without_labels(place, UNLABELLED)


def without_labels(place: Path, slides: int) -> Path:
    """Take the labels off the first slides of a project."""
    with Project.open(place) as project:
        for slide in project.slides()[:slides]:
            project.apply(edits.remove(list(project.annotations(slide.id)), "Leave unlabelled"), "story")
    return place


def run_prediction(window: CytoWindow, detector: str, classifier: str) -> int:
    """Ask for the whole slide by clicks; return how many cells wait then."""
    dock = window.dock(PredictDock)
    raise_dock(dock)
    settle()
    for box, name in ((dock.run.detector, detector), (dock.run.classifier, classifier)):
        place = next(n for n in range(box.count()) if box.itemData(n) == name)
        box.setFocus()
        while box.currentIndex() != place:
            QTest.keyClick(box, Qt.Key.Key_Down if box.currentIndex() < place else Qt.Key.Key_Up)
    click(dock.run.scopes["slide"])
    beat, begin = HeartBeat(), time.perf_counter()
    click(dock.run.run)
    wait(lambda: not dock.run.predictor.running, 300)
    print(f"proposed in {time.perf_counter() - begin:.1f} s: {dock.run.words.text()} Event loop: {beat.words()}")
    settle()
    session = window.session
    assert session.project is not None
    assert session.slide is not None
    return session.project.status_counts(session.slide.id).get(Status.UNREVIEWED, 0)


def review(window: CytoWindow) -> None:
    """Go to the gallery by its key and judge what is riskiest."""
    dock = window.dock(ReviewDock)
    QTest.keyClick(native_canvas(window.viewer), Qt.Key.Key_G)
    settle()
    QTest.keyClick(dock.gallery, Qt.Key.Key_F5)
    wait(lambda: bool(dock.review.cells), 20)
    for key in REVIEWS:
        QTest.keyClick(dock.gallery, key)
        settle(0.1)
    settle()
    print(f"reviewed: {dock.progress.text()}")


def export(window: CytoWindow, target: Path) -> None:
    """Write the APACC tree."""
    dock = window.dock(ExportDock)
    raise_dock(dock)
    settle()
    enter(dock.target, str(target))
    wait(lambda: not dock.looking.running, 120)
    wait(dock.go.isEnabled, 60)
    click(dock.go)
    wait(lambda: not dock.bar.running, 300)
    print(f"exported: {sum(1 for _ in target.rglob('*') if _.is_file())} files")


def train(window: CytoWindow, epochs: int, folder: Path) -> None:
    """Train a detector on the project, and use it."""
    dock = window.dock(TrainDock)
    raise_dock(dock)
    click(dock.setup.kinds["detector"])
    wait(lambda: dock.setup.looked is not None, 120)
    box = dock.setup.recipe
    place = next(n for n in range(box.count()) if "ships" in box.itemText(n))
    box.setFocus()
    while box.currentIndex() != place:
        QTest.keyClick(box, Qt.Key.Key_Down if box.currentIndex() < place else Qt.Key.Key_Up)
    settle()
    enter(dock.setup.settings._phases[0][0].form.controls["epochs"].widget, str(epochs))
    enter(dock.name, NAME)
    wait(lambda: not dock.setup.looking.running, 120)
    settle()
    save(dock, folder / "story-train-setup.png")
    beat = HeartBeat()
    click(dock.start)
    assert dock.watch is not None, dock.words.text()
    watch = dock.watch
    wait(lambda: watch.state.ended or len(watch.state.epochs) >= epochs - 1)
    assert not watch.state.ended, watch.state.sentence
    with beat.paused():
        scrolled(dock, 0, folder / "story-train-curves.png")
    wait(lambda: watch.state.ended)
    print(f"trained: {dock.outcome.sentence.text()} Event loop: {beat.words()}")
    settle()
    scrolled(dock, 0, folder / "story-train-end.png")
    click(dock.outcome.use)


def main() -> None:
    """Act it from the first slide to the second round of proposals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=IMAGE_FOLDER)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    given.target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # The model of a story before this one would be in the user's library under the same name.
        os.environ[DATA_VARIABLE] = str(folder / "library")
        if given.data == Path(DEMO):
            place = without_labels(demo_project(folder / "demo.cyto", size_px=DEMO_PX, cache_dir=folder / "smears"), 1)
        else:
            place = fields(given.data, folder, given.images)
        window = window_of(open_window(place))
        qt_window(window.viewer).move(0, 0)
        settle(3)
        print(f"{run_prediction(window, 'nucleus-detector', 'bethesda-light')} proposals")
        window.message.hide()
        settle()
        save(qt_window(window.viewer), given.target / "predict.jpg")
        review(window)
        save(qt_window(window.viewer), given.target / "story-review.jpg")
        export(window, folder / "apacc")
        train(window, given.epochs, folder)
        all_images = [folder / f"story-train-{n}.png" for n in ("setup", "curves", "end")]
        beside(all_images, given.target / "train-detector.jpg")
        QTest.keyClick(native_canvas(window.viewer), Qt.Key.Key_PageDown)
        settle(3)
        print(f"{run_prediction(window, NAME, 'bethesda-light')} proposals by the new model")
        save(qt_window(window.viewer), given.target / "story-again.jpg")
        window.viewer.close()
        settle()


if __name__ == "__main__":
    main()
