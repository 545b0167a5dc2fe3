"""The checks of an audit that need no files: on slides, labelled boxes and the prints of crops."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from napari_cyto.datasets.audit.report import Finding, Row, Severity
from napari_cyto.datasets.audit.subject import Audited, AuditedCell
from napari_cyto.datasets.splits.split import SETS, TEST, TRAIN
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Box, iou, reaches_out, touching
from napari_cyto.domain.slide_record import SlideRecord

_SAME_BOX_IOU = 0.8
"""Two boxes that overlap this much are the same cell; neighbours in a cluster overlap far less."""
_SAME_POINT_UM = 2.0
"""Two points this near lie in one nucleus."""
_SAME_POINT_PX = 8.0
"""The same on slides of unknown mpp, at the 0.25 µm per px of most scanners."""


def class_shares(audited: Audited) -> Iterator[Finding]:
    """Yield the table of classes by side, and a warning for classes that only one side has."""
    side_of = {slide.id: slide.side for slide in audited.slides}
    counts: dict[str, Counter[str]] = {side: Counter() for side in (*SETS, "")}
    for cell in audited.cells:
        counts[side_of[cell.slide_id]][cell.class_id or cell.said] += 1
    totals = {side: counts[side].total() for side in counts}
    rows: list[Row] = []
    for class_id in sorted(set().union(*counts.values())):
        row: dict[str, object] = {"class": class_id}
        for side in counts:
            if totals[side]:
                row[side or "no side"] = counts[side][class_id]
                row[f"{side or 'no side'}_share"] = round(counts[side][class_id] / totals[side], 4)
        rows.append(row)
    if rows:
        shares = ", ".join(f"{totals[side]:,} in {side or 'no set'}" for side in counts if totals[side])
        yield Finding("class_shares", Severity.INFO, f"Cells: {shares}.", tuple(rows))
    if totals[TRAIN] and totals[TEST]:
        alone = [row for row in rows if not row.get(TRAIN) or not row.get(TEST)]
        if alone:
            names = ", ".join(str(row["class"]) for row in alone)
            yield Finding("class_on_one_side", Severity.WARNING, f"Only one set has cells of {names}.", tuple(alone))


def empty_slides(audited: Audited) -> Iterator[Finding]:
    """Yield how many slides or slices have no cells."""
    filled = {cell.slide_id for cell in audited.cells}
    rows = tuple({"slice": s.stem or s.name, "side": s.side} for s in audited.slides if s.id not in filled)
    if rows:
        detail = f"{counted(len(rows), 'slice or slide has', 'slices or slides have')} no cells."
        yield Finding("empty_slices", Severity.INFO, detail, rows)


def labels_outside(audited: Audited) -> Iterator[Finding]:
    """Yield the boxes that reach out of their image, those that lie fully outside it among them."""
    slides = {slide.id: slide for slide in audited.slides}
    rows = []
    for cell in audited.cells:
        size_hw = slides[cell.slide_id].size_hw
        if size_hw is None:
            continue
        if reaches_out(cell.box, size_hw):
            rows.append(_row(slides[cell.slide_id], cell))
    if rows:
        reach = counted(len(rows), "label reaches", "labels reach")
        detail = f"{reach} beyond the image, the first in {rows[0]['slice']}."
        yield Finding("label_outside", Severity.ERROR if audited.sets_came else Severity.WARNING, detail, tuple(rows))


def unknown_classes(audited: Audited) -> Iterator[Finding]:
    """Yield the labels whose class nobody knows."""
    slides = {slide.id: slide for slide in audited.slides}
    rows = [_row(slides[c.slide_id], c) for c in audited.cells if c.class_id is None]
    if rows:
        said = ", ".join(sorted({str(row["class"]) for row in rows}))
        detail = f"{counted(len(rows), 'label has', 'labels have')} an unknown class: {said}."
        yield Finding("unknown_class", Severity.ERROR, detail, tuple(rows))


def shared_boxes(audited: Audited) -> Iterator[Finding]:
    """Yield the boxes that two slices of a smear share: overlapping ones, and halves that meet at a slice border.

    In one set this counts a cell twice, which is a warning; across two sets it is a leak.
    """
    slides = {slide.id: slide for slide in audited.slides}
    by_smear: dict[str, list[tuple[Box, AuditedCell]]] = defaultdict(list)
    for cell in audited.cells:
        slide = slides[cell.slide_id]
        if slide.offset_yx is not None and slide.smear:
            by_smear[slide.smear].append((cell.box.translated(*slide.offset_yx), cell))
    rows: dict[bool, list[Row]] = {False: [], True: []}
    for smear, placed in sorted(by_smear.items()):
        for one, other in _shared(placed, slides):
            a, b = slides[one.slide_id], slides[other.slide_id]
            first, second = _row(a, one), _row(b, other)
            row = {"smear": smear, "slice": first["slice"], "line": one.line, "side": a.side}
            row |= {"other_slice": second["slice"], "other_line": other.line, "other_side": b.side}
            rows[a.side != b.side].append(row)
    for across, found in rows.items():
        if found:
            where = "different sets" if across else "the same set"
            cells = counted(len(found), "cell is", "cells are")
            detail = f"{cells} labelled in two slices of {where}, the first in {found[0]['slice']}."
            severity = Severity.ERROR if across else Severity.WARNING
            yield Finding("shared_box", severity, detail, tuple(found), leak=across)


def same_boxes(audited: Audited) -> Iterator[Finding]:
    """Yield the cells that are labelled twice on one slide, and those that have two classes there."""
    slides = {slide.id: slide for slide in audited.slides}
    of_slide: dict[str, list[AuditedCell]] = defaultdict(list)
    for cell in audited.cells:
        of_slide[cell.slide_id].append(cell)
    rows: dict[bool, list[Row]] = {True: [], False: []}
    for slide_id, cells in of_slide.items():
        for one, other in _overlapping(cells, slides[slide_id]):
            first, second = _row(slides[slide_id], one), _row(slides[slide_id], other)
            more = {"other_class": second["class"]} | ({"other_line": other.line} if other.line else {})
            rows[one.said == other.said].append({**first, **more})
    if found := rows[False]:
        which = f"{found[0]['class']} and {found[0]['other_class']} in {found[0]['slice']}"
        again = counted(len(found), "label repeats", "labels repeat")
        detail = f"{again} a cell that already has a label of another class, the first as {which}."
        yield Finding("two_classes", Severity.ERROR, detail, tuple(found))
    if found := rows[True]:
        again = counted(len(found), "label repeats", "labels repeat")
        detail = f"{again} a cell that already has a label of the same class, the first in {found[0]['slice']}."
        yield Finding("same_box", Severity.WARNING, detail, tuple(found))


def _overlapping(cells: list[AuditedCell], slide: SlideRecord) -> Iterator[tuple[AuditedCell, AuditedCell]]:
    """Yield each of a slide's cells with the first one of its class, and of another, that lies on it but for little."""
    near_px = _SAME_POINT_UM / slide.mpp if slide.mpp else _SAME_POINT_PX
    for number, others in touching([cell.box for cell in cells]):
        cell, met = cells[number], set[bool]()
        for other in (cells[i] for i in others):
            same_class = other.said == cell.said
            if same_class not in met and _same_place(cell, other, near_px):
                met.add(same_class)
                yield other, cell
                if len(met) == 2:
                    break


def _same_place(one: AuditedCell, other: AuditedCell, near_px: float) -> bool:
    if not (one.is_point or other.is_point):
        return iou(one.box.bounds_yxyx, other.box.bounds_yxyx) >= _SAME_BOX_IOU
    return math.dist(one.box.centre_yx, other.box.centre_yx) <= near_px


def _shared(
    placed: list[tuple[Box, AuditedCell]], slides: dict[str, SlideRecord]
) -> Iterator[tuple[AuditedCell, AuditedCell]]:
    """Yield each cell with the first one of each other slice that is the same cell; boxes in px of the smear."""
    for number, others in touching([box for box, _ in placed]):
        box, cell = placed[number]
        met = {cell.slide_id}
        for other_box, other in (placed[i] for i in others):
            if other.slide_id in met or other.said != cell.said:
                continue
            same = iou(box.bounds_yxyx, other_box.bounds_yxyx) >= _SAME_BOX_IOU
            if same or _halves(box, other_box, slides, cell, other):
                met.add(other.slide_id)
                yield other, cell


def _halves(a: Box, b: Box, slides: dict[str, SlideRecord], of_a: AuditedCell, of_b: AuditedCell) -> bool:
    """Whether two boxes are one cell that was clipped at the border between their slices."""
    beside = (a.x0 == b.x1 or a.x1 == b.x0) and (a.y0, a.y1) == (b.y0, b.y1)
    above = (a.y0 == b.y1 or a.y1 == b.y0) and (a.x0, a.x1) == (b.x0, b.x1)
    if not (beside or above):
        return False
    return _at_border(of_a.box, slides[of_a.slide_id]) and _at_border(of_b.box, slides[of_b.slide_id])


def _at_border(box: Box, slide: SlideRecord) -> bool:
    height, width = slide.size_hw or (0, 0)
    return box.y0 <= 0 or box.x0 <= 0 or box.y1 >= height or box.x1 >= width


def _row(slide: SlideRecord, cell: AuditedCell) -> Row:
    y0, x0, y1, x1 = cell.box.bounds_yxyx
    row: dict[str, object] = {
        "slice": slide.stem or slide.name,
        "side": slide.side,
        "class": cell.class_id or cell.said,
    }
    return row | ({"line": cell.line} if cell.line else {}) | {"box_yxyx": [y0, x0, y1, x1]}


def all_checks(audited: Audited) -> Iterator[Finding]:
    """Yield the findings of every check of this file."""
    for check in (shared_boxes, same_boxes, unknown_classes, labels_outside, class_shares, empty_slides):
        yield from check(audited)
