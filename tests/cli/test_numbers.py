"""Promise: no verb takes a number that makes no sense: exit 2 and one sentence with the option and its range.

The options are taken from the parser itself, so that a new one is tried without a word here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel, ValidationError

from napari_cyto.cli.entry import run
from napari_cyto.cli.verbs import build
from napari_cyto.datasets._exchange_options import ApaccExportOptions, ImportOptions, LabelExportOptions
from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.domain import quantities
from napari_cyto.domain.option_fields import option_field
from napari_cyto.domain.quantities import MPP, SCORE, SEED, Quantity
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.config import EvaluateConfig
from napari_cyto.formats import FORMATS
from napari_cyto.inference.many_slides import SeveralRequest
from napari_cyto.reporting.job import ReportOptions
from napari_cyto.training.config import AugmentConfig, ClassifierConfig, DetectorConfig, PhaseConfig, TrainConfig
from napari_cyto.training.recipes import recipe, with_settings

TRIED = (
    *("nan", "NaN", "inf", "-inf", "infinity", "0", "-1", "1e-9", "1e9", "1e308", "1e400", "", " ", "abc", "1,5", "½"),
    *("0x10", "1_000", "٣", "9" * 400, "1e", "--1", "1 2", "None", "True", "1.5", "-0.0"),
)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, each in inner.items():
        yield from leaves(each, (*path, name))


def number_options() -> list[tuple[tuple[str, ...], Any, Any]]:
    """Every option of every verb that is a number, with the words that lead to it and its command."""
    found = []
    for verb in typer.main.get_command(build([])).commands:
        for path, command in leaves(typer.main.get_command(build([verb]))):
            if path[0] == verb:
                found += [(path, command, option) for option in command.params if is_number(option)]
    return found


def parser_of(option: Any) -> Any:
    described = getattr(option, "type_descriptor", None)  # of newer versions of typer
    return described.parameter_info.parser if described is not None else getattr(option.type, "func", None)


def is_number(option: Any) -> bool:
    if hasattr(parser_of(option), "quantity"):
        return True
    described = getattr(option, "type_descriptor", None)
    if described is not None:
        return described.annotation in (int, float)
    return any(word in type(option.type).__name__ for word in ("Float", "Int"))


OPTIONS = number_options()


def test_there_are_options_to_try() -> None:
    flags = {option.opts[0] for _, _, option in OPTIONS}
    assert {"--mpp", "--score-from", "--workers", "--radius-um", "--seed", "--cross-validate", "--limit"} <= flags
    assert len(OPTIONS) > 30


IDS = [f"{' '.join(path)} {option.opts[0]}" for path, _, option in OPTIONS]


@pytest.mark.parametrize(("path", "command", "option"), OPTIONS, ids=IDS)
def test_no_verb_takes_a_number_that_makes_no_sense(
    path: tuple[str, ...], command: Any, option: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    quantity = getattr(parser_of(option), "quantity", None)
    assert isinstance(quantity, Quantity), "its numbers have no range"
    assert math.isfinite(quantity.low)
    assert math.isfinite(quantity.high)
    flag, refused = option.opts[0], 0
    for text in TRIED:
        try:
            quantity.parsed(text)
        except ValueError:
            refused += 1
            if refused > 2 and text not in ("nan", "", "1,5"):
                continue  # the same parser answers; the whole way is gone a few times
            assert run([*path, *arguments(command), f"{flag}={text}"]) == 2
            said = capsys.readouterr().err
            assert said.startswith(f"{flag}: expected {quantity.words}, got "), said
            assert len(said.splitlines()) == 1
    assert refused > 10
    assert list(tmp_path.iterdir()) == []


def arguments(command: Any) -> list[str]:
    """A word for each argument, of files that are not there."""
    return ["not-there.json" for each in command.params if type(each).__name__.endswith("Argument") and each.required]


REGIONS = (
    *("nan,0,1,1", "0,0,inf,1", "0,0,0,1", "0,0,-1,1", "1,2,3", "", "a,b,c,d", "0,0,1e308,1", "½,0,1,1"),
    *("1e10,0,1,1", "1,2,3,4,5", "1;2;3;4"),
)


@pytest.mark.parametrize("text", REGIONS)
def test_a_region_is_four_numbers_with_an_extent(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "s.png", "--detector", "d", "--out", "o.cyto", f"--region={text}"]) == 2
    assert capsys.readouterr().err.startswith("--region: ")


@pytest.mark.parametrize("text", ["@nan", "@inf", "@0", "@-1", "@1e-9", "@1e9", "@mpp=½", "@mpp="])
def test_the_scale_behind_a_source_has_the_same_range(text: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "cells").mkdir()
    words = ["train", "classifier", "--data", f"folders:{tmp_path / 'cells'}{text}", "--out", str(tmp_path / "m")]
    assert run(words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


MODELS = (
    *(ApaccExportOptions, ImportOptions, LabelExportOptions, EvaluateConfig, SeveralRequest, ReportOptions),
    *(TrainConfig, PhaseConfig, AugmentConfig, ClassifierConfig, DetectorConfig, SplitConfig),
    *dict.fromkeys(f.options_type for f in FORMATS.values()),
)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_number_of_every_form_has_two_ends(model: type[BaseModel]) -> None:
    """Forms take their spin boxes' ends from here, and what has none could be set to anything."""
    for name, field in model.model_fields.items():
        quantity = option_field(name, field).quantity
        if quantity is not None and name != "generation":
            assert math.isfinite(quantity.low), name
            assert math.isfinite(quantity.high), name


SETTINGS = [
    *(f"lr={v}" for v in ("nan", "inf", "-1", "0", "1e308", "½", "1,5", "abc")),
    *(f"batch={v}" for v in ("0", "-1", "1e9", "nan", "1.5")),
    *(f"phases.0.epochs={v}" for v in ("0", "-1", "1e9", "nan", "1e308", "9" * 5000)),
    *(f"seed={v}" for v in ("-1", "1e308", "1e20", "nan")),
    *(f"model.miss_costs=[{v}]" for v in ("0", "-1", "inf", "nan", "1e308")),
    *(f"augment.zoom={v}" for v in ("[0, 1]", "[nan, 1]", "[1, 1e9]", "[1]")),
    *("model.ordinal_weight=inf", "clip_norm=nan", "phases.0.warmup_epochs=inf", "model.crop_rule.windows=[nan]"),
    *("split.test_share=nan", "split.folds=1e9", "ema=nan", "model.dropout=nan", "batch=.inf", "batch=-.nan"),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda text: text[:40])
def test_a_recipes_numbers_are_refused_by_their_name(setting: str) -> None:
    with pytest.raises(CytoError, match=r"^--set") as caught:
        with_settings(recipe("light", None), [setting])
    assert len(str(caught.value)) < 400


def test_recipes_from_files_have_the_same_ranges(tmp_path: Path) -> None:
    place = tmp_path / "mine.yaml"
    for text in ("batch: .nan", "phases: [{lr: .inf}]", "seed: -1", "model: {kind: detector, tau: .nan}"):
        place.write_text(text)
        with pytest.raises(CytoError):
            recipe(str(place), None)
    letters = "abcdefghijklmnopqrstuvwxyz"
    tenfold = "".join(f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in pairwise(letters))
    place.write_text(f"a: &a [x, x]\n{tenfold}batch: *z\n")
    with pytest.raises(CytoError) as caught:
        recipe(str(place), None)
    assert len(str(caught.value)) < 400


def test_a_range_in_words() -> None:
    assert MPP.words == "0.05 to 20 µm per px"
    assert SCORE.words == "above 0 to 1"
    assert Quantity(1, 1024, "processes", whole=True).words == "a whole number, 1 to 1,024 processes"
    with pytest.raises(ValueError, match="decimals follow a point"):
        MPP.parsed("0,25")
    assert MPP.parsed(" 0.25 ") == 0.25
    assert SEED.parsed("7") == 7
    assert isinstance(SEED.parsed("7"), int)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-9, 1e9, 0.0])
def test_pydantic_refuses_what_the_range_does(value: float) -> None:
    class Options(BaseModel):
        mpp: quantities.UmPerPx | None = None

    with pytest.raises(ValidationError):
        Options(mpp=value)
