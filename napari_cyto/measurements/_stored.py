"""The measurements of a project's cells as they are now, put together from what is kept; nothing is measured."""

from __future__ import annotations

import numpy as np

from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.measurements._kept import Kept, kept_measurements
from napari_cyto.measurements._measured import AT, NO_MPP, Measured, SlideMeasurements, SlideNotMeasured
from napari_cyto.measurements._neighbours import cut_by_border, with_neighbourhood
from napari_cyto.measurements._outlined_cells import MeasureOptions, OutlinedCells, outlined_cells
from napari_cyto.measurements._reference import INTERMEDIATE, reference_nucleus
from napari_cyto.slides.sharpness import OUT_OF_FOCUS_BELOW
from napari_cyto.store import Project


def stored_measurements(
    project: Project, slide_id: str | None = None, options: MeasureOptions | None = None
) -> Measured:
    """Return what is kept of the measurements of a project's cells, or of those of one slide.

    Class, status and acceptance are those of now. Cells whose outline is new or was changed since are counted as
    lacking, and so are those of a slide that has another µm per px or another file now.

    Parameters
    ----------
    project : Project
        Whose cells.
    slide_id : str, optional
        Of all slides without.
    options : MeasureOptions, optional
        As they were measured by.
    """
    options = MeasureOptions() if options is None else options
    slides, left_out, without, plain, unreadable, lacking = [], list[SlideNotMeasured](), 0, 0, 0, 0
    for record in [project.slide(slide_id)] if slide_id is not None else project.slides():
        cells = outlined_cells(project, record.id, options)
        without, plain = without + cells.without, plain + cells.plain
        if not cells.ids:
            continue
        kept = kept_measurements(project, record)
        rows = kept.rows_of(cells.shapes)
        lacking += int((rows < 0).sum())
        unreadable += int((~kept.is_read[rows[rows >= 0]]).sum())
        if record.mpp is None and not kept.mpp:
            left_out.append(SlideNotMeasured(record.name, len(cells.ids), NO_MPP.format(record.name)))
        if not (rows >= 0).any():
            continue
        if kept.neighbourhood != cells.neighbourhood(kept.mpp):
            kept = with_neighbourhood(kept, cells)
        found = measured_slide(project, record, cells, kept)
        if found.ids:
            slides.append(found)
    return Measured(tuple(slides), without, plain, unreadable, tuple(left_out), lacking)


def measured_slide(project: Project, record: SlideRecord, cells: OutlinedCells, kept: Kept) -> SlideMeasurements:
    """Return the rows of those cells of a slide whose shape was measured; ``kept`` knows how the cells stand."""
    rows = kept.rows_of(cells.shapes)
    n = np.flatnonzero(rows >= 0)
    n = n[kept.is_read[rows[n]]]
    values = kept.values[rows[n]]
    values[:, AT["nuclei_in_cytoplasm"]] = kept.inside[n]
    # What touches a nucleus that could not be read touches all the same.
    touches = kept.touches[n]
    cut = cut_by_border(cells.bounds_yxyx[n], kept.size_hw)
    out_of_focus = values[:, AT["focus"]] < OUT_OF_FOCUS_BELOW
    intermediate = next((name for name in INTERMEDIATE if name in project.scheme.ids), "")
    class_ids = tuple(cells.class_ids[k] for k in n.tolist())
    counts = np.array([cells.is_sure[k] and cells.class_ids[k] == intermediate for k in n.tolist()], dtype=bool)
    counts &= ~(touches | cut | out_of_focus)
    return SlideMeasurements(
        record.id,
        record.name,
        tuple(cells.ids[k] for k in n.tolist()),
        class_ids,
        tuple(cells.statuses[k] for k in n.tolist()),
        np.array([cells.accepted[k] for k in n.tolist()], dtype=bool),
        values,
        out_of_focus,
        touches,
        cut,
        reference_nucleus(values[:, AT["nucleus_area_um2"]], counts, intermediate),
        kept.mpp,
        cells.places_yx[n],
    )
