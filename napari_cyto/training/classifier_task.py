"""Training a cell classifier: cells cut once, shown in changing guises, judged by the code that judges models."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.datasets.splits.training_split import TrainingSplit
from napari_cyto.datasets.training.crop_cache import CropSet, cut_all
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.json_values import to_plain
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.model_answers import costs_of
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.inference.network_input import as_input, view_of
from napari_cyto.inference.probabilities import probabilities
from napari_cyto.jobs.events import Advanced, Event, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.models.manifest import Decision
from napari_cyto.training._augmentation import BatchAugment, mixed
from napari_cyto.training._calibration_fit import fitted_decision, prior_offsets, sampled_costs, shown_ratios
from napari_cyto.training._epoch_scores import epoch_metrics, recall_of_classes, score_of, worst_cells
from napari_cyto.training._losses import classifier_loss
from napari_cyto.training._model_task import MOST_CELLS, ModelTask
from napari_cyto.training._sampler import epoch_order
from napari_cyto.training._task import Batch, Evaluation, Groups, Network, Share, Tensor, Validation
from napari_cyto.training.config import AugmentConfig, ClassifierConfig, PhaseConfig, TrainConfig

EVALUATION_BATCH = 64
WATCHED_CELLS = 384
"""How many training cells an epoch is watched on when there is no validation side."""
SETS = ("train", "validation", "test")


UNCHANGED = AugmentConfig(
    rotation="none", flips=False, zoom=(1, 1), brightness=0, contrast=0, saturation=0, hue=0, blur=0, noise=0
)


class ClassifierTask(ModelTask):
    """A timm backbone with a dense head on cut cells; see ``Task``."""

    architecture = "timm-classifier"

    def __init__(self, config: TrainConfig, data: TrainingSet, split: TrainingSplit, parent: Bundle | None = None):
        assert isinstance(config.model, ClassifierConfig)
        super().__init__(config, data, split, parent)
        self.model = config.model
        self.score_name = self.model.score
        self.crops: dict[str, CropSet] = {}

    def prepare(self, token: Token | None) -> Iterator[Event]:
        """Build the network and cut the cells of all sides."""
        yield Advanced(0, 0, "Building the network")
        self.network = self.first_network()
        self.colour = self.colour_target(self.model.crop_rule.icc)
        for side in SETS:
            self.crops[side] = yield from cut_all(self.split.of(side), self.model.crop_rule, token, self.colour)
        labels = self.crops["train"].class_index
        counts = np.bincount(labels, minlength=len(self.classes))
        if (counts > 0).sum() < 2:
            raise CytoError("The training set has cells of fewer than two classes; add data or change the split.")
        lacking = [c.id for c, n in zip(self.classes, counts, strict=True) if not n]
        if lacking:
            yield Noted(f"The training set has no cell of {', '.join(lacking)}, so the model cannot learn it.")
        held_out = self.crops["validation"]
        self.watched = held_out if len(held_out.class_index) else _some(self.crops["train"], self.config.seed)
        self.ready(counts)

    def steps(self, batch: int) -> int:
        """Return the batches in an epoch; a last one that is not full is left out, if it is not the only one."""
        return max(len(self.crops["train"].class_index) // batch, 1)

    def batches(self, epoch: int, batch: int, share: Share) -> Iterator[Batch]:
        """Yield ``crops`` (b, w, 3, s, s) and ``targets`` (b, C), both float32."""
        crops = self.crops["train"]
        order = epoch_order(crops.class_index, self.model.sampling, self.config.seed, epoch)
        for step in range(self.steps(batch)):
            cells = order[step * batch : (step + 1) * batch][share.rank :: share.of]
            # Chance belongs to the step, so that a run that goes on later draws what it would have drawn.
            chance = np.random.SeedSequence([self.config.seed, epoch, step, share.rank])
            generator = torch.Generator().manual_seed(int(chance.generate_state(1)[0]))
            images = self._changed(crops, cells, generator)
            labels = torch.from_numpy(crops.class_index[cells])
            targets = torch.nn.functional.one_hot(labels, len(self.classes)).float()
            images, targets = mixed(images, targets, self.config.augment.mixup, generator)
            yield {"crops": images, "targets": targets, "n": len(cells)}

    def _changed(self, crops: CropSet, cells: npt.NDArray[np.intp], generator: torch.Generator) -> torch.Tensor:
        """Return the pictures of a batch, changed by chance; where the recipe names classes, only theirs."""
        cut = torch.from_numpy(crops.crops[cells])
        changed = self.augment(cut, generator)
        only = self.config.augment.classes
        if not only:
            return changed
        named = np.array([c.id in only for c in self.classes])[crops.class_index[cells]]
        return torch.where(torch.from_numpy(named)[:, None, None, None, None], changed, self.unchanged(cut, generator))

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        return self.objective(network(batch["crops"]), batch["targets"])

    def parameter_groups(self, phase: PhaseConfig) -> Groups:
        """Return the groups of what the phase trains."""
        self.network.train_only(phase.trains)
        if phase.trains == "top" and phase.top_layers:
            keep_top_layers(self.network.backbone, phase.top_layers)
        freeze_stages(self.network.backbone, phase.frozen_stages)
        groups: Groups = self.network.parameter_groups(phase.lr, phase.backbone_lr, phase.weight_decay)
        return groups

    def train_mode(self, phase: PhaseConfig) -> None:  # noqa: ARG002  what is frozen is known already
        """Set training mode; norms stay as they are where they are frozen."""
        self.network.train()
        if self.model.norms == "frozen":
            for part in self.network.modules():
                if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                    part.eval()

    def validate(self, network: Network, token: Token | None) -> Generator[Event, None, Validation]:
        """Measure the network on the validation side, else (there is none) on some cells of the training side."""
        logits = yield from self._logits(network, self.watched, token)
        truth = self.watched.class_index
        decision = self._decision(logits, truth)
        cells = self._scored(self.watched, logits, decision)
        loss = self._plain_loss(logits, truth)
        metrics = epoch_metrics(cells)
        return Validation(
            score_of(self.model.score, metrics, loss),
            loss,
            metrics,
            recall_of_classes(cells),
            decision,
            worst_cells(cells, self.watched.crops[:, 0]),
        )

    def evaluate(self, network: Network, decision: Decision, token: Token | None) -> Generator[Event, None, Evaluation]:
        """Score the test side, else the validation side, with intervals over its groups."""
        side = next((s for s in ("test", "validation", "train") if len(self.crops[s].class_index)), "train")
        logits = yield from self._logits(network, self.crops[side], token)
        cells = self._scored(self.crops[side], logits, decision)
        yield Advanced(0, 0, "Drawing the intervals")
        scores = classifier_scores(cells)
        confusion = {"classes": list(cells.ids), "counts": to_plain(scores.classification.confusion)}
        return Evaluation(side, scores.to_json(), confusion, _listed(cells), cells)

    def settings(self) -> dict[str, Any]:
        """Return what the classifier is built from."""
        return {
            "backbone": self.model.backbone,
            "windows": len(self.model.crop_rule.windows),
            "head": self.model.head,
            "feature_dropout": self.model.feature_dropout,
            "dropout": self.model.dropout,
            "input_px": self.model.crop_rule.size_px,
        }

    def manifest_fields(self) -> dict[str, Any]:
        """Return what ``model.json`` keeps of the classifier."""
        rule = self.model.crop_rule
        return super().manifest_fields() | {"mpp": rule.mpp_of(0), "input_px": rule.size_px, "crop_rule": rule}

    def ready(self, counts: npt.NDArray[np.intp]) -> None:
        """Make loss and changes of pictures for training cells of which ``counts`` are of each class."""
        self.objective = classifier_loss(self.model, self.classes, counts)
        self.augment = BatchAugment(self.config.augment, self.normalisation)
        self.unchanged = BatchAugment(UNCHANGED, self.normalisation)
        unknown = sorted({*self.config.augment.classes} - {c.id for c in self.classes})
        if unknown:
            raise CytoError(
                f"Expected classes of the data ({', '.join(c.id for c in self.classes)}) in augment.classes, got "
                f"{', '.join(unknown)}; name others with --set augment.classes={self.classes[0].id}, or none."
            )

    def _decision(self, logits: npt.NDArray[np.float64], truth: npt.NDArray[np.intp]) -> Decision:
        """Return the calibration and the costs of a network: fitted on held-out cells only, else as the recipe says."""
        model = self.model
        labels = self.crops["train"].class_index
        shown = shown_ratios(np.bincount(labels, minlength=len(self.classes)), model.sampling, model.class_weights)
        start = Decision(views=model.views, miss_costs=self._miss_costs(shown))
        if model.fixed_temperature is not None or model.fixed_offsets:
            return start.model_copy(
                update={
                    "temperature": model.fixed_temperature or 1.0,
                    "logit_offsets": self._one_a_class("fixed_offsets", model.fixed_offsets),
                }
            )
        start = start.model_copy(update={"logit_offsets": prior_offsets(shown)})
        if not len(self.crops["validation"].class_index):
            return start
        return fitted_decision(logits, truth, start, model.temperature, model.logit_offsets)

    def _miss_costs(self, shown: npt.NDArray[np.float64]) -> tuple[float, ...]:
        costs = self.model.miss_costs
        if costs == "equal":
            return ()
        return sampled_costs(shown) if costs == "sampling" else self._one_a_class("miss_costs", costs)

    def _one_a_class(self, name: str, values: tuple[float, ...]) -> tuple[float, ...]:
        if values and len(values) != len(self.classes):
            raise CytoError(
                f"Expected one number of {name} for each of {', '.join(c.id for c in self.classes)}, got {len(values)}."
            )
        return values

    def _logits(
        self, network: Network, crops: CropSet, token: Token | None
    ) -> Generator[Event, None, npt.NDArray[np.float64]]:
        """Return raw outputs (n, views, C)."""
        n, views = len(crops.class_index), self.model.views
        logits = np.empty((n, views, len(self.classes)))
        for start in range(0, n, EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            for view in range(views):
                stop_if_cancelled(token)
                logits[part, view] = network(as_input(view_of(crops.crops[part], view), self.normalisation)).numpy()
            refuse_not_finite("This training", logits[part])
            yield Advanced(min(start + EVALUATION_BATCH, n), n, "Classifying cells")
        return logits

    def _scored(self, crops: CropSet, logits: npt.NDArray[np.float64], decision: Decision) -> ScoredCells:
        scores = probabilities(logits, decision)
        on = [crops.slides[i] for i in crops.slide_number.tolist()]
        groups = tuple(self.split.groups[s.key] for s in on)
        costs = costs_of(len(scores), decision.miss_costs)
        slides = tuple(s.path for s in on)
        return ScoredCells(self.classes, crops.class_index, scores, groups, slides, crops.centres_yx, costs)

    def _plain_loss(self, logits: npt.NDArray[np.float64], truth: npt.NDArray[np.intp]) -> float:
        targets = torch.nn.functional.one_hot(torch.from_numpy(truth), len(self.classes)).float()
        return float(self.objective(torch.from_numpy(logits[:, 0]).float(), targets))


def keep_top_layers(backbone: Any, layers: int) -> None:
    """Train of a backbone only its last so many convolutions or dense layers, each with the norm behind it."""
    own = [m for m in backbone.modules() if any(True for _ in m.parameters(recurse=False))]
    weighing = [i for i, m in enumerate(own) if any(p.ndim > 1 for p in m.parameters(recurse=False))]
    first = weighing[-min(layers, len(weighing))]
    for place, module in enumerate(own):
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(place >= first)


def freeze_stages(backbone: Any, stages: int) -> None:
    """Keep the first ``stages`` of timm's coarse groups of layers as they came; the stem is the first."""
    if not stages:
        return
    from timm.models import group_parameters

    groups: dict[Any, list[str]] = group_parameters(backbone, backbone.group_matcher(coarse=True))
    frozen = {name for key in sorted(groups)[:stages] for name in groups[key]}
    for name, parameter in backbone.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def _some(crops: CropSet, seed: int) -> CropSet:
    """Return at most ``WATCHED_CELLS`` of the cells, drawn by chance."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(crops.class_index))[:WATCHED_CELLS])
    return replace(
        crops,
        crops=crops.crops[chosen],
        class_index=crops.class_index[chosen],
        slide_number=crops.slide_number[chosen],
        centres_yx=crops.centres_yx[chosen],
    )


def _listed(cells: ScoredCells) -> list[dict[str, Any]]:
    """Return the cells as plain values: the wrong ones first, when there are too many to list."""
    order = np.argsort(cells.answers == cells.truth, kind="stable")[:MOST_CELLS]
    return [
        {
            "slide": cells.slides[i],
            "centre_yx": cells.centres_yx[i].tolist(),
            "truth": cells.ids[cells.truth[i]],
            "answer": cells.ids[cells.answers[i]],
            "group": cells.groups[i],
            "scores": [round(float(p), 5) for p in cells.probabilities[i]],
        }
        for i in order
    ]
