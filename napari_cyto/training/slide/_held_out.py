"""Every slide scored once by networks that never saw it, fold by fold: what the reliability of scores rests on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.splits.split import TEST, TRAIN, VALIDATION, Split
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.evaluation.slide_reliability import HeldOutScores
from napari_cyto.files.atomic import write_text
from napari_cyto.jobs.events import Advanced
from napari_cyto.training.slide.slide_config import SlideTrainConfig

LEAST_GROUPS = 5
"""Patients, else smears or slides, of either kind: below that a fold or the set that steers it would have none."""


@dataclass(frozen=True, slots=True)
class Bags:
    """What is trained on: the vectors of each slide, which are positive, and the ids of the slides."""

    vectors: Sequence[npt.NDArray[np.float32]]
    truth: npt.NDArray[np.bool_]
    ids: Sequence[str]


def held_out_scores(
    bags: Bags,
    config: SlideTrainConfig,
    split_of: Callable[[int], Split[SlideRecord]],
    folds: int,
    kept_in: FoldFile,
    pulse: Callable[[], None] = lambda: None,
) -> Iterator[Advanced | HeldOutScores]:
    """Train and score fold after fold; yields how far it is, and the scores last.

    Parameters
    ----------
    bags : Bags
        All slides.
    config : SlideTrainConfig
        How each network is trained; as many in each fold as the model has.
    split_of : callable
        Returns the division in which a fold is the test set.
    folds : int
        How many there are.
    kept_in : FoldFile
        Keeps the folds that are finished, for a run that is resumed.
    pulse : callable
        Called between bags; raises to stop.
    """
    from napari_cyto.training.slide._fitting import Scaling, fit, logits_of, trained

    place = {slide_id: n for n, slide_id in enumerate(bags.ids)}
    logits, fold_of = np.zeros(len(place)), np.zeros(len(place), np.intp)
    groups: dict[str, str] = {}
    for fold in range(folds):
        yield Advanced(fold, folds, f"Scoring held-out slides, fold {fold + 1} of {folds}")
        split = split_of(fold)
        groups |= split.groups
        kept = kept_in.scores(fold)
        if kept is None:
            of = {name: [place[i] for i, into in split.sets.items() if into == name] for name in _SETS}
            vectors = {name: [bags.vectors[n] for n in rows] for name, rows in of.items()}
            scaling = Scaling.of(vectors[TRAIN])
            of_fit = (vectors[TRAIN], bags.truth[of[TRAIN]], vectors[VALIDATION], bags.truth[of[VALIDATION]], config)
            seeds = (config.seed + 10_000 * (fold + 1) + number for number in range(config.seeds))
            networks = [trained(fit(*of_fit, seed, scaling, pulse)) for seed in seeds]
            found = [float(logits_of(networks, bag, scaling).mean()) for bag in vectors[TEST]]
            kept = dict(zip((bags.ids[n] for n in of[TEST]), found, strict=True))
            kept_in.keep(fold, kept)
        for slide_id, logit in kept.items():
            logits[place[slide_id]], fold_of[place[slide_id]] = logit, fold
    yield HeldOutScores(logits, bags.truth, fold_of, tuple(groups[slide_id] for slide_id in bags.ids))


_SETS = (TRAIN, VALIDATION, TEST)


class FoldFile:
    """Keeps the scores of the folds that a run has finished, as long as its settings and data are the same."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self._fingerprint = path, fingerprint
        self._folds: dict[str, Mapping[str, float]] = {}
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["fingerprint"] == fingerprint:
                self._folds = {str(k): {str(i): float(x) for i, x in v.items()} for k, v in kept["folds"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Nothing was kept, or something else: the folds are made anew.
            self._folds = {}

    def scores(self, fold: int) -> Mapping[str, float] | None:
        """Return the logit of each slide that was held out in a fold, by id; None before that was finished."""
        return self._folds.get(str(fold))

    def keep(self, fold: int, scores: Mapping[str, float]) -> None:
        """Keep the logits of a fold."""
        self._folds[str(fold)] = scores
        write_text(self.path, json.dumps({"fingerprint": self._fingerprint, "folds": self._folds}))
