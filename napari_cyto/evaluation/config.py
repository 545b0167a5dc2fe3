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
        description="Which slides to use. auto leaves out those that the model was trained or tuned on; all uses them "
        "too, and says so; test, validation and train are the sets of the model's own split.",
    )
    radius_um: RadiusUm = Field(
        default=6.0, title="Radius, µm", description="A detection this close to an annotated cell has found it."
    )
    draws: Draws = Field(
        default=2000, title="Bootstrap resamples", description="For the confidence intervals without a closed formula."
    )
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same intervals.")
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    examples: int = Field(
        default=12, ge=0, le=200, title="Example cells", description="Images of each kind of error in the report."
    )
    overwrite: bool = Field(
        default=False,
        title="Overwrite",
        description="Replace files at the report's place even if they are not a report, or were edited since.",
    )


class LabelComparisonConfig(BaseModel):
    """How two label files are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_um: RadiusUm = Field(
        default=6.0, title="Radius, µm", description="A detection this close to an annotated cell has found it."
    )
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="Of all images; by default as the files state it."
    )
    format: str | None = Field(
        default=None, title="Format of the files", description="Recognised from their content by default."
    )
    pred_format: str | None = Field(
        default=None, title="Format of --pred", description="Where it is not that of the other file."
    )
    missing_are_empty: bool = Field(
        default=False,
        title="Missing images are empty",
        description="An image that only one of the files lists has no cells in the other; refused by default.",
    )
    class_map: str | None = Field(
        default=None,
        title="Class map",
        description="Renames the classes of both files: a scheme or map that ships (bethesda-4, herlev), or a YAML or "
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
        description="Renames the classes to those of the scheme ki67: a map that ships, or a file of pairs.",
    )
