"""What napari calls through the manifest: readers, writers, sample data, docks. Heavy imports wait until then."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_cyto.errors import CytoError, SlideError
from napari_cyto.files.special_files import special_kind
from napari_cyto.jobs.events import Done, Events, Token

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_cyto.domain.annotation import Annotation
    from napari_cyto.jobs.child import JobFunction
    from napari_cyto.widgets.docks.base import Dock
    from napari_cyto.widgets.layer_labels import LayerTuple
    from napari_cyto.widgets.window import CytoWindow

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
LayerData: TypeAlias = tuple[Any, ...]
Reader: TypeAlias = Callable[[Paths], list[LayerData]]

# Files of these kinds are slides only sometimes; napari reads the rest of them well by itself.
AMBIGUOUS_SUFFIXES = (".tif", ".tiff", ".dcm")
LARGE_PX = 4096
NOTHING_TO_ADD: list[LayerData] = [(None,)]


def slide_reader(path: Paths) -> Reader | None:
    """Return the reader of a slide, or None for what is none; never raises.

    A plain TIFF is taken only when it is so large that it wants a pyramid's treatment.
    """
    if not isinstance(path, str | os.PathLike):
        return None
    file = Path(path)
    # napari's own reader would wait for a named pipe for ever.
    if file.suffix.lower() in AMBIGUOUS_SUFFIXES and not _is_special(file) and not _is_slide(file):
        return None
    return read_slide


def _is_special(path: Path) -> bool:
    try:
        return bool(special_kind(path))
    except (OSError, ValueError):
        return False


def _is_slide(path: Path) -> bool:
    from napari_cyto.slides import open_slide
    from napari_cyto.slides.image_backend import FLAT_VENDORS

    plain = ("tiff", "generic-tiff", *FLAT_VENDORS)
    try:
        with open_slide(path) as slide:
            return slide.info.vendor not in plain or max(slide.info.size_hw) >= LARGE_PX
    except (SlideError, OSError, ValueError):
        return False


def read_slide(path: Paths) -> list[LayerData]:
    """Return a slide as one multiscale image layer in µm; what cannot be opened is said in the window, never raised."""
    try:
        if not isinstance(path, str | os.PathLike):
            raise SlideError(f"Expected one slide file, got {len(path)}; open them one at a time.")
        return [_slide_layer(path)]
    except SlideError as error:
        from napari.utils.notifications import show_error

        show_error(str(error))
        return NOTHING_TO_ADD


def _slide_layer(path: str | os.PathLike[str]) -> LayerData:
    from napari_cyto.slides import open_slide, pyramid

    slide = open_slide(path)
    mpp = slide.info.mpp
    attributes = {
        "name": slide.info.name,
        "multiscale": True,
        "rgb": True,
        "scale": (mpp or 1.0,) * 2,
        "units": ("um",) * 2 if mpp else ("pixel",) * 2,
        "metadata": {"vendor": slide.info.vendor, "mpp": mpp, "objective": slide.info.objective},
    }
    return (pyramid(slide), attributes, "image")


def project_reader(path: Paths) -> Reader | None:
    """Return the reader of a project folder, or None for what is none."""
    from napari_cyto.store import Project

    return read_project if isinstance(path, str | os.PathLike) and Project.is_project(Path(path)) else None


def read_project(path: Paths) -> list[LayerData]:
    """Open a project in the viewer at hand, with its docks; its layers are made by the canvas.

    Raises
    ------
    CytoError
        When there is no viewer, or the project cannot be opened.
    """
    assert isinstance(path, str | os.PathLike)
    folder = Path(path)
    window = _window()
    if not window.docks:
        window.place_docks()
    window.session.projects.open(folder if folder.is_dir() else folder.parent)
    return NOTHING_TO_ADD


def write_geojson(path: str, layers: list[LayerTuple]) -> list[str]:
    """Write points and shapes layers as QuPath GeoJSON, coordinates in px of their data."""
    return _write("geojson", path, layers)


def write_csv(path: str, layers: list[LayerTuple]) -> list[str]:
    """Write points and shapes layers as a CSV of cells, coordinates in px of their data."""
    return _write("csv", path, layers)


def _write(format_name: str, path: str, layers: list[LayerTuple]) -> list[str]:
    from napari_cyto.formats import get_format
    from napari_cyto.widgets.layer_labels import label_set

    get_format(format_name).write(label_set(layers, Path(path).stem), Path(path))
    return [path]


def demo_smear() -> list[LayerData]:
    """Return the made-up smear and, hidden at first, its cells; the smear is made once and kept.

    Raises
    ------
    CytoError
        When it cannot be kept, or its making was cancelled.
    """
    from napari_cyto.synthesis import demo_smear as obtain

    _with_progress("Creating the demo smear", make_demo_smear, {})
    made = obtain()
    cells = [a for a in made.truth.annotations if a.class_id is not None]
    attributes = {
        "name": "cells",
        "scale": (made.record.mpp or 1.0,) * 2,
        "units": ("um",) * 2,
        "features": {"class": [a.class_id for a in cells]},
        "face_color": "class",
        "size": 60,
        "visible": False,
    }
    return [_slide_layer(made.slide_path), ([_data_yx(a) for a in cells], attributes, "points")]


def make_demo_smear(token: Token | None = None) -> Events:
    """Make the demo smear, or find that it is there; a job."""
    from napari_cyto.synthesis import demo_specs
    from napari_cyto.synthesis.job import make_smears

    name, spec = next(iter(demo_specs().items()))
    yield from make_smears({name: spec}, None, token)
    yield Done()


def _with_progress(title: str, function: JobFunction, kwargs: dict[str, Any]) -> None:
    import napari

    from napari_cyto.widgets.job_dialog import JobDialog

    viewer = napari.current_viewer()
    JobDialog(title, None if viewer is None else viewer.window._qt_window).run(function, kwargs)


def _data_yx(annotation: Annotation) -> tuple[float, float]:
    from napari_cyto.widgets.canvas.frames import PIXEL_CENTRE

    y, x = annotation.geometry.centre_yx
    return (y - PIXEL_CENTRE, x - PIXEL_CENTRE)


def open_demo() -> None:
    """Open the demo project in the viewer at hand, with all docks; it is made on the first call.

    Raises
    ------
    CytoError
        When there is no viewer, or the project cannot be made or opened.
    """
    from napari_cyto.files.user_folders import user_data_dir
    from napari_cyto.synthesis.demo_job import PROJECT_NAME, prepare_demo

    _window()
    folder = user_data_dir() / PROJECT_NAME
    _with_progress("Creating the demo project", prepare_demo, {"folder": folder})
    read_project(folder)


def restore_backup() -> None:
    """List the backups of the open project, or of one that is asked for, and go back to the one that is chosen.

    Raises
    ------
    CytoError
        When there is no viewer.
    """
    from qtpy.QtWidgets import QFileDialog

    from napari_cyto.widgets.docks.slides.backups_dialog import BackupsDialog

    window = _window()
    parent, session = window.viewer.window._qt_window, window.session
    if session.project is not None:
        folder = session.project.folder
    else:
        chosen_folder = QFileDialog.getExistingDirectory(parent, "Project to restore from a backup")
        if not chosen_folder:
            return
        folder = Path(chosen_folder)
    dialog = BackupsDialog(folder, parent)
    if dialog.exec() and dialog.chosen is not None:
        with session.telling():
            session.projects.restore_backup(folder, dialog.chosen.path.name)


def slides_dock() -> QWidget:
    """Return the Slides dock of the viewer at hand."""
    from napari_cyto.widgets.docks.slides.dock import SlidesDock

    return _dock(SlidesDock)


def annotate_dock() -> QWidget:
    """Return the Annotate dock of the viewer at hand."""
    from napari_cyto.widgets.docks.annotate.dock import AnnotateDock

    return _dock(AnnotateDock)


def predict_dock() -> QWidget:
    """Return the Predict dock (predictions of models, and filters) of the viewer at hand."""
    from napari_cyto.widgets.docks.predict.dock import PredictDock

    return _dock(PredictDock)


def review_dock() -> QWidget:
    """Return the Review dock (the gallery of cells that wait for a verdict) of the viewer at hand."""
    from napari_cyto.widgets.docks.review.dock import ReviewDock

    return _dock(ReviewDock)


def teach_dock() -> QWidget:
    """Return the Teach dock (classes from a few clicks) of the viewer at hand."""
    from napari_cyto.widgets.docks.teach.dock import TeachDock

    return _dock(TeachDock)


def map_dock() -> QWidget:
    """Return the Map dock (cells alike lie together) of the viewer at hand."""
    from napari_cyto.widgets.docks.map.dock import MapDock

    return _dock(MapDock)


def measure_dock() -> QWidget:
    """Return the Measure dock (measurements of outlined cells) of the viewer at hand."""
    from napari_cyto.widgets.docks.measure.dock import MeasureDock

    return _dock(MeasureDock)


def result_dock() -> QWidget:
    """Return the Report dock (summary of the slide, and how much of it was viewed) of the viewer at hand."""
    from napari_cyto.widgets.docks.report.dock import ReportDock

    return _dock(ReportDock)


def readings_dock() -> QWidget:
    """Return the Readings dock (who reads what, blind) of the viewer at hand."""
    from napari_cyto.widgets.docks.readings.dock import ReadingsDock

    return _dock(ReadingsDock)


def export_dock() -> QWidget:
    """Return the Export dock of the viewer at hand."""
    from napari_cyto.widgets.docks.export.dock import ExportDock

    return _dock(ExportDock)


def train_dock() -> QWidget:
    """Return the Train dock of the viewer at hand."""
    from napari_cyto.widgets.docks.train.dock import TrainDock

    return _dock(TrainDock)


def models_dock() -> QWidget:
    """Return the Models dock of the viewer at hand."""
    from napari_cyto.widgets.docks.models.dock import ModelsDock

    return _dock(ModelsDock)


def slide_dock() -> QWidget:
    """Return the Slide dock (what is known of the slide, its overview) of the viewer at hand."""
    from napari_cyto.widgets.docks.slide.dock import SlideDock

    return _dock(SlideDock)


def _dock(kind: type[Dock]) -> QWidget:
    window = _window()
    dock = window.dock(kind)
    if dock.parent() is not None:
        # It was shown elsewhere in this window; napari is about to give it a new place.
        window.viewer.window.remove_dock_widget(dock)
    return dock


def _window() -> CytoWindow:
    import napari

    from napari_cyto.widgets.window import window_of

    viewer = napari.current_viewer()
    if viewer is None:
        raise CytoError("Expected an open napari window, got none; open one first, or use `napari-cyto open`.")
    return window_of(viewer)
