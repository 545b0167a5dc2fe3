"""Small pictures of slides, read in a thread so that a list of hundreds never waits for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QImage

from napari_cyto.errors import CytoError, SlideError
from napari_cyto.slides import open_slide, thumbnail

SIDE_PX = 96
# A slide without small levels would have to be read whole; beyond this that costs more than a picture is worth.
READ_AT_MOST_PX = 30_000_000


class ThumbnailLoader(QObject):
    """Reads one picture after the other; ``ready`` carries the slide id and the picture, in the window's thread."""

    ready = Signal(str, QImage)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._threads: ThreadPoolExecutor | None = None
        self._requested: set[str] = set()
        self._closed = False

    def ask(self, slide_id: str, path: Path) -> None:
        """Have the picture of a slide read, once."""
        if slide_id in self._requested or self._closed:
            return
        self._requested.add(slide_id)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "thumbnails")
        self._threads.submit(self._read, slide_id, path)

    def forget(self) -> None:
        """Let all pictures be asked for again, as for another project."""
        self._requested.clear()

    def close(self) -> None:
        """Stop; the picture being read is waited for."""
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _read(self, slide_id: str, path: Path) -> None:
        try:
            pixels = slide_thumbnail(path)
        except (CytoError, OSError, ValueError):
            # The list shows the slide without a picture; opening it says what is wrong.
            return
        if not self._closed:
            self.ready.emit(slide_id, image_of(pixels, SIDE_PX))


def slide_thumbnail(path: Path) -> npt.NDArray[np.uint8]:
    """Return a small RGB picture of a slide, uint8 ``(h, w, 3)``.

    Raises
    ------
    SlideError
        When the slide cannot be opened, or has no level that is small enough.
    """
    with open_slide(path) as slide:
        height, width = slide.info.level_sizes_hw[-1]
        if height * width <= READ_AT_MOST_PX:
            return thumbnail(slide, 2 * SIDE_PX)
        if "thumbnail" not in slide.info.associated:
            raise SlideError(f"{slide.info.name} has no level small enough for a thumbnail.")
        return slide.associated("thumbnail")


def image_of(rgb: npt.NDArray[np.uint8], side_px: int) -> QImage:
    """Return uint8 RGB pixels ``(h, w, 3)`` as a picture that fits into a square of ``side_px``."""
    # Every so many pixels first: smooth scaling of a large picture in one go is slow.
    step = max(1, min(rgb.shape[:2]) // (4 * side_px))
    small = np.ascontiguousarray(rgb[::step, ::step, :3])
    height, width = small.shape[:2]
    image = QImage(small.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.scaled(
        side_px, side_px, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    ).copy()
