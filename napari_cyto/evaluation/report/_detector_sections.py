"""What a report tells of a detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from napari_cyto.evaluation.report import _charts as charts
from napari_cyto.evaluation.report import tables
from napari_cyto.evaluation.report.content import ReportCurves
from napari_cyto.evaluation.report.markup import Html, element, percent, shown
from napari_cyto.evaluation.report.parts import section, tile

Plain = Mapping[str, Any]

INCOMPLETE = (
    "Precision is a lower bound: on pictures without regions in which every cell is marked, some of what counts as "
    "false are cells that nobody marked. The recall at a fixed number of detections does not suffer from that."
)


def detection_page(result: Plain) -> Iterator[Html]:
    """Yield page one of a detector: how many cells it finds, with how many detections, how exactly."""
    found = result["detection"]
    at = found["at_detections_per_cell"]
    yield element(
        "p",
        f"Of {found['cells']:,} marked cells in {found['fields']:,} pictures, {found['tp']:,} were found within "
        f"{found['radius_um']:g} µm by {found['detections']:,} detections ({shown(found['detections_per_cell'], 2)} a "
        "marked cell).",
        cls="verdict",
    )
    yield element(
        "div",
        tile("Recall", found["recall_interval"]),
        tile(f"Recall, at most {at['per_cell']:g} detections a cell", at["recall_interval"]),
        tile("Median distance", None, f"{shown(found['median_error_um'], 2)} µm", "of a found cell from its detection"),
        tile("F1 of all cells", None, shown(found["f1"]), f"precision {shown(found['precision'])}"),
        cls="tiles",
    )
    yield tables.estimates_table(_recall_rows(found))
    if tables.has_few(found):
        yield element("p", tables.FEW_WORDS, cls="note")
    if found["precision_is"] != "measured":
        yield element("p", INCOMPLETE, cls="note")


def _recall_rows(found: Plain) -> Iterator[tables.Row]:
    on = f"{found['cells']:,} cells, {found['detections']:,} detections"
    yield f"recall from score {found['threshold']:.2f}", found["recall_interval"], on
    at = found["at_detections_per_cell"]
    yield f"recall, at most {at['per_cell']:g} a marked cell", at["recall_interval"], f"{at['detections']:,} detections"
    for row in found["at_detections_per_field"]:
        yield f"recall, {row['per_field']} a picture", row["recall_interval"], f"{row['detections']:,} detections"


def detector_sections(result: Plain, curves: ReportCurves) -> Iterator[Html]:
    """Yield what follows page one: the budget, classes, boxes."""
    found = result["detection"]
    at = found["at_detections_per_cell"]
    drawn = charts.budget_chart(curves.budget, at["detections_per_cell"] or 0.0, at["recall"])
    yield section("Recall and detections", element("div", drawn, cls="plots"), _distances(found))
    every = {"all cells": found} | dict(found["per_class"])
    yield section("Found, false and missed", tables.detection_table(every))
    if found["boxes"]:
        words = f"COCO's average precision on the {found['boxes']['fields']:,} pictures whose every cell has a box."
        yield section("Boxes", tables.box_table(found["boxes"]), element("p", words, cls="note"))


def _distances(found: Plain) -> Html | None:
    if not found["errors_um"]:
        return None
    low, first, middle, third, high = (f"{q:.2f}" for q in found["errors_um"])
    return element(
        "p",
        f"Distance of found cells from their detections, µm: median {middle}, half between {first} and {third}, "
        f"nine tenths between {low} and {high}. Share found: {percent(found['recall'])}.",
        cls="note",
    )
