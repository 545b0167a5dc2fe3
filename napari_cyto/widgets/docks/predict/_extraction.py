"""Cells of the slide on screen extracted without a person, from the Predict dock."""

from __future__ import annotations

from psygnal import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError
from napari_cyto.inference.extract.extraction import Extraction
from napari_cyto.inference.extract.job import extract
from napari_cyto.inference.extract.options import ExtractOptions, ExtractRequest
from napari_cyto.inference.extract.shown_steps import ShownSteps, show_steps
from napari_cyto.jobs.child import JobFunction
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.options_form import NUMBER_PX, OptionsForm
from napari_cyto.widgets.docks.predict._predictor import on_slide

HINT = "Finds nuclei, parts those that touch, keeps them by size and roundness, and adds a box round each for review."
LEGEND = "Green: kept, white: its box. Orange: left out by area, magenta: by roundness, red: too large a clump."
_HIDDEN = frozenset(ExtractOptions.model_fields) - {"mask", "class_id", "least_area_um2", "least_roundness", "pad_um"}


class ExtractionBox(QWidget):
    """Adds boxes round all single cells of the slide, or of the field in view, as predictions to review.

    ``shown`` carries the steps that are to be drawn over the slide, or None.
    """

    shown = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.form = OptionsForm()
        self.form.show_model(ExtractOptions, _HIDDEN)
        for control in self.form.controls.values():
            # "not set" is to be read in full.
            control.widget.setMinimumWidth(NUMBER_PX)
        self.here = parts.button(
            "Extract in view", "Extracts the cells of the field in view.", self.extract_here, name="extract in view"
        )
        self.all = parts.button(
            "Extract slide", "Extracts the cells of the whole slide.", self.extract_slide, name="extract slide"
        )
        self.steps = parts.toggle(
            "Show the steps in view",
            "Draws what the options keep and leave out of the field in view; nothing is added.",
            self.show_steps_here,
            name="show the steps of the extraction",
        )
        self.legend = parts.text(LEGEND, colour=style.QUIET)
        self.legend.hide()
        self.job = JobBar()
        self.job.ended.connect(self._ended)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (
            parts.text(HINT, colour=style.QUIET),
            self.form,
            self.steps,
            self.legend,
            parts.row(self.here, self.all),
            self.job,
        ):
            layout.addWidget(widget)
        self.show_state()

    def show_state(self) -> None:
        """Offer what can be done now."""
        for button in (self.here, self.all, self.steps):
            button.setEnabled(self._session.slide is not None and not self.job.running)

    def forget_steps(self) -> None:
        """Draw no steps any more: they were of another slide."""
        self._draw(None)

    def extract_here(self) -> None:
        """Extract the cells of the field in view."""
        with self._session.telling():
            self._run(self._view())

    def show_steps_here(self) -> None:
        """Draw the steps in the field in view, or no longer."""
        if not self.steps.isChecked():
            self._draw(None)
            return
        self.steps.setChecked(False)
        with self._session.telling():
            self._run(self._view(), show_steps)

    def extract_slide(self) -> None:
        """Extract the cells of the whole slide."""
        with self._session.telling():
            self._run(None)

    def _view(self) -> YXYX:
        view = self._session.view_yxyx
        if view is None:
            raise CytoError("The view is outside the slide; go back to the slide first.")
        return on_slide(view, self._session.need_slide())

    def _draw(self, steps: ShownSteps | None) -> None:
        self.steps.setChecked(steps is not None)
        self.legend.setVisible(steps is not None)
        self.shown.emit(steps)

    def _run(self, region_yxyx: YXYX | None, job: JobFunction = extract) -> None:
        project, slide = self._session.need_project(), self._session.need_slide()
        if not slide.path:
            raise CytoError(f"{slide.name}: its image file is missing; attach it in the Slides dock first.")
        request = ExtractRequest(
            slides=(project.slide_path(slide),),
            out=project.folder,
            region_yxyx=region_yxyx,
            author=self._session.author,
            **({"mpp": slide.mpp} | {k: v for k, v in self.form.values().items() if v not in (None, "")}),
        )
        self.job.run(job, {"request": request}, "Starting…")
        self.show_state()

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        if isinstance(event, Done) and isinstance(event.result, ShownSteps):
            self._draw(event.result)
            self.show_state()
            return
        if isinstance(event, Done):
            self.job.say("\n".join((*_words(event.result), *self.job.notes)), style.GOOD)
        self._session.annotations_changed.emit(None)
        self.show_state()


def _words(made: Extraction) -> list[str]:
    each = made.done[0]
    fates = each.fates
    there = f", {each.there_before:,} had an annotation before" if each.there_before else ""
    return [
        f"{counted(each.written, 'cell')} added for review{there}.",
        f"Left out: {fates.too_small:,} too small, {fates.too_large:,} too large, {fates.not_round:,} not round, "
        f"{counted(fates.large_components, 'large clump')}.",
    ]
