"""Cells of the slide on screen extracted without a person, from the Predict dock."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX, clipped
from napari_cyto.errors import CytoError
from napari_cyto.inference.extract.extraction import Extraction
from napari_cyto.inference.extract.job import extract
from napari_cyto.inference.extract.options import ExtractOptions, ExtractRequest
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.options_form import OptionsForm

HINT = "Finds nuclei, parts those that touch, keeps them by size and roundness, and adds a box round each for review."
_HIDDEN = frozenset(ExtractOptions.model_fields) - {"mask", "class_id", "least_area_um2", "least_roundness", "pad_um"}


class ExtractionBox(QWidget):
    """Adds boxes round all single cells of the slide, or of the field in view, as predictions to review."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.form = OptionsForm()
        self.form.show_model(ExtractOptions, _HIDDEN)
        self.here = parts.button(
            "Extract in view", "Extracts the cells of the field in view.", self.extract_here, name="extract in view"
        )
        self.all = parts.button(
            "Extract slide", "Extracts the cells of the whole slide.", self.extract_slide, name="extract slide"
        )
        self.job = JobBar()
        self.job.ended.connect(self._ended)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (parts.text(HINT, colour=style.QUIET), self.form, parts.row(self.here, self.all), self.job):
            layout.addWidget(widget)
        self.show_state()

    def show_state(self) -> None:
        """Offer what can be done now."""
        for button in (self.here, self.all):
            button.setEnabled(self._session.slide is not None and not self.job.running)

    def extract_here(self) -> None:
        """Extract the cells of the field in view."""
        with self._session.telling():
            view, slide = self._session.view_yxyx, self._session.need_slide()
            inside = None if view is None else clipped(view, slide.size_hw or (float("inf"), float("inf")))
            if inside is None:
                raise CytoError("The view is outside the slide; go back to the slide first.")
            self._run(inside)

    def extract_slide(self) -> None:
        """Extract the cells of the whole slide."""
        with self._session.telling():
            self._run(None)

    def _run(self, region_yxyx: YXYX | None) -> None:
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
        self.job.run(extract, {"request": request}, "Starting…")
        self.show_state()

    def _ended(self, event: Done | Failed | Cancelled) -> None:
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
