"""How much of the slide was looked at, near enough, by whom; with a map of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.coverage import MAGNIFICATIONS, Coverage
from napari_cyto.reporting.images import LOOKED_RGB
from napari_cyto.reporting.slide_facts import LOOKED_METHOD
from napari_cyto.reporting.stored_facts import count_from, magnification_for, survey_of
from napari_cyto.session import Session
from napari_cyto.session.coverage_recorder import CoverageRecorder
from napari_cyto.slides import Slide
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.run_when_visible import WhenSeen
from napari_cyto.widgets.overview import OverviewMap

REST_MS = 500


class ResultSeen(QWidget):
    """Shows a recorder's map and shares, while somebody looks at them."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.recorder: CoverageRecorder | None = None
        self._mapped: Slide | None = None
        self._tissue: npt.NDArray[np.bool_] | None = None
        self.magnification = Choice()
        self.magnification.setToolTip("Lowest magnification that counts as viewed; saved with the project.")
        self.magnification.setAccessibleName("magnification")
        self.magnification.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for each in MAGNIFICATIONS:
            self.magnification.addItem(f"{each:g}x or more", each)
        self.magnification.activated.connect(lambda _index: self._choose())
        self.words = parts.text(bold=True)
        self.words.setToolTip(LOOKED_METHOD)
        self.people = parts.text(colour=style.QUIET)
        self.map = CoverageMap()
        self.map.jumped.connect(lambda y, x: session.jump((y, x)))
        self._show_soon = WhenSeen(self, self._show, REST_MS)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for block in (parts.row(parts.text("Viewed at"), self.magnification), self.words, self.people, self.map):
            layout.addWidget(block)

    def watch(self, recorder: CoverageRecorder) -> None:
        """Show what a recorder takes down."""
        self.recorder = recorder
        recorder.grown.connect(self._soon)
        self._show()

    def let_go(self) -> None:
        """Stop listening."""
        self._show_soon.stop()
        self.map.let_go()
        if self.recorder is not None:
            self.recorder.grown.disconnect(self._soon, missing_ok=True)

    def show_slide(self) -> None:
        """Show the slide that is on screen now."""
        project, slide = self._session.project, self._session.slide
        self.setEnabled(project is not None and slide is not None)
        if project is not None:
            self.magnification.setCurrentIndex(self.magnification.findData(magnification_for(project)))
        self._tissue = None
        if project is not None and slide is not None:
            found = survey_of(project, slide.id)
            self._tissue = None if found is None else found.tissue
        self._show()

    def set_view(self, *view_yxyx: float) -> None:
        """Mark what is on screen, level-0 px."""
        y0, x0, y1, x1 = view_yxyx
        self.map.set_view((y0, x0, y1, x1))

    def _soon(self, *_values: Any) -> None:
        # One pans without a rest, and the map grows all the while.
        if not self._show_soon.is_requested and self._show_soon.is_now():
            self._show_soon.ask()

    def _choose(self) -> None:
        with self._session.telling():
            count_from(self._session.need_project(), float(self.magnification.currentData()))
        self._show()

    def _show(self) -> None:
        if not self._show_soon.is_now():
            return
        handle = self._session.open_slide_handle
        if handle is not self._mapped:
            self._mapped = handle
            self.map.set_slide(handle)
            if self._session.view_yxyx is not None:
                self.map.set_view(self._session.view_yxyx)
        everybody = None if self.recorder is None else self.recorder.everybody()
        magnification = float(self.magnification.currentData())
        self.map.setVisible(handle is not None)
        self.map.show_coverage(everybody, magnification)
        self._report(magnification)

    def _report(self, magnification: float) -> None:
        slide, recorder = self._session.slide, self.recorder
        self.people.setVisible(False)
        if slide is None or recorder is None or recorder.mine is None:
            self.words.setText("")
            return
        if slide.mpp is None:
            self.words.setText("Enter the pixel size in the Slide dock; without it the magnification is unknown.")
            return
        everybody = recorder.everybody()
        assert everybody is not None
        of = "tissue" if self._tissue is not None and self._tissue.any() else "slide"
        share = everybody.share(magnification, self._tissue)
        self.words.setText(f"{percent(share)} of the {of}")
        if recorder.others:
            shares = {"you": recorder.mine, **recorder.others}
            shown_shares = (
                f"{name} {percent(seen.share(magnification, self._tissue))}" for name, seen in shares.items()
            )
            self.people.setText(", ".join(shown_shares))
            self.people.setVisible(True)


def percent(share: float) -> str:
    """Return a share as people read it: never 0 % of what was begun, nor 100 % of what lacks something."""
    if 0 < share < 0.01:
        return "under 1 %"
    return f"{min(99, round(100 * share)) if share < 1 else 100} %"


_LONGEST_PX = 320
_TALLEST_PX = 150
_OPACITY = 0.42


class CoverageMap(OverviewMap):
    """An overview that shows which part of the slide was looked at near enough."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._looked: QImage | None = None
        self.setMaximumHeight(_TALLEST_PX)
        self.setToolTip("Green: viewed. The frame is the current view. Click or drag to go there, arrow keys to step.")
        self.setAccessibleName("Map of the viewed area")

    def show_coverage(self, seen: Coverage | None, magnification: float) -> None:
        """Tint what was looked at with a magnification or beyond."""
        self._looked = None if seen is None else _image(seen, magnification)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the slide, and the tint over it."""
        super().paintEvent(event)
        if self._pixmap is None or self._looked is None:
            return
        painter = QPainter(self)
        painter.setOpacity(_OPACITY)
        painter.drawImage(self.map_rect(), self._looked, QRectF(self._looked.rect()))
        painter.end()


def _image(seen: Coverage, magnification: float) -> QImage:
    height, width = seen.size_hw
    scale = _LONGEST_PX / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    pixels = np.zeros((*shape, 4), np.uint8)
    # Qt's ARGB words lie in memory as blue, green, red, alpha.
    pixels[seen.as_mask(magnification, shape)] = (*reversed(LOOKED_RGB), 255)
    return QImage(pixels.tobytes(), shape[1], shape[0], 4 * shape[1], QImage.Format.Format_ARGB32).copy()
