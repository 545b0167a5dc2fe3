"""The verb ``relink``: image files for slides that have none, or whose files moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.errors import CytoError


def run(project: Path, images: Path | None, slides: Sequence[str], as_json: bool) -> None:
    """Find the images of a project's slides and print which were given theirs.

    Raises
    ------
    CytoError
        When nothing says where to look, or a given file is not the slide that was annotated.
    """
    from napari_cyto.datasets.import_.relink import RelinkResult, relink

    named = {}
    for text in slides:
        name, equals, path = text.rpartition("=")
        if not (equals and name and path):
            raise CytoError(f"Expected NAME=PATH behind --slide, got {text!r}.")
        named[name] = Path(path)
    if images is None and not named:
        raise CytoError("Expected a place to look for images; give --images DIR, or --slide NAME=PATH.")
    result: RelinkResult = follow(lambda token: relink(project, images, named, token), "Looking for images")
    if as_json:
        print_json(result.to_json())
        return
    print_facts([("slides linked", result.linked), ("still without image", result.still_missing)])
    print_facts((each.slide, each.path) for each in result.slides)
