"""The verbs of the command line. Nothing heavy is imported until one of them runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from napari_cyto import __version__
from napari_cyto.cli.common_options import AsJson, Data
from napari_cyto.cli.numbers import number
from napari_cyto.domain.quantities import FOLDS

HELP = """Annotate cells on whole-slide Pap smears, predict and review them, train models, export data sets.

JSON for machines goes to stdout (--json), progress to stderr. Exit code 0: done; 2: something is wrong that you can
correct, and one sentence on stderr says what and how.
"""


def build(words: list[str]) -> typer.Typer:
    """Return the command line; only what the verb that ``words`` name needs is loaded.

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
    verb = words[0] if words else ""
    for name, summary in GROUPS.items():
        group = typer.Typer(help=summary, no_args_is_help=True)
        if name == verb:
            _fill(group, name, words[1:])
        app.add_typer(group, name=name)
    app.command("audit")(audit)
    app.command("slides")(_slides() if verb == "slides" else slides)
    app.command("relink")(relink)
    app.command("schemes")(schemes)
    app.command("report")(_report() if verb == "report" else report)
    app.command("train")(train)
    if words[:2] == ["predict", "slide"]:
        app.add_typer(_predict_slide(), name="predict")
    else:
        app.command("predict")(_predict() if verb == "predict" else predict)
    app.command("embed")(_embed() if verb == "embed" else embed)
    app.command("extract")(_extract() if verb == "extract" else extract)
    app.command("measure")(_measure() if verb == "measure" else measure)
    app.command("outline")(_outline() if verb == "outline" else outline)
    app.command("attention")(_attention() if verb == "attention" else attention)
    app.command("teach")(_teach() if verb == "teach" else teach)
    for name, stub in (("map", map_), ("similar", similar), ("label-errors", label_errors)):
        app.command(name)(_of_cells(name) if verb == name else stub)
    return app


GROUPS = {
    "import": "Import labels, with their slides or images, into a project: import [FORMAT] SOURCE PROJECT. Without "
    "FORMAT it is recognised from the source.",
    "export": "Export a project's annotations, with images where the format has them: export FORMAT PROJECT OUT.",
    "models": "List, show, add, remove, verify and export models: models VERB.",
    "project": "Back up, restore, check and rescue a project: project VERB.",
    "reading": "Assign, begin, finish and compare blind readings of a project: reading VERB.",
    "evaluate": "Evaluate a model, compare label files, measure domain shift or a Ki-67 index: evaluate model | labels "
    "| grid | ki67.",
}


def _fill(group: typer.Typer, name: str, words: list[str]) -> None:
    """Add the verbs of a group, for which more must be read."""
    if name in ("import", "export"):
        from napari_cyto.cli import exchange

        exchange.fill(group, name, words)
    elif name == "models":
        from napari_cyto.cli import models_verbs

        models_verbs.fill(group)
    elif name == "project":
        from napari_cyto.cli import project

        project.fill(group)
    elif name == "reading":
        from napari_cyto.cli import reading

        reading.fill(group)
    else:
        from napari_cyto.cli import evaluate

        evaluate.fill(group)


def _report() -> Callable[..., None]:
    from napari_cyto.cli import report as report_verb

    return report_verb.command()


def _predict() -> Callable[..., None]:
    from napari_cyto.cli import predict as predict_verb

    return predict_verb.command()


def _embed() -> Callable[..., None]:
    from napari_cyto.cli import embed as embed_verb

    return embed_verb.command()


def embed() -> None:
    """Compute a vector for each cell of a project, on which teaching, the map and similar cells rest."""


def _extract() -> Callable[..., None]:
    from napari_cyto.cli import extract as extract_verb

    return extract_verb.command()


def extract() -> None:
    """Cut out the cells of slides without a person: crops with APACC's names, or predictions to review."""


def _measure() -> Callable[..., None]:
    from napari_cyto.cli import measure as measure_verb

    return measure_verb.command()


def measure() -> None:
    """Measure the cells of a project that have an outline: nucleus, cytoplasm, density, chromatin."""


def _outline() -> Callable[..., None]:
    from napari_cyto.cli import outline as outline_verb

    return outline_verb.command()


def outline() -> None:
    """Outline the nucleus, and the cell where it can be seen, at each point of a table or annotation of a project."""


def _attention() -> Callable[..., None]:
    from napari_cyto.cli import attention as attention_verb

    return attention_verb.command()


def attention() -> None:
    """Lay what the last layer of an encoder attends to over the crop of a cell; the encoder is a vision transformer."""


def _teach() -> Callable[..., None]:
    from napari_cyto.cli import teach as teach_verb

    return teach_verb.teach


def _predict_slide() -> typer.Typer:
    from napari_cyto.cli import slide_models

    group = typer.Typer(help="Score whole slides.")
    group.callback()(lambda: None)
    group.command("slide")(slide_models.command())
    return group


def _of_cells(verb: str) -> Callable[..., None]:
    from napari_cyto.cli import cells

    return cells.command(verb)


def map_() -> None:
    """Lay out a project's cells on a map on which cells alike lie together, and say how far to trust it."""


def similar() -> None:
    """List the cells most like a cell: of its slide, of all slides, or of other patients only."""


def label_errors() -> None:
    """List accepted cells whose label the cells most like them contradict, the likeliest error first."""


def _slides() -> Callable[..., None]:
    from napari_cyto.cli import slides as slides_verb

    return slides_verb.slides


def slides() -> None:
    """List the slides of a project with patient, smear (splits keep these together) and interpretation, or set them."""


def _version(is_requested: bool) -> None:
    if is_requested:
        print(f"napari-cyto {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[  # taken out of the words before they come here
        bool,
        typer.Option("--verbose", help="Print what libraries log on stderr, instead of into a log file; for any verb."),
    ] = False,
) -> None:
    pass


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Run without a screen; needs --out.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the project, the data set and the overview image.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a synthetic Pap smear with annotations and open it; with --headless, export and audit it too."""
    from napari_cyto.cli import demo as demonstration

    demonstration.run(headless, out, as_json)


def open_(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="SLIDE|PROJECT",
            help="A slide, an image, a project folder or the address of a project in PostgreSQL.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Open a slide or a project in the window."""
    from napari_cyto.cli import open_window as window

    window.run(path, as_json)


def info(
    slide: Annotated[Path, typer.Argument(metavar="SLIDE", help="A slide or image.")],
    scale_by_nuclei: Annotated[
        bool, typer.Option("--scale-by-nuclei", help="Estimate the µm per px by the size of the nuclei, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a slide file contains: size, levels, µm per px and their source, additional images."""
    from napari_cyto.cli import inspect_verbs as reports

    reports.info(slide, as_json, scale_by_nuclei)


def audit(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A project, or a data set folder with train and test.")],
    as_json: AsJson = False,
) -> None:
    """Check a data set for leaks and mistakes: a smear in two sets, near-duplicates, labels outside images.

    Exit code 0: the data set is fit for use; 2: it is not, and the findings say why and where.
    """
    from napari_cyto.cli import inspect_verbs as reports

    reports.audit(path, as_json)


def relink(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="The project folder.")],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Folder to search for the images, by file name and fingerprint."),
    ] = None,
    slides: Annotated[
        list[str] | None, typer.Option("--slide", metavar="NAME=PATH", help="Image file of one slide; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attach image files to slides that have labels only, or whose files have moved.

    An image whose size or fingerprint differs from the annotated one is refused.
    """
    from napari_cyto.cli import relink as relinking

    relinking.run(project, images, slides or (), as_json)


def schemes(as_json: AsJson = False) -> None:
    """List the built-in class schemes with their classes and keys, and the class maps between them."""
    from napari_cyto.cli import inspect_verbs as reports

    reports.schemes(as_json)


def report() -> None:
    """Write a report on the slides of a project, as a page with images or as JSON; not a diagnosis."""


def predict() -> None:
    """Find cells on slides with a model, and classify them: predictions, for a person to review."""


def teach() -> None:
    """Teach a class by examples: score the unreviewed cells, suggest which to label next, and save a model."""


def train(
    kind: Annotated[
        str | None, typer.Argument(metavar="detector|classifier|encoder|slide|outline", help="What to train.")
    ] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="BUNDLE", help="Folder for the trained model.")] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="A built-in recipe, or a YAML file.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, such as phases.0.epochs=3; may be repeated.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted run of --out.")] = False,
    parent: Annotated[
        Path | None, typer.Option("--parent", metavar="BUNDLE", help="Fine-tune this model on more data.")
    ] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(
            "--cross-validate",
            metavar="K",
            parser=number("--cross-validate", FOLDS),
            help="K-fold cross-validation: train K models, each with another fold as its test set.",
        ),
    ] = None,
    scale_by_nuclei: Annotated[
        bool,
        typer.Option(
            "--scale-by-nuclei",
            help="Of an encoder: scale images that do not state their µm per px by the size of their nuclei.",
        ),
    ] = False,
    list_recipes: Annotated[bool, typer.Option("--list-recipes", help="List the built-in recipes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a cell detector or classifier and evaluate it on cells that it has not seen, or another model.

    An encoder learns from images without labels, a model of slides from interpretations, a model of outlines from
    made-up smears and, with --data PROJECT, from accepted outlines.

    The folder BUNDLE.run beside the model keeps the log and the checkpoints, with which --resume continues.
    """
    if scale_by_nuclei:
        from napari_cyto.cli.train import scale_by_nuclei as scaling

        settings = [*(settings or ()), scaling(kind)]
    if kind == "slide" and not list_recipes:
        from napari_cyto.cli import slide_models

        slide_models.train(data or (), out, recipe, settings or (), resume, parent is not None, cross_validate, as_json)
        return
    if kind == "outline" and not list_recipes:
        from napari_cyto.cli import outline_training

        outline_training.train(data or (), out, recipe, settings or (), resume, parent, cross_validate, as_json)
        return
    from napari_cyto.cli import train as training

    if list_recipes:
        training.list_recipes(as_json)
        return
    training.run(kind, data or (), out, recipe, settings or (), resume, parent, cross_validate, as_json)
