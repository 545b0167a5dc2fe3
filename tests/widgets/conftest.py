"""What the window's tests share: sample jobs for child processes, a project of three small slides, docks on it."""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_cyto.domain.presets import preset
from napari_cyto.session import Session
from napari_cyto.slides.tiff_writer import write_pyramid
from napari_cyto.widgets.docks.annotate.dock import AnnotateDock
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.export.dock import ExportDock
from napari_cyto.widgets.docks.slide.dock import SlideDock
from napari_cyto.widgets.docks.slides.dock import SlidesDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of


def own_screen() -> None:
    """Give a worker a screen to itself: windows on a shared one take the keyboard from each other."""
    read, write = os.pipe()
    screen = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1366x768x24", "-nolisten", "tcp"]
    server = subprocess.Popen(screen, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    atexit.register(server.terminate)
    with os.fdopen(read) as stream:
        os.environ["DISPLAY"] = f":{stream.readline().strip()}"


if "PYTEST_XDIST_WORKER" in os.environ and shutil.which("Xvfb"):
    own_screen()

_RUN = itertools.count(1)


def pytest_runtest_setup() -> None:
    """Take what the first window brought along out of the collector's sight: napari has it look at each test."""
    if next(_RUN) == 2:
        gc.collect()
        gc.freeze()


SIDE = 640
MPP = 0.25


def draw_noise(seed: int) -> np.ndarray:
    """Pixels (SIDE, SIDE, 3) that differ everywhere, so that no two places look alike."""
    return np.random.default_rng(seed).integers(60, 255, (SIDE, SIDE, 3), dtype=np.uint8)


def make_slide(path: Path, seed: int = 0, mpp: float | None = MPP) -> Path:
    pixels = draw_noise(seed)
    if mpp is None:
        Image.fromarray(pixels).save(path)
    else:
        write_pyramid(path, (SIDE, SIDE), lambda y, x, h, w: pixels[y : y + h, x : x + w], mpp=mpp)
    return path


@pytest.fixture(scope="session")
def slides_made_once(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("slides")
    return [
        make_slide(place / "smear_a.tif", 1),
        make_slide(place / "smear_b.tif", 2),
        make_slide(place / "field.png", 3, mpp=None),
    ]


@pytest.fixture
def slide_files(slides_made_once: list[Path], tmp_path: Path) -> list[Path]:
    """Two smears with µm per pixel, and a field (PNG) without."""
    return [Path(shutil.copy2(path, tmp_path)) for path in slides_made_once]


@pytest.fixture
def project_folder(tmp_path: Path, slide_files: list[Path]) -> Path:
    session = Session("anna")
    session.projects.create(tmp_path / "smears.cyto", preset("bethesda"), "Smears")
    session.slides.add(slide_files)
    session.slides.go_to(session.project.slides()[0].id)
    session.close()
    return tmp_path / "smears.cyto"


@dataclass
class Bench:
    """A session with its docks, and a hand before them; ``window`` is there only where napari's is needed."""

    session: Session
    qtbot: object
    dock: Callable
    window: CytoWindow | None = None

    @property
    def slides(self) -> SlidesDock:
        return self.dock(SlidesDock)

    @property
    def slide(self) -> SlideDock:
        return self.dock(SlideDock)

    @property
    def annotate(self) -> AnnotateDock:
        return self.dock(AnnotateDock)

    @property
    def export(self) -> ExportDock:
        return self.dock(ExportDock)

    def click(self, widget) -> None:
        assert widget.isEnabled(), f"{widget.accessibleName()} cannot be clicked"
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)
        self.settle()

    def type(self, widget, words: str) -> None:
        widget.setFocus()
        self.qtbot.keyClicks(widget, words)
        self.settle()

    def bring_to_front(self, dock: Dock) -> None:
        """Raise a dock of the window over those that it shares its place with."""
        holder = dock.parentWidget()
        while not isinstance(holder, QDockWidget):
            holder = holder.parentWidget()
        holder.raise_()
        self.settle()

    def settle(self) -> None:
        for _ in range(4):
            QApplication.processEvents()

    def mark(self, count: int = 1, class_id: str = "HSIL") -> list[str]:
        """Mark cells on the slide on screen, well apart."""
        self.session.select(())
        self.session.edits.choose_class(class_id)
        ids = [self.session.edits.add_box_at((150 + 130 * (i // 7), 150 + 130 * (i % 7))).id for i in range(count)]
        self.settle()
        return ids


@pytest.fixture(autouse=True)
def napari_opens_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each window a third of its opening: its welcome's words at each shortcut, and its settings on the disk."""
    monkeypatch.setattr("napari._qt.widgets.qt_welcome.QtWelcomeWidget.refresh", lambda *_: None)
    monkeypatch.setattr("napari.settings._base.EventedConfigFileSettings._maybe_save", lambda *_: None)


@pytest.fixture
def open_window_on(make_napari_viewer: Callable, qtbot) -> Callable[..., Bench]:
    """The whole napari window; slow, so only for what needs it."""

    def open_it(path: Path | None = None) -> Bench:
        viewer = open_window(path, viewer=make_napari_viewer(show=True))
        window = window_of(viewer)
        bench = Bench(window.session, qtbot, window.dock, window)
        bench.settle()
        return bench

    return open_it


@pytest.fixture
def window_bench(open_window_on: Callable[..., Bench], project_folder: Path) -> Bench:
    return open_window_on(project_folder)


@pytest.fixture
def empty_bench(qtbot) -> Iterator[Bench]:
    """Docks on a session, without napari and without a project."""
    session = Session("anna")
    docks: dict[type[Dock], Dock] = {}

    def dock(kind: type[Dock]) -> Dock:
        if kind not in docks:
            docks[kind] = kind(session)
            qtbot.addWidget(docks[kind])
            docks[kind].resize(340, 700)
            docks[kind].show()
        return docks[kind]

    yield Bench(session, qtbot, dock)
    for made in docks.values():
        made.let_go()
    session.close()


@pytest.fixture
def bench(empty_bench: Bench, project_folder: Path) -> Bench:
    empty_bench.session.projects.open(project_folder)
    return empty_bench
