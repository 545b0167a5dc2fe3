"""What a project keeps for the results of its slides: how they were prepared, and what the spot checks came to."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto import __version__
from napari_cyto.domain.adequacy import Preparation
from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.coverage import MAGNIFICATIONS
from napari_cyto.domain.json_values import JsonFields, from_plain
from napari_cyto.domain.statistics import share_interval
from napari_cyto.errors import CytoError
from napari_cyto.store import Project

if TYPE_CHECKING:
    from napari_cyto.slides.survey import Survey

_PREPARATIONS, _MAGNIFICATION, _SURVEY = "result.preparations", "result.magnification", "result.survey/{}"
_FORM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFacts(JsonFields):
    """What the spot checks of a slide came to, as reports tell it.

    Parameters
    ----------
    tiles, judged : int
        How many tiles were looked at, and how many of them had enough stain for their focus to be judged.
    focus : float or None
        Their median focus; None when none could be judged.
    out_of_focus : float or None
        Share of the judged tiles that is out of focus, 0 to 1.
    out_of_focus_interval : tuple of float or None
        Its 95 % interval.
    obscured : float or None
        Share of the stained area that is obscured, 0 to 1.
    mpp : float
        µm per level-0 px.
    measured_utc, made_by : str
        When, in ISO 8601, and by which version.
    """

    tiles: int
    judged: int
    focus: float | None
    out_of_focus: float | None
    out_of_focus_interval: tuple[float, float] | None
    obscured: float | None
    mpp: float
    measured_utc: str
    made_by: str


@dataclass(frozen=True, slots=True)
class _PackedMask(JsonFields):
    """A mask as text: its height and width, and its zlib-compressed bits in base64."""

    shape: tuple[int, int]
    bits: str


@dataclass(frozen=True, slots=True)
class KeptSurvey:
    """What a project keeps of the spot checks of a slide.

    Parameters
    ----------
    facts : SurveyFacts
        What they came to.
    tissue : bool array (h, w)
        Where the stained material lies, over the whole slide.
    """

    facts: SurveyFacts
    tissue: npt.NDArray[np.bool_] = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as the project keeps it."""
        bits = base64.b64encode(zlib.compress(np.packbits(self.tissue).tobytes())).decode("ascii")
        height, width = self.tissue.shape
        return {"form": _FORM} | self.facts.to_json() | {"tissue": _PackedMask((height, width), bits).to_json()}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> KeptSurvey:
        """Return what ``to_json`` made.

        Raises
        ------
        CytoError
            When something of it is missing or is not what it should be.
        """
        where = "What the project keeps of focus and obscured area"
        packed = from_plain(_PackedMask, kept.get("tissue"), f"{where} (tissue)")
        height, width = packed.shape
        try:
            bits = np.frombuffer(zlib.decompress(base64.b64decode(packed.bits)), np.uint8)
            mask = np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)
        except (ValueError, zlib.error) as error:
            raise CytoError(
                f"{where}: expected the bits of a mask of {height} by {width}, got other ones; measure again."
            ) from error
        return cls(from_plain(SurveyFacts, kept, where), mask)


def preparation_of(project: Project, slide_id: str) -> tuple[Preparation | None, str]:
    """Return how a slide was prepared and who said so; None and nobody before anyone did."""
    said = project.setting(_PREPARATIONS, {}).get(slide_id)
    return (Preparation(said["preparation"]), str(said["by"])) if said else (None, "")


def say_preparation(project: Project, slide_ids: Iterable[str], preparation: Preparation | None, by: str) -> None:
    """Keep how slides were prepared, as a person says; None takes it back."""
    known = dict(project.setting(_PREPARATIONS, {}))
    for slide_id in slide_ids:
        known.pop(slide_id, None)
        if preparation is not None:
            known[slide_id] = {"preparation": preparation.value, "by": by, "said_utc": now_utc().isoformat()}
    project.set_setting(_PREPARATIONS, known)


def magnification_for(project: Project) -> float:
    """Return from which objective on a look counts in this project; 10x, with which slides are screened, at first."""
    kept = float(project.setting(_MAGNIFICATION, 10.0))
    return kept if kept in MAGNIFICATIONS else 10.0


def count_from(project: Project, magnification: float) -> None:
    """Keep from which objective on a look counts."""
    project.set_setting(_MAGNIFICATION, magnification)


def survey_of(project: Project, slide_id: str) -> KeptSurvey | None:
    """Return what the spot checks of a slide came to; None before there were any.

    Raises
    ------
    CytoError
        When what is kept of them is damaged.
    """
    kept = project.setting(_SURVEY.format(slide_id))
    return KeptSurvey.from_json(kept) if kept and kept.get("form") == _FORM else None


def keep_survey(project: Project, slide_id: str, found: KeptSurvey) -> None:
    """Keep what the spot checks of a slide came to."""
    project.remember(_SURVEY.format(slide_id), found.to_json())


def survey_facts(found: Survey, mpp: float) -> KeptSurvey:
    """Return what to keep of spot checks on a slide of ``mpp`` µm per level-0 px."""
    facts = SurveyFacts(
        tiles=found.tiles,
        judged=found.checked,
        focus=found.focus,
        out_of_focus=found.out_of_focus / found.checked if found.checked else None,
        out_of_focus_interval=share_interval(found.out_of_focus, found.checked),
        obscured=found.obscured,
        mpp=mpp,
        measured_utc=now_utc().isoformat(timespec="seconds"),
        made_by=f"napari-cyto {__version__}",
    )
    return KeptSurvey(facts, found.tissue)
