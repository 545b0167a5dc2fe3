"""Colours matched to a picture that the user picks: off by default, and looked at side by side before it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QVBoxLayout, QWidget

from napari_cyto.datasets.colour_preview import preview_colour
from napari_cyto.jobs.events import Done
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check
from napari_cyto.widgets.docks.image_label import ImageView
from napari_cyto.widgets.docks.job_bar import JobBar

IMAGE_FILTER = "Images (*.png *.jpg *.jpeg *.tif *.tiff)"
TIP = (
    "Matches the colours of every cell to those of one image (Reinhard, in LAB), for slides of several "
    "laboratories that differ in stain. The model stores the image's statistics and applies the same when it "
    "is used."
)


class TrainColour(QWidget):
    """Which picture colours are matched to, if any; ``changed`` speaks when the user changes it."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.on = Check("Match colours to an image")
        self.on.setToolTip(TIP)
        self.on.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.on.toggled.connect(lambda _on: self._show())
        self.path = QLineEdit()
        self.path.setPlaceholderText("image with a typical stain")
        self.path.setToolTip("Image whose colours are the target")
        self.path.setAccessibleName("target image for colours")
        self.path.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.path.editingFinished.connect(self._show)
        self.browse = parts.button("Choose…", "Opens a dialog to choose the image.", self.ask, icon="open")
        self.looking = JobBar()
        self.looking.ended.connect(self._looked)
        self.shown = QWidget()
        self._images = QVBoxLayout(self.shown)
        parts.tighten(self._images)
        self.row = parts.row(self.path, self.browse, stretch=0)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.on, self.row, self.looking, self.shown):
            layout.addWidget(widget)
        self._show()

    def target(self) -> str | None:
        """Return the picture's path; None while colours stay as they are."""
        words = self.path.text().strip()
        return words if self.on.isChecked() and words else None

    def ask(self) -> None:
        """Ask for the picture."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Target image for colours", self.path.text(), IMAGE_FILTER)
        if chosen:
            self.path.setText(chosen)
            self._show()

    def let_go(self) -> None:
        """Stop what still runs."""
        self.looking.close_job()

    def cancel_jobs(self) -> None:
        """Ask what still runs to stop, without waiting for it."""
        self.looking.stop()

    def _show(self) -> None:
        self.row.setVisible(self.on.isChecked())
        self._clear()
        target = self.target()
        if target is None:
            self.looking.say("")
        elif self._sample() is None:
            self.looking.say("Open a slide to preview this.", style.QUIET)
        else:
            arguments = {"target": Path(target), "slide": self._sample()}
            self.looking.run(preview_colour, arguments, "Matching colours…")
        self.changed.emit()

    def _sample(self) -> Path | None:
        project, slide = self.session.project, self.session.slide
        return None if project is None or slide is None or not slide.path else project.slide_path(slide)

    def _clear(self) -> None:
        while self._images.count():
            widget = self._images.takeAt(0).widget()
            parts.discard(widget)

    def _looked(self, event: object) -> None:
        if not isinstance(event, Done):
            return
        self._clear()
        self.looking.say("")
        pair = []
        for name, words in (("before", "As scanned"), ("after", "As the model sees it")):
            image = ImageView(words, np.asarray(event.result[name], dtype=np.uint8))
            image.setToolTip(f"{words}: the slide on screen.")
            caption = parts.text(words, colour=style.QUIET)
            caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            pair.append(parts.column(image, caption))
        self._images.addWidget(parts.row(*pair))
