"""One network of gated attention, fitted to bags with early stopping; and checks of what its attention explains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_cyto.models.attention_mil import AttentionMil, GatedAttention
from napari_cyto.training.slide.slide_config import SlideTrainConfig

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Mean and standard deviation of each number of the vectors, each training bag weighing the same."""

    mean: Vectors
    std: Vectors

    @classmethod
    def of(cls, bags: Sequence[Vectors]) -> Scaling:
        """Return that of training bags."""
        mean = np.mean([bag.mean(axis=0) for bag in bags], axis=0)
        square = np.mean([(bag**2).mean(axis=0) for bag in bags], axis=0)
        std = np.sqrt(np.maximum(square - mean**2, 0))
        return cls(mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32))

    def __call__(self, bag: Vectors) -> torch.Tensor:
        """Return a bag as the networks take it."""
        return torch.from_numpy((bag - self.mean) / self.std)


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass gave: the losses, whether the validation loss is the least so far, and the weights if it is."""

    number: int
    train_loss: float
    val_loss: float
    is_best: bool


def fit(
    train: Sequence[Vectors],
    labels: Labels,
    validation: Sequence[Vectors],
    validation_labels: Labels,
    config: SlideTrainConfig,
    seed: int,
    scaling: Scaling,
    pulse: Callable[[], None] = lambda: None,
) -> Iterator[Epoch | GatedAttention]:
    """Fit one network; yields each epoch, and the network of the least validation loss last, in evaluation mode.

    Parameters
    ----------
    train, validation : sequence of ndarray, float32 (n, length)
        Bags. Without validation bags the training loss decides, and every epoch is made.
    labels, validation_labels : ndarray, bool
        Which bags are positive.
    config : SlideTrainConfig
        How.
    seed : int
        Of weights, dropout, order and draws.
    scaling : Scaling
        As for the networks beside it.
    pulse : callable
        Called between bags; raises to stop.
    """
    chance = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = GatedAttention(train[0].shape[1], config.hidden, config.attention, config.dropout)
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        weight_of = _class_weights(labels, config.class_weights)
        best: dict[str, torch.Tensor] = {}
        least, since = math.inf, 0
        for number in range(1, config.epochs + 1):
            network.train()
            losses = []
            for place in chance.permutation(len(train)).tolist():
                pulse()
                bag = train[place]
                if len(bag) > config.bag_limit:
                    bag = bag[chance.choice(len(bag), config.bag_limit, replace=False)]
                loss = _loss(network(scaling(bag))[0], bool(labels[place]), weight_of)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
            network.eval()
            train_loss = float(np.mean(losses))
            held = _held_out(network, validation, validation_labels, weight_of, scaling, pulse)
            val_loss = train_loss if held is None else held
            is_best = val_loss < least or held is None
            if is_best:
                least, since = val_loss, 0
                best = {name: value.clone() for name, value in network.state_dict().items()}
            since += not is_best
            yield Epoch(number, train_loss, val_loss, is_best)
            if since >= config.patience:
                break
    network.load_state_dict(best)
    yield network.eval()


def _class_weights(labels: Labels, balanced: bool) -> Mapping[bool, float]:
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not balanced or not positive or not negative:
        return {True: 1.0, False: 1.0}
    return {True: len(labels) / (2 * positive), False: len(labels) / (2 * negative)}


def _loss(logit: torch.Tensor, label: bool, weight_of: Mapping[bool, float]) -> torch.Tensor:
    return weight_of[label] * nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(float(label)))


def _held_out(
    network: GatedAttention,
    bags: Sequence[Vectors],
    labels: Labels,
    weight_of: Mapping[bool, float],
    scaling: Scaling,
    pulse: Callable[[], None],
) -> float | None:
    if not bags:
        return None
    losses = []
    with torch.inference_mode():
        for bag, label in zip(bags, labels.tolist(), strict=True):
            pulse()
            losses.append(float(_loss(network(scaling(bag))[0], label, weight_of)))
    return float(np.mean(losses))


def trained(events: Iterator[Epoch | GatedAttention]) -> GatedAttention:
    """Return the network in which a fit ends."""
    *_, last = events
    assert isinstance(last, GatedAttention)
    return last


def with_shuffled_weights(network: GatedAttention, seed: int) -> GatedAttention:
    """Return the network with the numbers of each of its tensors in another order.

    Source: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, section 3.
    """
    chance = torch.Generator().manual_seed(seed)
    shuffled = GatedAttention(
        network.reduce[0].in_features, network.content.in_features, network.content.out_features, 0.0
    )
    state = {
        name: value.flatten()[torch.randperm(value.numel(), generator=chance)].reshape(value.shape)
        for name, value in network.state_dict().items()
    }
    shuffled.load_state_dict(state)
    shuffled.eval()
    return shuffled


def attention_on(networks: Sequence[GatedAttention], bag: Vectors, scaling: Scaling) -> npt.NDArray[np.float64]:
    """Return the mean attention (n,) of networks on a bag."""
    with torch.inference_mode():
        scaled = scaling(bag)
        each = np.array([network(scaled)[1].numpy() for network in networks], dtype=np.float64)
    mean: npt.NDArray[np.float64] = each.mean(axis=0)
    return mean


def logits_of(networks: Sequence[GatedAttention], bag: Vectors, scaling: Scaling) -> npt.NDArray[np.float64]:
    """Return the logit of each network on a bag (seeds,)."""
    with torch.inference_mode():
        scaled = scaling(bag)
        return np.array([float(network(scaled)[0]) for network in networks])


FOREMOST = 0.05
"""Share of a bag's instances, those attended most, in which two explanations are compared."""

_SHUFFLES = 10


def agreement(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Return the share of the most attended instances of a bag, one in twenty, in which two attentions agree."""
    most = max(1, math.ceil(FOREMOST * len(one)))
    foremost = [set(np.argsort(-each, kind="stable")[:most].tolist()) for each in (one, other)]
    return len(foremost[0] & foremost[1]) / most


def explanation_checks(
    networks: Sequence[GatedAttention],
    of_training: tuple[Sequence[Vectors], Labels, Sequence[Vectors], Labels],
    positive: Sequence[Vectors],
    config: SlideTrainConfig,
    scaling: Scaling,
    pulse: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return how far the attention on held-out positive bags agrees between seeds, and with what cannot explain.

    Parameters
    ----------
    networks : sequence of GatedAttention
        Of all seeds.
    of_training : tuple
        Bags and labels of the training and the validation set, as `fit` takes them.
    positive : sequence of ndarray
        Held-out positive bags.
    config, scaling, pulse
        As for `fit`.

    Returns
    -------
    dict
        Mean share of the most attended instances that agree, see `agreement`: ``between_seeds`` of one network with
        another; ``weights_shuffled`` with networks whose weights, and ``labels_shuffled`` whose training labels, are
        in another order; ``chance`` of two random choices. An explanation agrees between seeds, and with neither.
    """
    train, labels, validation, validation_labels = of_training
    chance = np.random.default_rng(config.seed + 1_000)
    shuffled = [
        with_shuffled_weights(networks[number % len(networks)], config.seed + number) for number in range(_SHUFFLES)
    ]
    of_labels = [
        trained(
            fit(
                train,
                chance.permutation(labels),
                validation,
                chance.permutation(validation_labels),
                config,
                config.seed + 1_000 + number,
                scaling,
                pulse,
            )
        )
        for number in range(len(networks))
    ]
    found: dict[str, list[float]] = {"between_seeds": [], "weights_shuffled": [], "labels_shuffled": [], "chance": []}
    for bag in positive:
        pulse()
        each = [attention_on([network], bag, scaling) for network in networks]
        found["between_seeds"] += [agreement(one, other) for n, one in enumerate(each) for other in each[:n]]
        for name, others in (("weights_shuffled", shuffled), ("labels_shuffled", of_labels)):
            random = [attention_on([network], bag, scaling) for network in others]
            found[name] += [agreement(one, other) for one in each for other in random]
        found["chance"].append(max(1, math.ceil(FOREMOST * len(bag))) / len(bag))
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def join(networks: Sequence[GatedAttention], scaling: Scaling, model: AttentionMil) -> None:
    """Put the weights of all networks, and the scaling, into one model."""
    for own, network in zip(model.networks, networks, strict=True):
        own.load_state_dict(network.state_dict())
    model.mean.copy_(torch.from_numpy(scaling.mean))
    model.std.copy_(torch.from_numpy(scaling.std))
