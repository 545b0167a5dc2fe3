"""What models of slides said of a project's slides: a score with its interval over seeds, and what they looked at."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.json_values import JsonFields, from_plain
from napari_cyto.errors import CytoError
from napari_cyto.store import Project
from napari_cyto.vectors._project_vectors import vectors_folder

SCORE_NOTICE = "A score orders slides for reading; it is not a probability of disease, and not a diagnosis."
SCORE_HIDDEN = "Blind reading: the score of the model is hidden."

_SCORES = "slide.scores."
_FOLDER = "attention"
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideScore(JsonFields):
    """What a model said of a slide.

    Parameters
    ----------
    model, sha256 : str
        Id of the model, and the hash of its weights.
    positive : str
        The least severe category that counts as positive.
    score : float
        0 to 1, the higher the more like the positive slides that it was trained on; not a probability of disease.
    low, high : float or None
        95 % interval over seeds; None of a model of one seed.
    seeds : tuple of float
        The score of each network.
    bag : str
        ``cells`` or ``patches``.
    looked_at, without : int
        How many of them were looked at, and how many could not be.
    at : str
        When, ISO 8601.
    calibrated : float or None
        Share of the slides held out from the model's training with such a score that were positive; None where these
        were too few to tell.
    learned_from : str
        The set that the slide was in when the model was trained, ``train`` or ``validation``: such a score flatters
        the model. Empty of others.
    vectors : str
        Folder of the vectors of cells that were looked at; empty of patches.
    digest : str
        Of these vectors.
    mpp : float or None
        µm per level-0 px of the slide.
    """

    model: str
    sha256: str
    positive: str
    score: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    bag: str
    looked_at: int
    without: int
    at: str
    calibrated: float | None = None
    learned_from: str = ""
    vectors: str = ""
    digest: str = ""
    mpp: float | None = None

    @property
    def words(self) -> str:
        """What a person reads."""
        span = "" if self.low is None or self.high is None else f" ({self.low:.2f} to {self.high:.2f} over seeds)"
        missing = f", {self.without:,} not looked at" if self.without else ""
        calibrated = "" if self.calibrated is None else f", calibrated {self.calibrated:.2f}"
        learned = "; the model was trained with this slide" if self.learned_from else ""
        rests_on = f", from {self.looked_at:,} {self.bag}{missing}{learned}"
        return f"{self.positive} or worse: {self.score:.2f}{span}{calibrated}{rests_on}"


@dataclass(frozen=True, slots=True)
class Attention:
    """What a model looked at on a slide.

    Parameters
    ----------
    ids : tuple of str
        Cells or patches.
    centres_yx : ndarray, float64 (n, 2)
        Level-0 px.
    weights : ndarray, float32 (n,)
        Mean over seeds; sum 1.
    side_px : float
        Side of a patch, level-0 px; 0 of cells.
    """

    ids: tuple[str, ...]
    centres_yx: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float32]
    side_px: float = 0.0

    def as_map(self, size_hw: tuple[int, int], longest: int = 512) -> npt.NDArray[np.float32]:
        """Return the attention as a map over a slide of a size (level-0 px), its longer side ``longest`` px.

        Each place holds the sum of the attention on what lies there, over the greatest; 0 where nothing was looked at.
        A cell is drawn no smaller than one twenty-fifth of the longer side, or nobody would see it.
        """
        step = longest / max(size_hw)
        shape = (max(1, round(size_hw[0] * step)), max(1, round(size_hw[1] * step)))
        found = np.zeros(shape, np.float64)
        half = max(self.side_px, max(size_hw) / 25) / 2
        for (y, x), weight in zip(self.centres_yx.tolist(), self.weights.tolist(), strict=True):
            top, left = (min(max(int((c - half) * step), 0), side - 1) for c, side in zip((y, x), shape, strict=True))
            bottom = max(min(int(np.ceil((y + half) * step)), shape[0]), top + 1)
            right = max(min(int(np.ceil((x + half) * step)), shape[1]), left + 1)
            found[top:bottom, left:right] += weight
        shares: npt.NDArray[np.float32] = (found / max(found.max(initial=0.0), 1e-12)).astype(np.float32)
        return shares


def keep_score(project: Project, slide_id: str, score: SlideScore, attention: Attention) -> None:
    """Keep what a model said of a slide, in place of what the same model said before."""
    place = _place(project, slide_id, score.sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(
        content,
        ids=np.array(attention.ids, dtype="U64"),
        centres_yx=attention.centres_yx,
        weights=attention.weights,
        side_px=np.float64(attention.side_px),
    )
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content.getvalue())
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    others = [each for each in _kept(project, slide_id) if each.get("sha256") != score.sha256]
    project.set_setting(_SCORES + slide_id, [*others, score.to_json()])


def scores_of(project: Project, slide_id: str) -> tuple[SlideScore, ...]:
    """Return what models said of a slide, the newest last.

    Raises
    ------
    CytoError
        When what is kept is none of ours.
    """
    found = [from_plain(SlideScore, each, "A kept score of a slide") for each in _kept(project, slide_id)]
    return tuple(sorted(found, key=lambda each: datetime.fromisoformat(each.at)))


def attention_of(project: Project, slide_id: str, sha256: str) -> Attention | None:
    """Return what a model looked at on a slide; None where that is not kept.

    Raises
    ------
    CytoError
        When the file is damaged.
    """
    place = _place(project, slide_id, sha256)
    try:
        if not place.is_file():
            return None
        if place.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{os.fspath(place.name)} is too large")
        with np.load(place, allow_pickle=False) as kept:
            ids = tuple(str(each) for each in kept["ids"].tolist())
            centres, weights = kept["centres_yx"].astype(np.float64), kept["weights"].astype(np.float32)
            side_px = float(kept["side_px"])
        if centres.shape != (len(ids), 2) or weights.shape != (len(ids),) or not np.isfinite(weights).all():
            raise ValueError("its parts do not belong together")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise CytoError(
            f"{place}: what the model looked at cannot be read ({error}); score the slide again."
        ) from error
    return Attention(ids, centres, weights, side_px)


def _kept(project: Project, slide_id: str) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = project.setting(_SCORES + slide_id, [])
    return kept


def _place(project: Project, slide_id: str, sha256: str) -> Path:
    return vectors_folder(project) / _FOLDER / sha256[:16] / f"{slide_id}.npz"
