"""What a project keeps for the results of its slides: how they were prepared, and what the spot checks came to."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto import __version__
from napari_cyto.domain.adequacy import Preparation
from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.coverage import MAGNIFICATIONS
from napari_cyto.domain.statistics import share_interval
from napari_cyto.store import Project

if TYPE_CHECKING:
    from napari_cyto.slides.survey import Survey

_PREPARATIONS, _MAGNIFICATION, _SURVEY = "result.preparations", "result.magnification", "result.survey/{}"
_FORM = 1

Plain = dict[str, Any]


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


def survey_of(project: Project, slide_id: str) -> Plain | None:
    """Return what the spot checks of a slide came to, as `survey_facts` told it; None before there were any."""
    kept = project.setting(_SURVEY.format(slide_id))
    return kept if kept and kept.get("form") == _FORM else None


def keep_survey(project: Project, slide_id: str, told: Mapping[str, Any]) -> None:
    """Keep what the spot checks of a slide came to."""
    project.remember(_SURVEY.format(slide_id), dict(told))


def survey_facts(found: Survey, mpp: float) -> Plain:
    """Return spot checks on a slide of ``mpp`` µm per level-0 px as JSON-able values."""
    interval = share_interval(found.out_of_focus, found.judged)
    return {
        "form": _FORM,
        "tiles": found.tiles,
        "judged": found.judged,
        "focus": found.focus,
        "out_of_focus": found.out_of_focus / found.judged if found.judged else None,
        "out_of_focus_interval": None if interval is None else list(interval),
        "obscured": found.obscured,
        "mpp": mpp,
        "measured_utc": now_utc().isoformat(timespec="seconds"),
        "made_by": f"napari-cyto {__version__}",
        "tissue": {
            "shape": list(found.tissue.shape),
            "bits": base64.b64encode(zlib.compress(np.packbits(found.tissue).tobytes())).decode("ascii"),
        },
    }


def tissue_of(told: Mapping[str, Any] | None) -> npt.NDArray[np.bool_] | None:
    """Return where the stained material lies, bool ``(h, w)`` over the whole slide; None before it was looked for."""
    if told is None:
        return None
    height, width = told["tissue"]["shape"]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(told["tissue"]["bits"])), np.uint8)
    return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)
