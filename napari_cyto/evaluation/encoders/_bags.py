"""Attention over the cells of an image on frozen vectors, learned and measured over many splits.

Source: Ilse, Tomczak and Welling 2018, Attention-based Deep Multiple Instance Learning; the splits are those of
Ivezić et al. 2025, CytoFM, section 3.2 and Table 2: 60 % to train, 20 % to stop by, 20 % to measure.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_cyto.domain.counts import counted
from napari_cyto.domain.statistics.bootstrap import groups_with
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.classification import auroc
from napari_cyto.evaluation.encoders._probes import group_folds
from napari_cyto.evaluation.encoders._vectors import KEPT
from napari_cyto.evaluation.encoders.table import BagScores
from napari_cyto.jobs.events import Advanced, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.attention_mil import GatedAttention

LEAST_GROUPS = 5
"""Groups with a positive image, and with a negative one: one for each fifth."""

_PARTS = 5
_TRIES = 20
_EPOCHS, _PATIENCE = 60, 12
_LR, _DECAY = 5e-3, 1e-3
_HIDDEN, _ATTENTION, _DROPOUT = 64, 32, 0.25

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Bags:
    """Cells by image.

    Parameters
    ----------
    vectors : ndarray, (n, length), float32
        Of cells.
    bag : ndarray, (n,), intp
        The bag of each, counted from 0.
    positive : ndarray, bool (b,)
        Which bags are.
    groups : tuple of str (b,)
        Whose they are: no split takes one apart.
    """

    vectors: Vectors
    bag: Numbers
    positive: Labels
    groups: tuple[str, ...]


def bag_scores(
    bags: Bags, splits: int, seed: int, label: str, title: str = "", token: Token | None = None
) -> Generator[Advanced, None, BagScores]:
    """Train and measure on so many splits; a part of a job.

    Parameters
    ----------
    bags : Bags
        Of one data set.
    splits : int
        How many.
    seed : int
        The same seed gives every encoder the same splits.
    label : str
        What a positive bag is, in words.
    title : str
        What is said beside the progress.
    token : Token, optional
        Asks for a stop, between splits.

    Yields
    ------
    Advanced
        After each split.

    Raises
    ------
    JobCancelled
        When the user asked for it.
    CytoError
        When too few groups hold a positive bag, or a negative one.
    """
    for sign, which in (("positive", bags.positive), ("negative", ~bags.positive)):
        many = groups_with(which, bags.groups)
        if many < LEAST_GROUPS:
            raise CytoError(
                f"Expected {sign} images ({label}) of {LEAST_GROUPS} patients, smears or images or more, so that each "
                f"fifth has one, got {many}."
            )
    found = []
    for split in range(splits):
        stop_if_cancelled(token, KEPT)
        parts = _parts(bags, seed, split)
        found.append(_measured(_scores(bags, parts, seed + split), bags.positive, parts == 0))
        yield Advanced(split + 1, splits, title)
    values = np.array(found)
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) if splits > 1 else np.zeros(3)
    return BagScores(
        label=label,
        bags=len(bags.positive),
        positive=int(bags.positive.sum()),
        splits=splits,
        auroc=float(mean[0]),
        auroc_sd=float(spread[0]),
        balanced=float(mean[1]),
        balanced_sd=float(spread[1]),
        accuracy=float(mean[2]),
        accuracy_sd=float(spread[2]),
    )


def _parts(bags: Bags, seed: int, split: int) -> Numbers:
    """Return the fifth of each bag, each with both labels in the parts to test (0), to stop by (1) and to train."""
    for attempt in range(_TRIES):
        chance = int(np.random.SeedSequence([seed, split, attempt]).generate_state(1)[0])
        fold = group_folds(bags.positive.astype(np.intp), bags.groups, _PARTS, chance)
        kinds = (fold == 0, fold == 1, fold > 1)
        if all(0 < int(bags.positive[kind].sum()) < int(kind.sum()) for kind in kinds):
            return fold
    raise CytoError(
        f"Expected splits of {counted(len(set(bags.groups)), 'group')} of images in which all parts hold positive and "
        f"negative ones, got none in {_TRIES} tries; too few groups hold too many of the images."
    )


def _scores(bags: Bags, parts: Numbers, seed: int) -> npt.NDArray[np.float64]:
    """Return the logit of each bag by a network that learned from parts 2 to 4 and stopped by part 1."""
    train, held = parts > 1, parts == 1
    mean, std = _scaling(bags, train)
    vectors = torch.from_numpy((bags.vectors - mean) / std)
    bag, label = torch.from_numpy(bags.bag), torch.from_numpy(bags.positive.astype(np.float32))
    inside = torch.from_numpy(train[bags.bag])
    # Cells of bags that train, their bags counted anew.
    number = torch.from_numpy(np.cumsum(train) - 1)[bag[inside]]
    weight = torch.from_numpy(_weights(bags.positive, train))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = GatedAttention(vectors.shape[1], _HIDDEN, _ATTENTION, _DROPOUT)
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LR, weight_decay=_DECAY)
        best, least, since = torch.zeros(len(label)), np.inf, 0
        own = vectors[inside]
        for _ in range(_EPOCHS):
            network.train()
            loss = _loss(_logits(network, own, number, int(train.sum())), label[train], weight[train])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            network.eval()
            with torch.inference_mode():
                said = _logits(network, vectors, bag, len(label))
                value = float(_loss(said[held], label[held], weight[held]))
            if value < least:
                best, least, since = said, value, -1
            since += 1
            if since >= _PATIENCE:
                break
    logits: npt.NDArray[np.float64] = best.double().numpy()
    return logits


def _logits(network: GatedAttention, vectors: torch.Tensor, bag: torch.Tensor, count: int) -> torch.Tensor:
    """Return the logit of every bag at once: `GatedAttention` gives that of one."""
    reduced = network.reduce(vectors)
    heat = network.weigh(torch.tanh(network.content(reduced)) * torch.sigmoid(network.gate(reduced)))[:, 0]
    most = torch.full((count,), -torch.inf).scatter_reduce(0, bag, heat.detach(), "amax")
    share = torch.exp(heat - most[bag])
    total = torch.zeros(count).index_add(0, bag, share)
    pooled = torch.zeros(count, reduced.shape[1]).index_add(0, bag, (share / total[bag])[:, None] * reduced)
    logits: torch.Tensor = network.classify(pooled)[:, 0]
    return logits


def _scaling(bags: Bags, train: Labels) -> tuple[Vectors, Vectors]:
    own = bags.vectors[train[bags.bag]].astype(np.float64)
    std = own.std(axis=0)
    return own.mean(axis=0).astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def _weights(positive: Labels, train: Labels) -> npt.NDArray[np.float32]:
    """Return the weight of each bag: both labels weigh the same in training."""
    share = float(positive[train].mean())
    return np.where(positive, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)


def _loss(logits: torch.Tensor, label: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, label, weight)


def _measured(scores: npt.NDArray[np.float64], positive: Labels, test: Labels) -> tuple[float, float, float]:
    """Return AUROC, the mean of sensitivity and specificity, and accuracy, at a probability of 0.5."""
    truth, right = positive[test], (scores[test] > 0) == positive[test]
    both = (right[truth].mean() + right[~truth].mean()) / 2
    area = auroc(truth, scores[test])
    assert area is not None, "each part has both labels"
    return area, float(both), float(right.mean())
