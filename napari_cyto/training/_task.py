"""What a run asks of whatever it trains: one protocol, one implementation for each kind of model."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.jobs.events import Event, Token
from napari_cyto.models.manifest import Decision
from napari_cyto.training._kept_outputs import ScoredOutputs
from napari_cyto.training.config import PhaseConfig

Batch: TypeAlias = dict[str, Any]
"""Tensors (or lists of them) by name, on the CPU; the run moves them to the device."""

Weights: TypeAlias = dict[str, Any]
"""Tensors by the names that a network has for them."""

Groups: TypeAlias = list[dict[str, Any]]
"""Parameters with their rates and decays, as torch's optimisers take them."""

Network: TypeAlias = Any
"""A module. What ``validate`` and ``evaluate`` are given is called like one: tensors go in from the CPU and come out on
the CPU in float32, gradients off, in the run's precision; ``.module`` is the bare module behind it.
"""

Tensor: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of each batch this process works on: part ``rank`` of ``of``, one for each device."""

    rank: int = 0
    of: int = 1


@dataclass(frozen=True)
class WorstCell:
    """A validation cell that the model gets most wrong, to be looked at by a person.

    Parameters
    ----------
    image : ndarray, uint8, RGB
        (h, w, 3), the cell with its surroundings.
    slide : str
        Path of its slide.
    centre_yx : tuple of float
        Level-0 px.
    truth, answer : str
        Class ids; of a detector also ``""`` for "nothing there".
    probability : float
        What the model gave its answer, 0 to 1.
    """

    image: npt.NDArray[np.uint8]
    slide: str
    centre_yx: tuple[float, float]
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Validation:
    """What an epoch is worth, measured on the validation side.

    Parameters
    ----------
    score : float
        What the run maximises, and where plateaus are seen; NaN counts as the worst.
    loss : float or None
        The training loss on validation data, where the task can tell it.
    metrics : dict
        Name to value; curves are drawn of each.
    per_class_recall : dict
        Class id to recall, None where the side has no such cell.
    decision : Decision
        How outputs become answers, fitted on this side (temperature, offsets, threshold).
    worst : tuple of WorstCell
        The worst first, a dozen at most.
    """

    score: float
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    per_class_recall: dict[str, float | None] = field(default_factory=dict)
    decision: Decision = field(default_factory=Decision)
    worst: tuple[WorstCell, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What the finished model is worth on cells that had no say in it; JSON-able all but ``outputs``.

    Parameters
    ----------
    side : str
        ``test``, or ``validation`` where there is no test side (then it had a say, and the card says so).
    metrics : dict
        Held-out figures with their intervals, for the model card.
    confusion : dict
        ``{"classes": [...], "counts": [[...]]}``, truth in rows; empty where it has no meaning.
    cells : list of dict
        ``slide``, ``centre_yx``, ``truth``, ``answer`` (and ``scores``) of judged cells, the wrong ones first where
        there are too many to list.
    outputs : ScoredCells or tuple of DetectedField, optional
        All that the figures are made of; the run keeps it beside the model, for the figures of several folds.
    """

    side: str
    metrics: dict[str, Any] = field(default_factory=dict)
    confusion: dict[str, Any] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    outputs: ScoredOutputs | None = None


class Task(Protocol):
    """A kind of model with its data: what the run needs to know of it, and nothing of how the run works.

    A task is made from ``(config, data, split, parent)`` (see ``tasks.py``), where ``parent`` is the bundle to
    continue from, or None. It keeps no state that a resumed run would miss: what an epoch draws follows from
    ``config.seed`` and the epoch's number alone.
    """

    network: Network
    """float32, on the CPU, made by ``prepare``; only the run moves it."""

    score_name: str
    """The metric that is maximised, as people read it."""

    def prepare(self, token: Token | None) -> Iterator[Event]:
        """Cut, cache and build whatever training needs; yields ``Advanced`` and ``Noted``.

        Raises
        ------
        JobCancelled
            When ``token`` says so.
        CytoError
            When there is nothing to train on.
        """
        ...

    def used(self) -> list[str]:
        """Return, once prepared, what of the training side is learned from and what is left out, in sentences."""
        ...

    def steps(self, batch: int) -> int:
        """Return the batches in an epoch."""
        ...

    def batches(self, epoch: int, batch: int, share: Share) -> Iterator[Batch]:
        """Yield the training batches of an epoch (counted from 0 over all phases), the same for the same seed.

        Each holds, under ``"n"``, the pictures in it as an int.
        """
        ...

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the scalar loss; ``network`` is this task's, wrapped for the device and the precision."""
        ...

    def after_step(self, batch: Batch) -> None:
        """Follow a step of the optimiser, as a teacher that is an average of its student does."""
        ...

    def bundle_weights(self, weights: Weights) -> Weights:
        """Return what of the network's weights the model is made of; a teacher without its student, for example."""
        ...

    def parameter_groups(self, phase: PhaseConfig) -> Groups:
        """Return the optimiser's groups (``params``, ``lr``, ``weight_decay``), and freeze all other parameters."""
        ...

    def train_mode(self, phase: PhaseConfig) -> None:
        """Put the network into training mode; the norms of frozen parts stay as they are."""
        ...

    def validate(self, network: Network, token: Token | None) -> Generator[Event, None, Validation]:
        """Measure ``network`` (in evaluation mode, gradients off) on the validation side; yields ``Advanced``."""
        ...

    def evaluate(self, network: Network, decision: Decision, token: Token | None) -> Generator[Event, None, Evaluation]:
        """Measure the best network once on the test side, else on the validation side, with intervals."""
        ...

    def manifest_fields(self) -> dict[str, Any]:
        """Return what the task knows of ``model.json``.

        These are ``architecture``, ``settings``, ``scheme``, ``classes``, ``mpp``, ``input_px``, ``normalisation``,
        ``crop_rule``, ``colour`` (values that pydantic takes); the run adds id, decision, parents, card and hashes.
        """
        ...
