"""A model's card as a person reads it: what it is for, what it is worth, where it comes from, where its limits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_cyto.models.card import vector_rows
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.fact_table import FactTable
from napari_cyto.widgets.docks.metric_rows import METRIC_HEADINGS, metric_rows
from napari_cyto.widgets.docks.section import Section

SWATCH_PX = 12


class ModelCard(QWidget):
    """Shows the manifest of one model."""

    def __init__(self) -> None:
        super().__init__()
        self.head = parts.text(bold=True, selectable=True)
        self.summary = parts.text(selectable=True)
        self._classes = QWidget()
        self._chips = QVBoxLayout(self._classes)
        parts.tighten(self._chips)
        self.facts = FactTable("Input, output and licence", wide=1)
        self.metrics = FactTable("Metrics on cells that were not used in training, with 95 % confidence intervals")
        self.data = FactTable("Cells that the model was trained on, and their split", wide=1)
        self.sections = {
            "worth": Section("Evaluation", self.metrics, tip="Metrics on held-out cells", opened=True),
            "facts": Section("Description", self.facts, tip="Input, output and licence", opened=True),
            "data": Section("Training", self.data, tip="Data, split and recipe"),
        }
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.head, self.summary, self._classes, *self.sections.values()):
            layout.addWidget(widget)
        self.hide()

    def show_model(self, manifest: ModelManifest | None) -> None:
        """Show a model, or nothing."""
        self.setVisible(manifest is not None)
        if manifest is None:
            return
        self.head.setText(f"{manifest.id} ({manifest.kind})")
        self.summary.setText(manifest.card.summary)
        self.summary.setVisible(bool(manifest.card.summary))
        self._show_classes(manifest)
        self.facts.show_rows(list(fact_rows(manifest)))
        self.data.show_rows(list(data_rows(manifest)) or [("Not specified", "")])
        rows = metric_rows(manifest.card.metrics) or [("Not measured", "", "")]
        self.metrics.show_rows(rows, METRIC_HEADINGS)

    def _show_classes(self, manifest: ModelManifest) -> None:
        while self._chips.count():
            row = self._chips.takeAt(0).widget()
            parts.discard(row)
        for known in manifest.classes:
            self._chips.addWidget(
                _chip(known.colour, known.id if known.id == known.name else f"{known.id}: {known.name}")
            )


def _chip(colour: str, words: str) -> QWidget:
    made = QWidget()
    layout = QHBoxLayout(made)
    parts.tighten(layout)
    picture = QLabel()
    swatch: QPixmap = style.swatch(colour, 2 * SWATCH_PX)
    picture.setPixmap(
        swatch.scaled(
            SWATCH_PX, SWATCH_PX, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
    )
    layout.addWidget(picture)
    layout.addWidget(parts.text(words), 1)
    return made


def fact_rows(manifest: ModelManifest) -> Iterator[tuple[str, str]]:
    """Yield what a user must know to use a model, as name and words."""
    card = manifest.card
    yield "Stain", manifest.stain
    yield "Input", sees_words(manifest)
    if manifest.kind == "encoder":
        made_of, numbers = (words for _, words in vector_rows(manifest))
        yield "Vector", f"{numbers} numbers, made of {made_of}"
    yield "Colours", f"matched to {manifest.colour.picture}" if manifest.colour else "as scanned"
    yield "Licence", card.licence
    for name, words in (
        ("Attribution", card.attribution),
        ("Intended use", card.intended_use),
        ("Limitations", card.limits),
    ):
        if words:
            yield name, words
    for parent in manifest.parents:
        yield "Fine-tuned from", f"{parent.id}. {parent.added}".strip()
    yield "Created", f"{manifest.created_utc[:10]} by {manifest.made_by}"
    yield "Size", f"{manifest.weights_bytes / 1e6:.1f} MB"
    yield "SHA-256", f"{manifest.weights_sha256[:16]}…"


def sees_words(manifest: ModelManifest) -> str:
    """Return what of a slide the model looks at: its crop rule in words."""
    rule = manifest.crop_rule
    if rule is None:
        scale = "" if manifest.mpp is None else f" at {manifest.mpp:g} µm per px"
        return f"the whole field of view{scale}"
    unit = "µm" if rule.unit == "um" else "px"
    windows = " and ".join(f"{window:g} {unit}" for window in rule.windows)
    return f"{windows} around the cell, as {rule.size_px} × {rule.size_px} px"


def data_rows(manifest: ModelManifest) -> Iterator[tuple[str, str]]:
    """Yield data, split and recipe as name and words; of what is nested, only what is a word or a number."""
    card = manifest.card
    yield from _flat(card.data)
    yield from _flat(card.split, "Split: ")
    recipe = card.recipe
    if recipe:
        yield "Recipe", str(recipe.get("name", "custom"))
        if recipe.get("deviations"):
            yield "Differs from publication", " ".join(map(str, recipe["deviations"]))


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        title = before + name.replace("_", " ").capitalize()
        if isinstance(value, Mapping) and all(isinstance(v, int | float | str) for v in value.values()):
            yield title, ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            yield title, "; ".join(value) or "none"
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            yield title, f"{value:,}" if isinstance(value, int) else str(value)
