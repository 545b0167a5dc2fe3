"""Which cells of a project are outlined, by what, and what that came to: frozen values; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.json_values import JsonFields, to_plain
from napari_cyto.domain.quantities import REGION_PX, Score, Workers
from napari_cyto.inference.request import Precision, Runtime


class OutlineOptions(BaseModel):
    """How the cells of a project are outlined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None,
        title="Model",
        description="What draws the outlines: a model of the library or its folder, or watershed, which needs no "
        "model. By default the model that ships, and the watershed where torch is not installed.",
    )
    again: bool = Field(
        default=False,
        title="Again",
        description="Also outline cells anew whose outline nobody has accepted; accepted outlines always stay.",
    )
    score_from: Score | None = Field(
        default=None, title="Minimum score", description="Outlines that score lower are not stored; all by default."
    )
    unknown_scale: Literal["leave-out", "search"] = Field(
        default="leave-out",
        title="Unknown µm per px",
        description="Slides whose µm per px are unknown: leave them out, or outline their cells all the same; the "
        "size of each nucleus is then looked for too, with more failures.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or cuda:1.")
    workers: Workers | None = Field(
        default=None, title="Workers", description="How many processes of this machine share the work."
    )
    scheduler: str | None = Field(
        default=None,
        title="Scheduler",
        description="Address of a dask cluster that does the work, such as tcp://HOST:8786.",
    )

    # As `ComputesOn` has it: the network is small, and there is one way to run it.
    @property
    def precision(self) -> Precision:
        """Always ``fp32``."""
        return "fp32"

    @property
    def runtime(self) -> Runtime:
        """Always ``torch``."""
        return "torch"


class OutlineRequest(OutlineOptions):
    """Which cells of a project are outlined, and how."""

    project: Path = Field(title="Project", description="The project whose cells are outlined.")
    slide_ids: tuple[str, ...] = Field(
        default=(), title="Slides", description="Ids of the slides; all slides of the project by default."
    )
    region_yxyx: tuple[float, float, float, float] | None = Field(
        default=None,
        title="Region",
        description="Only cells with their centre in this half-open box, level-0 px; needs one slide.",
    )
    within_yx: tuple[YX, ...] | None = Field(
        default=None,
        title="Area",
        description="Only cells with their centre inside this closed line, level-0 px; needs one slide.",
    )
    author: str = Field(default="", title="Author", description="Who is named for the outlines in the history.")
    generation: int = Field(
        default=0, ge=0, description="Returned with each answer, so that late answers are recognised."
    )

    @model_validator(mode="after")
    def _is_clear(self) -> OutlineRequest:
        if self.region_yxyx is not None:
            y0, x0, y1, x1 = self.region_yxyx
            if not all(map(REGION_PX.holds, self.region_yxyx)) or y1 <= y0 or x1 <= x0:
                raise ValueError(f"expected a region with y1 > y0 and x1 > x0, all finite, got {self.region_yxyx}")
        if self.within_yx is not None and len(self.within_yx) < 3:
            raise ValueError(f"expected an area of at least three corners, got {len(self.within_yx)}")
        if (self.region_yxyx is not None or self.within_yx is not None) and len(self.slide_ids) != 1:
            raise ValueError(f"expected one slide for a region, got {len(self.slide_ids) or 'none'}")
        return self


class Why(StrEnum):
    """Why a cell has no new outline."""

    NOTHING = "no outline"
    BESIDE = "outline beside the annotation"
    SHARED = "outline holds another cell too"
    UNSURE = "score below the minimum"
    UNREADABLE = "file damaged"
    OFF_IMAGE = "outside the image"
    CHANGED = "changed meanwhile"


@dataclass(frozen=True, slots=True)
class CellWithout(JsonFields):
    """A cell that got no outline: where it lies, level-0 px, and why."""

    id: str
    centre_yx: YX
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideOutlines(JsonFields):
    """What became of the cells of one slide, or of a part of it.

    Parameters
    ----------
    slide_id, slide : str
        Its id and its name.
    mpp : float or None
        µm per level-0 px; None where unknown, and the sizes of nuclei were looked for.
    cells : int
        All cells that were asked for.
    outlined, with_cytoplasm : int
        Those that got an outline, and how many of these have one of the whole cell, too.
    had_outline, had_plain_outline, rejected : int
        Those that were left as they were: outlined before, outlined by a line of which it is not known whether it is of
        the nucleus, and rejected ones.
    without : tuple of CellWithout
        Those for which no outline was found that could be stored.
    """

    slide_id: str
    slide: str
    mpp: float | None
    cells: int
    outlined: int = 0
    with_cytoplasm: int = 0
    had_outline: int = 0
    had_plain_outline: int = 0
    rejected: int = 0
    without: tuple[CellWithout, ...] = ()

    @property
    def failed(self) -> dict[Why, int]:
        """Return how many cells have no outline, by why; only what there is."""
        return {why: count for why in Why if (count := sum(cell.why is why for cell in self.without))}


@dataclass(frozen=True, slots=True)
class SlideNotOutlined(JsonFields):
    """A slide whose cells were not outlined, and why."""

    slide_id: str
    slide: str
    cells: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined:
    """What a run came to.

    Parameters
    ----------
    project : str
        Its folder.
    method : str
        The model's id, or ``watershed``.
    sha256 : str
        Of the model's weights; empty for the watershed.
    slides : tuple of SlideOutlines
        Those that were done.
    left_out : tuple of SlideNotOutlined
        The others.
    remarks : tuple of str
        Sentences to know.
    generation : int
        Number of the question that this answers.
    """

    project: str
    method: str
    sha256: str
    slides: tuple[SlideOutlines, ...] = ()
    left_out: tuple[SlideNotOutlined, ...] = ()
    remarks: tuple[str, ...] = ()
    generation: int = 0

    @property
    def outlined(self) -> int:
        """How many cells got an outline."""
        return sum(slide.outlined for slide in self.slides)

    @property
    def failed(self) -> dict[Why, int]:
        """Return how many cells have no outline, by why; only what there is."""
        each = [slide.failed for slide in self.slides]
        return {why: count for why in Why if (count := sum(one.get(why, 0) for one in each))}

    def to_json(self) -> dict[str, Any]:
        """Return the sums, then all of it."""
        failed = {why.value: count for why, count in self.failed.items()}
        sums = {
            name: sum(getattr(slide, name) for slide in self.slides)
            for name in ("cells", "outlined", "with_cytoplasm", "had_outline", "had_plain_outline", "rejected")
        }
        return sums | {"failed": failed} | cast(dict[str, Any], to_plain(self))
