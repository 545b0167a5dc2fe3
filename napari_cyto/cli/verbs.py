"""The verbs of the command line. Nothing heavy is imported until one of them runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from napari_cyto import __version__
from napari_cyto.cli.numbers import number
from napari_cyto.domain.quantities import FOLDS, MPP, SCORE, WORKERS

HELP = """Mark cells on whole-slide Pap smears, review proposals, leave with a dataset.

JSON for machines goes to stdout (--json), progress to stderr. Exit code 0: done; 2: one sentence on stderr says
what was wrong and what to do.
"""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="SRC",
        help="cric:DIR, apacc:DIR, folders:DIR or a project; behind an @ µm per px and what classes become (as in "
        "folders:cells@0.2,map=herlev); may be repeated.",
    ),
]
Runtime = Annotated[
    str | None, typer.Option("--runtime", help="auto (the faster that answers as torch does), torch or openvino.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        parser=number("--workers", WORKERS),
        help="Share the work among N processes of this machine.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Have a dask cluster do the work, as tcp://HOST:8786."),
]


def build(words: list[str]) -> typer.Typer:
    """Return the command line; only the formats of the verb that ``words`` name are loaded.

    Parameters
    ----------
    words : list of str
        The words after ``napari-cyto``.
    """
    app = typer.Typer(
        name="napari-cyto", help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    app.command("demo")(demo)
    app.command("open")(open_)
    app.command("info")(info)
    named = words[0] if words else ""
    for name, summary in (
        (
            "import",
            "Put labels, with their slides or images, into a project: import [FORMAT] SOURCE PROJECT. Without FORMAT "
            "the source is looked at.",
        ),
        ("export", "Write a project's labels, and what the format needs besides: export FORMAT PROJECT OUT."),
    ):
        group = typer.Typer(help=summary, no_args_is_help=True)
        if name == named:
            from napari_cyto.cli import exchange

            exchange.fill(group, name, words[1:])
        app.add_typer(group, name=name)
    library = typer.Typer(help="List, show, add, remove and verify models: models VERB.", no_args_is_help=True)
    if named == "models":
        from napari_cyto.cli import models_verbs as models

        models.fill(library)
    app.add_typer(library, name="models")
    care = typer.Typer(
        help="Keep a project safe, and get it back: project backup, restore, check, rescue.", no_args_is_help=True
    )
    if named == "project":
        from napari_cyto.cli import project as project_verb

        project_verb.fill(care)
    app.add_typer(care, name="project")
    app.command("audit")(audit)
    app.command("slides")(_slides() if named == "slides" else slides)
    app.command("relink")(relink)
    app.command("schemes")(schemes)
    for name, brief in (("evaluate", evaluate), ("report", report)):
        app.command(name)(_in_full(name) if name == named else brief)
    app.command("train")(train)
    app.command("predict")(predict)
    return app


def _in_full(name: str) -> Callable[..., None]:
    """Return a verb with its options, for which more must be read."""
    if name == "report":
        from napari_cyto.cli import report as report_verb

        return report_verb.command()
    from napari_cyto.cli import evaluate as evaluate_verb

    return evaluate_verb.command()


def _slides() -> Callable[..., None]:
    from napari_cyto.cli import slides as slides_verb

    return slides_verb.slides


def slides() -> None:
    """List the slides of a project with patient and smear, by which splits keep cells together, or set these."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"napari-cyto {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    verbose: Annotated[  # taken out of the words before they come here
        bool, typer.Option("--verbose", help="Show what libraries log, which else goes into a file; for any verb.")
    ] = False,
) -> None:
    pass


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Do the job without a screen; needs --out.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the project, the dataset and the overview picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a synthetic Pap smear (once), annotate some of it, and open it; headless: export and audit it too."""
    from napari_cyto.cli import demo as demonstration

    demonstration.run(headless, out, as_json)


def open_(
    path: Annotated[Path, typer.Argument(metavar="SLIDE|PROJECT", help="A slide, an image or a project folder.")],
    as_json: AsJson = False,
) -> None:
    """Open a slide or a project in the window."""
    from napari_cyto.cli import open_window as window

    window.run(path, as_json)


def info(
    slide: Annotated[Path, typer.Argument(metavar="SLIDE", help="A slide or image.")], as_json: AsJson = False
) -> None:
    """Say what a slide file is: size, levels, µm per pixel and where that comes from, extra images."""
    from napari_cyto.cli import inspect_verbs as reports

    reports.info(slide, as_json)


def audit(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A project, or a dataset folder with train and test.")],
    as_json: AsJson = False,
) -> None:
    """Look for leaks and mistakes: a smear on both sides, near-duplicate crops, labels outside their image ...

    Exit code 0: nothing that would make the dataset wrong; 2: something does, and the findings say where.
    """
    from napari_cyto.cli import inspect_verbs as reports

    reports.audit(path, as_json)


def relink(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="The project folder.")],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Where to look, by name and by fingerprint."),
    ] = None,
    slides: Annotated[
        list[str] | None, typer.Option("--slide", metavar="NAME=PATH", help="The image of one slide; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attach images to slides that came with labels only, and find again those whose files moved.

    An image of another size or with another fingerprint than was annotated is refused.
    """
    from napari_cyto.cli import relink as relinking

    relinking.run(project, images, slides or (), as_json)


def schemes(as_json: AsJson = False) -> None:
    """List the class schemes that ship, with their classes and keys, and the maps between them."""
    from napari_cyto.cli import inspect_verbs as reports

    reports.schemes(as_json)


def evaluate() -> None:
    """Judge a model on labelled cells (evaluate BUNDLE --data SRC), or predicted cells against the truth."""


def report() -> None:
    """Say what the slides of a project come to, as a page with pictures or as JSON; not a diagnosis."""


def train(
    kind: Annotated[str | None, typer.Argument(metavar="detector|classifier", help="What is to be trained.")] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="BUNDLE", help="Folder of the model to write.")] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="A recipe that ships, or a YAML file of one.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe, as in phases.0.epochs=3."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of --out where it stopped.")] = False,
    parent: Annotated[
        Path | None, typer.Option("--parent", metavar="BUNDLE", help="A model to continue from, with more data.")
    ] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(
            "--cross-validate",
            metavar="K",
            parser=number("--cross-validate", FOLDS),
            help="Train K times, each part being the test once.",
        ),
    ] = None,
    list_recipes: Annotated[bool, typer.Option("--list-recipes", help="List the recipes that ship.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a cell detector or classifier, and judge it on cells that it has not seen.

    Beside the model a folder BUNDLE.run keeps what happened, and from what an interrupted run goes on.
    """
    from napari_cyto.cli import train as training

    if list_recipes:
        training.list_recipes(as_json)
        return
    training.run(kind, data or (), out, recipe, settings or (), resume, parent, cross_validate, as_json)


def predict(
    slides: Annotated[
        list[Path] | None, typer.Argument(metavar="SLIDE_OR_DIR...", help="Slides, or folders of slides.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", metavar="MODEL", help="What finds cells: a name or a folder.")
    ] = None,
    classifier: Annotated[
        str | None, typer.Option("--classifier", metavar="MODEL", help="What tells the class of each cell found.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PROJECT|FILE.geojson|DIR", help="A project (NAME.cyto), GeoJSON, or APACC."),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="Only this part, px of the slide's full size.")
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(
            "--mpp",
            metavar="NUMBER",
            parser=number("--mpp", MPP),
            help="µm per px where the slide's file does not say it.",
        ),
    ] = None,
    score_from: Annotated[
        float | None,
        typer.Option(
            "--score-from",
            metavar="NUMBER",
            parser=number("--score-from", SCORE),
            help="Leave out cells that score lower than this, not than the model asks for.",
        ),
    ] = None,
    stain: Annotated[str | None, typer.Option("--stain", help="The slides' stain; models for another refuse.")] = None,
    any_picture: Annotated[
        bool,
        typer.Option("--any-picture", help="Go on where a picture cannot be a stained smear, as dark field is none."),
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="auto (which is the default), cpu, cuda or cuda:1.")
    ] = None,
    runtime: Runtime = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Find cells on slides with a model, and classify them: proposals, for a person to review.

    Interrupted, the same command goes on from there; run again, it does only what is missing. Exit code 2 also when a
    slide could not be read: the others are done.
    """
    from napari_cyto.cli import predict as verb

    options = {"mpp": mpp, "score_from": score_from, "stain": stain, "device": device}
    options |= {"any_picture": any_picture or None}
    options |= {"runtime": runtime, "workers": workers, "scheduler": scheduler}
    verb.run(slides or (), detector, classifier, region, out, options, as_json)
