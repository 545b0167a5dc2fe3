"""``train outline``: a model of outlines on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.errors import CytoError
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.training.outline.outline_config import OutlineTrainConfig, outline_recipe


def train(
    sources: Sequence[str],
    out: Path | None,
    recipe_name: str | None,
    settings: Sequence[str],
    resume: bool,
    parent: Path | None,
    folds: int | None,
    as_json: bool,
) -> None:
    """Train a model of outlines and print what it is worth.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    if folds is not None:
        raise CytoError("A model of outlines is measured on fields held out, not by folds; leave out --cross-validate.")
    if out is None:
        raise CytoError("Expected a folder for the model; add --out BUNDLE (and --data PROJECT for accepted outlines).")
    kept = RunFolder.of(out).config() if resume else {}
    sources = [source.removeprefix("project:") for source in sources] or list(kept.get("sources", ()))
    if parent is None and kept.get("parent"):
        parent = Path(kept["parent"])
    if kept and recipe_name is None and not settings:
        config = OutlineTrainConfig.model_validate(kept["config"])
    else:
        config = outline_recipe(recipe_name, settings)
    start_for_networks("Training")
    from napari_cyto.training.outline.job import train_outlines

    result: dict[str, Any] = follow(
        lambda token: train_outlines(config, tuple(sources), out, token, resume, parent), f"Training {out.name}"
    )
    if as_json:
        print_json(result)
        return
    print_facts((name, result[name]) for name in ("bundle", "id", "seconds"))
    for where, figures in result["metrics"].items():
        rows = [
            (words, _number(found["value"]), _interval(found["low"], found["high"]))
            for name, words in _FIGURES.items()
            if (found := figures.get(name))
        ]
        print_table(f"{where}: {figures['nucleus_dice']['n']:,} nuclei", HEADS, rows)
    print_facts([("outline cells with", f"napari-cyto outline PROJECT --model {result['bundle']}")])


HEADS = ("metric", "value", "95 % confidence interval")
_FIGURES = {
    "nucleus_dice": "Dice of the nucleus, mean",
    "failures": "nuclei with a Dice below 0.5, share",
    "cell_dice": "Dice of the cell, mean",
}


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
