"""Training a cell detector of any architecture: tiles in, whole pictures searched by the product's own engine."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.datasets.splits.training_split import TrainingSplit
from napari_cyto.datasets.training.annotated_area import AreaRule, area_used
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.json_values import to_plain
from napari_cyto.errors import CytoError, SlideError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detector_scores import detector_scores
from napari_cyto.evaluation.model_answers import LeftOut, detected
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.search import CellSearch
from napari_cyto.jobs.events import Advanced, Event, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.manifest import Decision, ModelManifest
from napari_cyto.training._augmentation import BatchAugment
from napari_cyto.training._model_task import MOST_CELLS, ModelTask
from napari_cyto.training._task import Batch, Evaluation, Network, Share, Tensor, Validation
from napari_cyto.training.config import DetectorConfig, PhaseConfig, TrainConfig
from napari_cyto.training.detector._parts import frozen_part, parameter_groups
from napari_cyto.training.detector._tile_places import EpochTiles, TileBudget
from napari_cyto.training.detector._training_tiles import TileSource, TrainingTile
from napari_cyto.training.detector._validation import listed_cells, validated

_UNWRITTEN = {
    "id": "unwritten",
    "weights_sha256": "0" * 64,
    "weights_bytes": 1,
    "created_utc": "2000-01-01T00:00:00+00:00",
    "made_by": "",
}


class DetectorTask(ModelTask):
    """What all detectors have in common; see ``Task``. Kinds say what else they are built from, and their loss."""

    score_name = "mean recall at 1 to 3 detections a cell"

    def __init__(self, config: TrainConfig, data: TrainingSet, split: TrainingSplit, parent: Bundle | None = None):
        assert isinstance(config.model, DetectorConfig)
        super().__init__(config, data, split, parent)
        self.model = config.model
        self.rule = AreaRule(self.model.around_um, self.model.field_mm2)
        self.tiles = EpochTiles()

    @property
    def architecture(self) -> str:
        """The detector's, as the recipe names it."""
        return self.model.architecture

    def settings(self) -> dict[str, Any]:
        """Return what the detector is built from: what its parent was, where there is one."""
        if self.parent is not None:
            return dict(self.parent.manifest.settings)
        shared = {name: getattr(self.model, name) for name in ("backbone", "stride", "width", "levels")}
        return shared | {"input_px": self.model.tile_px} | self.own_settings()

    def own_settings(self) -> dict[str, Any]:
        """Return what only this kind of detector is built from."""
        return {}

    def usual_px(self) -> float:
        """Return the side of a usual cell, px of the model: the mean of the classes' boxes."""
        return float(np.mean([c.box_um for c in self.classes])) / self.model.mpp

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the scalar loss of a batch."""
        raise NotImplementedError

    def anchors_yx(self) -> npt.NDArray[np.float64]:
        """Return the places of a tile, ``(m, 2)`` px, that are told whether background counts there: the grid's."""
        cells = -(-self.model.tile_px // self.model.stride)
        at = (np.arange(cells) + 0.5) * self.model.stride
        return np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)

    def prepare(self, token: Token | None) -> Iterator[Event]:
        """Build the network, open the slides of the training side and see what they are worth."""
        yield Advanced(0, 0, "Building the network")
        self.colour = self.colour_target()
        self.network = self.first_network()
        slides = self.split.of("train")
        tile_px, augment = self.model.tile_px, self.config.augment
        self.source = TileSource(slides, self.model.mpp, tile_px, augment, self.colour, self.rule)
        worth: dict[int, TileBudget] = {}
        for number, slide in enumerate(slides):
            stop_if_cancelled(token)
            yield Advanced(number, len(slides), slide.name)
            try:
                worth[number] = self.source.measure(number)
            except (SlideError, CytoError) as error:
                yield Noted(f"{error} It is left out.")
        self.tiles = EpochTiles.of(worth)
        if not self.tiles.cells:
            raise CytoError("The training set has no image that a detector can learn from; add data.")
        still = {"rotation": "none", "flips": False, "zoom": (1.0, 1.0), "shift_px": 0.0}
        self.recolour = BatchAugment(self.config.augment.model_copy(update=still), self.normalisation)
        self.anchors = self.anchors_yx()

    def used(self) -> list[str]:
        """Return what of the training side is learned from and what is left out, in sentences."""
        area = area_used(self.split.of("train"), self.rule)
        notes = [area.sentence("Trained on", self.model.rest), self.tiles.sentence()]
        return [sentence for sentence in notes if sentence]

    def steps(self, batch: int) -> int:
        """Return the batches in an epoch; a last one that is not full is left out, if it is not the only one."""
        return max(len(self.tiles) // batch, 1)

    def batches(self, epoch: int, batch: int, share: Share) -> Iterator[Batch]:
        """Yield ``images`` (b, 3, t, t) float32 and lists of ``points``, ``sizes``, ``classes``, ``counted``."""
        order = self.tiles.drawn(np.random.default_rng([self.config.seed, epoch]))
        for step in range(self.steps(batch)):
            numbers = order[step * batch : (step + 1) * batch][share.rank :: share.of]
            # Chance belongs to the step, so that a run that goes on later draws what it would have drawn.
            rng = np.random.default_rng([self.config.seed, epoch, step, share.rank])
            tiles = [self.source.tile(number, rng, self.anchors, kind) for number, kind in numbers]
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            yield self._batch(tiles, generator)

    def parameter_groups(self, phase: PhaseConfig) -> list[dict[str, Any]]:
        """Return the groups of what the phase trains."""
        return parameter_groups(self.network, phase, self.model.frozen_levels)

    def train_mode(self, phase: PhaseConfig) -> None:
        """Set training mode; norms of frozen parts stay as they are."""
        self.network.train()
        for part in frozen_part(self.network, phase, self.model.frozen_levels):
            part.eval()

    def validate(self, network: Network, token: Token | None) -> Generator[Event, None, Validation]:
        """Search the pictures of the validation side, else (there is none) of the training side."""
        _, fields = yield from self._searched(network, ("validation", "train"), token)
        model = self.model
        found = validated(fields, self.data.classes, model.radius_um, model.max_per_cell, model.merge_um)
        if model.fixed_threshold is None:
            return found
        fixed = Decision(score_threshold=model.fixed_threshold, merge_um=model.merge_um)
        return replace(found, decision=fixed, metrics=found.metrics | {"threshold": model.fixed_threshold})

    def evaluate(self, network: Network, decision: Decision, token: Token | None) -> Generator[Event, None, Evaluation]:
        """Score the test side, else the validation side, with intervals over its groups."""
        side, fields = yield from self._searched(network, ("test", "validation", "train"), token)
        yield Advanced(0, 0, "Drawing the intervals")
        scores = detector_scores(fields, self.classes, decision.score_threshold, self.model.radius_um)
        kept = [f.from_score(decision.score_threshold) for f in fields]
        counts = [] if scores.found_cells is None else to_plain(scores.found_cells.classification.confusion)
        confusion = {"classes": list(self.data.classes), "counts": counts} if counts else {}
        listed = listed_cells(kept, self.data.classes, self.model.radius_um)
        wrong_first = sorted(listed, key=lambda cell: bool(cell["answer"] == cell["truth"]))
        return Evaluation(side, scores.to_json(), confusion, wrong_first[:MOST_CELLS], fields)

    def manifest_fields(self) -> dict[str, Any]:
        """Return what ``model.json`` keeps of the detector."""
        own = {"mpp": self.model.mpp, "input_px": self.model.tile_px, "crop_rule": None}
        return super().manifest_fields() | own

    def _searched(
        self, network: Network, sets: tuple[str, ...], token: Token | None
    ) -> Generator[Event, None, tuple[str, tuple[DetectedField, ...]]]:
        side = next((s for s in sets if self.split.of(s)), sets[-1])
        manifest = ModelManifest.model_validate(
            self.manifest_fields() | _UNWRITTEN | {"decision": Decision(merge_um=self.model.merge_um)}
        )
        search = CellSearch(CellDetector.of_network(manifest, network.module, network))
        left_out = LeftOut()
        slides, ids = self.split.of(side), self.data.classes
        fields = yield from detected(search, len(self.classes), slides, ids, token, left_out, self.rule)
        for sentence in left_out.sentences:
            yield Noted(sentence)
        return side, fields

    def _batch(self, tiles: list[TrainingTile], generator: torch.Generator) -> Batch:
        pixels = torch.from_numpy(np.stack([t.pixels for t in tiles]))[:, None]
        everywhere = np.ones(0, dtype=bool)
        return {
            "images": self.recolour(pixels, generator)[:, 0],
            "points": [torch.from_numpy(t.points_yx).float() for t in tiles],
            "sizes": [torch.from_numpy(t.sizes_hw).float() for t in tiles],
            "classes": [torch.from_numpy(np.asarray(t.classes, np.int64)) for t in tiles],
            "counted": [torch.from_numpy(everywhere if t.counted is None else t.counted) for t in tiles],
            "n": len(tiles),
        }
