"""``model.json``: all that must be known of a model besides its weights, and its model card."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.prediction_sets import PredictionSets
from napari_cyto.errors import SchemeError
from napari_cyto.files.safe_names import safe_name

Kind = Literal["classifier", "detector", "encoder", "slide", "outline"]
WITHOUT_CLASSES = ("encoder", "slide", "outline")
"""Kinds of models that name no cell."""

FORMAT = 1
"""Version of ``model.json`` that is written, and the newest that is read."""


MAX_CLASSES = 1_000
MAX_WEIGHTS_BYTES = 1 << 32
"""The largest encoders that are in use have 1.1 billion weights (ViT-g/14), 2.2 GB in fp16."""

ChannelMean: TypeAlias = Annotated[float, Field(ge=-10, le=10)]
STD_RANGE = (0.001, 10.0)
"""Inputs are divided by it, so a tiny one makes answers infinite; that of networks for 0..255 is 1 / 255."""

LabMean: TypeAlias = Annotated[float, Field(ge=-200, le=200)]
LabStd: TypeAlias = Annotated[float, Field(ge=0, le=200)]
LogitOffset: TypeAlias = Annotated[float, Field(ge=-50, le=50)]
MissCost: TypeAlias = Annotated[float, Field(ge=1e-6, le=1e6)]
ShortText: TypeAlias = Annotated[str, Field(max_length=1_000)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelClass(_Value):
    """One class that the model knows, in the order of its outputs."""

    id: ShortText
    name: ShortText
    colour: str
    severity: int | None = Field(default=None, ge=-1_000, le=1_000)
    parent: ShortText | None = None
    box_um: float = 40.0

    @model_validator(mode="after")
    def _is_a_class(self) -> ModelClass:
        self.cell_class()
        return self

    def cell_class(self) -> CellClass:
        """Return the class as a scheme has it; its key is the project's own business."""
        try:
            return CellClass(self.id, self.name, self.colour, "", self.severity, self.parent, self.box_um)
        except SchemeError as error:
            raise ValueError(str(error)) from error

    @classmethod
    def of(cls, cell_class: CellClass) -> ModelClass:
        """Return what a model keeps of a class of a scheme."""
        return cls(**{name: getattr(cell_class, name) for name in cls.model_fields})


class Normalisation(_Value):
    """How 0..1 RGB becomes the network's input: ``(value - mean) / std`` per channel."""

    mean: tuple[ChannelMean, ChannelMean, ChannelMean] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    @field_validator("std")
    @classmethod
    def _divides(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        low, high = STD_RANGE
        if not low <= min(std) <= max(std) <= high:
            raise ValueError(f"expected a std above 0, since inputs are divided by it: {low:g} to {high:g}")
        return std


class ColourTarget(_Value):
    """Reinhard's target: mean and standard deviation per LAB channel of the picture the user picked."""

    picture: str
    mean_lab: tuple[LabMean, LabMean, LabMean]
    std_lab: tuple[LabStd, LabStd, LabStd]


class Decision(_Value):
    """How raw outputs become what people see; fitted on validation cells, never on test cells."""

    temperature: float = Field(
        default=1.0, ge=0.01, le=100, description="Logits are divided by it (Guo et al. 2017, section 4.2)."
    )
    logit_offsets: tuple[LogitOffset, ...] = Field(
        default=(), description="Added to the divided logits, one per class: part of the probabilities."
    )
    miss_costs: tuple[MissCost, ...] = Field(
        default=(),
        description="Relative cost of missing a cell of each class; it affects which class is predicted, not the "
        "probabilities.",
    )
    views: int = Field(default=1, ge=1, le=8, description="Flipped and rotated views whose probabilities are averaged.")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="The precision in which the model was evaluated."
    )
    score_threshold: float = Field(default=0.5, ge=0, le=1, description="Detections with a lower score do not count.")
    merge_um: float = Field(
        default=0.0, ge=0, le=50, description="Of detections closer than this, the one with the highest score is kept."
    )


class Tolerance(_Value):
    """What another runtime must keep of PyTorch's answers in fp32, where it is compared with them.

    What matters is which cells are told of and what they are called, on fields like those of a smear. Probabilities and
    places are looked at on the probe of `exporting` as well: what differs grossly there is no rounding.
    """

    matched_f1: float = Field(default=0.99, ge=0.5, le=1, description="Minimum, of the detections that count.")
    same_calls: float = Field(default=0.995, ge=0.5, le=1, description="Minimum share of cells given the same class.")
    probability: float = Field(
        default=0.2, gt=0, le=1, description="Maximum, over all cells and classes, background included."
    )
    place_px: float = Field(default=0.5, gt=0, le=8, description="Maximum, of a detection's centre, px of the input.")
    turned_down: tuple[Literal["bf16"], ...] = Field(
        default=(), description="Precisions that exceeded it where the model was made, so they are not tried again."
    )


class Parent(_Value):
    """A model that this one continues from."""

    id: str
    sha256: str
    added: str = Field(default="", description="What was new in the data.")


class Card(_Value):
    """The model card: where the model comes from, what it is worth, what it is for."""

    summary: str = ""
    data: dict[str, Any] = Field(default_factory=dict, description="Sources, fingerprint, slides and cells per class.")
    split: dict[str, Any] = Field(default_factory=dict, description="Unit, seed, sets, overrides, audit.")
    recipe: dict[str, Any] = Field(default_factory=dict, description="The whole training config, as run.")
    metrics: dict[str, Any] = Field(default_factory=dict, description="Held-out metrics with their intervals.")
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
    settings: dict[str, Any] = Field(default_factory=dict, description="Parameters of the architecture.")
    scheme: str = "bethesda"
    classes: tuple[ModelClass, ...] = Field(
        max_length=MAX_CLASSES, description="None of an encoder, or of a model of slides or outlines."
    )
    stain: str = "Papanicolaou"
    mpp: float | None = Field(description="µm per px of the input; None for a crop rule in px.")
    input_px: int = Field(ge=16, le=4096, description="Side of a crop, or of a training tile of a detector, px.")
    normalisation: Normalisation = Normalisation()
    crop_rule: CropRule | None = None
    colour: ColourTarget | None = None
    decision: Decision = Decision()
    checked_precisions: tuple[Literal["fp32", "bf16", "fp16"], ...] = Field(
        default=("fp32",), description="Precisions in which its output was compared and found to agree."
    )
    tolerance: Tolerance = Field(default=Tolerance(), description="A runtime within this tolerance may replace torch.")
    weights_dtype: Literal["fp32", "fp16"] = Field(
        default="fp32", description="Precision in which the larger weights are stored."
    )
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    weights_bytes: int = Field(ge=1, le=MAX_WEIGHTS_BYTES)
    parents: tuple[Parent, ...] = ()
    prediction_sets: PredictionSets | None = Field(
        default=None, description="Which classes cannot be excluded of a cell, where that was calibrated."
    )
    card: Card = Card()
    created_utc: str
    made_by: str = Field(description="Product and version that wrote it.")

    @model_validator(mode="after")
    def _agrees(self) -> ModelManifest:
        """Refuse what would give wrong answers without a word: outputs that no class belongs to, another scale."""
        if self.kind in WITHOUT_CLASSES and self.classes:
            raise ValueError(f"a model of kind {self.kind} names no cell, so it has no classes")
        if self.kind not in WITHOUT_CLASSES and not self.classes:
            raise ValueError(f"expected the classes of the {self.kind}, got none")
        if self.kind not in WITHOUT_CLASSES:
            try:
                self.class_scheme()
            except SchemeError as error:
                raise ValueError(str(error)) from error
        for name in ("logit_offsets", "miss_costs"):
            values = getattr(self.decision, name)
            if values and len(values) != len(self.classes):
                raise ValueError(f"{len(self.classes)} classes need as many {name}, got {len(values)}")
        if self.kind not in ("detector", "outline") and self.crop_rule is None:
            raise ValueError(f"expected the crop_rule that the {self.kind} was trained with, got none")
        if self.crop_rule is not None:
            self._check_crop_rule(self.crop_rule)
        if self.mpp is not None and not 0.01 <= self.mpp <= 100:
            raise ValueError(f"expected an mpp from 0.01 to 100 µm per px, got {self.mpp:g}")
        return self

    @property
    def kind_words(self) -> str:
        """The kind with its article, for sentences: ``a detector``, ``an encoder``."""
        words = {"encoder": "an encoder", "slide": "a model of whole slides", "outline": "a model of outlines"}
        return words.get(self.kind, f"a {self.kind}")

    @property
    def vector_length(self) -> int | None:
        """How many numbers an encoder's vector has; None for other models."""
        return int(self.settings.get("length", 0)) if self.kind == "encoder" else None

    @model_validator(mode="after")
    def _has_own_sets(self) -> ModelManifest:
        sets = self.prediction_sets
        if sets is not None and sets.model_sha256 != self.weights_sha256:
            raise ValueError("the prediction sets were calibrated for other weights")
        if sets is not None and sets.class_ids != self.class_ids:
            raise ValueError("the prediction sets are of other classes than the model's, or in another order")
        return self

    def _check_crop_rule(self, rule: CropRule) -> None:
        if rule.size_px != self.input_px:
            raise ValueError(f"the crop rule makes inputs of {rule.size_px} px, but input_px is {self.input_px}")
        ruled = rule.mpp_of(0)
        if ruled is not None and self.mpp is not None and abs(ruled - self.mpp) > 0.01 * ruled:
            raise ValueError(f"the crop rule makes inputs of {ruled:g} µm per px, but mpp is {self.mpp:g}")

    @field_validator("id")
    @classmethod
    def _is_a_folders_name(cls, name: str) -> str:
        if safe_name(name) != name:
            raise ValueError(
                "a model's id is the name of its folder on every system, so it is none that Windows keeps for itself "
                f"(con, nul, com1 ...) and has no dot at its end, as {safe_name(name)}"
            )
        return name

    @field_validator("created_utc")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        datetime.fromisoformat(text)
        return text

    @property
    def tells_sizes(self) -> bool:
        """Whether a detector tells how large a cell is; one that has learned from points alone tells only where."""
        return self.architecture != "fcrn" and bool(self.settings.get("sizes", self.architecture != "p2p"))

    def class_scheme(self) -> ClassScheme:
        """Return the classes of the outputs as a scheme, in their order.

        A parent that the model does not tell apart stands for the class itself.
        """
        ids = set(self.class_ids)
        known = (c if c.parent in ids else c.model_copy(update={"parent": None}) for c in self.classes)
        return ClassScheme(self.scheme, 1, tuple(c.cell_class() for c in known))

    @property
    def class_ids(self) -> tuple[str, ...]:
        """The classes' ids, in the order of the outputs."""
        return tuple(c.id for c in self.classes)


def first_fault(error: ValidationError) -> str:
    """Return the first of what is wrong with a value, as one line: where, and what."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])[:120]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    said = " ".join(str(fault["msg"]).split())[:240]
    return f"{where + ': ' if where else ''}{said}{more}"
