"""A project as an audit sees it, with the sets that came with its slides or that an export would choose."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from napari_cyto.datasets._crops import RGB
from napari_cyto.datasets._exchange_options import ApaccExportOptions
from napari_cyto.datasets.audit.report import Finding, Severity
from napari_cyto.datasets.audit.subject import Audited, AuditedCell, NamedCrop, Tick, no_tick
from napari_cyto.datasets.export.cells import apacc_map, whole_square
from napari_cyto.datasets.import_.slide_match import check_size
from napari_cyto.datasets.splits.export_split import split_for_export
from napari_cyto.datasets.splits.split import set_of
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Box, Point, is_on_image
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, SchemeError, SplitError
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.slides import Slide, open_slide, pass_cache
from napari_cyto.store import Project

_POINT_PX = 100
"""Side of the crop compared for a point on a slide of unknown mpp. Source: CRIC's crops, Rezende et al. 2021."""


def audited_project(project: Project, tick: Tick = no_tick) -> Audited:
    """Return the slides and accepted cells of ``project``; ``tick`` is called for each slide, and may end it.

    Raises
    ------
    CytoError
        When the project cannot be read.
    """
    audited = Audited(project.name)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    records = project.slides()
    for slide in records:
        tick()
        for annotation in project.annotations(slide.id):
            if annotation.class_id is not None and annotation.status is Status.ACCEPTED:
                audited.cells.append(_cell(slide, annotation, annotation.class_id, project.scheme))
                counts[slide.id][annotation.class_id] += 1
    counts = _as_exported(project.scheme, counts)
    audited.sets_came = any(set_of(slide.side) for slide in records)
    set_of_slide: Mapping[str, str] = {}
    try:
        split, remarks = split_for_export(records, counts, ApaccExportOptions())
    except SplitError as error:
        remarks = (str(error),)
    else:
        set_of_slide = split.sets if not remarks else {}
    if not audited.sets_came:
        audited.findings += [Finding("no_split", Severity.INFO, remark) for remark in remarks]
    audited.slides = [replace(slide, side=set_of(slide.side) or set_of_slide.get(slide.id, "")) for slide in records]
    paths = _paths(project, audited, tick)
    audited.crops = lambda: _crops(audited, paths)
    if not audited.sets_came and set_of_slide:
        audited.findings.append(
            Finding(
                "planned_split",
                Severity.INFO,
                "The slides came without a split; what is audited is the one that an APACC export would make.",
            )
        )
    return audited


def _as_exported(scheme: ClassScheme, counts: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """Return counts by the classes that an APACC export would balance; by the project's own where it would refuse."""
    try:
        class_map = apacc_map(scheme, None, {c for of_slide in counts.values() for c in of_slide})
    except SchemeError:
        return counts
    exported: dict[str, Counter[str]] = defaultdict(Counter)
    for slide_id, of_slide in counts.items():
        for class_id, number in of_slide.items():
            exported[slide_id][class_map.apply(class_id)] += number
    return exported


def _cell(slide: SlideRecord, annotation: Annotation, class_id: str, scheme: ClassScheme) -> AuditedCell:
    y0, x0, y1, x1 = annotation.geometry.bounds_yxyx
    is_point = isinstance(annotation.geometry, Point)
    if is_point:
        side_px = scheme[class_id].box_um / slide.mpp if slide.mpp and class_id in scheme else _POINT_PX
        box = whole_square((y0, x0), side_px)
        height, width = slide.size_hw or (0, 0)
        # A point has no extent that could reach out of the image; only its place can.
        if is_on_image((y0, x0), (height, width)):
            box = Box(max(box.y0, 0), max(box.x0, 0), min(box.y1, height), min(box.x1, width))
    else:
        box = Box(y0, x0, max(y1, y0 + 1), max(x1, x0 + 1))
    known = class_id if class_id in scheme else None
    return AuditedCell(slide.id, known, class_id, box, is_point=is_point)


def _paths(project: Project, audited: Audited, tick: Tick) -> dict[str, str]:
    paths, missing, broken = {}, [], []
    for slide in audited.slides:
        tick()
        try:
            path = str(project.slide_path(slide))
        except CytoError as error:
            missing.append({"slide": slide.name, "reason": str(error)})
            continue
        try:
            with open_slide(path) as opened:
                check_size(slide.name, opened.info.size_hw, slide.size_hw)
            paths[slide.id] = path
        except CytoError as error:
            broken.append({"slide": slide.name, "reason": str(error)})
    if broken:
        number = counted(len(broken), "image")
        detail = f"{number} cannot be read, the first is {broken[0]['slide']}: {broken[0]['reason']}"
        audited.findings.append(Finding("bad_image", Severity.ERROR, detail, tuple(broken)))
    if missing:
        detail = (
            f"{counted(len(missing), 'slide has', 'slides have')} no image file here; crops there were not compared."
        )
        audited.findings.append(Finding("missing_image", Severity.WARNING, detail, tuple(missing)))
    return paths


def _crops(audited: Audited, paths: dict[str, str]) -> Iterator[NamedCrop]:
    cells: dict[str, list[AuditedCell]] = defaultdict(list)
    for cell in audited.cells:
        cells[cell.slide_id].append(cell)
    for record in audited.slides:
        if record.id not in paths or not cells[record.id]:
            continue
        with open_slide(paths[record.id], pass_cache()) as slide:
            # Slice by slice, so that neighbouring cells find their tiles in the cache.
            for cell in sorted(cells[record.id], key=lambda c: [v // SLICE_SIDE for v in c.box.centre_yx]):
                y, x = (round(v) for v in cell.box.centre_yx)
                yield record.side, f"{record.stem or record.name} at y {y}, x {x}", _reader(slide, cell.box)


def _reader(slide: Slide, box: Box) -> Callable[[], RGB]:
    return lambda: slide.read_level0(box)
