"""The verb ``predict``: cells of slides by models, into a project, a GeoJSON file or an APACC dataset."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.domain.quantities import REGION_PX
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import reader_name
from napari_cyto.inference.many_slides import SeveralRequest
from napari_cyto.inference.results import SlidesPrediction

Slides = Annotated[list[Path] | None, typer.Argument(metavar="SLIDE_OR_DIR...", help="Slides, or folders of slides.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="PROJECT|FILE.geojson|DIR",
        help="A project (NAME.cyto), a GeoJSON file of one slide, or a folder for an APACC data set.",
    ),
]
Region = Annotated[
    str | None, typer.Option("--region", metavar="X,Y,W,H", help="Only this part of the slide, px at full resolution.")
]

_OPTIONS = (
    *("detector", "classifier", "encoder", "mpp", "score_from", "stain", "any_picture", "device", "runtime", "workers"),
    "scheduler",
)


def command() -> Callable[..., None]:
    """Return the verb, with the options of `SeveralRequest` among its own."""
    return with_options(predict, SeveralRequest, only=_OPTIONS)


def predict(
    slides: Slides = None,
    out: Out = None,
    region: Region = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Find cells on slides with a model, and classify them: predictions, for a person to review.

    The same command continues a run that was interrupted, and does only what is missing. Exit code 2 also when a slide
    could not be read; the others are done.
    """
    if not slides or given.get("detector") is None or out is None:
        raise CytoError(
            "Expected slides, a detector and a place for the predictions: "
            "napari-cyto predict SLIDE --detector MODEL --out PROJECT."
        )
    if given.get("workers") is not None and given.get("scheduler") is not None:
        raise CytoError("Expected --workers of this machine or a --scheduler, got both.")
    values = {
        "slides": tuple(slides),
        "region_yxyx": None if region is None else region_yxyx(region),
        "out": out,
        "author": reader_name(),
    }
    request = checked(SeveralRequest, values | given)
    start_for_networks("Finding cells")
    from napari_cyto.inference.many_slides import run_several

    result = follow(lambda token: run_several(request, token), f"Finding cells with {request.detector}")
    outcome = SlidesPrediction.from_json(result)
    if as_json:
        print_json(result)
    else:
        _print(outcome)
    if outcome.failed:
        sentences = " ".join(f"{each.slide}: {each.reason}" for each in outcome.failed)
        raise CytoError(f"{len(outcome.failed)} of {outcome.slides} slides were left out. {sentences}")


def region_yxyx(text: str) -> tuple[float, float, float, float]:
    """Return the region of the words ``x,y,w,h``, level-0 px, as ``(y0, x0, y1, x1)``.

    Raises
    ------
    CytoError
        When it is not four finite numbers, or has no extent.
    """
    try:
        x, y, width, height = (float(REGION_PX.parsed(part)) for part in text.split(","))
    except ValueError:
        raise CytoError(
            f"--region: expected X,Y,W,H in px at full resolution, each up to {REGION_PX.high:,.0f}, got {text[:80]!r}."
        ) from None
    if not (width > 0 and height > 0):
        raise CytoError(f"--region: expected a width and a height above 0, got {text[:80]!r}.")
    return (y, x, y + height, x + width)


def _print(result: SlidesPrediction) -> None:
    for each in result.done:
        rate = each.megapixels / each.seconds if each.seconds else 0.0
        facts: list[tuple[str, object]] = [("slide", each.slide), ("cells", each.cells)]
        if each.stored is not None:
            facts += each.stored.classes.items()
            if each.stored.ambiguous is not None:
                facts += [("ambiguous", each.stored.ambiguous)]
            if each.stored.sets_void:
                facts += [("prediction sets", f"not used: {each.stored.sets_void}")]
            if each.stored.judged_before:
                facts += [("reviewed cells kept", each.stored.judged_before)]
        facts += [("searched", f"{each.megapixels:.1f} MP in {each.seconds:.1f} s ({rate:.1f} MP/s)")]
        facts += [("runtime", ", ".join(dict.fromkeys(each.runtime)))]
        if each.unreadable:
            facts += [("unreadable tiles", len(each.unreadable))]
        facts += [("remark", remark) for remark in each.remarks]
        print_facts(facts)
    print_facts([*(("workers", sentence) for sentence in result.incidents), ("out", result.out)])
    sys.stdout.flush()
