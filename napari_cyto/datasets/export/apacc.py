"""A project as an APACC dataset: slices, label files, crops and overviews, divided into train and test."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from napari_cyto.datasets._exchange_options import ApaccExportOptions
from napari_cyto.datasets.audit.crop_prints import CropPrints
from napari_cyto.datasets.audit.near_duplicates import CropPair, pairs_across
from napari_cyto.datasets.audit.report import Finding
from napari_cyto.datasets.audit.subject import Tick
from napari_cyto.datasets.export._apacc_plan import ExportPlan, plan_export, split_plans
from napari_cyto.datasets.export._slide_pool import write_slices
from napari_cyto.datasets.export.export_manifest import apacc_manifest, write_manifest
from napari_cyto.datasets.export.slice_writer import SliceWriter, Written, move_side
from napari_cyto.datasets.splits.leaks import refuse_leaks, shared_crops, shared_ties
from napari_cyto.datasets.splits.split import TEST, TRAIN, Split
from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError
from napari_cyto.files.atomic import atomic_folder, check_replaceable, exporting
from napari_cyto.files.replacement import replacing
from napari_cyto.formats.apacc.apacc_format import SETS
from napari_cyto.jobs.events import Advanced, Done, Event, Noted, Token
from napari_cyto.jobs.outcome import UNTOUCHED, Steps, ending_once, stop_if_cancelled
from napari_cyto.slides import UnreadableTile
from napari_cyto.slides.slide import said_of_unreadable
from napari_cyto.store import Project

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ApaccExport(JsonFields):
    """What an APACC export wrote.

    Parameters
    ----------
    target : str
        Where.
    counts : mapping
        Set to class id to cells.
    slices : mapping
        Set to slices.
    cells : int
        In all.
    split : mapping
        The tables of ``Split.to_json``.
    border : str
        What was done with cells on a slice's border.
    losses, remarks : tuple of str
        What is not carried, and what to know.
    leaks : tuple of Finding
        What the sets share.
    leak_allowed_because : str or None
        The reason given for that.
    """

    target: str
    counts: Mapping[str, Mapping[str, int]]
    slices: Mapping[str, int]
    cells: int
    split: Mapping[str, Any]
    border: str
    losses: tuple[str, ...]
    remarks: tuple[str, ...]
    leaks: tuple[Finding, ...]
    leak_allowed_because: str | None


def export_apacc(
    project_folder: Path,
    target: Path,
    options: ApaccExportOptions | None = None,
    token: Token | None = None,
    any_project: bool = False,
) -> Iterator[Event]:
    """Write a project as an APACC dataset; a job.

    The target is complete or as it was: everything is written beside it and swapped in at the end.

    Parameters
    ----------
    project_folder : Path
        The project.
    target : Path
        The folder to be; an earlier export there is replaced.
    options : ApaccExportOptions, optional
        How; the defaults are the collection's ways.
    token : Token, optional
        Asks for a stop.
    any_project : bool
        Whether an untouched export of another project may be replaced, as where the project is but a step on the way.

    Yields
    ------
    Event
        Losses and remarks as ``Noted``; ``Done.result`` is an `ApaccExport`.
    """
    chosen = options or ApaccExportOptions()
    return ending_once(_export(Path(project_folder), Path(target), chosen, token, any_project))


def _export(
    project_folder: Path, target: Path, options: ApaccExportOptions, token: Token | None, any_project: bool
) -> Steps:
    with exporting(target, options.overwrite):
        check_replaceable(target)
    day = options.crop_date or now_utc().date()
    with Project.open(project_folder) as project:
        identity = "" if any_project else project.identity
        plan, scheme = plan_export(project, options), project.scheme
    leaks = list(shared_ties([p.slide for p in plan.slides], plan.split.sets))
    refuse_leaks(leaks, options)
    for loss in plan.losses:
        yield Noted(loss)
    with replacing(target, options.overwrite, identity), atomic_folder(target) as folder:
        run = _Run(plan, options, folder)
        yield from run.write(day, token)
        split, found = run.keep_same_cells_together(partial(stop_if_cancelled, token, UNTOUCHED))
        refuse_leaks(found, options)
        leaks += found
        yield from (Noted(remark) for remark in run.remarks)
        write_manifest(folder, apacc_manifest(plan, split, options, scheme, day, leaks, run.unreadable))
        yield Advanced(plan.slice_count, plan.slice_count, "Making sure that everything is on the disk.")
    yield Done(_result(target.absolute(), plan, split, run, leaks))


@dataclass
class _Run:
    """What has been written so far, below the temporary folder."""

    plan: ExportPlan
    options: ApaccExportOptions
    folder: Path
    written: dict[str, list[Written]] = field(default_factory=dict)
    unreadable: list[UnreadableTile] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def write(self, day: date, token: Token | None) -> Iterator[Advanced]:
        stop = threading.Event()
        writer = SliceWriter(self.folder, self.options, day, stop)
        total = self.plan.slice_count
        yield Advanced(0, total, "Writing slices.")
        slices = write_slices(self.plan.slides, self.plan.split.sets, writer, stop, token, self.unreadable)
        for done, piece in enumerate(slices, start=1):
            self.written.setdefault(piece.slide_id, []).append(piece)
            yield Advanced(done, total, Path(piece.files[0]).stem)
        self.remarks += said_of_unreadable(self.unreadable)

    def keep_same_cells_together(self, tick: Tick) -> tuple[Split[SlideRecord], list[Finding]]:
        """Return the final split, slides that show the same cell moved to one side, and what still leaks.

        Two fields of one smear may overlap without anybody having said that they are of one smear; sides that came
        with the data are not changed, so there it stays a leak.
        """
        split, together, moved = self.plan.split, set[tuple[str, str]](), list[str]()
        while True:
            tick()
            pairs = self._pairs(split, tick)
            fresh = {pair.slide_ids for pair in pairs} - together
            if not fresh:
                break
            together |= fresh
            try:
                new, _ = split_plans(self.plan.slides, self.options, sorted(together))
            except SplitError:
                break
            if TEST not in new.sets.values() and TEST in split.sets.values():
                # All that is left is one group: no test set is worse than a leak, which is refused or allowed by name.
                break
            algorithm = f"{new.algorithm}; slides that show the same cell kept together"
            split = replace(new, record=new.record | {"algorithm": algorithm})
            moved += [
                f"{pair.crops.train} and {pair.crops.test} show the same cell; their slides are kept in the same set."
                for pair in pairs
                if split.sets[pair.slide_ids[0]] == split.sets[pair.slide_ids[1]]
            ]
        self.remarks += moved[:_MOST_NAMED]
        if len(moved) > _MOST_NAMED:
            more = f"{len(moved) - _MOST_NAMED:,} more pairs of crops show the same cell"
            self.remarks.append(f"{more}; their slides are kept in the same set.")
        # Once, since a slide may change its side more than once until all is settled.
        self._move(self.plan.split, split)
        return split, list(shared_crops([pair.crops for pair in pairs]))

    def _move(self, old: Split[SlideRecord], new: Split[SlideRecord]) -> None:
        if old.sets == new.sets:
            return
        for slide_id, pieces in self.written.items():
            if old.sets[slide_id] != new.sets[slide_id]:
                self.written[slide_id] = [
                    replace(piece, files=move_side(self.folder, piece.files, new.sets[slide_id])) for piece in pieces
                ]
        for folder in self.folder.glob("*/*"):
            # A side, or a class of it, that has become empty is not part of the dataset.
            for below in sorted(folder.rglob("*"), reverse=True):
                if below.is_dir() and not any(below.iterdir()):
                    below.rmdir()

    def _pairs(self, split: Split[SlideRecord], tick: Tick) -> list[_SamePlace]:
        prints = {side: CropPrints() for side in SETS}
        owners: dict[str, list[str]] = {side: [] for side in SETS}
        for slide_id, pieces in self.written.items():
            for piece in sorted(pieces, key=lambda p: p.files[0]):
                for name, made in piece.prints:
                    prints[split.sets[slide_id]].add_print(name, made)
                    owners[split.sets[slide_id]].append(slide_id)
        of = {side: dict(zip(prints[side].names, owners[side], strict=True)) for side in SETS}
        found = pairs_across(prints[TRAIN], prints[TEST], tick)
        return [_SamePlace(crops, (of[TRAIN][crops.train], of[TEST][crops.test])) for crops in found]


@dataclass(frozen=True, slots=True)
class _SamePlace:
    """Two crops that show the same cell, and the ids of their slides."""

    crops: CropPair
    slide_ids: tuple[str, str]


def _result(target: Path, plan: ExportPlan, split: Split[SlideRecord], run: _Run, leaks: list[Finding]) -> ApaccExport:
    counts: dict[str, Counter[str]] = {side: Counter() for side in SETS}
    slices = Counter[str]()
    for slide_id, pieces in run.written.items():
        side = split.sets[slide_id]
        slices[side] += len(pieces)
        for piece in pieces:
            counts[side].update(piece.class_counts)
    return ApaccExport(
        target=str(target),
        counts={side: dict(sorted(counts[side].items())) for side in SETS},
        slices={side: slices[side] for side in SETS},
        cells=sum(sum(c.values()) for c in counts.values()),
        split=split.to_json(),
        border=str(run.options.border),
        losses=tuple(plan.losses),
        remarks=tuple(run.remarks),
        leaks=tuple(leaks),
        leak_allowed_because=run.options.leak_reason or None,
    )
