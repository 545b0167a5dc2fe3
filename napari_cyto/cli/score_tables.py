"""The tables of scores that ``train`` and ``evaluate`` both print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from napari_cyto.cli.output import print_facts, print_table
from napari_cyto.domain.statistics import FEW_GROUPS

if TYPE_CHECKING:
    from napari_cyto.domain.statistics.bootstrap import Estimate
    from napari_cyto.evaluation.scores import DetectionScores

ESTIMATE_HEADS = ("score", "value", "95 % interval", "cells", "groups")


def report_detection(found: DetectionScores) -> None:
    """Print what a detector finds."""
    at = found.at_detections_per_cell
    low, high = found.threshold, found.highest_threshold
    own = f"a score of {low:.2f} or more" if low == high else f"each fold's own threshold, {low:.2f} to {high:.2f}"
    rows = [
        estimated(f"recall at {own}", found.recall_interval),
        estimated(f"recall at up to {at.per_cell:g} detections per annotated cell", at.recall_interval),
    ]
    rows += [
        estimated(f"recall at {row.per_field} detections per image", row.recall_interval)
        for row in found.at_detections_per_field
    ]
    intervals = found.intervals
    rows += [
        estimated("detections per annotated cell", intervals.detections_per_cell),
        estimated("median distance, µm", intervals.median_error_um),
    ]
    print_table(f"Found within {found.radius_um:g} µm", ESTIMATE_HEADS, rows)
    report_few(rows)
    every = {"all cells": (found.counts, intervals.f1)}
    every |= {name: (counts, intervals.per_class_f1[name]) for name, counts in found.per_class.items()}
    cells = [
        (name, *map(shown, (c.tp, c.fp, c.fn, c.precision, c.recall, c.f1)), span(f1))
        for name, (c, f1) in every.items()
    ]
    heads = ("class", "found", "false positive", "missed", "precision", "recall", "F1", "95 % interval of F1")
    print_table("Cells", heads, cells)
    facts = [("precision is", found.precision_is)]
    if found.boxes:
        every_cell = found.boxes.class_agnostic
        figures = (("ap", every_cell.ap), ("ap50", every_cell.ap50), ("ap75", every_cell.ap75))
        facts += [(f"boxes, {name}", shown(value)) for name, value in figures]
    print_facts(facts)


def estimated(title: str, estimate: Estimate | None) -> tuple[str, ...]:
    """Return the row of an estimate: title, value, interval, cells, groups; under 20 groups have a star."""
    if estimate is None:
        return (title, "-", "-", "-", "-")
    groups = "-" if estimate.groups is None else f"{estimate.groups:,}"
    star = "*" if estimate.few_groups else ""
    return (title, shown(estimate.value), span(estimate), f"{estimate.n:,}", groups + star)


def report_few(rows: Iterable[Sequence[str]]) -> None:
    """Say what the star beside a number of groups means, where a row has one."""
    if any(row[-1].endswith("*") for row in rows):
        print(f"* fewer than {FEW_GROUPS} patients, smears or images have such cells.")


def span(estimate: Estimate | None) -> str:
    """Return the interval of an estimate in words; ``-`` where it has none."""
    if estimate is None or estimate.low is None:
        return "-"
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def shown(value: float | None) -> str:
    """Return a score with three decimals, a count without, ``-`` where there is none."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
