"""Promise: a training says before its first step how much memory it takes, and is the same with that as without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from napari_cyto.jobs.events import Done, Measured, Noted
from napari_cyto.training import _memory_needed as memory_needed
from napari_cyto.training._memory_needed import memory_sentence, step_bytes
from napari_cyto.training.config import PhaseConfig, TrainConfig
from napari_cyto.training.run import train

pytestmark = pytest.mark.networks


class Doubling(torch.nn.Module):
    """One layer with statistics and chance: what it keeps is counted by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(100, 1000), torch.nn.BatchNorm1d(1000), torch.nn.Dropout(0.5))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(values)
        return outputs


class OneLayer:
    def __init__(self) -> None:
        self.network: Any = Doubling()

    def batches(self, epoch: int, batch: int, share: Any) -> Any:
        yield {"values": torch.ones(batch, 100), "n": batch}

    def parameter_groups(self, phase: PhaseConfig) -> list[Any]:
        return []

    def train_mode(self, phase: PhaseConfig) -> None:
        self.network.train()

    def loss(self, network: Any, batch: Any) -> Any:
        return network(batch["values"]).square().sum()


def test_what_is_kept_is_counted_once_and_nothing_changes() -> None:
    task: Any = OneLayer()
    before = {n: t.clone() for n, t in task.network.state_dict().items()}
    chance = torch.get_rng_state()
    kept = step_bytes(task, PhaseConfig(), 64)
    # Inputs, the norm's input, what was dropped, and the square's input, float32 or a mask of as many.
    assert kept is not None
    assert 64 * 4 * (100 + 2 * 1000) <= kept <= 64 * 4 * (100 + 5 * 1000)
    assert kept == 2 * (step_bytes(task, PhaseConfig(), 32) or 0)
    assert torch.equal(chance, torch.get_rng_state())
    assert all(torch.equal(t, before[n]) for n, t in task.network.state_dict().items())


def test_more_than_there_is_names_a_batch_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_needed, "free_bytes", lambda: 1_000_000)
    outputs = memory_sentence(OneLayer(), (PhaseConfig(),), 4096)  # type: ignore[arg-type]
    assert "but only" in outputs
    batch = int(outputs.rpartition("batch=")[2].rstrip("."))
    assert 1 <= batch < 4096
    monkeypatch.setattr(memory_needed, "free_bytes", lambda: 10**12)
    assert "are available." in memory_sentence(OneLayer(), (PhaseConfig(),), 8)  # type: ignore[arg-type]


def test_a_training_says_it_before_its_first_epoch(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    events = list(train(tiny_recipe, (f"folders:{tiny_cells}",), tmp_path / "m"))
    assert isinstance(events[-1], Done)
    outputs = [n for n, e in enumerate(events) if isinstance(e, Noted) and "GB of memory in all" in e.message]
    first = next(n for n, e in enumerate(events) if isinstance(e, Measured))
    assert len(outputs) == 1
    assert outputs[0] < first
