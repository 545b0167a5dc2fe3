"""Guards the table of domain shift: who is tested on what, and that a grid goes on where it was stopped."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.evaluation.grid_table import grid_page
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed, Noted
from napari_cyto.training import grid_job
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.grid_job import ALL, can_go_on, named_sources, run_grid

QUICK = EvaluateConfig(draws=100)


class Made:
    """Training and judging that take no time, and remember what they were asked."""

    def __init__(self, evaluate_source: Any, made: Any) -> None:
        self.evaluate_source, self.made = evaluate_source, made
        self.trained: list[str] = []
        self.tested: list[tuple[str, str, str]] = []
        self.fails = ""

    def train(self, config: Any, sources: tuple[str, ...], out: Path, token: Any, resume: bool) -> Any:
        self.trained.append(out.name + (" resumed" if resume else ""))
        yield Advanced(1, 2, "epoch 1")
        if out.name == self.fails:
            (out.parent / f"{out.name}.run").mkdir()
            (out.parent / f"{out.name}.run" / "checkpoint.safetensors").write_bytes(b"")
            yield Failed("The disk is full.")
            return
        yield Noted("Trained.")
        yield Done({"id": out.name, "metrics": {}})

    def evaluate(self, bundle: Path, sources: Any, config: Any, token: Any) -> Any:
        self.tested.append((bundle.name, sources[0].path.name, config.side))
        return self.evaluate_source(
            self.made.bundle(), [str(s) for s in sources], config.model_copy(update={"side": "all"}), token
        )


@pytest.fixture
def quick(evaluate_source: Any, made: Any, monkeypatch: pytest.MonkeyPatch) -> Made:
    from napari_cyto.training import run

    fake = Made(evaluate_source, made)
    monkeypatch.setattr(run, "train", fake.train)
    monkeypatch.setattr(grid_job, "evaluate_bundle", fake.evaluate)
    return fake


@pytest.fixture
def sources(made: Any, tmp_path: Path) -> list[str]:
    return [f"cric:{made.cric_folder(tmp_path / name, images=2, seed=seed)}" for seed, name in enumerate("ab")]


def last_of(events: Any) -> Event:
    return list(events)[-1]


def test_each_is_tested_on_each_and_on_its_own_test_side(quick: Made, sources: list[str], tmp_path: Path) -> None:
    done = last_of(run_grid(sources, tmp_path / "grid", TrainConfig(), QUICK, True))
    assert isinstance(done, Done), done
    assert quick.trained == ["a", "b", ALL]
    assert quick.tested == [
        ("a", "a", "test"),
        ("a", "b", "auto"),
        ("b", "a", "auto"),
        ("b", "b", "test"),
        (ALL, "a", "test"),
        (ALL, "b", "test"),
    ]
    rows = done.to_json()["rows"]
    assert [(r["trained_on"], r["tested_on"]) for r in rows[:2]] == [("a", "a"), ("a", "b")]
    assert {"n", "accuracy", "macro_f1", "four_class_macro_f1", "normal_abnormal_auroc"} <= set(rows[0])
    assert json.loads(Path(done.result.json).read_text(encoding="utf-8"))["rows"] == rows
    with Path(done.result.csv).open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert float(table[1]["accuracy"]) == pytest.approx(rows[1]["accuracy"])
    page = Path(done.result.report).read_text(encoding="utf-8")
    assert "own test set" not in page
    own = replace(done.result, rows=(replace(done.result.rows[0], side="test"),))
    assert grid_page(own).count("own test set") == 2
    assert "trained on" in page
    assert str(tmp_path) not in page


def test_it_goes_on_where_it_failed(quick: Made, sources: list[str], tmp_path: Path) -> None:
    quick.fails = "b"
    failed = last_of(run_grid(sources, tmp_path / "grid", TrainConfig(), QUICK))
    assert isinstance(failed, Failed)
    assert "Training on b: The disk is full." in failed.message
    quick.fails, before = "", list(quick.tested)
    assert isinstance(last_of(run_grid(sources, tmp_path / "grid", TrainConfig(), QUICK)), Done)
    assert quick.trained == ["a", "b", "b resumed"]
    assert quick.tested == [*before, ("b", "a", "auto"), ("b", "b", "test")]
    again = last_of(run_grid(sources, tmp_path / "grid", TrainConfig(), QUICK))
    assert isinstance(again, Done)
    assert len(quick.trained) == 3


def test_another_grid_is_not_mixed_into_it(quick: Made, sources: list[str], tmp_path: Path) -> None:
    assert isinstance(last_of(run_grid(sources, tmp_path / "grid", TrainConfig(), QUICK)), Done)
    other = last_of(run_grid(sources, tmp_path / "grid", TrainConfig(batch=3), QUICK))
    assert isinstance(other, Failed)
    assert "other sources or settings" in other.message


def test_it_stops_on_request(quick: Made, sources: list[str], tmp_path: Path) -> None:
    token = CancelToken()
    events = []
    for event in run_grid(sources, tmp_path / "grid", TrainConfig(), QUICK, False, token):
        events.append(event)
        if isinstance(event, Noted):
            token.cancel()
    assert isinstance(events[-1], Cancelled)
    assert "goes on from there" in events[-1].message
    assert quick.tested == []


def test_sources_are_called_by_their_folders() -> None:
    assert list(named_sources(["cric:/x/a", "folders:/y/a", "/z/b.cyto"])) == ["a 1", "a 2", "b"]
    for wrong in ([], ["cric:a"], ["cric:a", "cric:a"]):
        with pytest.raises(CytoError, match="two or more different sources"):
            named_sources(wrong)


def test_a_run_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    assert not can_go_on(tmp_path / "gone.run")
    (tmp_path / "x.run").mkdir()
    assert not can_go_on(tmp_path / "x.run")
    (tmp_path / "x.run" / "checkpoint.safetensors").write_bytes(b"")
    assert can_go_on(tmp_path / "x.run")
