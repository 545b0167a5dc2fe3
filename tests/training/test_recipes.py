"""Guards the recipes: those that ship hold what their papers say, and single values are changed or refused clearly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.errors import CytoError
from napari_cyto.training.config import ClassifierConfig, DetectorConfig
from napari_cyto.training.recipes import DEFAULTS, all_recipes, read_recipe, recipe, with_settings


def test_every_kind_has_its_default_first() -> None:
    names = [c.name for c in all_recipes()]
    assert len(set(names)) == len(names)
    for kind, default in DEFAULTS.items():
        first = next(c for c in all_recipes() if c.model.kind == kind)
        assert first.name == default
        assert recipe(None, kind) == first


@pytest.mark.parametrize("config", all_recipes(), ids=lambda c: c.name)
def test_each_says_what_it_is_for(config: object) -> None:
    assert all(getattr(config, field) for field in ("title", "summary", "source"))


def test_coskun_is_as_published() -> None:
    """Coskun et al., section on training: frozen 20 epochs at 1e-4, the top at 1e-5; dense 256, dropout 0.5."""
    config = recipe("coskun-resnet50", "classifier")
    assert isinstance(config.model, ClassifierConfig)
    assert (config.model.backbone, config.model.head, config.model.dropout) == ("resnet50", 256, 0.5)
    one, two = config.phases
    assert (one.trains, one.epochs, one.optimiser, one.lr, one.stop_after) == ("head", 20, "adam", 1e-4, 10)
    assert (two.trains, two.optimiser, two.lr, two.stop_after) == ("top", "adam", 1e-5, 10)
    assert config.model.crop_rule.size_px == 224


def test_apacc_is_as_published() -> None:
    """Kupas et al. 2024: dense 512, dropout 0.5, Adam 1e-3, plateau 3 x 0.05, early stopping 6, 30 epochs."""
    config = recipe("apacc-efficientnet-b3", "classifier")
    assert isinstance(config.model, ClassifierConfig)
    assert (config.model.backbone, config.model.head, config.model.dropout) == ("tf_efficientnet_b3", 512, 0.5)
    (phase,) = config.phases
    assert (phase.epochs, phase.optimiser, phase.lr, phase.schedule) == (30, "adam", 1e-3, "plateau")
    assert (phase.plateau_patience, phase.plateau_factor, phase.stop_after) == (3, 0.05, 6)
    assert config.split.validation_share == 0.15
    assert config.model.score == "loss"


def test_coskun_strict_follows_the_text() -> None:
    """Coskun et al. 2.4 to 2.6: batch 8, 80/10/10, +-15 degrees, horizontal flips, zoom 0.9 to 1.1, blur, no jitter."""
    config, usual = recipe("coskun-resnet50-strict", "classifier"), recipe("coskun-resnet50", "classifier")
    assert isinstance(config.model, ClassifierConfig)
    assert (config.batch, config.split.validation_share, config.split.test_share) == (8, 0.1, 0.1)
    augment = config.augment
    assert (augment.rotation, augment.rotation_deg, augment.flips, augment.zoom) == ("any", 15, True, (0.9, 1.1))
    assert (augment.brightness, augment.contrast, augment.saturation, augment.hue) == (0, 0, 0, 0)
    assert augment.blur > 0
    assert augment.classes == ("ASC-US", "LSIL")
    assert (config.model.sampling, config.model.class_weights) == ("balanced", "none")
    assert config.phases[1].top_layers == 2
    assert config.phases[0].model_copy(update={"stop_after": 10}) == usual.phases[0]
    assert config.scheme == "bethesda-4"


def test_p2p_strict_follows_the_text() -> None:
    """Patherea 6.1: level 2 of the pyramid (stride 4), threshold 0.5, nothing merged, 100 epochs, the last one told."""
    config = recipe("p2p-convnext-strict", "detector")
    assert isinstance(config.model, DetectorConfig)
    model = config.model
    assert (model.stride, model.levels, model.width, model.beta, model.tau) == (4, 4, 256, 6, 0.05)
    assert (model.background_weight, model.cell_weight, model.regression_weight) == (0.5, 10, 2e-3)
    assert (model.many_weight, model.fixed_threshold, model.merge_um) == (0.5, 0.5, 0)
    (phase,) = config.phases
    assert (phase.epochs, phase.lr, phase.weight_decay, config.batch, config.keep) == (100, 1e-4, 2e-3, 16, "last")


def test_a_recipe_that_names_a_paper_says_where_it_departs(capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is no paper's recipe has nothing to say; a strict one names what the text leaves open."""
    own = {"light", "starter-bethesda-light"}
    silent = {c.name for c in all_recipes() if not c.deviations}
    assert silent == own & {c.name for c in all_recipes()}
    assert run(["train", "--list-recipes"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for config in all_recipes():
        for sentence in config.deviations:
            assert sentence.endswith(".")
            assert " ".join(sentence.split()) in printed
    page = " ".join((Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8").split())
    for config in all_recipes():
        assert all(" ".join(sentence.split()) in page for sentence in config.deviations), config.name


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("batch=8", ("batch",), 8),
        ("model.head=0", ("model", "head"), 0),
        ("head=17", ("model", "head"), 17),
        ("phases.0.lr=1e-4", ("phases", 0, "lr"), 1e-4),
        ("epochs=3", ("phases", 0, "epochs"), 3),
        ("split.fold=0", ("split", "fold"), 0),
        ("model.crop_rule.windows=[30, 90]", ("model", "crop_rule", "windows"), (30.0, 90.0)),
        ("augment.zoom=[1, 1]", ("augment", "zoom"), (1.0, 1.0)),
        ("reinhard_target=x.png", ("reinhard_target",), "x.png"),
        ("split.overrides=few-groups", ("split", "overrides"), ("few-groups",)),
        ("split.overrides=few-groups, single-group", ("split", "overrides"), ("few-groups", "single-group")),
        ("split.overrides=", ("split", "overrides"), ()),
        ("model.crop_rule.windows=30", ("model", "crop_rule", "windows"), (30.0,)),
        ("model.auxiliary_views=coarse", ("model", "auxiliary_views"), ("coarse",)),
        ("augment.zoom=0.8,1e0", ("augment", "zoom"), (0.8, 1.0)),
    ],
)
def test_single_values_are_set(setting: str, path: tuple[str | int, ...], value: object) -> None:
    found: object = with_settings(recipe("light", "classifier"), [setting])
    for part in path:
        found = found[part] if isinstance(part, int) else getattr(found, part)  # type: ignore[index]
    assert found == value


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("batch", "key=value"),
        ("=3", "key=value"),
        ("nosuch=1", "--set: expected one of"),
        ("phases.7.lr=1", "--set: expected one of"),
        ("model.nosuch=1", "head"),
        ("batch=0", "batch"),
        ("batch=many", "many"),
        ("model.dropout=1.5", "dropout"),
        ("batch=[1", "YAML"),
    ],
)
def test_what_cannot_be_set_is_one_sentence(setting: str, word: str) -> None:
    with pytest.raises(CytoError, match="--set") as caught:
        with_settings(recipe("light", "classifier"), [setting])
    assert word in str(caught.value)


def test_recipes_of_ones_own_come_from_files(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nbatch: 4\nmodel: {kind: classifier, head: 5}\n")
    assert recipe(str(own), "classifier").batch == 4
    with pytest.raises(CytoError, match="Expected a recipe for a detector"):
        recipe(str(own), "detector")
    for text, word in (("- 1", "mapping"), ("a: [", "YAML"), ("batch: -1", "batch"), ("nosuch: 1", "nosuch")):
        own.write_text(text)
        with pytest.raises(CytoError, match=word):
            read_recipe(own)
    with pytest.raises(CytoError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(CytoError, match="light"):
        recipe("nosuch", "classifier")


def test_the_command_line_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--list-recipes", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)["recipes"]
    assert {"light", "coskun-resnet50", "apacc-efficientnet-b3"} <= {r["name"] for r in printed}
    assert run(["train", "--list-recipes"]) == 0
    assert "light" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ([], "detector"),
        (["gardener"], "gardener"),
        (["classifier"], "--data"),
        (["classifier", "--data", "cric:x"], "--out"),
        (["classifier", "--data", "cric:x", "--out", "y", "--recipe", "nosuch"], "nosuch"),
        (["classifier", "--data", "cric:x", "--out", "y", "--set", "batch=0"], "batch"),
    ],
)
def test_the_command_line_refuses_in_one_sentence(
    argv: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *argv]) == 2
    err = capsys.readouterr().err
    assert word in err
    assert err.count("\n") == 1


def test_without_torch_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("napari_cyto.models.torch_installed.has_torch", lambda: False)
    assert run(["train", "classifier", "--data", "cric:x", "--out", str(tmp_path / "m")]) == 2
    assert "napari-cyto[models]" in capsys.readouterr().err
