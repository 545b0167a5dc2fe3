"""Going on from a model with more data: what it dictates, and what was new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cyto.datasets.training.training_set import TrainingSet, read_training_set
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.training_overlap import (
    OF_PARENTS,
    SEEN_IN_TRAINING,
    UNSEEN,
    recorded_sets,
    sets_in,
    side_of,
)
from napari_cyto.models.bundle import Bundle, read_bundle
from napari_cyto.models.onnx_network import is_onnx
from napari_cyto.models.suitability import labels_scheme
from napari_cyto.training.config import ClassifierConfig, TrainConfig

_CLASSIFIER = ("backbone", "head", "dropout", "feature_dropout")
_DETECTOR = ("backbone", "stride", "width", "levels")


def as_parent_says(config: TrainConfig, parent: Path | None) -> TrainConfig:
    """Return the recipe with what a model to continue from dictates: its architecture, its crop rule, its scheme.

    Raises
    ------
    CytoError
        When the model is of another kind than the recipe, or an encoder.
    """
    if parent is None:
        return config
    if config.model.kind == "encoder":
        raise CytoError(
            f"An encoder goes on from another one's weights: --set model.weights=bundle:{parent} instead of --parent."
        )
    manifest = read_bundle(parent).manifest
    if manifest.kind != config.model.kind:
        raise CytoError(
            f"{parent}: this is {manifest.kind_words}, but a {config.model.kind} is to be trained; choose a parent of "
            "the same kind."
        )
    if is_onnx(manifest):
        raise CytoError(f"{parent}: this network is kept as ONNX and cannot be trained further; choose another.")
    values: dict[str, Any] = {"weights": f"bundle:{parent}"}
    if isinstance(config.model, ClassifierConfig):
        values |= {name: manifest.settings[name] for name in _CLASSIFIER if name in manifest.settings}
        if manifest.crop_rule is not None:
            values["crop_rule"] = manifest.crop_rule.model_dump()
    else:
        values |= {name: manifest.settings[name] for name in _DETECTOR if name in manifest.settings}
        values |= {"architecture": manifest.architecture, "mpp": manifest.mpp, "tile_px": manifest.input_px}
    return config.with_values({"model": values, "scheme": manifest.scheme})


def read_for(sources: Sequence[str], scheme: str, parent: Bundle | None) -> TrainingSet:
    """Return the data of a run, as ``--data`` names it; a parent's classes are kept, and each slide's side.

    Raises
    ------
    CytoError
        When a source cannot be read, or its classes do not fit.
    """
    if parent is None:
        return read_training_set(sources, scheme)
    data = read_training_set(sources, labels_scheme(parent.manifest), parent.manifest.class_ids)
    return on_sets_of_parent(data, parent)


def on_sets_of_parent(data: TrainingSet, parent: Bundle) -> TrainingSet:
    """Return the data with each slide that the parent knew on the side it had there.

    Otherwise a slide that the parent was trained on could judge what continues from it.
    """
    sets = recorded_sets(parent.manifest.card.split)
    slides = tuple(replace(s, side=known) if (known := side_of(s, sets)) != UNSEEN else s for s in data.slides)
    return replace(data, slides=slides)


def seen_in_training(data: TrainingSet, parent: Bundle | None) -> frozenset[str]:
    """Return the keys of the slides that a parent learnt from or was steered by; none without a parent."""
    if parent is None:
        return frozenset()
    card = parent.manifest.card
    sets = sets_in(data.slides, {"data": card.data, "split": card.split}, data.fingerprint)
    return frozenset(key for key, side in sets.items() if side in SEEN_IN_TRAINING)


def with_parents(record: Mapping[str, Any], parent: Bundle | None) -> dict[str, Any]:
    """Return a split's record with the slides that only the models before it learnt from or were steered by.

    Without them a model could be tested, two generations later, on what its grandparent had learnt.
    """
    if parent is None:
        return dict(record)
    own = recorded_sets(record)
    before = {k: side for k, side in recorded_sets(parent.manifest.card.split).items() if k not in own}
    listed = {said: sorted(key for key, side in before.items() if side == said) for said in SEEN_IN_TRAINING}
    return dict(record) | ({OF_PARENTS: listed} if any(listed.values()) else {})


def what_is_new(data: TrainingSet, parent: Bundle | None) -> str:
    """Return what the data holds besides what the parent was trained on, in words; empty without a parent."""
    if parent is None:
        return ""
    before = parent.manifest.card.data
    if before.get("fingerprint") == data.fingerprint:
        return "nothing, the data is the same."
    had: dict[str, int] = before.get("cells") or {}
    has = data.counts()
    more = {c: has.get(c, 0) - int(had.get(c, 0)) for c in {*has, *had}}
    changes = ", ".join(f"{n:+d} {c}" for c, n in sorted(more.items()) if n)
    slides = len(data.slides) - int(before.get("slides") or 0)
    return f"{sum(has.values())} cells on {len(data.slides)} slides ({slides:+d} slides; {changes or 'other cells'})."
