"""The verb ``evaluate`` with its options: a model, two label files, a grid of sources, or a Ki-67 index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.numbers import number
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.verbs import AsJson, Data
from napari_cyto.domain.quantities import MPP
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.config import EvaluateConfig

Model = Annotated[
    str | None, typer.Argument(metavar="[BUNDLE]", help="A model: its folder, or its name in the library.")
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write the report there: index.html, evaluation.json.")
]
Truth = Annotated[Path | None, typer.Option("--truth", metavar="FILE|PROJECT", help="The cells that a person marked.")]
Pred = Annotated[
    Path | None, typer.Option("--pred", metavar="FILE|PROJECT", help="The cells that a model or another marked.")
]
Mpp = Annotated[
    float | None,
    typer.Option(
        "--mpp",
        metavar="M",
        parser=number("--mpp", MPP),
        help="µm per px of all images; else as the files state it.",
    ),
]
FormatName = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="Format of the files; else told from what they look like."),
]
PredFormat = Annotated[
    str | None, typer.Option("--pred-format", metavar="NAME", help="Format of --pred, where it is another one.")
]
MissingAreEmpty = Annotated[
    bool, typer.Option("--missing-are-empty", help="Images that only one file lists have no cells in the other.")
]
ClassMap = Annotated[
    str | None,
    typer.Option(
        "--class-map",
        metavar="NAME|FILE",
        help="Rename the classes of the files: a scheme or map that ships (bethesda-4, herlev) or a file of pairs.",
    ),
]
Grid = Annotated[bool, typer.Option("--grid", help="Train on each --data, test on each: the table of domain shift.")]
GridAll = Annotated[bool, typer.Option("--grid-all", help="With --grid: one more model, trained on all of them.")]
Recipe = Annotated[str | None, typer.Option("--recipe", metavar="NAME", help="With --grid: what is trained.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="With --grid: change one value of the recipe; may be repeated."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="With --grid: for models and table; goes on where it was.")
]
Ki67 = Annotated[
    Path | None,
    typer.Option(
        "--ki67", metavar="FILE|PROJECT", help="Tell the Ki-67 index of each slide and region of these labels."
    ),
]

_JUDGE = frozenset(EvaluateConfig.model_fields)
MODES = {
    "a model": frozenset({"bundle", "data", "report"}) | _JUDGE,
    "two label files": frozenset(
        {"truth", "pred", "radius_um", "mpp", "format_name", "pred_format", "missing_are_empty", "class_map"}
    ),
    "a grid": frozenset({"grid", "grid_all", "data", "recipe", "settings", "out"})
    | _JUDGE - {"side", "examples", "overwrite"},
    "a Ki-67 index": frozenset({"ki67", "format_name", "class_map"}),
}
_FLAGS = {"format_name": "--format", "settings": "--set", "bundle": "BUNDLE"}

HOW = (
    "Say what is to be evaluated: a model (BUNDLE --data SRC), two label files (--truth FILE --pred FILE --radius-um "
    "R), a grid of sources (--grid --data A --data B --out DIR), or a Ki-67 index (--ki67 FILE)."
)


def command() -> Callable[..., None]:
    """Return the verb, with the options of `EvaluateConfig` among its own."""
    return with_options(evaluate, EvaluateConfig)


def evaluate(
    bundle: Model = None,
    data: Data = None,
    report: Report = None,
    truth: Truth = None,
    pred: Pred = None,
    mpp: Mpp = None,
    format_name: FormatName = None,
    pred_format: PredFormat = None,
    missing_are_empty: MissingAreEmpty = False,
    class_map: ClassMap = None,
    grid: Grid = False,
    grid_all: GridAll = False,
    recipe: Recipe = None,
    settings: Settings = None,
    out: Out = None,
    ki67: Ki67 = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Judge a model on labelled cells (evaluate BUNDLE --data SRC), or predicted cells against the truth.

    Two label files: found, false and missed cells of each class, precision, recall, F1; images are matched by their
    names. --grid trains on each source and tests on each. --ki67 tells proliferation indices.
    """
    told = dict(locals())
    named = {n for n, v in told.items() if n not in ("given", "as_json") and v not in (None, False, [], ())} | {*given}
    mode = _mode(told, named)
    if mode == "a model":
        _need(mode, named, "bundle", "data")
        _judge(told)
    elif mode == "two label files":
        _need(mode, named, "truth", "pred", "radius_um")
        _compare(told)
    elif mode == "a grid":
        _need(mode, named, "data", "out")
        _grid(told)
    else:
        from napari_cyto.cli import evaluate_model as judging

        judging.ki67(told["ki67"], format_name, class_map, as_json)


def _mode(told: dict[str, Any], named: set[str]) -> str:
    """Return what is to be evaluated; refuse options that have no say in it.

    Raises
    ------
    CytoError
        When nothing says what, or an option belongs to something else.
    """
    signs = (("ki67", "a Ki-67 index"), ("grid", "a grid"), ("truth", "two label files"), ("pred", "two label files"))
    mode = next((mode for name, mode in signs if told[name]), "a model" if named & {"bundle", "data"} else "")
    if not mode:
        raise CytoError(
            f"--truth, --pred and --radius-um come together. {HOW}" if named & MODES["two label files"] else HOW
        )
    foreign = sorted(named - MODES[mode])
    if foreign:
        raise CytoError(f"{_flag(foreign[0])} has no say where {mode} is evaluated. {HOW}")
    return mode


def _need(mode: str, named: set[str], *needed: str) -> None:
    missing = [_flag(name) for name in needed if name not in named]
    if missing:
        raise CytoError(f"Where {mode} is evaluated, {' and '.join(missing)} must be given. {HOW}")


def _flag(name: str) -> str:
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


def _judge(told: dict[str, Any]) -> None:
    from napari_cyto.cli import evaluate_model as judging

    config = checked(EvaluateConfig, told["given"])
    judging.bundle(told["bundle"], told["data"], config, told["report"], told["as_json"])


def _grid(told: dict[str, Any]) -> None:
    from napari_cyto.cli import evaluate_model as judging

    config = checked(EvaluateConfig, told["given"])
    settings, together = told["settings"] or (), told["grid_all"]
    judging.grid(told["data"], told["out"], told["recipe"], settings, config, together, told["as_json"])


def _compare(told: dict[str, Any]) -> None:
    from napari_cyto.cli import evaluate_labels as evaluation

    formats = (told["format_name"], told["pred_format"] or told["format_name"])
    radius_um = checked(EvaluateConfig, told["given"]).radius_um
    missing, as_json = told["missing_are_empty"], told["as_json"]
    evaluation.run(told["truth"], told["pred"], radius_um, told["mpp"], formats, missing, as_json, told["class_map"])
