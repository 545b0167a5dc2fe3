"""``model.json``: all that must be known of a model besides its weights, and its model card."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.crop_rule import CropRule

Kind = Literal["classifier", "detector"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelClass(_Value):
    """One class that the model knows, in the order of its outputs."""

    id: str
    name: str
    colour: str
    severity: int | None = None
    parent: str | None = None
    box_um: float = 40.0


class Normalisation(_Value):
    """How 0..1 RGB becomes the network's input: ``(value - mean) / std`` per channel."""

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)


class ColourTarget(_Value):
    """Reinhard's target: mean and standard deviation per LAB channel of the picture the user picked."""

    picture: str
    mean_lab: tuple[float, float, float]
    std_lab: tuple[float, float, float]


class Decision(_Value):
    """How raw outputs become what people see; fitted on validation cells, never on test cells."""

    temperature: float = Field(default=1.0, gt=0, description="Logits are divided by it; Guo et al. 2017, section 4.2.")
    logit_offsets: tuple[float, ...] = Field(default=(), description="Added to the divided logits, one a class.")
    views: int = Field(default=1, ge=1, le=8, description="Flipped and turned views whose probabilities are averaged.")
    score_threshold: float = Field(default=0.5, ge=0, le=1, description="A detection counts from this score on.")


class Parent(_Value):
    """A model that this one continues from."""

    id: str
    sha256: str
    added: str = Field(default="", description="What was new in the data, in words.")


class Card(_Value):
    """The model card: where the model comes from, what it is worth, what it is for."""

    summary: str = ""
    data: dict[str, Any] = Field(default_factory=dict, description="Sources, fingerprint, slides and cells per class.")
    split: dict[str, Any] = Field(default_factory=dict, description="Unit, seed, sides, overrides, audit.")
    recipe: dict[str, Any] = Field(default_factory=dict, description="The whole training config, as run.")
    metrics: dict[str, Any] = Field(default_factory=dict, description="Held-out figures with their intervals.")
    licence: str = "not stated"
    attribution: str = ""
    intended_use: str = ""
    limits: str = ""


class ModelManifest(_Value):
    """What ``model.json`` holds; ``id`` and ``weights_sha256`` together name the model for ever."""

    format: Literal[1] = 1
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    kind: Kind
    architecture: str = Field(description="A name in napari_cyto.models.registry.")
    settings: dict[str, Any] = Field(default_factory=dict, description="What the architecture is built from.")
    scheme: str = "bethesda"
    classes: tuple[ModelClass, ...] = Field(min_length=1)
    stain: str = "Papanicolaou"
    mpp: float | None = Field(description="µm per px of the input; None for a crop rule in px.")
    input_px: int = Field(ge=16, le=4096, description="Side of a crop, or of a training tile of a detector, px.")
    normalisation: Normalisation = Normalisation()
    crop_rule: CropRule | None = None
    colour: ColourTarget | None = None
    decision: Decision = Decision()
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    weights_bytes: int = Field(ge=1)
    parents: tuple[Parent, ...] = ()
    card: Card = Card()
    created_utc: str
    made_by: str = Field(description="Product and version that wrote it.")

    @property
    def class_ids(self) -> tuple[str, ...]:
        """The classes' ids, in the order of the outputs."""
        return tuple(c.id for c in self.classes)
