"""How cells are divided into a training, a validation and a test set; exports and training differ by defaults only."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cyto.datasets.splits.split import SETS
from napari_cyto.domain.quantities import FOLDS, Folds, Seed
from napari_cyto.formats.label_format import declared

GroupUnit = Literal["auto", "patient", "smear", "image"]
ShareOf = Literal["cells", "groups"]
Override = Literal["single-group", "few-groups", "unknown-patient", "leak"]

OVERRIDES: dict[Override, str] = {
    "single-group": "Cells of one patient are split, by smear or image; metrics are then too optimistic.",
    "few-groups": "A class with fewer patients than sets has no cells in one of them.",
    "unknown-patient": "Slides of unknown patients are split by smear or image, and may be of the same patient.",
    "leak": "Published sets are kept although they share a patient, a smear or cells.",
}
"""What may be allowed although it is refused, and its price; what was made use of is recorded with the reason."""


class SplitConfig(BaseModel):
    """How cells are divided; all cells of a slide go to one set. The defaults are those of a training run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    never_refused: ClassVar[frozenset[Override]] = frozenset()
    """What needs no override here."""
    sets: ClassVar[tuple[str, ...]] = SETS
    """The sets that there can be; slides that came with another one train."""

    by: GroupUnit = Field(
        default="auto", title="Keep together", description="auto: the patient where known, else the smear, else image."
    )
    validation_share: float = Field(
        default=0.15, ge=0, lt=0.9, title="Validation share", description="Of the cells; tunes the training."
    )
    test_share: float = Field(
        default=0.2, ge=0, lt=0.9, title="Test share", description="Of the cells; evaluated once, at the end."
    )
    share_of: ShareOf = Field(
        default="cells",
        title="Shares are of",
        description="cells: of the cells; patients or smears without cells are in the training set. groups: of the "
        "patients or smears, with or without cells, and as nearly as possible of the cells.",
    )
    seed: Seed = Field(default=0, title="Seed", description="The same seed gives the same split.")
    fold: int | None = Field(
        default=None,
        ge=0,
        lt=FOLDS.high,
        title="Fold",
        description="Number of the fold that is the test set, from 0. Empty: a single split.",
    )
    folds: Folds = Field(default=5, title="Folds", description="Number of folds of a cross-validation.")
    published: bool = Field(
        default=True,
        title="Published sets",
        description="Slides that came with a set (train, validation, test) stay in it; not in a cross-validation.",
    )
    fill: bool = Field(
        default=True,
        title="Complete published sets",
        description="Where the data came without a validation or test set, split it off the published training set.",
    )
    twins: bool = Field(
        default=True,
        title="Find duplicate cells",
        description="Compare the cells of all slides; slides that show the same cells go to the same set.",
    )
    overrides: tuple[Override, ...] = Field(
        default=(),
        title="Overrides",
        description=f"What to allow although it is refused; recorded with the result: {', '.join(OVERRIDES)}.",
    )
    reason: str = Field(
        default="", title="Reason", description="Why the overrides are allowed; recorded, and required for a leak."
    )

    @property
    def requested_sets(self) -> int:
        """How many sets the cells are divided into."""
        return 1 + (self.validation_share > 0) + (self.fold is not None or self.test_share > 0)

    @property
    def needed_groups(self) -> int:
        """How many groups a division needs, so that no set is empty."""
        return max(self.requested_sets, self.folds if self.fold is not None else 0)

    @property
    def leak_reason(self) -> str:
        """Why a leak is allowed; empty where it is not."""
        return self.reason.strip() if "leak" in self.overrides else ""

    def allows(self, override: Override) -> bool:
        """Whether something is not refused."""
        return override in self.overrides or override in self.never_refused

    def typed(self, name: str, value: str) -> str:
        """Return what a person types to give a setting a value."""
        return f"--set split.{name}={value}"


class ExportSplitConfig(SplitConfig):
    """How the slides of an export are divided; what leaks is refused by its audit, which lists the rows."""

    never_refused: ClassVar[frozenset[Override]] = frozenset({"few-groups", "leak"})

    share_of: ShareOf = declared(SplitConfig, "share_of", "groups")
    fill: bool = declared(SplitConfig, "fill", False)

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, values: Any) -> Any:
        return with_new_names(values) if isinstance(values, dict) else values

    def typed(self, name: str, value: str) -> str:
        """Return what a person types to give a setting a value."""
        flag = name.replace("_", "-")
        if name == "overrides":
            return " ".join(f"--overrides {each}" for each in value.split(","))
        return {"true": f"--{flag}", "false": f"--no-{flag}"}.get(value, f"--{flag} {value}")


def with_new_names(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an export with names of earlier versions replaced by today's."""
    new = dict(values)
    if new.pop("new_split", False):
        new["published"] = False
    if new.pop("all_to_train", False):
        new |= {"test_share": 0, "validation_share": 0}
    if "check_duplicates" in new:
        new["twins"] = new.pop("check_duplicates")
    if reason := str(new.pop("allow_leak", "") or ""):
        new |= {"reason": reason, "overrides": (*new.get("overrides", ()), "leak")}
    return new
