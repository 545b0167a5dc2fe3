"""What an extraction is asked for, as frozen values; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.quantities import AreaUm2, ReachUm, Score, UmPerPx, Workers

UNLABELLED = "unlabelled"
"""Folder of crops that nobody has reviewed."""


class MaskOf(StrEnum):
    """What the mask of the first step holds."""

    NUCLEI = "nuclei"
    """The outlines that the outline model draws of the nuclei that the detector finds."""
    STAIN = "stain"
    """All that is stained, by Otsu's threshold; needs no model."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the steps, in µm.

    Parameters
    ----------
    um_per_px : float
        Of the mask.
    halo_um : float
        How much of the surroundings of a slice is looked at, so that cells on its border are seen whole.
    largest_component_um2 : float
        Connected components of more are dropped.
    erosion_um, deepest_erosion_um : float
        Radius of the first erosion, which is also what each next one adds, and of the last.
    least_core_um : float
        How much deeper than the erosion a piece has to reach to count as a cell.
    least_area_um2, most_area_um2 : float
        Areas that are kept.
    least_roundness : float
        Least 4 pi area / perimeter² that is kept.
    pad_um : float
        What is added to a cell's box in each direction.
    """

    um_per_px: float
    halo_um: float
    largest_component_um2: float
    erosion_um: float
    deepest_erosion_um: float
    least_core_um: float
    least_area_um2: float
    most_area_um2: float
    least_roundness: float
    pad_um: float


USUAL = {
    MaskOf.NUCLEI: Limits(0.5, 50.0, 1500.0, 0.5, 8.0, 0.5, 15.0, 600.0, 0.5, 12.0),
    MaskOf.STAIN: Limits(1.0, 160.0, 20_000.0, 1.0, 20.0, 2.0, 100.0, 8000.0, 0.4, 3.0),
}
"""Chosen on 30 fields of CRIC and 6 made-up ones (docs/verbs/extract.md has what each gives)."""


class ExtractOptions(BaseModel):
    """How cells are extracted; a limit that is not given is the usual one of the mask."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mask: MaskOf = Field(
        default=MaskOf.NUCLEI,
        title="Mask",
        description="What the mask holds: outlines of the nuclei that models find, or all that is stained, which needs "
        "no model and finds far less.",
    )
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="At full resolution, if the slide file does not state it."
    )
    detector: str = Field(
        default="nucleus-detector", title="Detector", description="The model that finds nuclei, or its folder."
    )
    outlines: str = Field(
        default="cell-outlines", title="Outlines", description="The model that outlines them, or its folder."
    )
    score_from: Score | None = Field(
        default=None,
        title="Minimum score",
        description="Nuclei that score lower are left out; the detector's own threshold by default.",
    )
    workers: Workers | None = Field(
        default=None, title="Workers", description="How many processes of this machine find and outline nuclei."
    )
    class_id: str | None = Field(
        default=None,
        title="Class",
        description="The class that the cells get until they are reviewed. In a project the default is artefact / not "
        "evaluable where its class scheme has it; crops have none by default and go into the folder unlabelled.",
    )
    largest_component_um2: AreaUm2 | None = Field(
        default=None,
        title="Largest component, µm²",
        description="Larger connected parts of the mask are dropped.",
    )
    deepest_erosion_um: ReachUm | None = Field(
        default=None, title="Deepest erosion, µm", description="Radius of the last erosion that parts cells."
    )
    least_core_um: ReachUm | None = Field(
        default=None,
        title="Least core, µm",
        description="How much deeper than the erosion a piece has to reach to count as a cell.",
    )
    least_area_um2: AreaUm2 | None = Field(
        default=None, title="Least area, µm²", description="Smaller parts are left out."
    )
    most_area_um2: AreaUm2 | None = Field(
        default=None, title="Largest area, µm²", description="Larger parts are left out."
    )
    least_roundness: float | None = Field(
        default=None, ge=0, le=1, title="Least roundness", description="4 π area / perimeter², 1 for a circle."
    )
    pad_um: ReachUm | None = Field(
        default=None, title="Padding, µm", description="Added to a cell's box in each direction."
    )

    @property
    def limits(self) -> Limits:
        """The limits that hold."""
        usual = USUAL[self.mask]
        given = {name: getattr(self, name, None) for name in Limits.__slots__}
        return Limits(**{name: getattr(usual, name) if value is None else value for name, value in given.items()})


class ExtractRequest(ExtractOptions):
    """The same, with the slides and where the cells go."""

    slides: tuple[Path, ...] = Field(min_length=1, title="Slides", description="Slide files.")
    region_yxyx: tuple[float, float, float, float] | None = Field(
        default=None, title="Region", description="Half-open, level-0 px; the whole slide by default."
    )
    out: Path = Field(title="Target", description="A project, or a folder for crops.")
    author: str = Field(default="", title="Author", description="Who is named in the history of a project.")
