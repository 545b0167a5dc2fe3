"""Asks how many µm a pixel measures, where the file does not say it or says nonsense, and takes corrections."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QVBoxLayout, QWidget

from napari_cyto.session import Session
from napari_cyto.slides.pixel_source import Pixels, SlidePixels
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.scale_offer import ScaleOffer

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
        self.offer = ScaleOffer(self._slide)
        self.offer.found.connect(self.value.setValue)
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
        layout.addWidget(self.offer)
        self.stored.connect(self.hide)

    def show_correction(self, mpp: float) -> None:
        """Ask for another value than the one that is known."""
        self.question.setText(f"Current pixel size: {mpp:.4g} µm. Enter the correct one.")
        self.value.setValue(mpp)

    def show_slide(self, rejected: str, objective: float | None) -> None:
        """Ask, saying why: ``rejected`` is the reason why the file's own statement is not believed."""
        self.offer.say("")
        why = rejected or "The file does not state the pixel size."
        self.question.setText(f"{why} It is needed for sizes in µm.")
        if objective:
            # 10 µm of camera pixel over the magnification is where most scanners lie.
            self.value.setValue(10.0 / objective)
        else:
            self.value.setValue(USUAL_UM["40x"])

    def let_go(self) -> None:
        """Hear no more of an estimate that is being made."""
        self.offer.let_go()

    def _slide(self) -> list[Pixels] | None:
        slide = self.session.open_slide_handle
        return None if slide is None else [SlidePixels(slide)]

    def _use(self, um: float) -> None:
        self.value.setValue(um)
        self.store()

    def store(self) -> None:
        """Keep the answer with the project."""
        with self.session.telling():
            self.session.facts.set_mpp(float(self.value.value()))
            self.stored.emit()
        parts.focus_canvas(self)
