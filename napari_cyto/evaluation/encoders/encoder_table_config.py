"""What is set of a table of encoders; titles, ranges and help are written here once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.quantities import Seed


class EncoderTableConfig(BaseModel):
    """How encoders are compared on annotated cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(
        default=5,
        ge=2,
        le=20,
        title="Folds",
        description="Whole patients, smears or images go to one fold; heads that saw none of its own classify a cell.",
    )
    neighbours: int = Field(
        default=20, ge=1, le=1_000, title="Neighbours", description="Of the nearest-neighbour classifier, by cosine."
    )
    shots: int = Field(
        default=10, ge=1, le=1_000, title="Examples per class", description="What the few-shot classifier learns from."
    )
    draws: int = Field(
        default=50, ge=2, le=1_000, title="Draws", description="How often the few examples are drawn anew."
    )
    splits: int = Field(
        default=100,
        ge=0,
        le=1_000,
        title="Splits",
        description="How often attention over the cells of an image is trained and measured anew; 0: not at all.",
    )
    positive: str = Field(
        default="HSIL",
        max_length=80,
        title="Positive from",
        description="An image is positive when its worst cell is of this class or of a more severe one.",
    )
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same folds and draws.")
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
