"""A recipe's settings as forms made from its config: the few that matter in sight, the others under More."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.training.config import ClassifierConfig, DetectorConfig, EncoderConfig, PhaseConfig, TrainConfig
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.options_form import OptionsForm
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.train.words import TITLES, value_words

MAIN_OF_MODEL: Mapping[type[BaseModel], tuple[str, ...]] = {
    ClassifierConfig: ("sampling", "ordinal_weight"),
    DetectorConfig: ("mpp", "radius_um", "max_per_cell"),
    EncoderConfig: ("weights", "relevance", "scale_by_nuclei"),
}
# Of an encoder's method a recipe file has the rest, which nobody sets by hand.
REST_OF_ENCODER = ("backbone", "tokens", "window_um")
REST_OF_ENCODERS_RUN = ("seed", "precision", "devices", "licence", "attribution", "limits")
# How much of a cell and its surroundings a classifier sees, and how large.
MAIN_OF_CROP = ("windows", "unit", "size_px")
MAIN_OF_PATCHES = ("per_slide", "small_images")
MAIN_OF_PHASE = ("epochs",)
MAIN_OF_RUN = ("batch",)
# What has a place of its own in the dock, or is no setting.
ELSEWHERE = ("name", "title", "summary", "source", "reinhard_target", "kind", "scheme")


class _Part:
    """A form of some fields of one model of the config; remembers what it showed, to tell what the user changed."""

    def __init__(self, shown: BaseModel, only: tuple[str, ...] | None, without: tuple[str, ...]) -> None:
        fields = type(shown).model_fields
        hidden = [n for n in fields if n in ELSEWHERE or n in without or (only is not None and n not in only)]
        self.form = OptionsForm()
        self.form.show_model(type(shown), hidden, TITLES, value_words)
        self.form.set_values(shown.model_dump())
        self._before = {name: control.read() for name, control in self.form.controls.items()}

    def changes(self) -> dict[str, Any]:
        """Return the values that the user changed; a control may not show all places of a number."""
        values = self.form.values()
        return {name: value for name, value in values.items() if value != self._before[name]}


class TrainSettings(QWidget):
    """Shows one recipe; ``config`` is the recipe with what the user changed."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        parts.tighten(self._layout)
        self._recipe = TrainConfig()
        self._model: list[_Part] = []
        self._run: list[_Part] = []
        self._phases: list[list[_Part]] = []
        self._augment: list[_Part] = []
        self._crop: list[_Part] = []
        self._patches: list[_Part] = []
        self._content = QWidget()
        self.more = Section("More settings", QWidget(), tip="")
        self.show_recipe(self._recipe)

    def show_recipe(self, recipe: TrainConfig) -> None:
        """Make the forms of ``recipe`` anew."""
        self._recipe = recipe
        self._layout.removeWidget(self._content)
        parts.discard(self._content)
        main, model = MAIN_OF_MODEL[type(recipe.model)], recipe.model
        is_encoder = isinstance(model, EncoderConfig)
        rest, rest_of_run = (REST_OF_ENCODER, REST_OF_ENCODERS_RUN) if is_encoder else (None, None)
        self._model = [_Part(model, main, ()), _Part(model, rest, main)]
        self._run = [_Part(recipe, MAIN_OF_RUN, ()), _Part(recipe, rest_of_run, MAIN_OF_RUN)]
        self._phases = [[_Part(p, MAIN_OF_PHASE, ()), _Part(p, None, MAIN_OF_PHASE)] for p in recipe.phases]
        self._augment = [_Part(recipe.augment, None, ())]
        # A detector sees whole fields.
        rule = model.crop_rule if isinstance(model, ClassifierConfig) else None
        self._crop = [] if rule is None else [_Part(rule, MAIN_OF_CROP, ()), _Part(rule, None, MAIN_OF_CROP)]
        self._patches = [_Part(model.patches, MAIN_OF_PATCHES, ())] if isinstance(model, EncoderConfig) else []
        self._lay_out()
        for part in self._parts():
            part.form.changed.connect(self.changed.emit)

    def config(self) -> TrainConfig:
        """Return the recipe with the user's values.

        Raises
        ------
        CytoError
            Naming the first setting that is out of its range.
        """
        model = _joined(self._model) | ({"crop_rule": _joined(self._crop)} if self._crop else {})
        model |= {"patches": _joined(self._patches)} if self._patches else {}
        phases = [
            p.model_copy(update=_joined(forms)) for p, forms in zip(self._recipe.phases, self._phases, strict=True)
        ]
        return self._recipe.with_values(
            {
                **_joined(self._run),
                "model": model,
                "augment": _joined(self._augment),
                "phases": [PhaseConfig.model_dump(p) for p in phases],
            }
        )

    def _parts(self) -> list[_Part]:
        phases = [part for forms in self._phases for part in forms]
        return [*self._model, *self._run, *phases, *self._augment, *self._crop, *self._patches]

    def _lay_out(self) -> None:
        self._content = QWidget()
        layout = QVBoxLayout(self._content)
        parts.tighten(layout)
        layout.addWidget(self._model[0].form)
        for part in (*self._crop[:1], *self._patches):
            layout.addWidget(part.form)
        for number, forms in enumerate(self._phases, start=1):
            if len(self._phases) > 1:
                layout.addWidget(parts.text(phase_title(number, self._recipe.phases[number - 1])))
            layout.addWidget(forms[0].form)
        layout.addWidget(self._run[0].form)
        blocks: list[QWidget] = [parts.text("Model", bold=True), self._model[1].form]
        for part in self._crop[1:]:
            blocks += [parts.text("Cropping", bold=True), part.form]
        for number, forms in enumerate(self._phases, start=1):
            title = phase_title(number, self._recipe.phases[number - 1]) if len(self._phases) > 1 else "Training"
            blocks += [parts.text(title, bold=True), forms[1].form]
        blocks += [parts.text("Augmentation", bold=True), self._augment[0].form]
        blocks += [parts.text("Run", bold=True), self._run[1].form]
        opened = self.more.is_open
        self.more = Section("More settings", parts.column(*blocks), tip="All other settings of the recipe")
        self.more.set_open(opened)
        layout.addWidget(self.more)
        self._layout.addWidget(self._content)


def phase_title(number: int, phase: PhaseConfig) -> str:
    """Return what a phase is called: ``Phase 1: the new head alone``."""
    what = {"head": "the new head alone", "top": "head and last stage", "all": "the whole network"}[phase.trains]
    return f"Phase {number}: {what}"


def _joined(forms: list[_Part]) -> dict[str, Any]:
    return {name: value for form in forms for name, value in form.changes().items()}
