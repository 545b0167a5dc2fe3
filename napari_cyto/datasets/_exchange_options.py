"""What a person can choose for an import or export; titles, ranges and help are written here once."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets._crops import APACC_CROP_PX
from napari_cyto.datasets.splits.config import ExportSplitConfig
from napari_cyto.datasets.splits.split import TEST, TRAIN
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.quantities import UmPerPx
from napari_cyto.formats.apacc.apacc_format import ApaccOptions
from napari_cyto.formats.apacc.names import StemStyle
from napari_cyto.formats.apacc.slices import BorderRule
from napari_cyto.formats.label_format import SKIP_BAD, declared

APACC_TEST_SHARE = 20 / 107
"""The collection's own share: 20 of 107 smears. Source: Kupas et al. 2024, Table 2."""


class ApaccExportOptions(ExportSplitConfig):
    """How an APACC dataset is made; it has a training and a test set."""

    sets: ClassVar[tuple[str, ...]] = (TRAIN, TEST)

    validation_share: float = Field(default=0, ge=0, le=0, title="Validation share", description="APACC has none.")
    test_share: float = Field(
        default=APACC_TEST_SHARE,
        ge=0,
        lt=1,
        title="Test share",
        description="Share of the patients or smears, and as nearly as possible of the cells, in the test set; in "
        "APACC as published it is 20 of 107. 0: everything in the training set.",
    )
    border: BorderRule = Field(
        default=BorderRule.CENTRE,
        title="Cells on slice borders",
        description="centre: clipped to the slice that holds the centre, as in APACC as published; every: clipped to "
        "each slice that the cell reaches; drop: left out.",
    )
    all_slices: bool = declared(ApaccOptions, "all_slices")
    include_proposed: bool = declared(ApaccOptions, "include_proposed")
    crops: bool = Field(
        default=True, title="Cell crops", description="Also write an image of each cell, in one folder per class."
    )
    pad_crops_px: int | None = Field(
        default=None,
        ge=16,
        le=2000,
        title="Pad crops to, px",
        description=f"Centre each crop in a white square of this side ({APACC_CROP_PX} for APACC's baselines); nothing "
        "is resized, and larger crops stay as they are. Empty: no padding.",
    )
    overview: bool = Field(
        default=True,
        title="Overview slices",
        description="Also write each slice with boxes and class names drawn on it, in APACC's colours.",
    )
    point_px: float | None = Field(
        default=None,
        ge=1,
        le=2000,
        title="Point size, px",
        description="Side of the box around a point on slides whose µm per px is unknown; without it, such slides are "
        "refused.",
    )
    class_map: dict[str, str] | None = Field(
        default=None,
        title="Class map",
        description="The APACC class for each class of the project. Empty: the built-in map.",
    )
    stem_style: StemStyle = declared(ApaccOptions, "stem_style")
    overwrite: bool = Field(
        default=False,
        title="Overwrite",
        description="Replace an earlier export even if it was changed since, or is of another project.",
    )
    crop_date: date | None = Field(
        default=None, title="Date in crop names", description="The day of extraction. Empty: today."
    )

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that are written."""
        return frozenset({Status.ACCEPTED, Status.UNREVIEWED} if self.include_proposed else {Status.ACCEPTED})


class ImportOptions(BaseModel):
    """How labels come into a project."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slide: Path | None = Field(
        default=None,
        title="Slide",
        description="The slide or image that a single label file (GeoJSON, CSV, ASAP) belongs to.",
    )
    images: Path | None = Field(
        default=None, title="Image folder", description="The folder with the images that the label file names."
    )
    class_map: dict[str, str] | None = Field(
        default=None, title="Class map", description="The project's class for each class of the source."
    )
    add_classes: bool = Field(
        default=False,
        title="Add classes",
        description="Add classes that the project lacks, instead of refusing them.",
    )
    scheme: str = Field(
        default="",
        title="Class scheme",
        description="For a new project: a built-in scheme, or a YAML or JSON file. Empty: one that fits the source.",
    )
    mpp: UmPerPx | None = Field(
        default=None,
        title="µm per px",
        description="For slides where neither the slide file nor the labels state it.",
    )
    author: str = Field(
        default="", title="Author", description="Who made the annotations. Empty: the person who imports them."
    )
    skip_bad: bool = Field(default=False, title="Leave out bad rows", description=SKIP_BAD)
    reader: dict[str, Any] = Field(
        default_factory=dict, title="Format options", description="Options of the format's own reader."
    )


class LabelExportOptions(BaseModel):
    """How labels leave a project in a format other than APACC."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slides: tuple[str, ...] = Field(
        default=(), title="Slides", description="Names or ids of the slides to export. Empty: all."
    )
    class_map: dict[str, str] | None = Field(
        default=None, title="Class map", description="The name in the export for each class of the project."
    )
    overwrite: bool = Field(
        default=False,
        title="Overwrite",
        description="Replace an existing file even if it is not an export of this project, or was changed since; a "
        "folder only if it is an export.",
    )
    writer: dict[str, Any] = Field(
        default_factory=dict, title="Format options", description="Options of the format's own writer."
    )
