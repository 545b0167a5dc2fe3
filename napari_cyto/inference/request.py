"""What a run of proposals is asked for, as one frozen value; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cyto.domain.quantities import REGION_PX, Score, UmPerPx

Precision = Literal["auto", "fp32", "bf16"]
Runtime = Literal["auto", "torch", "openvino"]


class PredictRequest(BaseModel):
    """Where to look, with which models, and where what is found goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: Path = Field(title="Slide", description="The slide file.")
    detector: str = Field(
        title="Detector", description="A model that finds cells: its name in the library, or its folder."
    )
    classifier: str | None = Field(
        default=None, title="Classifier", description="A model that tells the class of each cell that is found."
    )
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="Of level 0, where the slide file does not say it."
    )
    region_yxyx: tuple[float, float, float, float] | None = Field(
        default=None, title="Region", description="Half-open, level-0 px; all of the slide where none is given."
    )
    outline_yx: tuple[tuple[float, float], ...] | None = Field(
        default=None, title="Outline", description="Only cells with their centre inside count, level-0 px."
    )
    out: Path | None = Field(
        default=None, title="Project", description="The project that takes the proposals; events alone without one."
    )
    run_folder: Path | None = Field(
        default=None, title="Run folder", description="What an interrupted run goes on from; none for a short one."
    )
    again: bool = Field(default=False, title="Again", description="Predict again where an earlier run has finished.")
    at_once: bool = Field(default=False, title="At once", description="Write what is found when all is found.")
    author: str = Field(default="", title="Asked by", description="Whose step in the history the proposals are.")
    stain: str | None = Field(default=None, title="Stain", description="Of the slide, where it is known.")
    score_from: Score | None = Field(
        default=None, title="Score from", description="Lower ones are not told; the model's own if empty."
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    precision: Precision = Field(default="auto", title="Precision", description="In which the networks compute.")
    runtime: Runtime = Field(
        default="auto", title="Runtime", description="What computes: auto, torch or openvino; auto takes the faster."
    )
    tile_px: int | None = Field(
        default=None, ge=64, le=8192, title="Tile, px", description="Of the model, at most; by the memory if empty."
    )
    any_picture: bool = Field(
        default=False,
        title="Any picture",
        description="Look for cells also on what cannot be a stained smear in bright field.",
    )
    generation: int = Field(default=0, ge=0, description="Told back with each answer, so that late ones are known.")

    @model_validator(mode="after")
    def _has_extent(self) -> PredictRequest:
        if self.region_yxyx is not None:
            y0, x0, y1, x1 = self.region_yxyx
            if not all(map(REGION_PX.holds, self.region_yxyx)) or y1 <= y0 or x1 <= x0:
                raise ValueError(f"expected a region with y1 > y0 and x1 > x0, all finite, got {self.region_yxyx}")
        return self
