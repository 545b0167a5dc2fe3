"""Promise: every control explains itself and is reached without a mouse; nothing is too wide for a laptop."""

from __future__ import annotations

import pytest
import run_samples
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QWidget,
)

from napari_cyto.formats import WRITTEN
from napari_cyto.training.request import runs_folder
from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets.docks.measure.dock import MeasureDock
from napari_cyto.widgets.docks.models.dock import ModelsDock
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.report.dock import ReportDock
from napari_cyto.widgets.docks.slides._import_dialog import ImportDialog
from napari_cyto.widgets.docks.slides._new_project import NewProjectDialog
from napari_cyto.widgets.docks.slides.scheme_dialog import SchemeDialog
from napari_cyto.widgets.docks.train.dock import TrainDock

pytestmark = pytest.mark.smoke

INTERACTIVE = (QAbstractButton, QLineEdit, QAbstractSpinBox, QComboBox, QAbstractItemView)


def controls(root: QWidget) -> list[QWidget]:
    """All controls under ``root``, without those that Qt hides inside others."""
    found = []
    for widget in root.findChildren(QWidget):
        inner = isinstance(widget, QHeaderView) or any(
            isinstance(up, QAbstractSpinBox | QComboBox | QAbstractItemView) for up in ancestors(widget, root)
        )
        if isinstance(widget, INTERACTIVE) and not inner:
            found.append(widget)
    return found


def ancestors(widget: QWidget, root: QWidget) -> list[QWidget]:
    chain = []
    while (up := widget.parentWidget()) is not None and up is not root:
        chain.append(up)
        widget = up
    return chain


def check(root: QWidget) -> None:
    found = controls(root)
    assert found
    for control in found:
        name = f"{type(control).__name__} {control.accessibleName()!r}"
        assert control.toolTip().strip(), f"{name} has no tooltip"
        assert control.focusPolicy() != Qt.FocusPolicy.NoFocus, f"{name} cannot be reached with Tab"


def test_docks(bench):
    bench.mark(2)
    for dock in (
        bench.slides,
        bench.slide,
        bench.annotate,
        bench.export,
        bench.dock(MeasureDock),
        bench.dock(ModelsDock),
        bench.dock(PredictDock),
        bench.dock(ReportDock),
    ):
        check(dock)


def test_training_before_and_after_a_run(bench):
    dock = bench.dock(TrainDock)
    dock.setup.sources.add_source(f"folders:{bench.session.project.folder}")
    for kind in ("detector", "classifier"):
        dock.setup.kinds[kind].setChecked(True)
        for index in range(dock.setup.recipe.count()):
            dock.setup.recipe.setCurrentIndex(index)
            check(dock)
    project = bench.session.project
    slides = [str(project.slide_path(record)) for record in project.slides()]
    run_samples.finished(runs_folder(project) / "earlier", slides)
    dock.follow(RunWatch(runs_folder(project) / "earlier"))
    check(dock)


def test_options_of_every_format(bench):
    export = bench.export
    for name in WRITTEN:
        export.format.setCurrentIndex(export.format.findData(name))
        check(export)


def test_dialogs(bench):
    for dialog in (SchemeDialog, ImportDialog, NewProjectDialog):
        shown = dialog(bench.session, bench.annotate)
        check(shown)
        shown.reject()


def test_tab_walks_through_the_annotate_dock(bench):
    """Tab, pressed often enough, reaches every enabled control of the dock in view."""
    dock = bench.annotate
    bench.mark(1)
    expected = {c for c in controls(dock) if c.isEnabled() and c.isVisible()}
    start = here = dock.tools.buttons["select"]
    reached = set()
    while (here := here.nextInFocusChain()) is not start:
        if here.focusPolicy() & Qt.FocusPolicy.TabFocus:
            reached.add(here)
    assert expected <= reached | {start}
