"""A button that offers the µm per px that the size of nuclei suggests, wherever somebody is to state it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_cyto.domain.statistics.nuclear_scale import ScaleEstimate
from napari_cyto.errors import CytoError
from napari_cyto.slides import open_slide
from napari_cyto.slides.nuclear_scale import estimate_scale
from napari_cyto.slides.pixel_source import Pixels, SlidePixels
from napari_cyto.widgets.background import Background
from napari_cyto.widgets.docks import parts

TIP = "Compares the size of the nuclei with their usual one. Nothing is stored until you confirm the number."


class ScaleOffer(QWidget):
    """Estimates in the background and says what was found; ``found`` carries µm per px for a field to propose.

    Parameters
    ----------
    images : callable, optional
        Returns what to look at, or None where there is nothing; without it, a dialog asks for image files.
    """

    found = Signal(float)

    def __init__(self, images: Callable[[], Sequence[Pixels] | None] | None = None) -> None:
        super().__init__()
        self._images = images
        words = "Estimate from nuclei" if images is not None else "Estimate µm per px from an image…"
        self.estimate = parts.button(words, TIP, self.start)
        self.estimated = parts.text()
        self.estimated.hide()
        self._background: Background | None = None
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.estimate)
        layout.addWidget(self.estimated)

    def start(self) -> None:
        """Estimate, and show the sentence; only the user takes the number over."""
        if self._images is not None:
            images = self._images()
            work = None if images is None else partial(estimate_scale, images)
        else:
            paths, _ = QFileDialog.getOpenFileNames(self, "Choose images of one scale")
            images, work = paths, partial(_of_files, paths) if paths else None
        if work is None:
            return
        self.estimate.setEnabled(False)
        self.say("Measuring nuclei …")
        self._background = self._background or Background(self)
        self._background(work, partial(self._show, images))

    def let_go(self) -> None:
        """Hear no more of an estimate that is being made."""
        if self._background is not None:
            self._background.close()
            self._background = None
            self.estimate.setEnabled(True)

    def say(self, words: str) -> None:
        """Show what was found, or nothing."""
        self.estimated.setText(words)
        self.estimated.setVisible(bool(words))

    def _show(self, seen: object, outcome: Callable[[], ScaleEstimate]) -> None:
        self.estimate.setEnabled(True)
        if self._images is not None and self._is_other(seen):
            self.say("")
            return
        try:
            found = outcome()
        except CytoError as error:
            self.say(str(error))
            return
        self.say(found.sentence)
        if found.mpp is not None:
            self.found.emit(found.mpp)

    def _is_other(self, seen: object) -> bool:
        """Whether another slide is on screen by now."""
        assert self._images is not None
        return _slides(self._images()) != _slides(seen)


def _slides(images: object) -> list[object]:
    return [each.slide for each in images if isinstance(each, SlidePixels)] if isinstance(images, Sequence) else []


def _of_files(paths: Sequence[str]) -> ScaleEstimate:
    """Return what the nuclei of image files say.

    Raises
    ------
    SlideError
        When one cannot be read.
    """
    opened = [open_slide(path) for path in paths]
    try:
        return estimate_scale([SlidePixels(slide) for slide in opened])
    finally:
        for slide in opened:
            slide.close()
