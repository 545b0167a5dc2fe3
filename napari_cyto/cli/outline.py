"""The verb ``outline``: nucleus and cell at each annotation of a project, or each point of a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.numbers import number
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.cli.predict import region_yxyx
from napari_cyto.cli.restart import start_with_allocator
from napari_cyto.domain.counts import counted
from napari_cyto.domain.quantities import MPP
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import reader_name
from napari_cyto.inference.outline.image_job import ImageOutlineRequest, ImageOutlines, run_on_image
from napari_cyto.inference.outline.job import Outlined, OutlineOptions, OutlineRequest, run
from napari_cyto.store import Project
from napari_cyto.store.slide_details import named_slides

Place = Annotated[Path, typer.Argument(metavar="IMAGE|PROJECT", help="A slide or image, or a project, NAME.cyto.")]
Points = Annotated[
    Path | None,
    typer.Option(
        "--points", metavar="FILE.csv", help="Of an image: a table with the columns x, y, label; px at full resolution."
    ),
]
Mpp = Annotated[
    float | None,
    typer.Option(
        "--mpp",
        metavar="M",
        parser=number("--mpp", MPP),
        help="Of an image: µm per px, if the file does not state it.",
    ),
]
SlideNames = Annotated[
    list[str] | None,
    typer.Option(
        "--slide", metavar="NAME", help="Of a project: only this slide; * stands for any text; may be repeated."
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region", metavar="X,Y,W,H", help="Of one slide of a project: only this part, px at full resolution."
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.geojson", help="Of an image: write the outlines for QuPath.")
]

_OF_PROJECT = "its annotations are outlined in the project"


def command() -> Callable[..., None]:
    """Return the verb, with the options of `OutlineOptions` among its own."""
    return with_options(outline, OutlineOptions)


def outline(
    place: Place,
    points: Points = None,
    mpp: Mpp = None,
    slides: SlideNames = None,
    region: Region = None,
    out: Out = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Outline the nucleus, and the cell where it can be seen, at each point of a table or annotation of a project.

    In a project each point and box becomes the outline of the same cell, which a person has to accept; undo brings it
    back. Cells that have an outline stay as they are, so the same command continues a run that was interrupted.

    Exit code 0: done, and what has no outline is counted; 2: a slide was left out.
    """
    start_with_allocator()
    if Project.is_project(place) or place.suffix.lower() == ".cyto":
        _refuse_beside_project(points, mpp, out)
        _in_project(place, slides or [], region, as_json, given)
        return
    for flag, value in (("--slide", slides), ("--region", region), ("--again", given.get("again"))):
        if value:
            raise CytoError(f"{flag} is for a project, but {place} is an image; leave it out.")
    if points is None:
        raise CytoError(
            "Expected the points of an image: napari-cyto outline IMAGE --points FILE.csv --out FILE.geojson."
        )
    for flag in ("workers", "scheduler"):
        if given.get(flag) is not None:
            raise CytoError(f"--{flag} is for a project; the points of an image are outlined by one process.")
    request = checked(ImageOutlineRequest, given | {"image": place, "points": points, "mpp": mpp, "out": out})
    made: ImageOutlines = follow(lambda token: run_on_image(request, token), f"Outlines on {place.name}")
    if as_json:
        print_json(made.to_json())
        return
    facts = [("image", made.image), ("outlined by", made.method), ("points", f"{len(made.cells):,}")]
    facts += [("outlined", f"{made.outlined:,}")]
    without = [cell.point.line for cell in made.cells if cell.shape is None]
    if without:
        facts.append(("without an outline", f"{len(without):,}; lines {', '.join(map(str, without[:10]))}"))
    print_facts([*facts, *(("remark", each) for each in made.remarks), ("out", made.out)])


def _refuse_beside_project(points: Path | None, mpp: float | None, out: Path | None) -> None:
    if points is not None:
        raise CytoError(f"--points is for an image; of a project {_OF_PROJECT}.")
    if mpp is not None:
        raise CytoError(
            "--mpp is for an image; set it for a slide with: napari-cyto slides PROJECT --set NAME:mpp=0.25."
        )
    if out is not None:
        raise CytoError(
            f"--out is for an image; of a project {_OF_PROJECT}. Export them with: napari-cyto export geojson."
        )


def _in_project(place: Path, names: list[str], region: str | None, as_json: bool, given: dict[str, Any]) -> None:
    values: dict[str, Any] = {"project": place, "author": reader_name()}
    if names:
        with Project.open(Project.folder_of(place)) as project:
            records = project.slides()
        values["slide_ids"] = tuple(dict.fromkeys(each for name in names for each in named_slides(records, name)))
    if region is not None:
        values["region_yxyx"] = region_yxyx(region)
    if given.get("workers") is not None and given.get("scheduler") is not None:
        raise CytoError("Expected --workers of this machine or a --scheduler, got both.")
    request = checked(OutlineRequest, values | given)
    made: Outlined = follow(lambda token: run(request, token), f"Outlines of {place.name}")
    if as_json:
        print_json(made.to_json())
    else:
        _print(made)
    if made.left_out:
        first, cells = made.left_out[0], sum(each.cells for each in made.left_out)
        raise CytoError(
            f"{counted(len(made.left_out), 'slide')} left out with {counted(cells, 'cell')}; the first: "
            f"{first.slide}: {first.reason}"
        )


def _print(made: Outlined) -> None:
    known = made.to_json()
    facts: list[tuple[str, object]] = [("outlined by", made.method), ("cells", f"{known['cells']:,}")]
    facts.append(("outlined", f"{made.outlined:,}, {known['with_cytoplasm']:,} of them with the whole cell"))
    left = (
        ("had_outline", "had an outline"),
        ("had_plain_outline", "outline of unknown kind"),
        ("rejected", "rejected"),
    )
    facts += [(f"left, {words}", f"{known[name]:,}") for name, words in left if known[name]]
    facts += [(f"failed, {why.value}", f"{count:,}") for why, count in made.failed.items()]
    print_facts([*facts, *(("remark", each) for each in made.remarks), ("project", made.project)])
