"""What a report tells of a detector."""

from __future__ import annotations

from collections.abc import Iterator

from napari_cyto.domain.counts import counted
from napari_cyto.evaluation.report import _charts as charts
from napari_cyto.evaluation.report import tables
from napari_cyto.evaluation.report.content import ReportCurves
from napari_cyto.evaluation.report.markup import Html, element, percent, shown
from napari_cyto.evaluation.report.parts import section, tile
from napari_cyto.evaluation.scores import DetectionScores

INCOMPLETE = (
    "Precision is a lower bound: on images without regions in which every cell is annotated, some detections that "
    "count as false are cells that nobody annotated. Recall at a fixed number of detections is not affected."
)


def detection_page(found: DetectionScores) -> Iterator[Html]:
    """Yield page one of a detector: how many cells it finds, with how many detections, how exactly."""
    at = found.at_detections_per_cell
    yield element(
        "p",
        f"Of {counted(found.cells, 'annotated cell')} in {counted(found.fields, 'image')}, {found.counts.tp:,} "
        f"were found within {found.radius_um:g} µm by {counted(found.detections, 'detection')} "
        f"({shown(found.detections_per_cell, 2)} per annotated cell).",
        cls="verdict",
    )
    yield element(
        "div",
        tile("Recall", found.recall_interval),
        tile(f"Recall, at most {at.per_cell:g} detections per cell", at.recall_interval),
        tile("Median distance", None, f"{shown(found.median_error_um, 2)} µm", "of a found cell from its detection"),
        tile("F1 of all cells", None, shown(found.counts.f1), f"precision {shown(found.counts.precision)}"),
        cls="tiles",
    )
    yield tables.estimates_table(_recall_rows(found))
    if tables.has_few([found.recall_interval]):
        yield element("p", tables.FEW_WORDS, cls="note")
    if found.precision_is != "measured":
        yield element("p", INCOMPLETE, cls="note")


def _recall_rows(found: DetectionScores) -> Iterator[tables.Row]:
    on = f"{counted(found.cells, 'cell')}, {counted(found.detections, 'detection')}"
    yield f"recall at score {found.threshold:.2f}", found.recall_interval, on
    at = found.at_detections_per_cell
    yield (
        f"recall, at most {at.per_cell:g} per annotated cell",
        at.recall_interval,
        (f"{counted(at.detections, 'detection')}"),
    )
    for row in found.at_detections_per_field:
        yield (
            f"recall, {row.per_field} per image",
            row.recall_interval,
            (f"{counted(row.detections, 'detection')}"),
        )


def detector_sections(found: DetectionScores, curves: ReportCurves) -> Iterator[Html]:
    """Yield what follows page one: the budget, classes, boxes."""
    at = found.at_detections_per_cell
    drawn = charts.budget_chart(curves.budget, at.detections_per_cell or 0.0, at.recall)
    yield section("Recall and detections", element("div", drawn, cls="plots"), _distances(found))
    every = {"all cells": found.counts, **found.per_class}
    yield section("Found, false and missed", tables.detection_table(every))
    if found.boxes:
        words = f"COCO's average precision on the {found.boxes.fields:,} images in which every cell has a box."
        yield section("Boxes", tables.box_table(found.boxes), element("p", words, cls="note"))


def _distances(found: DetectionScores) -> Html | None:
    if not found.errors_um:
        return None
    low, first, middle, third, high = (f"{q:.2f}" for q in found.errors_um)
    return element(
        "p",
        f"Distance between found cells and their detections, µm: median {middle}, half between {first} and {third}, "
        f"nine tenths between {low} and {high}. Share of cells found: {percent(found.counts.recall)}.",
        cls="note",
    )
