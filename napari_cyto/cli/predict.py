"""The verb ``predict``: cells of slides by models, into a project, a GeoJSON file or an APACC dataset."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.option_flags import checked
from napari_cyto.cli.output import print_facts, print_json
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.domain.quantities import REGION_PX
from napari_cyto.errors import CytoError
from napari_cyto.inference.many_slides import SeveralRequest


def run(
    slides: Sequence[Path],
    detector: str | None,
    classifier: str | None,
    region: str | None,
    out: Path | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Find cells and print what was found.

    Raises
    ------
    CytoError
        When something is missing or wrong, or a slide could not be read; the sentence says which and why.
    """
    if not slides or detector is None or out is None:
        raise CytoError(
            "Finding cells needs slides, a model and a place for what is found: "
            "napari-cyto predict SLIDE --detector MODEL --out PROJECT."
        )
    if options.get("workers") is not None and options.get("scheduler") is not None:
        raise CytoError("The work is done by --workers of this machine or by those of a --scheduler, not by both.")
    runtime = options.get("runtime")
    if runtime not in (None, "auto", "torch", "openvino"):
        raise CytoError(f"Expected the runtime auto, torch or openvino, got {runtime[:40]!r}.")
    values = {
        "slides": tuple(slides),
        "detector": detector,
        "classifier": classifier,
        "region_yxyx": None if region is None else region_yxyx(region),
        "out": out,
        "author": _author(),
    }
    request = checked(SeveralRequest, values | {name: value for name, value in options.items() if value is not None})
    start_for_networks("Finding cells")
    from napari_cyto.inference.many_slides import run_several

    result = follow(lambda token: run_several(request, token), f"Looking for cells with {detector}")
    if as_json:
        print_json(result)
    else:
        _tell(result)
    if result["failed"]:
        sentences = " ".join(f"{each['slide']}: {each['reason']}" for each in result["failed"])
        raise CytoError(f"{len(result['failed'])} of {result['slides']} slides were left out. {sentences}")


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


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "user"


def _tell(result: dict[str, Any]) -> None:
    for each in result["done"]:
        rate = each["megapixels"] / each["seconds"] if each["seconds"] else 0.0
        facts: list[tuple[str, object]] = [("slide", each["slide"]), ("cells", each["cells"])]
        facts += [(class_id, count) for class_id, count in each.get("classes", {}).items()]
        if each.get("judged_before"):
            facts += [("a person's word stands for", each["judged_before"])]
        facts += [("looked at", f"{each['megapixels']:.1f} MP in {each['seconds']:.1f} s ({rate:.1f} MP/s)")]
        facts += [("runtime", ", ".join(dict.fromkeys(each.get("runtime", ()))))]
        if each["unreadable"]:
            facts += [("unreadable tiles", len(each["unreadable"]))]
        facts += [("remark", remark) for remark in each.get("remarks", ())]
        print_facts(facts)
    print_facts([*(("workers", sentence) for sentence in result.get("incidents", ())), ("out", result["out"])])
    sys.stdout.flush()
