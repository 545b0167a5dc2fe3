"""What is set of an evaluation; titles, ranges and help are written here once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.quantities import Draws, RadiusUm, Seed, UmPerPx

Side = Literal["auto", "test", "validation", "train", "all"]


class EvaluateConfig(BaseModel):
    """How a model is evaluated on annotated cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: Side = Field(
        default="auto",
        title="Set",
        description="Which slides to use. auto: those the model was neither trained nor tuned on; all: every slide, "
        "with a warning; test, validation, train: that set of the model's own split.",
    )
    radius_um: RadiusUm = Field(
        default=6.0,
        title="Radius, µm",
        description="A detection within this distance of an annotated cell has found it.",
    )
    draws: Draws = Field(
        default=2000, title="Bootstrap resamples", description="For confidence intervals that have no closed formula."
    )
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same intervals.")
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    examples: int = Field(
        default=12,
        ge=0,
        le=200,
        title="Example cells",
        description="How many images of each kind of error the report shows.",
    )
    overwrite: bool = Field(
        default=False,
        title="Overwrite",
        description="Replace what is in the report's folder even if it is not a report or has been edited since.",
    )


class LabelComparisonConfig(BaseModel):
    """How two label files are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_um: RadiusUm = Field(
        default=6.0,
        title="Radius, µm",
        description="A detection within this distance of an annotated cell has found it.",
    )
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="Of all images; by default, what the files state."
    )
    format: str | None = Field(
        default=None, title="Format of the files", description="Recognised from their content by default."
    )
    pred_format: str | None = Field(
        default=None, title="Format of --pred", description="If it differs from that of the other file."
    )
    missing_are_empty: bool = Field(
        default=False,
        title="Missing images are empty",
        description="Count an image that only one of the files lists as empty in the other; by default this is an "
        "error.",
    )
    class_map: str | None = Field(
        default=None,
        title="Class map",
        description="Renames the classes of both files: a built-in scheme or map (bethesda-4, herlev), or a YAML or "
        "JSON file of pairs.",
    )


class Ki67Config(BaseModel):
    """How the cells of a Ki-67 index are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str | None = Field(
        default=None, title="Format of the file", description="Recognised from its content by default."
    )
    class_map: str | None = Field(
        default=None,
        title="Class map",
        description="Renames the classes to those of the scheme ki67: a built-in map, or a file of pairs.",
    )
