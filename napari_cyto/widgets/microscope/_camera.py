"""Takes snapshots of a window's view, to a file or to the clipboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_cyto.errors import CytoError
from napari_cyto.files.safe_names import safe_name
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import Canvas, napari_window
from napari_cyto.widgets.microscope._snapshot import SUFFIXES, Snapshot, snapshot, write

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.widgets.slide_layer import SlideImage

_WAIT_S = 3.0
_FILTER = "PNG image (*.png);;TIFF image (*.tif *.tiff)"


class Camera:
    """Takes snapshots.

    Parameters
    ----------
    viewer : napari.Viewer
        Of whose view.
    session : Session
        Whose slide that shows.
    canvas : Canvas
        Whose annotations are left out, or not.
    slide_layer : callable
        Returns the layer of the slide on screen, or None.
    words : callable
        Says how the view differs from the file: magnification, light and the like.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        canvas: Canvas,
        slide_layer: Callable[[], SlideImage | None],
        words: Callable[[], str],
    ) -> None:
        self._viewer, self._session, self._canvas = viewer, session, canvas
        self._slide_layer, self._words = slide_layer, words
        self._folder: Path | None = None
        self.commands: Mapping[str, Callable[[], object]] = {
            "snapshot": self.save,
            "snapshot.annotations": lambda: self.save(annotated=True),
            "snapshot.copy": self.copy,
        }

    def take(self, *, annotated: bool = False) -> Snapshot:
        """Return an image of the view, once its pixels are sharp.

        Raises
        ------
        CytoError
            When the slide's pixels are not there, or not yet.
        """
        layer, slide = self._slide_layer(), self._session.need_slide()
        if layer is None:
            raise CytoError("A snapshot needs the slide's pixels, but its file is not open.")
        until_s = time.monotonic() + _WAIT_S
        while not layer.sharp and time.monotonic() < until_s:
            QApplication.processEvents()
        if not layer.sharp:
            raise CytoError("The view is still being read from the file, so a snapshot would be blurred; try again.")
        said = [slide.name, self._words()]
        shows_cells = annotated and not self._canvas.is_hidden
        said.append("with annotations" if shows_cells else "without annotations")
        per_px = 1 / float(napari_window.camera_of(self._viewer).zoom) if slide.mpp else None
        return snapshot(
            self._viewer, None if shows_cells else self._canvas.layers.cells, per_px, "; ".join(filter(None, said))
        )

    def save(self, *, annotated: bool = False) -> None:
        """Ask for a file name, and write the view there; no file is replaced."""
        with self._session.telling():
            taken = self.take(annotated=annotated)
            stem = safe_name(Path(self._session.need_slide().name).stem)
            folder = self._folder or self._session.need_project().folder.parent
            # Whether there is a file is seen to here, for any name: nothing is replaced.
            named, kind = QFileDialog.getSaveFileName(
                napari_window.qt_window(self._viewer),
                "Save the view as an image",
                str(folder / f"{stem} view.png"),
                _FILTER,
                options=QFileDialog.Option.DontConfirmOverwrite,
            )
            if not named:
                return
            path = Path(named)
            if path.suffix.lower() not in SUFFIXES:
                path = path.with_name(path.name + (".tif" if "TIFF" in kind else ".png"))
            write(taken, path)
            self._folder = path.parent
            self._session.message.emit(f"Saved {path.name}: {taken.caption}.")

    def copy(self) -> None:
        """Put the view on the clipboard."""
        with self._session.telling():
            taken = self.take()
            QApplication.clipboard().setImage(_qt_image(taken.image))
            self._session.message.emit(f"Copied the view: {taken.caption}.")


def _qt_image(image: Image.Image) -> QImage:
    pixels = image.tobytes()
    return QImage(pixels, image.width, image.height, 3 * image.width, QImage.Format.Format_RGB888).copy()
