"""Gradient descent for the outline network: cross-entropy and Dice of both maps, a running mean of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from napari_cyto.training._weight_average import Average

Draw = Callable[[np.random.Generator], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]

OF_MAPS = (1.0, 0.6)
"""Weights of the losses of nucleus and cell."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How long and how fast the network learns.

    Parameters
    ----------
    steps : int
        Batches.
    batch : int
        Crops of a batch.
    rate : float
        Highest learning rate; it rises over the first twentieth of the steps and falls along a cosine.
    decay : float
        Weight decay (AdamW, Loshchilov and Hutter 2019).
    keep : float
        Share of the running mean of weights that each step keeps.
    seed : int
        Decides which crops come.
    """

    steps: int
    batch: int = 32
    rate: float = 2e-3
    decay: float = 1e-2
    keep: float = 0.998
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far learning is: steps done, and the mean loss since the last such word."""

    step: int
    loss: float


class _Endless(IterableDataset):
    """Crops without end; each worker has its own."""

    def __init__(self, draw: Draw, seed: int) -> None:
        self.draw, self.seed = draw, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        if worker is not None:
            torch.set_num_threads(1)
        rng = np.random.default_rng([self.seed, 0 if worker is None else worker.id])
        while True:
            inputs, truth = self.draw(rng)
            yield torch.from_numpy(normalised(inputs)), torch.from_numpy(truth)


def normalised(inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return an input whose colours, 0 to 1, are brought to -1 to 1; the click stays."""
    out = np.array(inputs, np.float32)
    out[:3] = out[:3] * 2 - 1
    return out


def fit(
    network: torch.nn.Module,
    draw: Draw,
    settings: FitSettings,
    workers: int = 1,
    every: int = 100,
    pulse: Callable[[], None] = lambda: None,
) -> Iterator[Progress]:
    """Train ``network`` in place; at the end it has the running mean of its weights.

    ``pulse`` is called at each step; it raises to stop.

    Yields
    ------
    Progress
        Each ``every`` steps.
    """
    torch.manual_seed(settings.seed)
    mean = Average(network, settings.keep)
    optimizer = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.decay)
    # Where the rise would end with the first step, torch divides by its length of zero.
    rise = max(0.05, 1.5 / settings.steps)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, settings.steps, pct_start=rise)
    network.train().to(memory_format=torch.channels_last)
    loader = DataLoader(_Endless(draw, settings.seed), settings.batch, num_workers=workers)
    losses: list[float] = []
    for step, (inputs, truth) in enumerate(loader, 1):
        pulse()
        loss = outline_loss(network(inputs.to(memory_format=torch.channels_last)), truth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        mean.update(network)
        losses.append(float(loss.detach()))
        if step % every == 0 or step == settings.steps:
            yield Progress(step, float(np.mean(losses)))
            losses.clear()
        if step == settings.steps:
            break
    network.load_state_dict(mean.network.state_dict())
    network.eval()


def outline_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the loss of maps ``(b, 2, n, n)``: binary cross-entropy plus one minus soft Dice (Milletari et al. 2016).

    ``truth`` is 0 to 1; where it is below 0 nothing is known, and nothing counts.
    """
    known = (truth >= 0).float()
    truth_known = truth.clamp(min=0)
    cross = functional.binary_cross_entropy_with_logits(logits, truth_known, reduction="none") * known
    shares = logits.sigmoid() * known
    common, total = (shares * truth_known).sum((2, 3)), (shares + truth_known * known).sum((2, 3))
    dice = 1 - (2 * common + 1) / (total + 1)
    counts = known.mean((2, 3)) > 0
    of_each = cross.sum((2, 3)) / known.sum((2, 3)).clamp(min=1) + dice * counts
    return (of_each * torch.tensor(OF_MAPS)).mean()
