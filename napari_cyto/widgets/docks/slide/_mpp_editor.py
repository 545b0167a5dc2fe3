"""Asks how many µm a pixel measures, where the file does not say it or says nonsense, and takes corrections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QVBoxLayout, QWidget

from napari_cyto.domain.statistics.nuclear_scale import ScaleEstimate
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.slides import Slide
from napari_cyto.slides.nuclear_scale import estimate_scale
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM
from napari_cyto.widgets import style
from napari_cyto.widgets.background import Background
from napari_cyto.widgets.docks import parts

# What scanners give at 20x and 40x. Source: openslide.mpp-x of Aperio and 3DHISTECH scans.
USUAL_UM = {"20x": 0.5, "40x": 0.25}


class MppEditor(QWidget):
    """A question, a number, two usual answers, and a button that stores the answer with the project."""

    stored = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.question = parts.text(colour=style.WARN)
        self.value = QDoubleSpinBox()
        self.value.setRange(MPP_MIN_UM, MPP_MAX_UM)
        self.value.setDecimals(4)
        self.value.setSingleStep(0.01)
        self.value.setSuffix(" µm")
        self.value.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.value.setAccessibleName("µm per pixel")
        self.value.setToolTip("Width of one pixel at full resolution, in µm.")
        self.value.lineEdit().returnPressed.connect(self.store)
        self.use = parts.button("Set", "Saves the pixel size with the project; it can be corrected later.", self.store)
        self.estimate = parts.button(
            "Estimate from nuclei",
            "Compares the size of the nuclei with their usual one. Nothing is stored until you press Set.",
            self._estimate,
        )
        self.estimated = parts.text()
        self.estimated.hide()
        self._background = Background(self)
        usual = [
            parts.button(
                f"{name}: {um} µm",
                f"Sets {um} µm, as most scanners give with a {name} objective.",
                partial(self._use, um),
            )
            for name, um in USUAL_UM.items()
        ]
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.question)
        layout.addWidget(parts.row(*usual))
        layout.addWidget(parts.row(self.value, self.use, stretch=0))
        layout.addWidget(self.estimate)
        layout.addWidget(self.estimated)
        self.stored.connect(self.hide)

    def show_correction(self, mpp: float) -> None:
        """Ask for another value than the one that is known."""
        self.question.setText(f"Current pixel size: {mpp:.4g} µm. Enter the correct one.")
        self.value.setValue(mpp)

    def show_slide(self, rejected: str, objective: float | None) -> None:
        """Ask, saying why: ``rejected`` is the reason why the file's own statement is not believed."""
        self._say("")
        why = rejected or "The file does not state the pixel size."
        self.question.setText(f"{why} It is needed for sizes in µm.")
        if objective:
            # 10 µm of camera pixel over the magnification is where most scanners lie.
            self.value.setValue(10.0 / objective)
        else:
            self.value.setValue(USUAL_UM["40x"])

    def let_go(self) -> None:
        """Hear no more of an estimate that is being made."""
        self._background.close()

    def _estimate(self) -> None:
        """Estimate the pixel size of the slide on screen, and show it; only the user stores it."""
        slide = self.session.open_slide_handle
        if slide is None:
            return
        self.estimate.setEnabled(False)
        self._say("Measuring nuclei …")
        self._background(partial(estimate_scale, [SlidePixels(slide)]), partial(self._show_estimate, slide))

    def _show_estimate(self, slide: Slide, outcome: Callable[[], ScaleEstimate]) -> None:
        self.estimate.setEnabled(True)
        if slide is not self.session.open_slide_handle:
            self._say("")
            return
        try:
            found = outcome()
        except CytoError as error:
            self._say(str(error))
            return
        self._say(found.sentence)
        if found.mpp is not None:
            self.value.setValue(found.mpp)

    def _say(self, words: str) -> None:
        self.estimated.setText(words)
        self.estimated.setVisible(bool(words))

    def _use(self, um: float) -> None:
        self.value.setValue(um)
        self.store()

    def store(self) -> None:
        """Keep the answer with the project."""
        with self.session.telling():
            self.session.facts.set_mpp(float(self.value.value()))
            self.stored.emit()
        parts.focus_canvas(self)
