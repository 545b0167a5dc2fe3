"""What an APACC export is going to write, before any pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from napari_cyto.datasets._exchange_options import ApaccExportOptions
from napari_cyto.datasets.export.cells import CellRule, Losses, apacc_map, merge_losses
from napari_cyto.datasets.splits.groups import slide_groups
from napari_cyto.datasets.splits.split import SIDES, Split, split_by_group
from napari_cyto.domain.classes import SchemeMap
from napari_cyto.domain.image_names import bare_name
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.safe_names import safe_name
from napari_cyto.formats.apacc.names import match_stem, slice_stem
from napari_cyto.formats.apacc.slices import SliceCell, corners, cut_into_slices, is_slice
from napari_cyto.slides import open_slide
from napari_cyto.store import Project

_ONE_PATIENT = (
    "All cells are of one patient or smear: everything goes to train and there is no test side; for one, add slides "
    "of another patient."
)


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
        The side of each of them.
    class_map : SchemeMap
        From the project's classes to the collection's.
    losses : tuple of str
        What is not carried, one sentence each.
    """

    slides: tuple[SlidePlan, ...]
    split: Split
    class_map: SchemeMap
    losses: tuple[str, ...]

    @property
    def slice_count(self) -> int:
        """How many slices there are."""
        return sum(len(plan.slices) for plan in self.slides)


def plan_export(project: Project, options: ApaccExportOptions) -> ExportPlan:
    """Return what an export of ``project`` with ``options`` would write.

    Raises
    ------
    CytoError
        When there is nothing to write, a class has no counterpart, a point no size, a slide no file, or there is
        no way to split; the sentence says what to do.
    """
    losses = Losses()
    counts = {c: n for c, n in project.counts(statuses=options.statuses).items() if c is not None and n}
    class_map = apacc_map(project.scheme, options.class_map, counts)
    rule = CellRule(project.scheme, class_map, options.statuses, options.point_px)
    names = _StemNames(project.slides())
    plans = [p for s in project.slides() if (p := _plan_slide(project, s, rule, options, names, losses)).slices]
    if not any(piece.cells for plan in plans for piece in plan.slices):
        raise CytoError(
            f"The project {project.name} has no cells to export ({'; '.join(losses.sentences()) or 'none is marked'}); "
            "mark some, or accept proposals."
        )
    if options.pad_crops_px is not None and options.crops:
        large = sum(max(c.box.size_hw) > options.pad_crops_px for p in plans for s in p.slices for c in s.cells)
        losses.add("large_crops", large)
    split, notes = _split(plans, options)
    merged = merge_losses(dict(class_map.pairs), counts)
    plan = ExportPlan(tuple(plans), split, class_map, (*notes, *merged, *losses.sentences()))
    _refuse_same_stems(plan)
    return plan


def _split(plans: Iterable[SlidePlan], options: ApaccExportOptions) -> tuple[Split, tuple[str, ...]]:
    """Return the sides, and what a person should know of them."""
    listed = list(plans)
    if options.all_to_train or not _of_one_patient(listed, options):
        return split_plans(listed, options), ()
    # A first export of a first slide must not end in a refusal; what it lacks is said instead.
    split = split_plans(listed, options.model_copy(update={"all_to_train": True}))
    return replace(split, algorithm="everything on the train side, since all cells are of one patient"), (_ONE_PATIENT,)


def _of_one_patient(plans: Iterable[SlidePlan], options: ApaccExportOptions) -> bool:
    """Whether all cells are of one patient or smear, and none came with a side of its own."""
    listed = list(plans)
    groups = slide_groups([plan.slide for plan in listed])
    with_cells = {groups[plan.slide.id] for plan in listed if plan.class_counts}
    came = not options.new_split and any(plan.slide.side in SIDES for plan in listed)
    return len(with_cells) == 1 and not came


def _refuse_same_stems(plan: ExportPlan) -> None:
    names = Counter((plan.split.sides[p.slide.id], piece.stem.casefold()) for p in plan.slides for piece in p.slices)
    double = sorted(stem for (_, stem), count in names.items() if count > 1)
    if double:
        raise CytoError(
            f"{len(double)} slice name(s) occur more than once, {double[0]} for one: the project holds the same slice "
            "twice; take one of them out."
        )


def split_plans(
    plans: Iterable[SlidePlan], options: ApaccExportOptions, together: Iterable[tuple[str, str]] = ()
) -> Split:
    """Return the sides of the slides of ``plans``; pairs ``together`` (slide ids) are not divided.

    Raises
    ------
    SplitError
        When there is no way to split them.
    """
    listed = list(plans)
    counts: Mapping[str, Mapping[str, int]] = {plan.slide.id: plan.class_counts for plan in listed}
    return split_by_group(
        [plan.slide for plan in listed],
        counts,
        test_share=options.test_share,
        seed=options.seed,
        new=options.new_split,
        all_to_train=options.all_to_train,
        together=together,
    )


class _StemNames:
    """What the stems of each slide begin with, such that no two slides get the same stem."""

    def __init__(self, slides: Iterable[SlideRecord]) -> None:
        listed = list(slides)
        came = [slide.stem for slide in listed if is_slice(slide)]
        self._taken = {name.smear.casefold() for stem in came if (name := match_stem(stem))}
        self._taken |= {stem.casefold() for stem in came}
        self._names = {slide.id: self._free(slide) for slide in listed if not is_slice(slide)}

    def __getitem__(self, slide: SlideRecord) -> str:
        return self._names[slide.id]

    def _free(self, slide: SlideRecord) -> str:
        wanted = safe_name(slide.smear or bare_name(slide.name) or slide.id)
        name, number = wanted, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(name.casefold())
        return name


def _plan_slide(
    project: Project,
    slide: SlideRecord,
    rule: CellRule,
    options: ApaccExportOptions,
    names: _StemNames,
    losses: Losses,
) -> SlidePlan:
    as_came = is_slice(slide)
    cells = rule.cells(slide, project.annotations(slide.id), losses)
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
    wanted = corners(size_hw) if options.all_slices else sorted(dealt.cells)
    style = options.stem_style
    slices = tuple(
        SlicePlan(slice_stem(names[slide], y0, x0, style), y0, x0, tuple(dealt.cells.get((y0, x0), ())))
        for y0, x0 in wanted
    )
    return SlidePlan(slide, path, False, slices)


def _size_hw(path: Path) -> tuple[int, int]:
    with open_slide(path) as slide:
        return slide.info.size_hw
