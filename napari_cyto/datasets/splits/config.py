"""What a division of cells into train, validation and test is told."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.quantities import FOLDS, Folds, Seed

GroupUnit = Literal["auto", "patient", "smear", "image"]
Override = Literal["single-group", "few-groups", "unknown-patient"]


class SplitConfig(BaseModel):
    """How cells are divided; all cells of a slide go to one side."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: GroupUnit = Field(
        default="auto", title="Keep together", description="auto: the patient where known, else the smear, else image."
    )
    validation_share: float = Field(default=0.15, ge=0, lt=0.9, title="Validation share", description="Steers the run.")
    test_share: float = Field(default=0.2, ge=0, lt=0.9, title="Test share", description="Judged once, at the end.")
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same split.")
    fold: int | None = Field(
        default=None,
        ge=0,
        lt=FOLDS.high,
        title="Fold",
        description="Which of 'folds' is the test side; empty: a single split.",
    )
    folds: Folds = Field(default=5, title="Folds", description="Of a cross-validation.")
    published: bool = Field(
        default=True,
        title="Sides as published",
        description="Slides that came with a side (train, validation, test) keep it; not in a cross-validation.",
    )
    twins: bool = Field(
        default=True,
        title="Look for the same cells",
        description="Compare the cells of all slides; slides that show the same ones go to one side.",
    )
    overrides: tuple[Override, ...] = Field(
        default=(),
        title="Allowed all the same",
        description="Refusals overruled, recorded in the model: single-group, few-groups, unknown-patient.",
    )
