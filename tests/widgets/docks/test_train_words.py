"""Promise: the dock Train speaks to a pathologist, gives advice that works in it, and never seems to stand still."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from napari_cyto.datasets.splits._rules import _how
from napari_cyto.datasets.splits.config import Override, SplitConfig
from napari_cyto.training.run_state import RunState
from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import eta_words
from napari_cyto.widgets.docks.train._progress import pace_words
from napari_cyto.widgets.docks.train.dock import TrainDock
from napari_cyto.widgets.docks.train.words import plain, working_words

JARGON = re.compile(r"--set|split\.|_|\b(sqrt|um|fp32|bf16|fp16)\b")


@pytest.mark.parametrize("override", get_args(Override))
def test_advice_of_the_command_line_becomes_what_the_dock_has(override: Any) -> None:
    sentence = f"There is one image only; add others, or allow it with {_how(override, SplitConfig())}, which flatters."
    assert plain(sentence) == "There is one image only; add others, or allow it with the box below, which flatters."


@pytest.mark.parametrize(
    "sentence",
    [
        "Do without a test set (a test share of 0: --set split.test_share=0).",
        "Make a new split with --set split.published=false.",
        "Computing in fp32: this processor has no bf16 of its own.",
    ],
)
def test_no_sentence_of_the_training_is_left_in_developers_words(sentence: str) -> None:
    assert not JARGON.search(plain(sentence)), plain(sentence)


def test_no_list_of_the_dock_offers_developers_words(bench: Any) -> None:
    dock = bench.dock(TrainDock)
    for kind in dock.setup.kinds.values():
        kind.setChecked(True)
        offered = [
            choice.itemText(row)
            for choice in dock.setup.settings.findChildren(Choice) + dock.setup.split.findChildren(Choice)
            for row in range(choice.count())
        ]
        assert offered
        assert not [words for words in offered if JARGON.search(words)]


def test_work_without_news_says_so_before_it_seems_to_stand_still() -> None:
    assert working_words("Building the network", 1.0) == "Building the network"
    assert working_words("Building the network", 25.0) == "Building the network, for 25 s so far; still running."


def test_a_time_that_is_up_is_not_shown_as_one_second() -> None:
    state = RunState(status="running", eta_s=20.0)
    assert pace_words(state, 20.0) == "About 20 s left"
    assert "s left" not in pace_words(state, 0.5)
    assert eta_words(999, 1000, 100.0) == ""
    assert eta_words(500, 1000, 100.0) == ", 100 s left".replace("100 s", "2 min")


def test_the_time_left_runs_down_between_two_words_of_a_run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("napari_cyto.training.run_watch.time.monotonic", lambda: now[0])
    watch = RunWatch(tmp_path / "model")
    watch.state = RunState(status="running")
    monkeypatch.setattr(watch, "_is_gone", lambda: False)
    monkeypatch.setattr(watch, "_new_lines", lambda: [{"event": "measured", "values": {"epoch": 1, "eta_s": 30.0}}])
    watch.poll()
    assert watch.left_s == 30.0
    monkeypatch.setattr(watch, "_new_lines", list)
    now[0] += 12
    watch.poll()
    assert (watch.left_s, watch.quiet_s) == (18.0, 12.0)
    now[0] += 60
    assert watch.left_s == 0.0
