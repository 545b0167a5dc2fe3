"""What the window asks the process beside it of a click, and the answer: frozen values, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.quantities import UmPerPx


class ClickRequest(BaseModel):
    """Which slide, where on it, and what draws the outlines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: Path = Field(title="Slide", description="The slide file.")
    fingerprint: str = Field(
        default="", title="Fingerprint", description="Of the slide that was annotated; another file is refused."
    )
    clicks_yx: tuple[YX, ...] = Field(
        default=(), title="Clicks", description="Places in nuclei, level-0 px; none only loads what clicks will need."
    )
    mpp: UmPerPx | None = Field(default=None, title="µm per px", description="At full resolution, where known.")
    model: str | None = Field(
        default=None,
        title="Model",
        description="A model of outlines in the library or its folder, or watershed; by default the model that ships.",
    )
    generation: int = Field(
        default=0, ge=0, description="Returned with each answer, so that late answers are recognised."
    )


@dataclass(frozen=True, slots=True)
class ClickedCell(JsonFields):
    """What lies under one click.

    Parameters
    ----------
    number : int
        Which of the request's clicks.
    nucleus_yx : tuple of (y, x)
        Ring of the nucleus, level-0 px; empty where none was found.
    cytoplasm_yx : tuple of (y, x)
        Ring of the whole cell; empty where its border cannot be seen.
    score : float
        0 to 1: how far the ring of the nucleus is to be trusted.
    is_damaged : bool
        Whether the slide's file is damaged there.
    """

    number: int
    nucleus_yx: tuple[YX, ...]
    cytoplasm_yx: tuple[YX, ...]
    score: float
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class ClicksAnswered(JsonFields):
    """The last word on a request: what drew the outlines, and a remark where that may surprise."""

    method: str
    remark: str = ""
