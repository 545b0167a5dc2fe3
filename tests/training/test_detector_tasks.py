"""Guards that every detector is trained and judged through the one protocol, and the same way for the same seed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_detectors import UNWRITTEN

from napari_cyto.datasets.splits.training_split import TrainingSplit, split_training_set
from napari_cyto.datasets.training.training_set import TrainingSet, read_training_set
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.models.registry import build
from napari_cyto.training._task import Share, Task
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run import make_task

pytestmark = pytest.mark.networks

ARCHITECTURES = ("p2p", "fcrn", "faster-rcnn", "retinanet")


class EvaluatedNetwork:
    """As a run hands a network over to be measured."""

    def __init__(self, module: Any) -> None:
        self.module = module.eval()

    def __call__(self, *inputs: torch.Tensor) -> Any:
        with torch.inference_mode():
            return self.module(*inputs)


@pytest.fixture(scope="module")
def labelled(tiny_fields: Path, tiny_detector: TrainConfig) -> tuple[TrainingSet, TrainConfig, TrainingSplit]:
    data = read_training_set((f"cric:{tiny_fields}",))
    return data, tiny_detector, split_training_set(data, tiny_detector.split)


def exhausted(steps: Generator[Any, None, Any] | Iterator[Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def task_of(labelled: tuple[TrainingSet, TrainConfig, TrainingSplit], architecture: str) -> Task:
    data, config, split = labelled
    task = make_task(config.with_values({"model": {"architecture": architecture}}), data, split)
    exhausted(task.prepare(None))
    return task


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_learns_and_is_evaluated(labelled: Any, architecture: str) -> None:
    task = task_of(labelled, architecture)
    config = labelled[1]
    groups = task.parameter_groups(config.phases[0])
    task.train_mode(config.phases[0])
    batch = next(iter(task.batches(0, 4, Share())))
    loss = task.loss(task.network, batch)
    loss.backward()
    assert bool(loss.isfinite())
    grads = [p.grad for g in groups for p in g["params"] if p.grad is not None]
    assert grads
    assert all(bool(g.isfinite().all()) for g in grads)
    validation = exhausted(task.validate(EvaluatedNetwork(task.network), None))
    assert 0 <= validation.score <= 1
    assert set(validation.per_class_recall) == {"NILM", "HSIL"}
    evaluation = exhausted(task.evaluate(EvaluatedNetwork(task.network), validation.decision, None))
    assert evaluation.side == "test"
    assert {c["truth"] for c in evaluation.cells} <= {"NILM", "HSIL"}
    manifest = ModelManifest.model_validate(task.manifest_fields() | UNWRITTEN)
    again = build(manifest.architecture, manifest.settings, len(manifest.classes))
    again.load_state_dict(task.network.state_dict(), strict=True)


def test_batches_follow_from_the_seed_and_the_epoch(labelled: Any) -> None:
    one, other = task_of(labelled, "p2p"), task_of(labelled, "p2p")
    first = list(one.batches(3, 4, Share()))
    again = list(other.batches(3, 4, Share()))
    later = list(other.batches(4, 4, Share()))
    assert len(first) == one.steps(4)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a["images"], b["images"])
        assert all(torch.equal(p, q) for p, q in zip(a["points"], b["points"], strict=True))
    assert not torch.equal(first[0]["images"], later[0]["images"])


@pytest.mark.parametrize("unmarked", ["ignored", "background-unless-sure", "positive-unlabelled"])
def test_what_nobody_annotated_is_left_out_and_said(labelled: Any, unmarked: str) -> None:
    """With every field taken for a slide: background counts near the cells only, and the run says so."""
    data, config, split = labelled
    rule = {"field_mm2": 0, "around_um": 12, "unmarked": unmarked}
    task = make_task(config.with_values({"model": rule}), data, split)
    exhausted(task.prepare(None))
    (sentence,) = task.used()
    cells = sum(len(s) for s in split.of("train"))
    assert f"within 12 µm of {cells} annotations" in sentence
    assert "is left out" in sentence
    assert "it may hold cells that nobody annotated" in sentence
    assert ("unlabelled" in sentence) == (unmarked == "positive-unlabelled")
    batch = next(iter(task.batches(0, 4, Share())))
    for points, counted in zip(batch["points"], batch["counted"], strict=True):
        near = (torch.from_numpy(task.anchors)[:, None] - points.double()[None]).norm(dim=-1).amin(1) < 10
        assert counted[near].all()
        assert not counted.all()
    assert bool(task.loss(task.network, batch).isfinite())
    assert task_of(labelled, "p2p").used() == [], "of fields annotated whole there is nothing to say"


def test_point_proposals_find_cells_after_a_few_steps(labelled: Any) -> None:
    torch.manual_seed(0)
    task = task_of(labelled, "p2p")
    phase = labelled[1].phases[0].model_copy(update={"lr": 4e-3})
    optimiser = torch.optim.AdamW(task.parameter_groups(phase))
    before = exhausted(task.validate(EvaluatedNetwork(task.network), None)).metrics["recall at 2 a cell"]
    for epoch in range(20):
        task.train_mode(phase)
        for batch in task.batches(epoch, 4, Share()):
            optimiser.zero_grad()
            task.loss(task.network, batch).backward()
            optimiser.step()
    after = exhausted(task.validate(EvaluatedNetwork(task.network), None)).metrics
    assert after["recall at 2 a cell"] >= max(0.8, before)
    assert after["median error, µm"] < 3
