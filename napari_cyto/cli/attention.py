"""The verb ``attention``: what a vision transformer attends to on a cell, as an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.errors import CytoError
from napari_cyto.inference.embed.attention import AttentionMaps, AttentionOptions, attention_of_cells, write_image
from napari_cyto.store import Project

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder, NAME.cyto.")]
CellId = Annotated[str, typer.Argument(metavar="CELL_ID", help="The cell, by its id.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.png", help="Write the crop, and the crop with the attention.")
]


def command() -> Callable[..., None]:
    """Return the verb, with the options of `AttentionOptions` among its own."""
    return with_options(attention, AttentionOptions)


def attention(
    project: ProjectFolder,
    cell: CellId,
    out: Out = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Lay what the last layer of an encoder attends to over the crop of a cell; the encoder is a vision transformer.

    It shows where the encoder looked, not why, and not whether the cell is abnormal.
    """
    options = checked(AttentionOptions, given)
    if out is not None and out.suffix.lower() != ".png":
        raise CytoError(f"Expected an image FILE.png, got {out.name!r}.")
    if out is None and not as_json:
        raise CytoError("Expected a file for the image, or --json for the numbers, got neither; add --out FILE.png.")
    if out is not None and out.exists():
        raise CytoError(f"{out} is there already; choose another name, or remove it first.")
    place = Project.folder_of(project)
    start_for_networks("Attention")
    maps: AttentionMaps = follow(lambda token: attention_of_cells(place, [cell], options, token), f"Cell {cell[:8]}")
    (found,) = maps.cells
    if out is not None:
        write_image(found, out)
    if as_json:
        print_json(
            {
                "encoder": maps.encoder,
                "sha256": maps.sha256,
                "heads": maps.heads,
                "cell": found.id,
                "weights": found.weights.round(6).tolist(),
                "most": round(found.most, 3),
                "words": maps.words(found),
                "out": None if out is None else str(out),
            }
        )
        return
    print_facts([("cell", found.id), ("attention", maps.words(found)), ("out", out)])
