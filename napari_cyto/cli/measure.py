"""The verb ``measure``: size, shape, density and texture of the outlined cells of a project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.measurements import CellTable, Measured, MeasureOptions, check_table_file, write_table
from napari_cyto.measurements import measure as measure_project
from napari_cyto.store import Project

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
OutFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write a row for each cell: FILE.csv or FILE.parquet.")
]


def command() -> Callable[..., None]:
    """Return the verb, with the options of `MeasureOptions` among its own."""
    return with_options(measure, MeasureOptions)


def measure(project: ProjectFolder, out: OutFile = None, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Measure the cells of a project that have an outline: nucleus, cytoplasm, density, chromatin.

    Sizes are in µm, read at full resolution. Nuclei that are out of focus, touch another one or reach the border are
    flagged and left out of medians; outlines that nobody has accepted are flagged, too.

    Exit code 0: all that has an outline was measured; 2: a slide was left out.
    """
    options = checked(MeasureOptions, given)
    if out is not None:
        check_table_file(out)
    place = Project.folder_of(project)
    made: Measured = follow(lambda token: measure_project(place, options, token), f"Measurements of {project.name}")
    if out is not None:
        write_table(out, CellTable(made))
    if as_json:
        print_json(made.to_json())
    else:
        _print(made, out)
    if made.left_out:
        first = made.left_out[0]
        raise CytoError(
            f"{counted(len(made.left_out), 'slide')} left out with {sum(each.cells for each in made.left_out):,} "
            f"outlined cells; the first: {first.slide}: {first.reason}"
        )


def _print(made: Measured, out: Path | None) -> None:
    rows = made.by_class()
    if rows:
        print_table(
            "Medians, without nuclei that are out of focus, touch others or are cut by the border",
            ("class", "cells", "left out", "outline not accepted", "nucleus, µm²", "x intermediate", "N:C"),
            [
                (
                    row.class_id,
                    f"{row.cells:,}",
                    f"{row.left_out_of_medians:,}",
                    f"{row.outline_not_accepted:,}",
                    _shown(row.median_nucleus_area_um2, 1),
                    _shown(row.median_multiple_of_intermediate, 2),
                    _shown(row.median_nc_ratio, 2),
                )
                for row in rows
            ],
        )
    facts = [("measured", f"{made.cells:,} cells"), ("without an outline", f"{made.without_outline:,}")]
    if made.plain_outlines:
        facts.append(("outline of unknown kind, left out", f"{made.plain_outlines:,}; see --plain-outlines"))
    if made.unreadable:
        facts.append(("could not be read", f"{made.unreadable:,}"))
    facts += [(slide.name, slide.reference.sentence) for slide in made.slides]
    print_facts(facts + ([("table", str(out))] if out is not None else []))


def _shown(value: float | None, digits: int) -> str:
    return "cannot say" if value is None else f"{value:.{digits}f}"
