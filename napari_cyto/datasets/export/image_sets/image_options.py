"""What a person can choose for a data set of images; titles, ranges and help are written here once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_cyto.datasets._exchange_options import LabelExportOptions
from napari_cyto.datasets.splits.config import ExportSplitConfig
from napari_cyto.domain.quantities import UmPerPx

ImagesMode = Literal["auto", "tiles", "copy", "link", "none"]
KeepRule = Literal["half", "centre", "whole"]


class ImageExportOptions(LabelExportOptions, ExportSplitConfig):
    """How labels leave a project together with their images, as a data set that detectors are trained from."""

    validation_share: float = Field(
        default=0.15,
        ge=0,
        lt=0.9,
        title="Validation share",
        description="Share of the patients or smears for the validation set, by which a trainer chooses its best "
        "epoch. 0: none.",
    )
    test_share: float = Field(
        default=0.2,
        ge=0,
        lt=0.9,
        title="Test share",
        description="Share of the patients or smears for the test set, which no training may see. 0: none.",
    )
    images: ImagesMode = Field(
        default="auto",
        title="Images",
        description="auto: fields of view are copied and whole slides are cut into tiles; tiles: everything is cut "
        "into tiles; copy: every image as it is; link: the same, as symbolic links to the originals; none: label "
        "files only.",
    )
    tile_px: int = Field(
        default=1024, ge=64, le=8192, title="Tile, px", description="Side of a tile, px of the image that is written."
    )
    tile_mpp: UmPerPx = Field(
        default=0.5, title="Tile, µm per px", description="Scale of the tiles; slides are resampled to it."
    )
    tile_unit: Literal["um", "px"] = Field(
        default="um",
        title="Tile scale",
        description="um: every tile has the µm per px asked for; px: tiles are cut from the full resolution whatever "
        "its scale, as slides need whose µm per px are unknown.",
    )
    keep: KeepRule = Field(
        default="half",
        title="Cells on tile borders",
        description="half: clipped into each tile that holds at least half of the box or its centre; centre: clipped "
        "into the tile that holds its centre; whole: only where the whole box lies inside a tile.",
    )
    empty_share: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        title="Share of empty tiles",
        description="Of the tiles of a slide at most this share, 0 to 1, show no cell; they are drawn from inside "
        "regions, where it is known that there is none.",
    )
    tile_type: Literal["png", "jpeg"] = Field(
        default="png", title="Tile files", description="png keeps every pixel; jpeg (quality 95) takes a third of it."
    )
    unannotated: bool = Field(
        default=False,
        title="Images without annotations",
        description="Also copy or link images on which nothing is annotated, as images without cells: for projects in "
        "which every image was looked at. Else they are left out, unless a region covers them.",
    )
    fill: bool = Field(
        default=True,
        title="Complete published sets",
        description="Take a validation or test set that did not come with the data out of the training set that did.",
    )
