"""Training a model of whole slides in the Train dock: how many slides there are to learn from, and the settings."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.domain.interpretation import UNSATISFACTORY, is_at_least
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.training.slide.slide_config import SlideTrainConfig
from napari_cyto.vectors import vector_kinds
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.options_form import OptionsForm
from napari_cyto.widgets.docks.section import Section

SHOWN = ("positive", "bag", "encoder", "seeds", "epochs", "class_weights", "held_out", "checks")
WORDS = (
    "Learns from the interpretations of this project's slides alone: which cells make a slide positive, it finds out "
    "by itself (attention multiple-instance learning). It needs dozens of slides, not cells with classes."
)


class SlideTraining(QWidget):
    """The settings of a run on whole slides; ``requested`` speaks when it shall start."""

    requested = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.counts = parts.text()
        self.form = OptionsForm()
        hidden = [name for name in SlideTrainConfig.model_fields if name not in SHOWN]
        self.form.show_model(SlideTrainConfig, hidden)
        self.form.changed.connect(self.show_project)
        self.start = parts.button(
            "Train on slides",
            "Trains in a separate process; you can keep annotating, or close the window. The model has the name that "
            "you type below; else its recipe and the day.",
            self.requested.emit,
            icon="next",
        )
        content = parts.column(parts.text(WORDS, colour=style.QUIET), self.counts, self.form, self.start)
        self.section = Section("Model of whole slides", content, tip="Trains on the interpretations of slides")
        self.section.toggled.connect(lambda _open: self.show_project())
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.section)
        self.show_project()

    def config(self) -> SlideTrainConfig:
        """Return the settings.

        Raises
        ------
        CytoError
            When one is out of its range.
        """
        return SlideTrainConfig.model_validate(self.form.values())

    def show_project(self) -> None:
        """Say how many slides there are to learn from."""
        project = self._session.project
        self.section.setEnabled(project is not None)
        if project is None or not self.section.is_open:
            return
        said = [s.interpretation.category for s in project.slides() if s.interpretation is not None]
        usable = [category for category in said if category != UNSATISFACTORY]
        try:
            config = self.config()
        except (CytoError, ValueError) as error:
            self.counts.setText(str(error))
            self.start.setEnabled(False)
            return
        positive = sum(is_at_least(category, config.positive) for category in usable)
        words = f"{counted(len(usable), 'slide')} with an interpretation, {positive:,} {config.positive} or worse."
        kinds = vector_kinds(project)
        if config.bag == "cells" and not kinds:
            words += " The cells have no vectors yet; make them with: napari-cyto embed."
        elif config.bag == "cells":
            words += f" Vectors by {kinds[0].encoder}."
        else:
            words += f" Patches by {config.patch_encoder(kinds)}."
        self.counts.setText(words)
        can_start = min(positive, len(usable) - positive) >= 2 and bool(kinds or config.bag == "patches")
        self.start.setEnabled(can_start)
