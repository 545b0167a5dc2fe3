"""What a detector learns when few cells are annotated: CRIC with a part of its labels, in ways to treat the rest.

``python benchmarks/sparse_annotation.py --data cric:DIR`` trains a scaled-down starter detector on the training side
with 5, 20 and 50 % of the labels kept, as if the fields were parts of slides, and judges each on the whole labels of
the test side: the recall of the 1 and 2.5 surest detections a cell, and what the threshold lets pass that the run set
on its own sparse validation side. Runs that are in the table already are not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_cyto.datasets.splits.split import Split
from napari_cyto.datasets.splits.training_split import TrainingSplit, split_training_set
from napari_cyto.datasets.training.training_set import TrainingSet, read_training_set
from napari_cyto.evaluation.model_answers import LeftOut, detected
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.search import CellSearch
from napari_cyto.models.manifest import Decision, ModelManifest
from napari_cyto.training._task import Share
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.detector._validation import budget_threshold, found_at
from napari_cyto.training.recipes import recipe
from napari_cyto.training.run import make_task

FIELDS = {"validation": 12, "test": 30}
SHARES = (0.05, 0.2, 0.5)
WAYS: dict[str, dict[str, Any]] = {
    "all is background": {"field_mm2": 10_000},
    "within 10 µm": {"field_mm2": 0, "around_um": 10},
    "within 15 µm": {"field_mm2": 0, "around_um": 15},
    "within 30 µm": {"field_mm2": 0, "around_um": 30},
    "within 60 µm": {"field_mm2": 0, "around_um": 60},
    "background unless sure": {"field_mm2": 0, "around_um": 15, "unmarked": "background-unless-sure"},
    "positive-unlabelled, 20 % guessed": {
        "field_mm2": 0,
        "around_um": 15,
        "unmarked": "positive-unlabelled",
        "annotated_share": 0.2,
    },
    "positive-unlabelled": {"field_mm2": 0, "around_um": 15, "unmarked": "positive-unlabelled"},
}
UNWRITTEN = {"id": "b", "weights_sha256": "0" * 64, "weights_bytes": 1, "made_by": ""}
UNWRITTEN |= {"created_utc": "2000-01-01T00:00:00+00:00"}


def sparse(data: TrainingSet, share: float, seed: int) -> TrainingSet:
    """Return the set with a random part of each slide's cells."""
    slides = []
    for slide in data.slides:
        keep = np.random.default_rng([seed, int(slide.key[:8], 16)]).random(len(slide)) < share
        cells = {name: getattr(slide, name)[keep] for name in ("centres_yx", "boxes_yxyx", "class_index")}
        slides.append(replace(slide, **cells))
    return replace(data, slides=tuple(s for s in slides if len(s)))


def fewer(split_of: Mapping[str, str]) -> dict[str, str]:
    """Return sides with so few fields to be judged on that a laptop's processor needs seconds for them."""
    seen: Counter[str] = Counter()
    kept = {}
    for key, side in sorted(split_of.items()):
        seen[side] += 1
        if seen[side] <= FIELDS.get(side, len(split_of)):
            kept[key] = side
    return kept


def divided(data: TrainingSet, sets: Mapping[str, str], groups: Mapping[str, str]) -> TrainingSplit:
    """Return the split of ``data`` in which each slide is in the set that is named."""
    return Split({slide.key: slide for slide in data.slides}, sets, groups, {}, {})


def trained(config: TrainConfig, data: TrainingSet, split: TrainingSplit, epochs: int) -> Any:
    """Train, without the files of a run, and return the task, the averaged network and its threshold."""
    task = make_task(config, data, split)
    exhausted(task.prepare(None))
    phase = config.phases[0]
    groups = task.parameter_groups(phase)
    optimiser = torch.optim.AdamW(groups)
    averaged = torch.optim.swa_utils.AveragedModel(
        task.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema), use_buffers=True
    )
    # As many steps whatever is kept: fewer labels mean fewer tiles an epoch.
    steps, done = epochs, 0
    rates = [group["lr"] for group in groups]
    for epoch in range(10_000):
        task.train_mode(phase)
        for batch in task.batches(epoch, config.batch, Share()):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * min(1, (done + 1) / 10) * (0.5 + 0.5 * np.cos(np.pi * done / steps))
            optimiser.zero_grad()
            task.loss(task.network, batch).backward()
            torch.nn.utils.clip_grad_norm_(task.network.parameters(), config.clip_norm)
            optimiser.step()
            averaged.update_parameters(task.network)
            done += 1
            if done >= steps:
                return task, averaged.module.eval()
    raise AssertionError


def exhausted(steps: Iterator[Any]) -> Any:
    """Return what a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class EvaluatedNetwork:
    """A network as a task measures it."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Return what it says, without gradients."""
        with torch.inference_mode():
            return self.module(*inputs)


def measured(way: dict[str, Any], share: float, whole: TrainingSet, steps: int) -> dict[str, Any]:
    """Train one way on a share of the labels and judge on all labels of the test side."""
    config = recipe("starter-nucleus-detector", "detector").with_values(
        {
            "model": {"tile_px": 128, "annotated_share": share} | way,
            "split": {"validation_share": 0.15, "test_share": 0.25, "twins": False, "overrides": ["few-groups"]},
            "precision": "fp32",
            "batch": 8,
        }
    )
    split = split_training_set(whole, config.split)
    split_of = fewer(split.sets)
    kept = whole if share == 1 else sparse(whole, share, 0)
    sparse_split = divided(kept, split_of, split.groups)
    began = time.monotonic()
    task, network = trained(config, kept, sparse_split, steps)
    decision: Decision = exhausted(task.validate(EvaluatedNetwork(network), None)).decision
    manifest = ModelManifest.model_validate(task.manifest_fields() | UNWRITTEN | {"decision": decision})
    engine = CellSearch(CellDetector.of_network(manifest, network, EvaluatedNetwork(network)))
    fields = exhausted(
        detected(engine, len(task.classes), divided(whole, split_of, {}).of("test"), whole.classes, None, LeftOut())
    )
    recalls = {budget: found_at(fields, budget_threshold(fields, budget), 6.0)[0] for budget in (1.0, 2.5)}
    kept_fields = [f.from_score(decision.score_threshold) for f in fields]
    detections = sum(len(f.scores) for f in kept_fields)
    cells = sum(len(f.truth_classes) for f in fields)
    return {
        "kept cells": sum(len(s) for s in sparse_split.of("train")),
        "recall at 1": round(recalls[1.0], 3),
        "recall at 2.5": round(recalls[2.5], 3),
        "recall": round(found_at(kept_fields, 0.0, 6.0)[0], 3),
        "detections a cell": round(detections / cells, 2),
        "threshold": round(decision.score_threshold, 3),
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """Measure what is not in the table yet, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", required=True, help="such as cric:DIR")
    parser.add_argument("--steps", type=int, default=120, help="of the optimiser, in each run")
    parser.add_argument("--out", type=Path, default=Path("sparse_annotation.json"))
    parser.add_argument("--ways", nargs="*", default=list(WAYS), help="of " + ", ".join(WAYS))
    parser.add_argument("--shares", nargs="*", type=float, default=[1.0, *SHARES])
    options = parser.parse_args()
    whole = read_training_set([options.data])
    rows = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else []
    for share in options.shares:
        for name in options.ways if share < 1 else ["all is background"]:
            if any((row["labels kept"], row["the rest"]) == (share, name) for row in rows):
                continue
            rows.append({"labels kept": share, "the rest": name} | measured(WAYS[name], share, whole, options.steps))
            options.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
