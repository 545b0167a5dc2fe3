"""One contender in a real napari window, told by its parent process what to do: one JSON line in, one out."""

from __future__ import annotations

import json
import math
import mmap
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import QApplication

from napari_cyto.slides import Slide, open_slide

CANVAS_WH = (1191, 945)
PAN_PX = 100
PANS_PER_WALK = 10
WALKS_AT_MOST = 64


def ours(viewer: napari.Viewer, path: Path, _: list[tuple[int, int]]) -> Layer:
    """Show the slide as the product does."""
    from napari_cyto.widgets.slide_layer import add_slide_layer

    slide = open_slide(path)
    return add_slide_layer(viewer, slide, slide.info.mpp)


def napari_wsi(viewer: napari.Viewer, path: Path, _: list[tuple[int, int]]) -> Layer:
    """Show the slide as napari-wsi does."""
    from napari_wsi.backends.openslide import OpenSlideStore

    return OpenSlideStore(path).to_viewer(viewer)[0]


def memory(viewer: napari.Viewer, path: Path, centres_yx: list[tuple[int, int]]) -> Layer:
    """Show numpy arrays: napari's own floor. Only what will be looked at is filled, the rest is never touched."""
    with open_slide(path) as slide:
        levels = [_untouched((*size, 3)) for size in slide.info.level_sizes_hw]
        for level, array in enumerate(levels):
            _fill(slide, level, array, centres_yx if array.nbytes > 2**28 else None)
    return viewer.add_image(levels, multiscale=True, rgb=True)


def _untouched(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array that takes memory only where it is written to, page by page."""
    pages = mmap.mmap(-1, math.prod(shape))
    if hasattr(pages, "madvise") and hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.uint8).reshape(shape)


def _fill(slide: Slide, level: int, array: np.ndarray, centres_yx: list[tuple[int, int]] | None) -> None:
    if centres_yx is None:
        array[:] = slide.read_region(level, 0, 0, *array.shape[:2])
        return
    if level > 0:
        # Jumps and pans look at level 0; of what lies between it and the small levels nothing is shown.
        return
    for number, (y, x) in enumerate(centres_yx):
        reach = PAN_PX * PANS_PER_WALK if number < WALKS_AT_MOST else 0
        y0, x0 = max(0, y - CANVAS_WH[1] // 2 - 64), max(0, x - CANVAS_WH[0] // 2 - 64)
        y1, x1 = min(array.shape[0], y0 + CANVAS_WH[1] + 128), min(array.shape[1], x0 + CANVAS_WH[0] + 128 + reach)
        array[y0:y1, x0:x1] = slide.read_region(0, y0, x0, y1 - y0, x1 - x0)


CONTENDERS: dict[str, Callable[[napari.Viewer, Path, list[tuple[int, int]]], Layer]] = {
    "ours": ours,
    "memory": memory,
    "napari_wsi": napari_wsi,
}


class Window:
    """A napari window with one contender in it, timed."""

    def __init__(self, contender: str, path: Path, centres_yx: list[tuple[int, int]]) -> None:
        self.centres_yx = centres_yx
        self.viewer = napari.Viewer(show=True)
        self.app = QApplication.instance()
        self._size_canvas()
        show = CONTENDERS[contender]
        if contender == "memory":
            # Filling the arrays is not part of showing them.
            filled = show(napari.components.ViewerModel(), path, centres_yx).data
            begin = time.perf_counter()
            self.layer = self.viewer.add_image(list(filled), multiscale=True, rgb=True)
        else:
            begin = time.perf_counter()
            self.layer = show(self.viewer, path, centres_yx)
        self._settle()
        self.first_paint_ms = (time.perf_counter() - begin) * 1e3
        self.scale = float(self.layer.scale[-1])
        self.camera = getattr(self.viewer, "scene", self.viewer).camera
        self.camera.zoom = 1 / self.scale
        self._settle()

    def _size_canvas(self) -> None:
        window = self.viewer.window._qt_window
        for dock in ("dockLayerControls", "dockLayerList"):
            getattr(self.viewer.window._qt_viewer, dock).setVisible(False)
        for _ in range(3):
            canvas = self.viewer.window._qt_viewer.canvas.native
            window.resize(
                window.width() + CANVAS_WH[0] - canvas.width(), window.height() + CANVAS_WH[1] - canvas.height()
            )
            self._settle()

    def _settle(self) -> None:
        # A draw may slice, and a slice asks for another draw.
        for _ in range(4):
            self.app.processEvents()

    def _go(self, y: float, x: float) -> tuple[float, float]:
        """Move the camera; return ms that the thread was blocked, and ms until the new pixels were on screen.

        The camera's move and the draw that reads the new slice are one block; the draw of that slice is a second
        event, before which a click or a key is handled.
        """
        begin = time.perf_counter()
        self.camera.center = (0, y * self.scale, x * self.scale)
        self.app.processEvents()
        blocked = time.perf_counter() - begin
        self._settle()
        # Ours may show slow tiles coarser first: a view counts as shown when its true pixels are.
        while not getattr(self.layer, "sharp", True):
            self.app.processEvents()
            self._settle()
        return (blocked * 1e3, (time.perf_counter() - begin) * 1e3)

    def jumps(self, first: int, count: int) -> list[tuple[float, float]]:
        """Jump to known places, in turn; return ms blocked and ms until shown for each."""
        times = [self._go(*self.centres_yx[k % len(self.centres_yx)]) for k in range(first, first + count)]
        assert int(self.layer.data_level) == 0, "jumps are timed at full resolution"
        return times

    def pans(self, first: int, count: int) -> list[tuple[float, float]]:
        """Walk right from known places in steps of 100 px; return ms blocked and ms until shown for each step."""
        times = []
        for walk in range(-(-count // PANS_PER_WALK)):
            y, x = self.centres_yx[(first + walk) % len(self.centres_yx)]
            self._go(y, x)
            times += [self._go(y, x + PAN_PX * step) for step in range(1, PANS_PER_WALK + 1)]
        return times[:count]


def main() -> None:
    contender, path, places = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    answer = _answer_stream()
    window = Window(contender, path, [(y, x) for y, x in places])
    answer({"first_paint_ms": window.first_paint_ms})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "quit":
            break
        times = (window.jumps if order["do"] == "jumps" else window.pans)(order["first"], order["count"])
        answer({"times_ms": times})
    answer({"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
    window.viewer.close()


def _answer_stream() -> Callable[[dict[str, Any]], None]:
    """Keep stdout for the answers alone: Qt and OpenGL like to print there."""
    stream, sys.stdout = sys.stdout, sys.stderr

    def answer(values: dict[str, Any]) -> None:
        print(json.dumps(values), file=stream, flush=True)

    return answer


if __name__ == "__main__":
    main()
