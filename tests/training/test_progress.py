"""Guards what follows from an epoch's score: the best, plateaus, early stopping, the next phase, the rate."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from napari_cyto.training._optimizer import rate_factor
from napari_cyto.training._run_progress import Progress, after_epoch, epochs_left, is_over, stopped_early
from napari_cyto.training.config import PhaseConfig, TrainConfig


def run(config: TrainConfig, scores: list[float]) -> list[Progress]:
    states = [Progress()]
    for score in scores:
        states.append(after_epoch(states[-1], config, score, 1.0))
    return states


def test_early_stopping_ends_a_phase_and_the_next_one_starts_anew() -> None:
    config = TrainConfig(phases=(PhaseConfig(epochs=9, stop_after=2), PhaseConfig(epochs=3, stop_after=2)))
    states = run(config, [0.5, 0.4, 0.5])
    assert stopped_early(states[-2], states[-1], config)
    assert (states[-1].phase, states[-1].epoch_in_phase, states[-1].stale) == (1, 0, 0)
    assert (states[-1].best_score, states[-1].best_epoch) == (0.5, 1)
    # A phase is measured by its own best: a lower start of the second one is progress in it.
    more = after_epoch(states[-1], config, 0.3, 1.0)
    assert more.stale == 0
    assert more.best_epoch == 1


def test_a_plateau_lowers_the_rate_after_its_patience() -> None:
    phase = PhaseConfig(epochs=20, schedule="plateau", plateau_patience=2, plateau_factor=0.05)
    rates = [s.rate for s in run(TrainConfig(phases=(phase,)), [0.5, 0.5, 0.5, 0.5, 0.5, 0.6])]
    assert rates == pytest.approx([1, 1, 1, 1, 0.05, 0.05, 0.05])


def test_the_last_phase_ends_the_run() -> None:
    config = TrainConfig(phases=(PhaseConfig(epochs=1), PhaseConfig(epochs=2)))
    states = run(config, [0.1, 0.2, 0.3])
    assert [is_over(s, config) for s in states] == [False, False, False, True]
    assert [epochs_left(s, config) for s in states[:3]] == [3, 2, 1]
    assert states[-1].seconds == 3.0


def test_nan_is_the_worst_score_but_the_first_epoch_counts() -> None:
    config = TrainConfig(phases=(PhaseConfig(epochs=5),))
    states = run(config, [math.nan, 0.1, math.nan])
    assert [s.best_epoch for s in states] == [0, 1, 2, 2]


def test_the_last_network_is_kept_where_a_recipe_asks_for_it() -> None:
    phases = (PhaseConfig(epochs=3),)
    scores = [0.5, 0.7, 0.6]
    assert run(TrainConfig(phases=phases), scores)[-1].best_epoch == 2
    last = run(TrainConfig(phases=phases, keep="last"), scores)[-1]
    assert (last.best_epoch, last.best_score) == (3, 0.6)


def test_progress_survives_being_written() -> None:
    state = replace(Progress(), epoch=3, best_score=0.4, history=({"epoch": 1},))
    assert Progress.from_dict(state.as_dict()) == state


def test_the_rate_rises_and_falls() -> None:
    phase = PhaseConfig(epochs=10, schedule="cosine", warmup_epochs=1)
    rates = [rate_factor(phase, step, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(rates) == rates[10] == 1.0
    assert rates[-1] == pytest.approx(0.01, abs=0.01)
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rate_factor(PhaseConfig(schedule="constant"), 7, 10) == 1.0
