"""Make the images of models of whole slides from a run in the real window, all of it by clicks.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/slide_screenshots.py PROJECT [FOLDER] [--encoder VIT]``

PROJECT holds slides with interpretations and the vectors of their cells: fields of CRIC (`napari-cyto import`,
`slides --interpretations`, `embed`), or the smears of `scripts/made_up_slides.py`. A model of slides is trained on it
for some minutes, used, and asked; then the cells that its score rests on are gone through in Review, with the attention
of the encoder VIT, the folder of a vision transformer, laid over their crops.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, raise_dock, save, settle
from train_screenshots import beside, click, wait

from napari_cyto.models.library import add_model, find_model
from napari_cyto.review.query import Sort
from napari_cyto.store import Project
from napari_cyto.vectors import scores_of
from napari_cyto.widgets.canvas.napari_window import qt_window
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.report.dock import ReportDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.docks.train.dock import TrainDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

LONGEST_S = 900.0


def set_up(window: CytoWindow, folder: Path) -> TrainDock:
    """Set up a run on slides."""
    dock = window.dock(TrainDock)
    raise_dock(dock)
    settle(2)
    dock.slides.section.set_open(True)
    settle(1)
    wait(lambda: dock.setup.looked is not None, 60)
    settle(2)
    dock._scroll.verticalScrollBar().setValue(dock._scroll.verticalScrollBar().maximum())
    settle(1)
    save(dock, folder / "slide-setup.png")
    return dock


def trained(window: CytoWindow, folder: Path) -> None:
    """Start the run that was set up, follow it to its end, and use the model."""
    dock = set_up(window, folder)
    click(dock.slides.start)
    assert dock.watch is not None, dock.words.text()
    watch = dock.watch
    wait(lambda: watch.state.ended or len(watch.state.epochs) > 60, LONGEST_S)
    settle(1)
    dock._scroll.verticalScrollBar().setValue(0)
    settle(0.5)
    save(dock, folder / "slide-curves.png")
    wait(lambda: watch.state.ended, LONGEST_S)
    settle(2)
    print("run:", dock.outcome.sentence.text())
    dock._scroll.verticalScrollBar().setValue(0)
    settle(0.5)
    save(dock, folder / "slide-figures.png")
    click(dock.outcome.use)
    settle(1)
    click(dock.new)
    settle(1)


def scored(window: CytoWindow, folder: Path, prefix: str) -> None:
    """Score every slide, and show the attention on one that the model was not trained with."""
    dock = window.dock(PredictDock)
    raise_dock(dock)
    settle(1)
    dock.whole_slide.set_open(True)
    box = dock.slide_score
    box.refresh()
    box.model.setCurrentIndex(box.model.count() - 1)
    print("models:", [box.model.itemText(n) for n in range(box.model.count())])
    settle(1)
    dock._scroll.ensureWidgetVisible(box.words)
    settle(0.5)
    click(box.all)
    wait(lambda: not box.job.running, LONGEST_S)
    settle(1)
    print("predict:", box.job.words.text())
    project: Project = window.session.need_project()
    unseen = {
        record.id: max(found, key=lambda each: each.at).score
        for record in project.slides()
        if (found := [each for each in scores_of(project, record.id) if not each.learned_from and each.bag == "cells"])
    }
    best = max(unseen, key=lambda each: unseen[each])
    window.session.slides.go_to(best)
    settle(3)
    dock._scroll.ensureWidgetVisible(box.words)
    settle(0.5)
    click(box.map)
    settle(2)
    save(dock, folder / "slide-score.png")
    save(qt_window(window.viewer), folder / f"{prefix}-attention.jpg")
    click(box.map)


def reported(window: CytoWindow, folder: Path) -> None:
    """Show the score in the Report dock."""
    dock = window.dock(ReportDock)
    raise_dock(dock)
    wait(lambda: dock.scores is not None, 60)
    settle(2)
    save(dock, folder / "slide-report.png")


def attended(window: CytoWindow, folder: Path, encoder: Path | None, prefix: str) -> None:
    """Go through the cells that the score rests on; over the crop of one lay what a vision transformer attends to."""
    slide = window.session.slide
    assert slide is not None
    dock = window.dock(ReviewDock)
    raise_dock(dock)
    settle(1)
    filters = dock.filters
    filters.slide.setCurrentIndex(filters.slide.findData(slide.id))
    filters.sort.setCurrentIndex(filters.sort.findData(Sort.ATTENTION))
    settle(3)
    foremost = Counter(str(cell.class_id) for cell in dock.review.cells[:12])
    print("most attended:", dict(foremost), "state shown:", filters.status.currentText())
    dock.gallery.setFocus()
    QTest.keyClick(dock.gallery, Qt.Key.Key_Right)
    settle(2)
    save(qt_window(window.viewer), folder / f"{prefix}-review.jpg")
    if encoder is None:
        return
    if find_model(encoder.name) is None:
        add_model(encoder)
    strip = dock.attention
    click(strip.toggle)
    strip.encoder.setCurrentIndex(strip.encoder.findData(encoder.name))
    strip.encoder.activated.emit(strip.encoder.currentIndex())
    wait(lambda: not strip.image.isHidden() or bool(strip.job.words.text() and not strip.job.running), LONGEST_S)
    settle(2)
    print("over the crop:", strip.words.text() or strip.job.words.text())
    save(qt_window(window.viewer), folder / f"{prefix}-encoder.jpg")


def main() -> None:
    """Act the line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--prefix", default="slide", help="what the names of the images have in common")
    given = parser.parse_args()
    target = given.folder or IMAGE_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    scratch = given.folder or given.project.parent
    window = window_of(open_window(given.project))
    qt_window(window.viewer).move(0, 0)
    settle(3)
    trained(window, scratch)
    scored(window, scratch, given.prefix)
    reported(window, scratch)
    attended(window, scratch, given.encoder, given.prefix)
    beside([scratch / f"slide-{n}.png" for n in ("setup", "curves", "figures")], target / f"train-{given.prefix}s.jpg")
    beside([scratch / f"slide-{n}.png" for n in ("score", "report")], target / f"predict-{given.prefix}.jpg")
    window.viewer.close()
    settle()


if __name__ == "__main__":
    main()
