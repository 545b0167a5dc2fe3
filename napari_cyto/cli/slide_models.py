"""``train slide`` and ``predict slide``: models of whole slides on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.datasets.import_.relink import slide_named
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.inference.slide_scores.job import ScoredSlides, SlideScoreOptions, score_slides
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.store import Project
from napari_cyto.training.slide.job import train_slides
from napari_cyto.training.slide.slide_config import SlideTrainConfig, slide_recipe


def train(
    sources: Sequence[str],
    out: Path | None,
    recipe_name: str | None,
    settings: Sequence[str],
    resume: bool,
    has_parent: bool,
    folds: int | None,
    as_json: bool,
) -> None:
    """Train a model of slides and print what it is worth.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    if has_parent or folds is not None:
        raise CytoError("A model of slides is trained anew and on one split; leave out --parent and --cross-validate.")
    kept = RunFolder.of(out).config() if resume and out is not None else {}
    sources = [source.removeprefix("project:") for source in sources] or list(kept.get("sources", ()))
    if out is None or not sources:
        raise CytoError(
            "Expected projects whose slides have interpretations, and a folder for the model; add --data PROJECT and "
            "--out BUNDLE."
        )
    if kept and recipe_name is None and not settings:
        config = SlideTrainConfig.model_validate(kept["config"])
    else:
        config = slide_recipe(recipe_name, settings)
    start_for_networks("Training")
    result: dict[str, Any] = follow(
        lambda token: train_slides(config, tuple(sources), out, token, resume), f"Training {out.name}"
    )
    if as_json:
        print_json(result)
        return
    print_facts((name, result[name]) for name in ("bundle", "id", "side", "seconds"))
    metrics = result["metrics"]
    if rows := _rows(metrics):
        words = f"{counted(metrics['slides'], 'slide')} of the {metrics['side']} set, {metrics['positive']} positive"
        print_table(words, HEADS, rows)
    for name, value in (metrics.get("explanation") or {}).items():
        print_facts([(f"attention, {name.replace('_', ' ')}", _number(value))])
    held_out = metrics.get("held_out") or {}
    rows = _rows(held_out)
    if rows:
        words = f"{counted(held_out['slides'], 'slide')} held out in {held_out['folds']} folds, "
        print_table(f"{words}{held_out['positive']} positive", HEADS, rows)
    if held_out:
        print(held_out["sentence"])
    print_facts([("score slides with", f"napari-cyto predict slide PROJECT --model {result['bundle']}")])


HEADS = ("metric", "value", "95 % confidence interval")
_METRICS = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
    "brier_calibrated": "Brier score, calibrated",
}


def _rows(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (words, _number(found["value"]), f"{_number(found['low'])} to {_number(found['high'])}")
        for name, words in _METRICS.items()
        if (found := metrics.get(name))
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
Slides = Annotated[
    list[str] | None, typer.Option("--slide", metavar="NAME", help="Score only this slide; may be repeated.")
]


def command() -> Callable[..., None]:
    """Return the verb ``predict slide``, with the options of `SlideScoreOptions` among its own."""
    return with_options(predict, SlideScoreOptions)


def predict(project: ProjectFolder, slides: Slides = None, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Score the slides of a project with a model of slides, and keep what it looked at; not a diagnosis."""
    options = checked(SlideScoreOptions, given)
    place = Project.folder_of(project)
    with Project.open(place) as opened:
        ids = tuple(slide_named(opened, name).id for name in slides or ())
    start_for_networks("Scoring slides")
    found: ScoredSlides = follow(lambda token: score_slides(place, options, ids, token), f"Scoring {place.name}")
    if as_json:
        print_json(found.to_json())
        return
    rows = [(each.name, each.score.words if each.score else each.problem) for each in found.slides]
    print_table(f"{found.positive} or worse, by {found.model}", ("Slide", "Score"), rows)
    print(found.notice)
