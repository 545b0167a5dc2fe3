"""What a training run shall be: detector or classifier, from which cells, by which recipe, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QRadioButton, QVBoxLayout, QWidget

from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.datasets.training.annotated_area import Rest
from napari_cyto.domain.classes import scheme_from_dict
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Done
from napari_cyto.session import Session
from napari_cyto.training.config import ClassifierConfig, DetectorConfig, TrainConfig
from napari_cyto.training.preview import preview_images, preview_training
from napari_cyto.training.request import scheme_of
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check, Choice
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.options_form import OptionsForm
from napari_cyto.widgets.docks.run_when_visible import WhenSeen
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.train._colour import TrainColour
from napari_cyto.widgets.docks.train._costs import TrainCosts
from napari_cyto.widgets.docks.train._settings import TrainSettings
from napari_cyto.widgets.docks.train._sources import TrainSources
from napari_cyto.widgets.docks.train._split import TrainSplitTable
from napari_cyto.widgets.docks.train.words import value_words

LOOK_AFTER_MS = 400
# Of the split: what is for other uses, or has a place of its own.
HIDDEN = ("fold", "folds", "share_of", "fill", "overrides", "reason")
KINDS = (
    ("classifier", "Cell classifier", "Learns to classify cells that were detected or annotated."),
    ("detector", "Cell detector", "Learns to find cells on the slide, and their classes."),
    ("encoder", "Cell encoder", "Learns from images without labels to describe each cell by a vector."),
)


class TrainSetup(QWidget):
    """The controls of a run to come; ``changed`` speaks when what they ask for changes."""

    changed = Signal()

    def __init__(self, session: Session, recipes: Mapping[str, TrainConfig]) -> None:
        super().__init__()
        self.session = session
        self._recipes = recipes
        self.parent_path: Path | None = None
        self._kind = QButtonGroup(self)
        self.kinds = {kind: self._kind_button(words, tip) for kind, words, tip in KINDS}
        self.kinds["classifier"].setChecked(True)
        self.sources = TrainSources()
        self.split_table = TrainSplitTable()
        self.looking = JobBar()
        self.split = OptionsForm()
        self.split.show_model(SplitConfig, HIDDEN, words=value_words)
        self.split_section = Section("Split", self.split, tip="Which cells are used for training, validation and test")
        self.overrides = TrainOverrides()
        self.recipe = Choice()
        self.recipe.setToolTip(
            "Recipe: the model and its training settings; each is a readable file that can be copied."
        )
        self.recipe.setAccessibleName("recipe")
        self.recipe.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.summary = parts.text(colour=style.QUIET)
        self.parent_words = parts.text(colour=style.GOOD)
        self.forget = parts.button(
            "Start from scratch instead",
            "Starts from the initial weights of the recipe.",
            lambda: self.continue_from(None),
        )
        self.settings = TrainSettings()
        self.costs = TrainCosts()
        self.colour = TrainColour(session)
        # Who marks cells would else pay for a count at each rest of the hand, although nobody sees it.
        self._look_soon = WhenSeen(self, self.look, LOOK_AFTER_MS)
        self.looked: Mapping[str, Any] | None = None
        self._looked_for = ""
        self._lay_out()
        self._connect()
        self.continue_from(None)
        self._show_kind()

    def _kind_button(self, words: str, tip: str) -> QRadioButton:
        button = QRadioButton(words)
        button.setToolTip(tip)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._kind.addButton(button)
        return button

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (
            parts.text("Model", bold=True),
            parts.row(*self.kinds.values()),
            self.parent_words,
            self.forget,
            parts.text("Data", bold=True),
            self.sources,
            self.looking,
            self.split_table,
            self.overrides,
            self.split_section,
            parts.text("Settings", bold=True),
            self.recipe,
            self.summary,
            self.settings,
            self.costs,
            self.colour,
        ):
            layout.addWidget(widget)

    def _connect(self) -> None:
        for button in self.kinds.values():
            button.toggled.connect(lambda on: self._show_kind() if on else None)
        self.sources.changed.connect(self.stale)
        self.split.changed.connect(self.stale)
        self.overrides.changed.connect(self.stale)
        self.recipe.currentIndexChanged.connect(lambda _index: self._show_recipe())
        self.looking.ended.connect(self._looked)
        self.looking.measured.connect(lambda event: self._show_preview(event.values))
        self.settings.changed.connect(self._show_costs)
        self.settings.changed.connect(self.changed.emit)
        self.colour.changed.connect(self.changed.emit)

    @property
    def kind(self) -> str:
        """What is to be trained: ``classifier`` or ``detector``."""
        return next(kind for kind, button in self.kinds.items() if button.isChecked())

    def config(self) -> TrainConfig:
        """Return the recipe with what the user changed.

        Raises
        ------
        CytoError
            When there is no recipe, or a setting is out of its range.
        """
        if self.recipe.currentData() is None:
            raise CytoError(f"Expected a recipe for a {self.kind}, got none; reinstall napari-cyto, which ships some.")
        costs = {"model": {"cost_matrix": self.costs.matrix()}} if not self.costs.isHidden() else {}
        return self.settings.config().with_values(
            {
                **costs,
                "split": self.split_config().model_dump(),
                "reinhard_target": self.colour.target(),
                "scheme": self.scheme(),
            }
        )

    def scheme(self) -> str:
        """Return the class scheme of the model to come: the open project's, else the recipe's; empty, the sources'."""
        recipe = self._recipes.get(str(self.recipe.currentData()))
        return scheme_of(self.session.project) or (recipe.scheme if recipe is not None else "")

    def split_config(self) -> SplitConfig:
        """Return how cells shall be divided.

        Raises
        ------
        CytoError
            When a value is out of its range.
        """
        return SplitConfig.model_validate({**self.split.values(), "overrides": self.overrides.chosen()})

    def choose(self, config: TrainConfig) -> None:
        """Choose the recipe that an earlier run began with, where it ships."""
        self.kinds[config.model.kind].setChecked(True)
        if (found := self.recipe.findData(config.name)) >= 0:
            self.recipe.setCurrentIndex(found)

    def continue_from(self, bundle: Path | None) -> None:
        """Let the next run start from ``bundle``, or from first weights again."""
        self.parent_path = bundle
        name = "" if bundle is None else parts.breakable(bundle.name)
        self.parent_words.setText(
            f"Fine-tunes {name}, with its network, scale and classes; the new model records its parent and "
            "what was new."
        )
        for widget in (self.parent_words, self.forget):
            widget.setVisible(bundle is not None)
        self.stale()

    def show_project(self) -> None:
        """Show the session's project as the first source."""
        self.sources.show_project(self.session.project)
        self.stale()

    def stale(self) -> None:
        """Count anew soon: sources, marks or the way to divide them have changed."""
        self.looked = None
        if self.isVisible() and self.sources.texts():
            self._look_soon.ask()
        elif not self.sources.texts():
            self._look_soon.stop()
            self.split_table.clear()
        self.changed.emit()

    def look(self) -> None:
        """Count cells and divide them, in a child process."""
        sources = self.sources.texts()
        if not sources:
            return
        try:
            split = self.split_config()
        except CytoError as error:
            self.looking.say(str(error), style.BAD)
            return
        if self.kind == "encoder":
            self.looking.run(preview_images, {"sources": sources, "split": split}, "Counting images…")
            return
        arguments = {"sources": sources, "split": split, "scheme": self.scheme(), "parent": self.parent_path}
        arguments["area"] = self._area()
        self.looking.run(preview_training, arguments, "Counting cells…")

    def let_go(self) -> None:
        """Stop what still runs."""
        self._look_soon.stop()
        self.looking.close_job()
        self.colour.let_go()

    def cancel_jobs(self) -> None:
        """Ask what still runs to stop, without waiting for it."""
        self.looking.stop()
        self.colour.cancel_jobs()

    def _looked(self, event: object) -> None:
        if isinstance(event, Done):
            self.looking.say("")
            self.looked, self._looked_for = event.result, self.kind
            self._show_preview(event.result)
            self.overrides.show_refusal(str(event.result["refusal"]))
            if self.kind != "encoder":
                scheme = scheme_from_dict(event.result["scheme"])
                self.costs.show_classes([scheme[row["class"]] for row in event.result["classes"]])
            self._show_costs()
        else:
            self.split_table.clear()
        self.changed.emit()

    def _show_preview(self, result: Mapping[str, Any]) -> None:
        self.split_table.show_preview(result, of_detector=self.kind == "detector")

    def _area(self) -> tuple[float, float, Rest] | None:
        """Return which part of a slide the chosen detector would learn from; None to go by what is usual."""
        try:
            model = self.settings.config().model
        except CytoError:
            return None
        return (model.around_um, model.field_mm2, model.rest) if isinstance(model, DetectorConfig) else None

    def _show_costs(self) -> None:
        """Offer the costs of mistakes where the settings give them weight and the classes are known."""
        try:
            model = self.settings.config().model
        except CytoError:
            return
        weighs = isinstance(model, ClassifierConfig) and model.ordinal_weight > 0
        self.costs.setVisible(weighs and self.looked is not None)

    def _show_kind(self) -> None:
        before = self.recipe.currentData()
        self.recipe.blockSignals(True)
        self.recipe.clear()
        for name, recipe in self._recipes.items():
            if recipe.model.kind == self.kind:
                self.recipe.addItem(recipe.title or name, name)
        self.recipe.setCurrentIndex(max(0, self.recipe.findData(before)))
        self.recipe.blockSignals(False)
        self._show_recipe()
        self.colour.setVisible(self.kind != "encoder")
        # Of an encoder images are counted, of the others cells.
        if self.looked is not None and (self._looked_for == "encoder") == (self.kind == "encoder"):
            self._show_preview(self.looked)
        elif self._looked_for:
            self.stale()

    def _show_recipe(self) -> None:
        recipe = self._recipes.get(str(self.recipe.currentData()))
        self.summary.setText(recipe.summary if recipe is not None else "")
        if recipe is not None:
            self.settings.show_recipe(recipe)
            self.split.set_values(recipe.split.model_dump())
        self._show_costs()
        self.changed.emit()


CHOICES = {
    "single-group": (
        "One patient or slide only: split by image",
        "Cells of one patient will be in more than one set, so the metrics will be optimistic.",
    ),
    "few-groups": (
        "Allow classes with too few slides",
        "Such a class may have no cell to be evaluated on.",
    ),
    "unknown-patient": (
        "Patient unknown: split by slide",
        "Slides of one patient may be in more than one set, so the metrics may be optimistic.",
    ),
}


class TrainOverrides(QWidget):
    """Offers what would lift a refusal, once there is one; ``changed`` speaks when the user ticks it."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QCheckBox] = {}
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for name, (words, tip) in CHOICES.items():
            box = Check(words)
            box.setToolTip(f"{tip} The model card records that this was allowed.")
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            box.toggled.connect(lambda _on: self.changed.emit())
            box.hide()
            self.boxes[name] = box
            layout.addWidget(box)
        self.hide()

    def show_refusal(self, sentence: str) -> None:
        """Offer the overrides that ``sentence`` names; what is ticked stays in sight."""
        for name, box in self.boxes.items():
            box.setVisible(name in sentence or box.isChecked())
        self.setVisible(any(not box.isHidden() for box in self.boxes.values()))

    def chosen(self) -> tuple[str, ...]:
        """Return the names of what is allowed."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked())
