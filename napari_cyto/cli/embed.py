"""The verb ``embed`` with its options: a vector for every cell of a project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.inference.embed.job import Embedded, EmbedOptions
from napari_cyto.inference.embed.job import embed as embed_project
from napari_cyto.store import Project

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]


def command() -> Callable[..., None]:
    """Return the verb, with the options of `EmbedOptions` among its own."""
    return with_options(embed, EmbedOptions)


def embed(project: ProjectFolder, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Compute a vector for each cell of a project that has none, or has moved since.

    Teaching a class, the map of cells, similar cells and the score of a slide rest on these vectors. They lie beside
    the project, by encoder and crop rule; an interrupted run continues where it stopped.

    Exit code 0: each cell has a vector; 2: a slide was left out.
    """
    options = checked(EmbedOptions, given)
    place = Project.folder_of(project)
    made: Embedded = follow(lambda token: embed_project(place, options, token), f"Vectors of {project.name}")
    if as_json:
        print_json(made.to_json())
    else:
        _print(made)
    if made.left_out:
        cells = sum(each.cells for each in made.left_out)
        raise CytoError(
            f"{counted(cells, 'cell')} of {counted(len(made.left_out), 'slide')} have no vector; the first: "
            f"{made.left_out[0].slide}: {made.left_out[0].reason}"
        )


def _print(made: Embedded) -> None:
    facts = [("encoder", f"{made.encoder}, {made.length} numbers a vector"), ("cells", f"{made.cells:,}")]
    facts.append(("vectors made", f"{made.made:,}" + (f", {made.moved:,} of cells that moved" if made.moved else "")))
    if made.damaged:
        facts.append(("left out, file damaged", f"{made.damaged:,}"))
    if made.recovered:
        facts.append(("made again after an interruption", f"{made.recovered:,}"))
    print_facts([*facts, ("runtime", made.runtime), ("vectors", made.folder)])
