"""The verb ``extract``: single cells of slides without a person, as crops or as predictions to review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.cli.predict import region_yxyx
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import reader_name
from napari_cyto.inference.extract.extraction import Extraction, SlideExtracted
from napari_cyto.inference.extract.options import ExtractOptions, ExtractRequest

Slides = Annotated[list[Path], typer.Argument(metavar="SLIDE...", help="Slide files.")]
Out = Annotated[
    Path,
    typer.Option("--out", metavar="DIR|PROJECT", help="A folder for crops, or a project (NAME.cyto) for predictions."),
]
Region = Annotated[
    str | None, typer.Option("--region", metavar="X,Y,W,H", help="Only this part of the slides, px at full resolution.")
]


def command() -> Callable[..., None]:
    """Return the verb, with the options of `ExtractOptions` among its own."""
    return with_options(extract, ExtractOptions)


def extract(slides: Slides, out: Out, region: Region = None, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Cut out the cells of slides without a person, in the steps of APACC.

    A mask of the nuclei, large components dropped, cells parted by erosions, kept by area and roundness, their boxes
    padded. The result is a folder of crops with APACC's names, or boxes in a project that wait for review.

    Exit code 0: all slides were done; 2: a slide was left out.
    """
    values = {
        "slides": tuple(slides),
        "out": out,
        "region_yxyx": None if region is None else region_yxyx(region),
        "author": reader_name(),
    }
    request = checked(ExtractRequest, values | given)
    start_for_networks("Extracting cells")
    from napari_cyto.inference.extract.job import extract as extract_cells

    made: Extraction = follow(lambda token: extract_cells(request, token), "Extracting cells")
    if as_json:
        print_json(made.to_json())
    else:
        for each in made.done:
            print_facts(_facts(each))
        print_facts([("out", made.out)])
    if made.left_out:
        first = made.left_out[0]
        raise CytoError(f"{counted(len(made.left_out), 'slide')} left out; the first: {first.slide}: {first.reason}")


def _facts(made: SlideExtracted) -> list[tuple[str, object]]:
    fates = made.fates
    facts: list[tuple[str, object]] = [("slide", made.slide), ("cells", f"{made.written:,}")]
    if made.there_before:
        facts.append(("there before", f"{made.there_before:,}"))
    facts += [
        ("slices", f"{made.slices:,}"),
        ("nuclei found", f"{made.nuclei:,}, {made.without_outline:,} of them without an outline"),
        (
            "left out",
            f"{fates.too_small:,} too small, {fates.too_large:,} too large, {fates.not_round:,} not round, "
            f"{counted(fates.large_components, 'large component')}",
        ),
        ("clipped", f"{made.clipped:,} at the border of a slice"),
    ]
    return facts + [("remark", remark) for remark in made.remarks]
