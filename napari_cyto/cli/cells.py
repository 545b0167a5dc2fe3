"""The verbs ``map``, ``similar`` and ``label-errors``: what follows from the vectors of a project's cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.numbers import number
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.domain.quantities import CELLS
from napari_cyto.files.csv_table import write_csv
from napari_cyto.store import Project
from napari_cyto.vectors import cell_vectors
from napari_cyto.vectors.cell_facts import cell_facts
from napari_cyto.vectors.cell_map import CellMap, MapMade, MapOptions, chosen_kind, map_cells, read_map
from napari_cyto.vectors.label_errors import project_label_errors
from napari_cyto.vectors.neighbours import COUNT, Scope
from napari_cyto.vectors.neighbours import similar as similar_cells

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
Encoder = Annotated[str, typer.Option("--encoder", metavar="NAME", help="Whose vectors; the newest unless given.")]
Count = Annotated[
    int, typer.Option("--count", metavar="NUMBER", parser=number("--count", CELLS), help="How many cells.")
]


def command(verb: str) -> Callable[..., None]:
    """Return a verb with its options."""
    if verb == "map":
        return with_options(map_, MapOptions)
    return similar if verb == "similar" else label_errors


def map_(
    project: ProjectFolder,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv", help="Write place, class and slide of each cell.")
    ] = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Lay out a project's cells on a map on which cells alike lie together, and say how far to trust it.

    Rests on the vectors of `embed`. The map is kept beside the project; the dock Map shows the same one.
    """
    options = checked(MapOptions, given)
    place = Project.folder_of(project)
    made: MapMade = follow(lambda token: map_cells(place, options, token), f"Map of {project.name}")
    if out is not None:
        _write_map(place, read_map(Path(made.path), made.without), out)
    if as_json:
        print_json(made.to_json())
        return
    print_facts(
        [
            ("cells", f"{made.cells:,} by {made.encoder}"),
            ("fitted on", f"{made.fitted:,}"),
            *([("without a vector", f"{made.without:,}")] if made.without else []),
            ("trust", made.trust.sentence),
            ("slides", made.trust.slide_sentence),
            ("map", str(out) if out is not None else made.path),
        ]
    )


def _write_map(place: Path, made: CellMap, out: Path) -> None:
    with Project.open(place) as project:
        names = {slide.id: slide.name for slide in project.slides()}
        facts = cell_facts(project, made.ids, made.slide_ids)
    columns = ["id", "slide", "x", "y", "class", "status", "model_class", "score", "reader"]
    rows = (
        [
            cell,
            names.get(made.slide_ids[row], ""),
            *(f"{value:.4f}" for value in made.xy[row].tolist()),
            facts.classes[row],
            facts.statuses[row],
            facts.model_classes[row],
            "" if facts.scores[row] != facts.scores[row] else f"{facts.scores[row]:.4f}",
            facts.readers[row],
        ]
        for row, cell in enumerate(made.ids)
    )
    write_csv(out, columns, rows)


def similar(
    project: ProjectFolder,
    cell: Annotated[str, typer.Argument(metavar="CELL_ID", help="The cell, by its id.")],
    of: Annotated[Scope, typer.Option("--of", help="Where to look.")] = Scope.ALL,
    count: Count = COUNT,
    encoder: Encoder = "",
    as_json: AsJson = False,
) -> None:
    """List the cells most like a cell: of its slide, of all slides, or of other patients only.

    Rests on the vectors of `embed`. Patients are distinguished as splits do: by patient, else by smear, else by slide.
    """
    with Project.open(Project.folder_of(project)) as opened:
        found = cell_vectors(opened, chosen_kind(opened, encoder))
        nearest = similar_cells(found, opened.slides(), cell, of, count)
        names = {slide.id: slide.name for slide in opened.slides()}
        facts = cell_facts(opened, nearest.ids, names)
    if as_json:
        print_json(nearest.to_json())
        return
    slide_of = dict(zip(found.ids, found.slide_ids, strict=True))
    print_table(
        nearest.sentence,
        ("cell", "cosine", "class", "status", "slide"),
        [
            (i, f"{cosine:.3f}", facts.classes[n], facts.statuses[n], names[slide_of[i]])
            for n, (i, cosine) in enumerate(zip(nearest.ids, nearest.similarities, strict=True))
        ],
    )


def label_errors(project: ProjectFolder, count: Count = 20, encoder: Encoder = "", as_json: AsJson = False) -> None:
    """List accepted cells whose label the cells most like them contradict, the likeliest error first.

    Rests on the vectors of `embed`. Neighbours are taken from other patients where there are any.
    """
    with Project.open(Project.folder_of(project)) as opened:
        found = cell_vectors(opened, chosen_kind(opened, encoder))
        made = project_label_errors(opened, found)
    if as_json:
        print_json(made.to_json(count))
        return
    print_table(
        made.sentence(count),
        ("cell", "label", "neighbours say", "neighbours with this label"),
        [(each.id, each.label, each.likelier, f"{each.agree} of {each.neighbours}") for each in made.suspects[:count]],
    )
