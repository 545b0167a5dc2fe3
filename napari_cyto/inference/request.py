"""What a run of predictions is asked for, as one frozen value; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cyto.domain.quantities import REGION_PX, Score, UmPerPx

Precision = Literal["auto", "fp32", "bf16"]
Runtime = Literal["auto", "torch", "openvino"]


class ComputesOn(Protocol):
    """What a request says of where and how networks run."""

    @property
    def device(self) -> str:
        """``auto``, ``cpu``, ``cuda`` or ``cuda:1``."""
        ...

    @property
    def precision(self) -> Precision:
        """``auto``, ``fp32`` or ``bf16``."""
        ...

    @property
    def runtime(self) -> Runtime:
        """``auto``, ``torch`` or ``openvino``."""
        ...


class PredictRequest(BaseModel):
    """Where to look, with which models, and where what is found goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: Path = Field(title="Slide", description="The slide file.")
    detector: str = Field(
        title="Detector", description="The model that finds cells: its name in the model library, or its folder."
    )
    classifier: str | None = Field(
        default=None,
        title="Classifier",
        description="The model that classifies the cells found; without one the detector's own classes count.",
    )
    encoder: str | None = Field(
        default=None,
        title="Encoder",
        description="The model that gives each cell of the slide a vector once the cells are stored; without one none "
        "are made.",
    )
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="At full resolution, if the slide file does not state it."
    )
    region_yxyx: tuple[float, float, float, float] | None = Field(
        default=None, title="Region", description="Half-open, level-0 px; the whole slide by default."
    )
    outline_yx: tuple[tuple[float, float], ...] | None = Field(
        default=None, title="Outline", description="Only cells with their centre inside count, level-0 px."
    )
    out: Path | None = Field(
        default=None,
        title="Project",
        description="The project that stores the predictions; without one they are only reported.",
    )
    run_folder: Path | None = Field(
        default=None,
        title="Run folder",
        description="Where an interrupted run keeps what it needs to resume; none for a short one.",
    )
    again: bool = Field(
        default=False, title="Again", description="Predict again on slides that an earlier run has finished."
    )
    at_once: bool = Field(default=False, title="All at once", description="Store the cells only when all are found.")
    author: str = Field(default="", title="Author", description="Who is named for the predictions in the history.")
    stain: str | None = Field(
        default=None, title="Stain", description="Of the slides; models for other stains are refused."
    )
    score_from: Score | None = Field(
        default=None,
        title="Minimum score",
        description="Cells that score lower are left out; the model's own threshold by default.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    precision: Precision = Field(default="auto", title="Precision", description="Numerical precision of the networks.")
    runtime: Runtime = Field(
        default="auto",
        title="Runtime",
        description="What runs the networks; auto takes the fastest that gives the same results as torch.",
    )
    tile_px: int | None = Field(
        default=None,
        ge=64,
        le=8192,
        title="Tile, px",
        description="Largest tile, in px of the model; chosen by available memory by default.",
    )
    any_picture: bool = Field(
        default=False,
        title="Any image",
        description="Look for cells even on images that cannot be a stained smear in bright field.",
    )
    generation: int = Field(
        default=0, ge=0, description="Returned with each answer, so that late answers are recognised."
    )

    @model_validator(mode="after")
    def _has_extent(self) -> PredictRequest:
        if self.region_yxyx is not None:
            y0, x0, y1, x1 = self.region_yxyx
            if not all(map(REGION_PX.holds, self.region_yxyx)) or y1 <= y0 or x1 <= x0:
                raise ValueError(f"expected a region with y1 > y0 and x1 > x0, all finite, got {self.region_yxyx}")
        if self.encoder is not None and self.out is None:
            raise ValueError("expected a project that keeps the vectors of the encoder, got none")
        return self
