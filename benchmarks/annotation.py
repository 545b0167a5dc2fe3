"""What one edit costs with 1,000 and with 1,000,000 stored cells: real keys and clicks in a real window, until painted.

    python benchmarks/annotation.py [--cells 1000000] [--rounds 40] [--outlines]

Both projects have as many cells in the view, which the store's size must not matter to. The two windows stand side
by side and take turns, so that what else the machine does falls on both. Needs a screen; Xvfb will do:
``xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/annotation.py``.

The last line is one JSON object: relabel, add and undo with many cells relative to few, a pan with annotations
relative to one without, and how long a project of 100,000 cells takes to open. With ``--outlines`` each cell has
the outlines of its nucleus and its cytoplasm instead of a box (the bars are for 100,000 of these).
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, CellOutline, Geometry
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

warnings.filterwarnings("ignore")

MPP = 0.25
FEW = 1_000
OPENED = 100_000
IN_VIEW_PX = 2_000  # the view at zoom 2 px per µm: about 2,000 px of level 0
CELLS_IN_VIEW = 300
SLIDE_PX = 40_000


def outline(y: float, x: float) -> CellOutline:
    """Return a nucleus of 24 corners in a cytoplasm of 40, about as large as a cell's box."""
    return CellOutline(_ring(y, x, 18.0, 24), _ring(y, x, 60.0, 40), accepted=False)


def _ring(y: float, x: float, radius: float, corners: int) -> tuple[tuple[float, float], ...]:
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    reach = radius * (1 + 0.08 * np.sin(3 * turns + y))
    return tuple(zip((y + reach * np.sin(turns)).tolist(), (x + reach * np.cos(turns)).tolist(), strict=True))


def box(y: float, x: float) -> Box:
    """Return a cell's box."""
    return Box.around((y, x), 120, 120)


def make_project(folder: Path, cells: int, shape: Callable[[float, float], Geometry] = box) -> None:
    """Store ``cells`` shapes: as many around the middle whatever their number, the others all over the slide."""
    rng = np.random.default_rng(7)
    near = min(cells, CELLS_IN_VIEW)
    middle = SLIDE_PX / 2 + rng.uniform(-IN_VIEW_PX / 2, IN_VIEW_PX / 2, (near, 2))
    far = rng.uniform(0, SLIDE_PX, (cells - near, 2))
    apart = np.abs(far - SLIDE_PX / 2).max(axis=1) < 2.5 * IN_VIEW_PX
    far[apart] = far[apart] % (SLIDE_PX / 4)
    scheme = preset("bethesda")
    classes = rng.choice(scheme.ids, cells)
    slide = SlideRecord(name="made", size_hw=(SLIDE_PX, SLIDE_PX), mpp=MPP, mpp_source="user")
    with Project.create(folder, scheme) as project:
        project.add_slides([slide])
        places = np.concatenate([middle, far]).tolist()
        for first in range(0, cells, 50_000):
            part = [
                Annotation(slide_id=slide.id, geometry=shape(y, x), class_id=str(c), author="made")
                for (y, x), c in zip(places[first : first + 50_000], classes[first : first + 50_000], strict=False)
            ]
            project.apply(edits.add(part, "Created"), "made")


class Desk:
    """A window on a project, and a hand that presses its keys."""

    def __init__(self, folder: Path | None) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_cyto.session import Session
        from napari_cyto.widgets.canvas import attach, napari_window

        self._window = napari_window
        self.viewer = napari.Viewer(show=True)
        self.app = QApplication.instance()
        self.viewer.window.resize(1366, 768)
        pixels = np.random.default_rng(1).integers(150, 255, (8000, 8000, 3), np.uint8)
        levels = [pixels, pixels[::2, ::2], pixels[::4, ::4]]
        shift = (SLIDE_PX / 2 - 4000) * MPP
        self.viewer.add_image(levels, scale=(MPP,) * 2, translate=(shift,) * 2, units=("um",) * 2, multiscale=True)
        self.session = Session("bench")
        self.canvas = attach(self.viewer, self.session)
        self.settle()
        begin = time.perf_counter()
        if folder is not None:
            self.session.projects.open(folder)
        self.look(0)
        self.open_s = time.perf_counter() - begin
        self.native = napari_window.native_canvas(self.viewer)
        self.native.setFocus()

    def settle(self) -> None:
        """Let everything that waits happen: a draw may ask for a reload, and that for another draw."""
        for _ in range(4):
            self.app.processEvents()

    def look(self, shift_px: float) -> None:
        """Look at a place ``shift_px`` (level-0 px) right of the slide's middle."""
        self._window.camera_of(self.viewer).zoom = 2.0
        self._window.look_at(self.viewer, (SLIDE_PX / 2, SLIDE_PX / 2 + shift_px), MPP)
        self.settle()

    def key(self, key: object, modifier: object) -> None:
        """Press a key and let it go."""
        from qtpy.QtTest import QTest

        QTest.keyClick(self.native, key, modifier)

    def click(self, fraction: float) -> None:
        """Press and release at a place in the view's middle row."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        place = QPoint(int(self.native.width() * (0.2 + 0.6 * fraction)), self.native.height() // 2)
        QTest.mouseClick(self.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def close(self) -> None:
        """Close the window and its project."""
        self.canvas.detach()
        self.session.close()
        self.viewer.close()
        self.settle()


def until_painted_ms(desk: Desk, act: Callable[[], None]) -> float:
    """Return how long the window's thread is busy from the event until everything it caused is painted, ms."""
    desk.settle()
    begin = time.perf_counter()
    act()
    desk.settle()
    return (time.perf_counter() - begin) * 1e3


def time_edits(desk: Desk, turn: int, times: dict[str, list[float]]) -> None:
    """Relabel a cell of the view, undo that; add a cell by a click, undo that."""
    from qtpy.QtCore import Qt

    from napari_cyto.session import Tool

    none, ctrl = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
    seen = [a for a in desk.canvas.shown.annotations.values() if _holds(desk.session.view_yxyx, a)]
    cell = min(seen, key=lambda a: (a.id[turn % 30 :], a.id))
    desk.session.select([cell.id])
    other = Qt.Key.Key_2 if cell.class_id != "ASC-US" else Qt.Key.Key_3
    times["relabel"].append(until_painted_ms(desk, lambda: desk.key(other, none)))
    times["undo"].append(until_painted_ms(desk, lambda: desk.key(Qt.Key.Key_Z, ctrl)))
    desk.session.select(())
    desk.session.tool = Tool.POINT
    before = len(desk.canvas.shown.annotations)
    times["add"].append(until_painted_ms(desk, lambda: desk.click((turn % 97) / 97)))
    if len(desk.canvas.shown.annotations) == before + 1:
        times["undo"].append(until_painted_ms(desk, lambda: desk.key(Qt.Key.Key_Z, ctrl)))
    else:
        # The click fell on the middle of a cell and selected it.
        times["add"].pop()


def _holds(view_yxyx: tuple[float, float, float, float], annotation: Annotation) -> bool:
    y, x = annotation.geometry.centre_yx
    return view_yxyx[0] < y < view_yxyx[2] and view_yxyx[1] < x < view_yxyx[3]


def time_pan(desk: Desk, times: list[float]) -> None:
    """Walk right in five steps of 100 screen px, from the middle."""
    desk.look(0)
    times.extend(until_painted_ms(desk, lambda s=step: desk.look(200.0 * s)) for step in range(1, 6))


def compare(few: Desk, many: Desk, bare: Desk, rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians, ms, of each desk."""
    kinds = ("relabel", "add", "undo")
    times: dict[str, dict[str, list[float]]] = {
        name: {k: [] for k in (*kinds, "pan")} for name in ("few", "many", "bare")
    }
    for turn in range(rounds):
        order = [("few", few), ("many", many)]
        for name, desk in order if turn % 2 else order[::-1]:
            desk.look(0)
            time_edits(desk, turn, times[name])
    for turn in range(max(rounds // 3, 4)):
        order = [("bare", bare), ("few", few), ("many", many)]
        for name, desk in order if turn % 2 else order[::-1]:
            time_pan(desk, times[name]["pan"])
    return {name: {k: statistics.median(v) for k, v in of.items() if v} for name, of in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000, help="how many cells the large project stores")
    parser.add_argument("--rounds", type=int, default=40, help="how often each edit is timed")
    parser.add_argument("--outlines", action="store_true", help="cells are outlines, not boxes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = {n: Path(place) / f"{n}.cyto" for n in (FEW, OPENED, options.cells)}
        for cells, folder in folders.items():
            begin = time.perf_counter()
            make_project(folder, cells, outline if options.outlines else box)
            print(f"stored {cells:,} cells in {time.perf_counter() - begin:.1f} s", flush=True)
        opened = Desk(folders[OPENED])
        open_s = opened.open_s
        opened.close()
        few, many, bare = Desk(folders[FEW]), Desk(folders[options.cells]), Desk(None)
        drawn = len(few.canvas.shown.annotations), len(many.canvas.shown.annotations)
        gc.collect()
        compare(few, many, bare, 3)  # caches fill, shaders compile
        medians = compare(few, many, bare, options.rounds)
        report(medians, options.cells, drawn, open_s)
        for desk in (few, many, bare):
            desk.close()


def report(medians: dict[str, dict[str, float]], cells: int, drawn: tuple[int, int], open_s: float) -> None:
    """Print the table, and the line for machines."""
    few, many, bare = medians["few"], medians["many"], medians["bare"]
    print(f"\nms until painted, median; {drawn[0]} and {drawn[1]} cells drawn")
    print(f"{'':10}{f'{FEW:,} stored':>16}{f'{cells:,} stored':>18}{'ratio':>8}")
    for kind in ("relabel", "add", "undo"):
        print(f"{kind:10}{few[kind]:16.1f}{many[kind]:18.1f}{many[kind] / few[kind]:8.2f}")
    print(f"{'pan':10}{bare['pan']:16.1f}{many['pan']:18.1f}{many['pan'] / bare['pan']:8.2f}   (first: no annotations)")
    print(f"open a project of {OPENED:,}: {open_s:.2f} s")
    result = {f"{k}_ratio": round(many[k] / few[k], 3) for k in ("relabel", "add", "undo")}
    result["pan_ratio"] = round(many["pan"] / bare["pan"], 3)
    result["open_100k_s"] = round(open_s, 3)
    result |= {f"{k}_ms": round(many[k], 1) for k in ("relabel", "add", "undo", "pan")}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
