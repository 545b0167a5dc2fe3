"""From a run to a model bundle with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from napari_cyto.datasets.training.sources import parse_source
from napari_cyto.models.bundle import Bundle, write_bundle
from napari_cyto.models.card import card_defaults
from napari_cyto.models.manifest import Card, Decision
from napari_cyto.training._task import Evaluation, Task, Validation
from napari_cyto.training.config import TrainConfig


@dataclass(frozen=True)
class BundleWriter:
    """Writes what a run has so far, and what it ends with.

    Parameters
    ----------
    out : Path
        The bundle.
    task : Task
        What knows the model.
    config : TrainConfig
        The recipe, as run.
    data, split : dict
        What the card says of them.
    parent : Bundle or None
        The model it continues from.
    added : str
        What was new, in words.
    backbone_of : Bundle or None
        The model whose backbone gave the first weights.
    """

    out: Path
    task: Task
    config: TrainConfig
    data: dict[str, Any]
    split: dict[str, Any]
    parent: Bundle | None = None
    added: str = ""
    backbone_of: Bundle | None = None

    def keep(self, validation: Validation, weights: dict[str, Any], epoch: int) -> None:
        """Write the best model so far; it is whole and can be used, though nothing has judged it from outside yet."""
        metrics = {"side": "validation", "epoch": epoch, "validation": _plain(validation), "judged": False}
        self._write(self.task.bundle_weights(weights), validation.decision, metrics)

    def finish(
        self, weights: dict[str, Any], decision: Decision, evaluation: Evaluation, best: dict[str, Any]
    ) -> Bundle:
        """Write the finished model with its verdict.

        Parameters
        ----------
        weights : dict
            By name.
        decision : Decision
            As fitted on the validation side.
        evaluation : Evaluation
            What it is worth.
        best : dict
            What was measured in the epoch that it is from.
        """
        validation = {name: best.get(name) for name in ("epoch", "score", "score_name", "metrics", "per_class_recall")}
        metrics = {"side": evaluation.side, "judged": True, **evaluation.metrics, "validation": validation}
        return self._write(weights, decision, metrics)

    def _write(self, weights: dict[str, Any], decision: Decision, metrics: dict[str, Any]) -> Bundle:
        config = self.config
        card = Card(
            summary=config.summary,
            data=self.data,
            split=self.split,
            recipe=self._shareable().model_dump(mode="json"),
            metrics=metrics,
            **self._terms(),
        )
        parents = () if self.parent is None else (self.parent.as_parent(self.added),)
        if self.backbone_of is not None:
            parents = (self.backbone_of.as_parent("all data: only its backbone was taken, as first weights."),)
        fields = {**self.task.manifest_fields(), "decision": decision, "card": card, "parents": parents}
        return write_bundle(self.out, fields, weights, config.weights_dtype)

    def _shareable(self) -> TrainConfig:
        """Return the recipe with names and ids for paths: a model is handed on, and folders are nobody's business."""
        config, model = self.config, self.parent or self.backbone_of
        kind, _, value = config.model.weights.partition(":")
        names: dict[str, Any] = {"scheme": PurePath(config.scheme).name}
        if kind in ("file", "bundle"):
            named = model.id if kind == "bundle" and model is not None else PurePath(value).name
            names["model"] = {"weights": f"{kind}:{named}"}
        if config.reinhard_target is not None:
            names["reinhard_target"] = PurePath(config.reinhard_target).name
        return config.with_values(names)

    def _terms(self) -> dict[str, str]:
        """Return licence, attribution, use and limits: what the recipe states, else what data and parents ask for."""
        config = self._shareable()
        kinds = [parse_source(str(row["source"])).kind for row in self.data.get("sources", ())]
        parents = [model.manifest for model in (self.parent, self.backbone_of) if model is not None]
        terms = card_defaults(config.model.kind, kinds, config.model.weights, parents)
        stated = {name: str(getattr(config, name)) for name in terms}
        return terms | {name: text for name, text in stated.items() if text and text != "not stated"}


def _plain(validation: Validation) -> dict[str, Any]:
    return {
        "score": validation.score if validation.score == validation.score else None,
        "metrics": validation.metrics,
        "per_class_recall": validation.per_class_recall,
    }
