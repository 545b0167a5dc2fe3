"""What an APACC export is going to write, before any pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from napari_cyto.datasets._exchange_options import ApaccExportOptions
from napari_cyto.datasets.export.cells import CellRule, apacc_map, merge_losses
from napari_cyto.datasets.splits.export_split import split_for_export
from napari_cyto.datasets.splits.split import Split
from napari_cyto.datasets.splits.split_slides import Pairs
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.classes import SchemeMap
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.formats.apacc.names import match_stem, slice_stem
from napari_cyto.formats.apacc.slice_losses import SliceLosses
from napari_cyto.formats.apacc.slices import SliceCell, corners, cut_into_slices, is_slice
from napari_cyto.formats.apacc.smear_names import SmearNames
from napari_cyto.slides import open_slide
from napari_cyto.store import Project

_BATCH = 1000
"""Annotations after which progress is reported."""


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """One slice to write: its stem, its corner in level-0 px of the slide, and its cells."""

    stem: str
    y0: int
    x0: int
    cells: tuple[SliceCell, ...]

    @property
    def origin(self) -> tuple[str, int, int]:
        """Smear id and corner ``y0, x0`` as the names of its crops say them, level-0 px of the smear."""
        name = match_stem(self.stem)
        return (self.stem, self.y0, self.x0) if name is None else (name.smear, name.y0, name.x0)


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """The slices of one slide; ``as_came`` when it is itself a slice that was imported.

    Such a slice may have come without its image; its ``path`` is None then, and only its label file is written.
    """

    slide: SlideRecord
    path: Path | None
    as_came: bool
    slices: tuple[SlicePlan, ...]

    @property
    def class_counts(self) -> Counter[str]:
        """Cells of each class, each box counted."""
        return Counter(cell.class_id for piece in self.slices for cell in piece.cells)


@dataclass(frozen=True)
class ExportPlan:
    """Everything that an export is going to write.

    Parameters
    ----------
    slides : tuple of SlidePlan
        Slides with something to write.
    split : Split
        The set of each of them.
    class_map : SchemeMap
        From the project's classes to the collection's.
    losses : tuple of str
        What is not carried, one sentence each.
    """

    slides: tuple[SlidePlan, ...]
    split: Split[SlideRecord]
    class_map: SchemeMap
    losses: tuple[str, ...]

    @property
    def slice_count(self) -> int:
        """How many slices there are."""
        return sum(len(plan.slices) for plan in self.slides)


def plan_export(
    project: Project, options: ApaccExportOptions, on_batch: Callable[[int], None] = lambda _number: None
) -> ExportPlan:
    """Return what an export of ``project`` with ``options`` would write; ``on_batch`` hears of what is read.

    Raises
    ------
    CytoError
        When there is nothing to write, a class has no counterpart, a point no size, a slide no file, or there is
        no way to split; the sentence says what to do.
    """
    losses = SliceLosses()
    counts = {c: n for c, n in project.counts(statuses=options.statuses).items() if c is not None and n}
    class_map = apacc_map(project.scheme, options.class_map, counts)
    rule = CellRule(project.scheme, class_map, options.statuses, options.point_px)
    names = SmearNames(project.slides())
    plan_slide = partial(_plan_slide, project, rule, options, names, losses, on_batch)
    plans = [planned for slide in project.slides() if (planned := plan_slide(slide)).slices]
    if not any(piece.cells for plan in plans for piece in plan.slices):
        raise CytoError(
            f"The project {project.name} has no cells to export "
            f"({'; '.join(losses.sentences()) or 'none is annotated'}); annotate some, or accept predictions."
        )
    if options.pad_crops_px is not None and options.crops:
        large = sum(max(c.box.size_hw) > options.pad_crops_px for p in plans for s in p.slices for c in s.cells)
        losses.add("large_crops", large)
    split, notes = split_plans(plans, options)
    merged = merge_losses(dict(class_map.pairs), counts)
    plan = ExportPlan(tuple(plans), split, class_map, (*notes, *merged, *losses.sentences()))
    _refuse_same_stems(plan)
    return plan


def _refuse_same_stems(plan: ExportPlan) -> None:
    names = Counter((plan.split.sets[p.slide.id], piece.stem.casefold()) for p in plan.slides for piece in p.slices)
    double = sorted(stem for (_, stem), count in names.items() if count > 1)
    if double:
        raise CytoError(
            f"The project holds the same slice twice ({counted(len(double), 'name')}, the first is {double[0]}); "
            "remove one of the two from the project."
        )


def split_plans(
    plans: Iterable[SlidePlan], options: ApaccExportOptions, twins: Pairs = ()
) -> tuple[Split[SlideRecord], tuple[str, ...]]:
    """Return the sets of the slides of ``plans``, pairs of ``twins`` (slide ids) kept together, and remarks.

    Raises
    ------
    SplitError
        When there is no way to split them.
    """
    listed = list(plans)
    counts = {plan.slide.id: plan.class_counts for plan in listed}
    return split_for_export([plan.slide for plan in listed], counts, options, twins)


def _plan_slide(
    project: Project,
    rule: CellRule,
    options: ApaccExportOptions,
    names: SmearNames,
    losses: SliceLosses,
    on_batch: Callable[[int], None],
    slide: SlideRecord,
) -> SlidePlan:
    as_came = is_slice(slide)
    cells = rule.cells(slide, _counting(project.annotations(slide.id), on_batch), losses)
    if not (cells or as_came or options.all_slices):
        return SlidePlan(slide, None, as_came, ())
    path = None if as_came and not slide.path else project.slide_path(slide)
    losses.add("without_image", path is None)
    size_hw = slide.size_hw or _size_hw(project.slide_path(slide))
    dealt = cut_into_slices(cells, size_hw, options.border)
    for kind in ("outside", "dropped", "clipped"):
        losses.add(kind, getattr(dealt, kind))
    if as_came:
        piece = SlicePlan(slide.stem, 0, 0, tuple(dealt.cells.get((0, 0), ())))
        return SlidePlan(slide, path, True, (piece,))
    chosen = corners(size_hw) if options.all_slices else sorted(dealt.cells)
    style = options.stem_style
    slices = tuple(
        SlicePlan(slice_stem(names[slide], y0, x0, style), y0, x0, tuple(dealt.cells.get((y0, x0), ())))
        for y0, x0 in chosen
    )
    return SlidePlan(slide, path, False, slices)


def _counting(annotations: Iterable[Annotation], on_batch: Callable[[int], None]) -> Iterator[Annotation]:
    number = 0
    for number, annotation in enumerate(annotations, start=1):
        yield annotation
        if not number % _BATCH:
            on_batch(_BATCH)
    on_batch(number % _BATCH)


def _size_hw(path: Path) -> tuple[int, int]:
    with open_slide(path) as slide:
        return slide.info.size_hw
