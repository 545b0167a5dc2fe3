"""Pictures of cells, cut out in a thread: the newest wish first, never more than fit a bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QImage, QPixmap

from napari_cyto.domain.geometry import YX
from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide, open_slide
from napari_cyto.widgets.docks.thumbnails import image_of

WINDOW_UM = 50.0
# About the same where the slide's scale is not known: most are scanned at 40x.
WINDOW_PX = 200
MOST_BYTES = 96 * 2**20
# Two screens of small pictures; who scrolls on has no use for what was asked for before.
MOST_WISHES = 256
# Open files: a list sorted by risk goes from slide to slide.
MOST_SLIDES = 8

Key: TypeAlias = tuple[str, YX]


@dataclass(frozen=True, slots=True)
class Wish:
    """A picture to be made, and what it is kept by: of which cell, from which file, at what scale, how large."""

    key: Key
    path: Path
    mpp: float | None
    side_px: int


class CellCrops(QObject):
    """Makes and keeps pictures of cells; ``ready`` carries the id of the cell whose picture has come."""

    ready = Signal(str)
    _made = Signal(object, object, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[Wish, QPixmap] = OrderedDict()
        self._bytes = 0
        self._failed: set[Wish] = set()
        # Each with the age in which it was asked for: what is cut out while its age ends is of files as they were.
        self._wishes: deque[tuple[int, Wish]] = deque(maxlen=MOST_WISHES)
        self._requested: set[Wish] = set()
        self._age = 0
        self._there_is_work = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._made.connect(self._keep)

    @property
    def nbytes(self) -> int:
        """Bytes of the pictures that are kept."""
        return self._bytes

    @property
    def is_idle(self) -> bool:
        """Whether every picture that was asked for has come or failed."""
        return not self._requested

    def get(self, wish: Wish) -> QPixmap | None:
        """Return a picture if it is there; else have it made, before those that were asked for earlier."""
        found = self._kept.get(wish)
        if found is not None:
            self._kept.move_to_end(wish)
            return found
        if wish not in self._failed and wish not in self._requested and not self._closed:
            if len(self._wishes) == MOST_WISHES:
                self._requested.discard(self._wishes[0][1])
            self._requested.add(wish)
            self._wishes.append((self._age, wish))
            self._start()
            self._there_is_work.set()
        return None

    def has_failed(self, wish: Wish) -> bool:
        """Whether there is no way to make a picture, because its slide cannot be read."""
        return wish in self._failed

    @property
    def has_failures(self) -> bool:
        """Whether any picture could not be made."""
        return bool(self._failed)

    def forget(self) -> None:
        """Drop everything, as for another project or slides that were found again; their files are opened anew."""
        self._age += 1
        self._wishes.clear()
        self._requested.clear()
        self._kept.clear()
        self._failed.clear()
        self._bytes = 0
        # Also without a wish: a file that is held open cannot be moved on every system.
        self._there_is_work.set()

    def close(self) -> None:
        """Stop; the picture in hand is waited for."""
        self._closed = True
        self._wishes.clear()
        self._there_is_work.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="crops", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        slides: OrderedDict[Path, Slide | None] = OrderedDict()
        opened_in = self._age
        wish: Wish | None
        while not self._closed:
            self._there_is_work.wait()
            self._there_is_work.clear()
            while not self._closed:
                try:
                    age, wish = self._wishes.pop()
                except IndexError:
                    age, wish = self._age, None
                if age != opened_in:
                    _let_go(slides)
                    opened_in = age
                if wish is None:
                    break
                self._made.emit(wish, self._cut(wish, slides), age)
        _let_go(slides)

    def _cut(self, wish: Wish, slides: OrderedDict[Path, Slide | None]) -> QImage | None:
        try:
            if wish.path not in slides:
                # Noted before it is tried: a file that cannot be opened is not tried for each of its cells.
                slides[wish.path] = None
                slides[wish.path] = open_slide(wish.path)
            slides.move_to_end(wish.path)
            if len(slides) > MOST_SLIDES and (oldest := slides.popitem(last=False)[1]) is not None:
                oldest.close()
            slide = slides[wish.path]
            return (
                None if slide is None else image_of(cell_crop(slide, wish.key[1], wish.mpp, wish.side_px), wish.side_px)
            )
        except (CytoError, OSError, ValueError):
            # Shown without a picture; going to the cell says what is wrong with its slide.
            return None

    def _keep(self, wish: Wish, image: QImage | None, age: int) -> None:
        if age != self._age or wish not in self._requested:
            return
        self._requested.discard(wish)
        if image is None:
            self._failed.add(wish)
        else:
            pixmap = self._kept[wish] = QPixmap.fromImage(image)
            self._bytes += _nbytes(pixmap)
            while self._bytes > MOST_BYTES:
                self._bytes -= _nbytes(self._kept.popitem(last=False)[1])
        self.ready.emit(wish.key[0])


def cell_crop(slide: Slide, centre_yx: YX, mpp: float | None, side_px: int) -> npt.NDArray[np.uint8]:
    """Return a cell with its surroundings, uint8 RGB ``(h, w, 3)``, through the slide's tile cache.

    Parameters
    ----------
    slide : Slide
        Where the cell lies.
    centre_yx : (y, x)
        Level-0 px.
    mpp : float or None
        µm per level-0 px.
    side_px : int
        As large as the picture is drawn; it is read from the coarsest level that has as many px.
    """
    side0 = WINDOW_UM / mpp if mpp else float(WINDOW_PX)
    enough = [n for n, factors in enumerate(slide.info.factors_yx) if side0 / max(factors) >= side_px]
    level = enough[-1] if enough else 0
    fy, fx = slide.info.factors_yx[level]
    height, width = max(1, round(side0 / fy)), max(1, round(side0 / fx))
    y0, x0 = round((centre_yx[0] - side0 / 2) / fy), round((centre_yx[1] - side0 / 2) / fx)
    return slide.read_region(level, y0, x0, height, width)


def _let_go(slides: OrderedDict[Path, Slide | None]) -> None:
    for slide in slides.values():
        if slide is not None:
            slide.close()
    slides.clear()


def _nbytes(pixmap: QPixmap) -> int:
    return int(pixmap.width() * pixmap.height() * 4)
