"""What an evaluation of a bundle is told; titles, ranges and help are written here once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.quantities import Draws, RadiusUm, Seed

Side = Literal["auto", "test", "validation", "train", "all"]


class EvaluateConfig(BaseModel):
    """How a model is judged on labelled cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: Side = Field(
        default="auto",
        title="Side",
        description="Which slides: auto leaves out those that had a say in the model's training; all takes them too, "
        "and says so; test, validation and train are the sides of the model's own split.",
    )
    radius_um: RadiusUm = Field(
        default=6.0, title="Radius, µm", description="Furthest distance at which a detection is the cell."
    )
    draws: Draws = Field(default=2000, title="Draws", description="Resamples behind each interval.")
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same intervals.")
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    examples: int = Field(
        default=12, ge=0, le=200, title="Example cells", description="Pictures of each kind on the report's page."
    )
    overwrite: bool = Field(
        default=False,
        title="Replace what is there",
        description="Replace the files of the report although they are none, or were changed since.",
    )
