"""What the tasks of all kinds of models have in common: classes, first weights, colours, what the model keeps of it."""

from __future__ import annotations

from typing import Any

import torch

from napari_cyto.datasets.colour_match import picked_statistics
from napari_cyto.datasets.splits.training_split import TrainingSplit
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.models.backbones import normalisation_of
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.manifest import ColourTarget, ModelClass
from napari_cyto.models.registry import build
from napari_cyto.training._task import Batch, Network, Weights
from napari_cyto.training.config import TrainConfig

MOST_CELLS = 20_000
"""Of the judged side, that a verdict lists."""


class ModelTask:
    """The part of a ``Task`` that does not depend on what is trained.

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    data : TrainingSet
        Slides and cells.
    split : TrainingSplit
        Which slide is on which side.
    parent : Bundle, optional
        The model to continue from; its classes are those of ``data``.
    """

    def __init__(self, config: TrainConfig, data: TrainingSet, split: TrainingSplit, parent: Bundle | None = None):
        self.config, self.data, self.split, self.parent = config, data, split, parent
        self.classes = tuple(ModelClass.of(data.scheme[c]) for c in data.classes)
        self.normalisation = (
            parent.manifest.normalisation
            if parent is not None
            else normalisation_of(config.model.backbone, config.model.weights)
        )
        self.network: Network = None
        self.colour: ColourTarget | None = None

    @property
    def architecture(self) -> str:
        """A name in ``models.registry``."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return what the architecture is built from."""
        raise NotImplementedError

    def first_network(self) -> Network:
        """Return the parent's network, else one whose backbone has its first weights, the same for the same seed."""
        if self.parent is not None:
            return self.parent.load_network()
        torch.manual_seed(self.config.seed)
        return build(self.architecture, self.settings(), len(self.classes), self.config.model.weights)

    def colour_target(self, icc: bool = False) -> ColourTarget | None:
        """Return what colours are brought to: what the parent's were, else the picture of the recipe, if there is one.

        Raises
        ------
        SlideError
            When that picture cannot be read.
        """
        if self.parent is not None:
            return self.parent.manifest.colour
        if self.config.reinhard_target is None:
            return None
        found = picked_statistics(self.config.reinhard_target, icc)
        return ColourTarget(picture=found.picture, mean_lab=found.mean_lab, std_lab=found.std_lab)

    def used(self) -> list[str]:
        """Return what of the training side is learned from and what is left out, in sentences; empty where all is."""
        return []

    def after_step(self, batch: Batch) -> None:
        """Do nothing: no part of the network follows another."""

    def bundle_weights(self, weights: Weights) -> Weights:
        """Return all weights: the network is the model."""
        return weights

    def manifest_fields(self) -> dict[str, Any]:
        """Return what ``model.json`` keeps of the model; kinds add their input."""
        return {
            "kind": self.config.model.kind,
            "architecture": self.architecture,
            "settings": self.settings(),
            "scheme": self.data.scheme.name,
            "classes": self.classes,
            "normalisation": self.normalisation,
            "colour": self.colour,
        }
