"""The verb ``evaluate``: ``evaluate model | labels | grid | encoders | ki67``, each with the options of its config."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson, Data
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.config import EvaluateConfig, Ki67Config, LabelComparisonConfig
from napari_cyto.evaluation.encoders.encoder_table_config import EncoderTableConfig

SUBJECTS = ("model", "labels", "grid", "encoders", "ki67")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model: its folder, or its name in the model library.")]
Encoders = Annotated[
    list[str],
    typer.Argument(metavar="ENCODER...", help="Encoders: their folders, or their names in the model library."),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write the report there: index.html, evaluation.json.")
]
Truth = Annotated[
    Path | None,
    typer.Option("--truth", metavar="FILE|PROJECT", help="Label file or project with the reference annotations."),
]
Pred = Annotated[
    Path | None,
    typer.Option("--pred", metavar="FILE|PROJECT", help="Label file or project with the cells to compare with them."),
]
Recipe = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help="The recipe to train; the default classifier if none."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe; may be repeated."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Folder for models and table; repeat the command to resume a stopped run."
    ),
]
All = Annotated[bool, typer.Option("--all", help="Train one more model, on all data sets together.")]
Cells = Annotated[Path, typer.Argument(metavar="FILE|PROJECT", help="A label file or a project in the scheme ki67.")]

_NOT_OF_A_GRID = frozenset({"side", "examples", "overwrite"})


def fill(group: typer.Typer) -> None:
    """Add what can be evaluated to ``group``."""
    group.command("model")(with_options(model, EvaluateConfig))
    group.command("labels")(with_options(labels, LabelComparisonConfig))
    group.command("grid")(with_options(grid, EvaluateConfig, skip=_NOT_OF_A_GRID))
    group.command("encoders")(with_options(encoders, EncoderTableConfig))
    group.command("ki67")(with_options(ki67, Ki67Config))


def named(words: Sequence[str]) -> list[str]:
    """Return the words after ``evaluate`` with what is evaluated as the first of them; an old call gets a hint.

    Parameters
    ----------
    words : sequence of str
        As ``BUNDLE --data SRC``, ``--truth FILE --pred FILE``, ``--grid`` and ``--ki67 FILE`` of former versions.
    """
    if not words or words[0] in (*SUBJECTS, "--help"):
        return list(words)
    flags = {word.partition("=")[0] for word in words}
    rest = list(words)
    if "--ki67" in flags:
        rest = ["ki67", *_without_flag(rest, "--ki67")]
    elif "--grid" in flags:
        rest = ["grid", *("--all" if word == "--grid-all" else word for word in rest if word != "--grid")]
    elif flags & {"--truth", "--pred"}:
        rest = ["labels", *rest]
    else:
        rest = ["model", *rest]
    print(f"Hint: this call is now written `napari-cyto evaluate {rest[0]}`; the old one still works.", file=sys.stderr)
    return rest


def _without_flag(words: list[str], flag: str) -> list[str]:
    """Return words in which the value of a flag stands alone."""
    return [word.removeprefix(flag + "=") for word in words if word != flag]


def model(
    model: Model,
    data: Data = None,
    report: Report = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Evaluate a model on annotated cells: evaluate model MODEL --data SRC."""
    from napari_cyto.cli import evaluate_model

    config = checked(EvaluateConfig, given)
    if not data:
        raise CytoError("Expected annotated cells to evaluate the model on; add --data SRC.")
    evaluate_model.bundle(model, data, config, report, as_json)


def labels(truth: Truth = None, pred: Pred = None, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Compare two label files: evaluate labels --truth FILE --pred FILE.

    Prints how many cells of each class were found, and how many were missed or are false, with precision, recall and
    F1. Images are matched by name.
    """
    from napari_cyto.cli import evaluate_labels

    config = checked(LabelComparisonConfig, given)
    if truth is None or pred is None:
        raise CytoError("Expected two label files; add --truth FILE and --pred FILE.")
    evaluate_labels.run(truth, pred, config, as_json)


def grid(
    data: Data = None,
    out: Out = None,
    recipe: Recipe = None,
    settings: Settings = None,
    together: All = False,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Train on each data set and test on each, to measure domain shift: evaluate grid --data A --data B --out DIR."""
    from napari_cyto.cli import evaluate_model

    config = checked(EvaluateConfig, given)
    if not data or out is None:
        raise CytoError("Expected two or more data sets and a folder for the results; add --data SRC and --out DIR.")
    evaluate_model.grid(data, out, recipe, settings or (), config, together, as_json)


def encoders(
    encoders: Encoders,
    data: Data = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Compare encoders by simple heads on their frozen vectors: evaluate encoders A B --data SRC.

    Each source is a data set of its own, in its own classes; patients, smears or images stay whole.
    """
    from napari_cyto.cli import evaluate_encoders

    config = checked(EncoderTableConfig, given)
    if not data:
        raise CytoError("Expected annotated cells to compare the encoders on; add --data SRC.")
    evaluate_encoders.run(encoders, data, config, as_json)


def ki67(cells: Cells, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Print the Ki-67 index of each slide and region: evaluate ki67 FILE."""
    from napari_cyto.cli import evaluate_model

    config = checked(Ki67Config, given)
    evaluate_model.ki67(cells, config.format, config.class_map, as_json)
